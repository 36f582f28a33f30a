"""Make the paper's figures again, from weights and a clip, as PNG and as numbers.

    python -m training.figures WEIGHTS --clip CLIP --out DIR
    python -m training.figures WEIGHTS RIVAL ... --clip CLIP --out DIR --figures 8 9
    python -m training.figures WEIGHTS --clip CLIP --out DIR --figures 9 --keep-cut

    4  attention.png      TCFM's four matrices of one window
    7  regressors.png     the body before and after each regressor, over the picture
    8  weights.png        how much each frame of a window counts, for each network
    9  acceleration.png   acceleration over the clip, for each network (Fig. 1 of the paper as well)

WEIGHTS is a folder or an installed name of weights.  Figures 4 and 7 are of the first; without
--figures those are made that it has the modules for.  The main person of the clip is shown, in the
window about --frame.  --keep-cut lets windows cross from one person to another where the clip was
cut, as the paper does for its Fig. 9.
"""

import argparse
import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from staf_backend.files import make_folder, replace_atomically
from staf_backend.pipeline import people_in
from staf_backend.staf.network import Staf, StageParams
from staf_backend.video import Video, open_video
from training.command import command_line
from training.drawing import numbers, panels
from training.drawing.clip import Kept, Stretch, crops, main_person
from training.evaluate import Network, open_network
from training.scoring import EvaluationError, joined_params, make_recoverer

FIGURES = (4, 7, 8, 9)
_PART = 16
"""Crops that go through the networks at once.  Chosen: 10 MB of maps."""


