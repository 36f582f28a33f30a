"""Score the tool itself on synthetic videos: which estimator is nearer to the truth?

    python -m training.estimator_scores landmarks staf --data synthetic:16:2 \\
        --recipe held-out.json --out SCORES

Whole pictures are drawn, and in them people are found, tracked and estimated as `staf convert`
does it.  Every estimator sees the same pictures; `staf` runs the weights that were added, else
those that come with the software.  Joints and root are those of the protocol "synthetic".
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from staf_backend.choices import ESTIMATORS, Estimator
from staf_backend.files import make_folder
from staf_backend.people import NobodyError
from staf_backend.pipeline import Settings, solve
from staf_backend.weights import default_weights
from training.command import command_line
from training.data.sources import open_synthetic
from training.scoring import (
    PROTOCOLS,
    EvaluationError,
    Found,
    Frames,
    Scores,
    Summary,
    Truth,
    match_person,
    nobody,
    truth_of,
    write_scores,
)
from training.scoring.estimator_sheet import ROWS, Row, row_of, write_sheet
from training.synthetic import Recording, SyntheticSequences, plan, record

log = logging.getLogger(__name__)
PROTOCOL = PROTOCOLS["synthetic"]
KNOWN: tuple[Estimator, ...] = tuple(name for name in ESTIMATORS if name != "auto")
_COLUMNS = (
    ("mpjpe_mm", "MPJPE mm"),
    ("pa_mpjpe_mm", "PA-MPJPE mm"),
    ("acceleration_mm_per_frame2", "Accel mm/frame²"),
    ("acceleration_m_per_s2", "Accel m/s²"),
)


@dataclass(frozen=True)
class Options:
    """How estimators are run.

    Attributes:
        know_focal: whether they are told the focal length.
        device, threads: see `pipeline.Settings`.
    """

    know_focal: bool = True
    device: str = "auto"
    threads: int | None = None


@dataclass(frozen=True)
class VideoScore:
    """One estimator on one video.

    `frames` are the video's; `coverage` is the share of them on which the true person has a motion
    and was seen.  Where nobody was found, coverage is 0 and nothing is counted in the summary.
    """

    name: str
    recording: Recording
    frames: int
    coverage: float
    summary: Summary


@dataclass(frozen=True)
class EstimatorScores:
    """One estimator on all videos; `ran` names the weights where it has any, see `VideoScore`."""

    name: str
    ran: str
    frames: int
    coverage: float
    summary: Summary
    each: tuple[VideoScore, ...]


class Tally:
    """The scores of one estimator, video by video."""

    def __init__(self) -> None:
        self._scores = Scores(PROTOCOL.root)
        self._each: list[VideoScore] = []

    def add(self, name: str, recording: Recording, truth: Truth, found: Found) -> VideoScore:
        """The next video.

        Raises:
            ScoreError: a motion is not a number.
        """
        own = Scores(PROTOCOL.root)
        self._scores.start()
        for scores in (self._scores, own):
            scores.add(Frames(found.joints_m, truth.joints_m, truth.times_s, found.there))
        frames, coverage = len(found.observed), float(found.observed.mean())
        self._each.append(VideoScore(name, recording, frames, coverage, own.summary()))
        return self._each[-1]

    def result(self, name: str) -> EstimatorScores:
        """The scores so far."""
        ran = default_weights() if name == "staf" else name
        frames = sum(one.frames for one in self._each)
        seen = sum(one.frames * one.coverage for one in self._each)
        each = tuple(self._each)
        return EstimatorScores(name, ran, frames, seen / frames, self._scores.summary(), each)


def score(
    source: SyntheticSequences, estimators: Sequence[str], options: Options
) -> tuple[list[EstimatorScores], list[Row]]:
    """Runs estimators over synthetic videos.

    Args:
        source: the videos.
        estimators: some of KNOWN.
        options: how they are run.

    Returns:
        Scores in the order of the estimators; rows of a sheet of the first videos.

    Raises:
        EvaluationError: no such estimator.
        SyntheticError: nothing can draw here.
        StafError: an estimator cannot be run.
    """
    chosen = _known(estimators)
    tallies = {name: Tally() for name in chosen}
    rows: list[Row] = []
    for index in range(len(source)):
        name, take = f"{source.name}/{index:06d}", source.take(index)
        recording = plan(take)
        truth = truth_of(take, recording, PROTOCOL)
        with TemporaryDirectory() as words:
            folder = Path(words)
            record(source.studio, take, recording, folder)
            found = {one: _run(folder, recording, truth, one, options) for one in chosen}
            if len(rows) < ROWS:
                rows.append(row_of(folder, truth, found))
        for one in chosen:
            _tell(one, tallies[one].add(name, recording, truth, found[one]))
    return [tally.result(name) for name, tally in tallies.items()], rows


def _known(names: Sequence[str]) -> list[Estimator]:
    for name in names:
        if name not in KNOWN:
            raise EvaluationError(
                f"There is no estimator {name!r} to be scored.",
                f"Name some of: {', '.join(KNOWN)}.",
            )
    by_name: dict[str, Estimator] = {one: one for one in KNOWN}
    return [by_name[name] for name in names]


def _run(
    folder: Path, recording: Recording, truth: Truth, estimator: Estimator, options: Options
) -> Found:
    """What an estimator finds of the true person in recorded pictures."""
    settings = Settings(
        estimator=estimator,
        focal_px=recording.focal_px if options.know_focal else None,
        fps=recording.rate_hz,
        device=options.device,
        threads=options.threads,
    )
    try:
        solved = solve(folder, settings, lambda *_: None)
    except NobodyError as error:
        log.info("%s: %s", estimator, error.message)
        return nobody(truth)
    return match_person(solved.motions, solved.body, truth, PROTOCOL)


def _tell(estimator: str, one: VideoScore) -> None:
    error_mm, seen = one.summary.mpjpe_mm, f"{one.coverage:.0%} of {one.frames} frames"
    said = "the person was not found" if error_mm is None else f"MPJPE {error_mm:.1f} mm"
    log.info("%s, %s: %s, %s", one.name, estimator, said, seen)


def table(scores: Sequence[EstimatorScores], head: str) -> str:
    """Markdown: a row for each estimator."""
    names = ("", *(words for _, words in _COLUMNS), "frames scored", "coverage")
    lines = [names, ("---", *("---:" for _ in names[1:]))]
    lines += [_row(one) for one in scores]
    return f"### {head}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _row(one: EstimatorScores) -> tuple[str, ...]:
    values = (getattr(one.summary, column) for column, _ in _COLUMNS)
    numbers = ("-" if value is None else f"{value:.1f}" for value in values)
    name = one.name if one.name == one.ran else f"{one.name} ({one.ran})"
    return name, *numbers, f"{one.summary.frames:,}", f"{one.coverage:.1%}"


def arguments() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = argparse.ArgumentParser(
        prog="python -m training.estimator_scores",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("estimators", nargs="+", help=" or ".join(KNOWN))
    parser.add_argument("--data", required=True, metavar="synthetic[:COUNT[:SEED]]")
    parser.add_argument("--recipe", type=Path, help="of the videos, JSON")
    parser.add_argument("--out", type=Path, required=True, help="folder of table and JSON")
    parser.add_argument("--sheet", type=Path, help="picture of joints found and true, .png")
    parser.add_argument(
        "--unknown-focal",
        action="store_true",
        help="to be assumed, as of a video that does not tell it",
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, help="of the estimators' networks")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    given = arguments().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    estimators = _known(list(dict.fromkeys(given.estimators)))
    source = open_synthetic(given.data, recipe=given.recipe)
    make_folder(given.out)  # not only after the scoring
    options = Options(not given.unknown_focal, given.device, given.threads)
    scores, rows = score(source, estimators, options)
    if given.sheet:
        write_sheet(rows, given.sheet)
    focal = "told" if options.know_focal else "assumed"
    text = table(scores, f"{source.name}, {len(source)} videos, focal length {focal}")
    content = {"data": given.data, "recipe": asdict(source.recipe), "options": asdict(options)}
    content["estimators"] = [asdict(one) for one in scores]
    write_scores(given.out, "estimators", text, content)
    print(text)


if __name__ == "__main__":
    sys.exit(command_line(main))
