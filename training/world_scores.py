"""Score where motions stand: drawn scenes whose truth is known exactly, against motion files.

    staf convert CLIPS/NAME.mp4 -o MOTIONS/NAME.npz --largest        for every scene
    python -m training.world_scores CLIPS MOTIONS [NAME ...] --out SCORES

CLIPS holds NAME.npz, the truth (`training/scoring/world_truth.py`).  A number is the median over
scenes, and the mean; what it means stands in `training/scoring/world_metrics.py`.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from staf_backend.files import make_folder
from staf_backend.motion import load_motion
from training.command import command_line
from training.scoring import EvaluationError, read_truth, world_scores, write_scores

Scores = Mapping[str, Mapping[str, float]]


def score(clips: Path, motions: Path, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Scores of every scene.

    Args:
        clips: folder of NAME.npz, the truth.
        motions: folder of NAME.npz, motion files.
        names: of scenes; none are all that both folders have.

    Raises:
        EvaluationError: no scene, or one of which a file is missing.
        StafError: a file that cannot be read.
    """
    known = sorted(path.stem for path in clips.glob("*.npz"))
    chosen = list(names) or [name for name in known if (motions / f"{name}.npz").is_file()]
    if not chosen:
        raise EvaluationError(
            f"No scene has both its truth in {clips} and its motion in {motions}.",
            "Convert the scenes first: staf convert CLIPS/NAME.mp4 -o MOTIONS/NAME.npz --largest",
        )
    for name in chosen:
        for folder in (clips, motions):
            if not (folder / f"{name}.npz").is_file():
                raise EvaluationError(f"{folder} has no {name}.npz.", "Check the scene's name.")
    return {
        name: world_scores(load_motion(motions / f"{name}.npz"), read_truth(clips / f"{name}.npz"))
        for name in chosen
    }


def table(scores: Scores) -> str:
    """Markdown: a row for each number, a column for each scene, then median and mean."""
    head = ["", *scores, "median", "mean"]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    for name in next(iter(scores.values())):
        values = np.array([one[name] for one in scores.values()])
        known = values[np.isfinite(values)]
        ends = (np.median(known), known.mean()) if len(known) else (np.nan, np.nan)
        lines.append([name, *map(_said, (*values, *ends))])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _said(value: float) -> str:
    if not np.isfinite(value):
        return "-"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.0f}"


def arguments() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = argparse.ArgumentParser(
        prog="python -m training.world_scores",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("clips", type=Path, help="folder of the scenes' truth, NAME.npz")
    parser.add_argument("motions", type=Path, help="folder of motion files, NAME.npz")
    parser.add_argument("names", nargs="*", metavar="NAME", help="of scenes; none are all")
    parser.add_argument("--out", type=Path, help="folder of table and JSON")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    given = arguments().parse_args(argv)
    if given.out:
        make_folder(given.out)  # not only after the scoring
    scores = score(given.clips, given.motions, given.names)
    text = table(scores)
    if given.out:
        numbers = {
            scene: {name: value if np.isfinite(value) else None for name, value in one.items()}
            for scene, one in scores.items()
        }
        write_scores(given.out, "world", text, {"scenes": numbers})
    print(text)


if __name__ == "__main__":
    sys.exit(command_line(main))