@dataclass(frozen=True)
class Subject:
    """What figures are of: the networks, the clip's main person, and the window shown."""

    networks: tuple[Network, ...]
    video: Video
    stretches: tuple[Stretch, ...]
    window: np.ndarray

    @property
    def factors(self) -> set[float]:
        """Crop factors of the networks."""
        return {network.crop_factor for network in self.networks}

    @property
    def frame(self) -> int:
        """Number of the target."""
        return int(self.window[len(self.window) // 2])


def open_subject(
    weights: Sequence[str], clip: Path, *, frame: int | None, keep_cut: bool, body: str | None
) -> Subject:
    """Networks and person.

    Raises:
        EvaluationError: a network comes without an encoder, or no window is about the frame.
        StafError: weights or clip cannot be read, or nobody is in it.
    """
    networks = tuple(open_network(words, body) for words in weights)
    for network in networks:
        if network.encoder is None:
            raise EvaluationError(
                f"{network.name} comes without an encoder.",
                "Give the weights that it was saved to.",
            )
    video = open_video(clip)
    tracks = people_in(video, video.span(None, None), "cpu", None, _silent)
    stretches = tuple(main_person(tracks, keep_cut))
    length = max(network.network.config.frames for network in networks)
    return Subject(networks, video, stretches, _window(stretches, frame, length))


def _silent(*_words: object) -> None:
    """No progress: the passes are short."""


def _window(stretches: Sequence[Stretch], frame: int | None, length: int) -> np.ndarray:
    longest = max(stretches, key=len)
    if frame is None:
        frame = int(longest.frames[len(longest) // 2])
    for stretch in stretches:
        found = stretch.window(frame, length)
        if found is not None:
            return found
    seen = ", ".join(f"{one.frames[0]} to {one.frames[-1]}" for one in stretches)
    raise EvaluationError(
        f"No {length} frames about frame {frame} show the main person.",
        f"They are seen in {seen}: choose a frame well inside.",
    )


def has(figure: int, network: Network) -> bool:
    """Whether a network has the modules that a figure shows."""
    if figure == 4:
        return isinstance(network.network, Staf) and network.network.tcfm is not None
    return figure != 7 or isinstance(network.network, Staf)


def make_figures(subject: Subject, wanted: Sequence[int], out: Path) -> list[Path]:
    """Draws figures into a folder, each with its numbers beside it as JSON.

    Raises:
        EvaluationError: the first network lacks the module of a figure.
        OutputError: a file cannot be written.
    """
    first = subject.networks[0]
    for figure in wanted:
        if not has(figure, first):
            what = "TCFM" if figure == 4 else "several regressors"
            raise EvaluationError(f"Fig. {figure} shows {what}, which {first.name} has not.")
    make_folder(out)
    kept = Kept(frozenset(subject.window.tolist()), subject.frame, first.crop_factor)
    curves = _accelerations(subject, kept, 9 in wanted)
    made: list[Path] = []
    with torch.inference_mode():
        if 4 in wanted:
            made += _attention(first, kept, subject, out)
        if 7 in wanted:
            made += _regressors(first, kept, subject, out)
        if 8 in wanted:
            made += _weights(kept, subject, out)
    if 9 in wanted:
        made += _curves(curves, subject, out)
    return made


def _accelerations(subject: Subject, kept: Kept, whole: bool) -> dict[str, np.ndarray]:
    """mm/frame² over all stretches, by network, in one pass; keeps the window's crops."""
    if not whole:
        for stretch in subject.stretches:
            if subject.frame in stretch.frames:
                _see(subject, stretch, kept)
        return {}
    recoverers = {n.name: make_recoverer(n.network, n.encoder) for n in subject.networks}
    curves: dict[str, list[np.ndarray]] = {name: [] for name in recoverers}
    for stretch in subject.stretches:
        found: dict[str, list[StageParams]] = {name: [] for name in recoverers}
        for part in _parts(crops(subject.video, stretch, subject.factors, kept)):
            for network in subject.networks:
                pushed = recoverers[network.name].push(part[network.crop_factor])
                found[network.name].append(pushed)
        for network in subject.networks:
            found[network.name].append(recoverers[network.name].finish())
            params = joined_params(found[network.name])
            curves[network.name].append(numbers.accelerations_mm(network.tables, params))
    return {name: np.concatenate(parts) for name, parts in curves.items()}


def _see(subject: Subject, stretch: Stretch, kept: Kept) -> None:
    for _ in crops(subject.video, stretch, subject.factors, kept):
        if kept.complete:
            return


def _parts(frames: Iterator[dict[float, np.ndarray]]) -> Iterator[dict[float, Tensor]]:
    while waiting := list(itertools.islice(frames, _PART)):
        yield {
            factor: torch.from_numpy(np.stack([cuts[factor] for cuts in waiting]))
            for factor in waiting[0]
        }


def _maps(network: Network, kept: Kept, subject: Subject) -> Tensor:
    """The window as a network sees it, (1, T, C, 7, 7); T is the network's own."""
    assert network.encoder is not None  # seen to by `open_subject`
    spare = (len(subject.window) - network.network.config.frames) // 2
    frames = subject.window[spare : len(subject.window) - spare].tolist()
    factor = network.crop_factor
    images = torch.from_numpy(np.stack([kept.crops[factor, frame] for frame in frames]))
    network.encoder.eval()
    network.network.eval()
    return network.encoder(network.encoder.normalise(images))[None].float()


def _attention(network: Network, kept: Kept, subject: Subject, out: Path) -> list[Path]:
    matrices = numbers.attention_matrices(network.network, _maps(network, kept, subject))
    assert matrices is not None  # seen to by `has`
    path = out / "attention.png"
    panels.draw_matrices(matrices, path)
    return [path, _told(path, subject, numbers.plain(matrices))]


def _regressors(network: Network, kept: Kept, subject: Subject, out: Path) -> list[Path]:
    assert isinstance(network.network, Staf)  # seen to by `has`
    assert kept.picture is not None
    meshes = numbers.meshes_by_stage(network.network, _maps(network, kept, subject))
    path = out / "regressors.png"
    panels.draw_meshes(meshes, network.tables.faces, kept.picture, path)
    values = {name: mesh.points[:: len(mesh.points) // 50] for name, mesh in meshes.items()}
    return [path, _told(path, subject, numbers.plain(values))]


def _weights(kept: Kept, subject: Subject, out: Path) -> list[Path]:
    found: dict[str, np.ndarray] = {}
    for network in subject.networks:
        label = f"{network.name}: " if len(subject.networks) > 1 else ""
        modules = numbers.frame_weights(network.network, _maps(network, kept, subject))
        found |= {f"{label}{name}": weights for name, weights in modules.items()}
    if not found:
        raise EvaluationError("Fig. 8 shows fusions of frames, which none of the networks has.")
    path = out / "weights.png"
    panels.draw_weights(found, path)
    return [path, _told(path, subject, numbers.plain(found))]


def _curves(curves: dict[str, np.ndarray], subject: Subject, out: Path) -> list[Path]:
    frames = np.concatenate([stretch.frames for stretch in subject.stretches])
    gaps = np.flatnonzero(np.diff(frames) != 1) + 1
    cuts = sorted(
        {int(one.frames[0]) for one in subject.stretches[1:]} | set(frames[gaps].tolist())
    )
    path = out / "acceleration.png"
    panels.draw_curves(curves, frames, cuts, path)
    values = {"frame": frames.astype(float), **curves}
    return [path, _told(path, subject, numbers.plain(values))]


def _told(picture: Path, subject: Subject, values: dict) -> Path:
    """The numbers of a picture, beside it."""
    path = picture.with_suffix(".json")
    content = {"clip": subject.video.path.name, "frame": subject.frame, "values": values}
    with replace_atomically(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return path


def arguments() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = argparse.ArgumentParser(prog="python -m training.figures", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("weights", nargs="+", help="folder or name of weights; then its rivals")
    parser.add_argument("--clip", type=Path, required=True, help="video, or folder of pictures")
    parser.add_argument("--out", type=Path, required=True, help="folder of PNG and JSON")
    parser.add_argument("--figures", type=int, nargs="+", choices=FIGURES, help="of the paper")
    parser.add_argument("--frame", type=int, help="number of the target; default: the middle")
    parser.add_argument("--keep-cut", action="store_true", help="let windows cross a cut")
    parser.add_argument("--body", help="of weights without a body")
    return parser


def main(words: Sequence[str] | None = None) -> None:
    """The command."""
    options = arguments().parse_args(words)
    subject = open_subject(
        options.weights,
        options.clip,
        frame=options.frame,
        keep_cut=options.keep_cut,
        body=options.body,
    )
    wanted = options.figures or [n for n in FIGURES if has(n, subject.networks[0])]
    for path in make_figures(subject, wanted, options.out):
        print(path)


if __name__ == "__main__":
    sys.exit(command_line(main))
