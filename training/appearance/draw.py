"""Draw looks at people for the training of the appearance network.

    python -m training.appearance.draw looks --mocap cmu.npz --parts 60

Each part is a file looks/0000.npy of crops (clips, people, looks, 128, 64, 3): the people of a clip
share its surroundings, its light and its camera.  Parts that are there are kept.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from staf_backend.files import make_folder
from staf_backend.people.appearance import HEIGHT_PX, WIDTH_PX
from training.appearance.clothes import Outfit, changed, draw_outfit, paint
from training.appearance.outlines import Outlines, draw_outlines
from training.appearance.pictures import Look, draw_clip, take
from training.appearance.store import write_part
from training.command import command_line
from training.moves import BODY, HELD_OUT, Clip, figure_of, open_clips
from training.synthetic import Bank, photographs

CLIPS, PEOPLE, LOOKS = 36, 6, 8
"""Of a part."""
_FIGURES, _MOST_OUTLINES, _OUTFITS = 4, 40, 2.6
"""Bodies of a part, outlines of each, clothes for each clip.  Chosen: drawing an outline or clothes
takes four times as long as a look."""
_ALIKE = 0.3
"""Share of outfits that are another one with one or two things changed.  Chosen."""
_ONE_SIDE, _SIDE_SHARE = 0.5, 0.35
"""Chance that a person is seen from about one side in a clip, and share of outlines that are."""


def draw_part(
    clips: list[Clip], bank: Bank, rng: np.random.Generator, shape: tuple[int, int, int]
) -> np.ndarray:
    """Crops (clips, people, looks, 128, 64, 3) uint8 RGB.

    Args:
        clips: motion; none: made up.
        bank: cloths and surroundings.
        rng: where randomness comes from.
        shape: how many clips, people of each, looks at each.
    """
    outlines = min(_MOST_OUTLINES, shape[0] + shape[2])
    figures = [draw_outlines(clips, outlines, rng) for _ in range(_FIGURES)]
    outfits: list[Outfit] = []
    for _ in range(round(_OUTFITS * shape[0]) + shape[1]):
        if outfits and rng.random() < _ALIKE:
            outfits.append(changed(outfits[-1], bank, rng))
        else:
            outfits.append(draw_outfit(bank, rng))
    crops = np.empty((*shape, HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    for clip in crops:
        _draw_clip(clip, figures, outfits, bank, rng)
    return crops


def _draw_clip(
    crops: np.ndarray,
    figures: list[Outlines],
    outfits: list[Outfit],
    bank: Bank,
    rng: np.random.Generator,
) -> None:
    """Fill in crops (people, looks, ...) of one clip."""
    people, count = crops.shape[:2]
    clip = draw_clip(bank, rng)
    first = int(rng.integers(len(outfits) - people + 1))  # neighbours are alike
    figure = [figures[n] for n in rng.integers(len(figures), size=people)]
    worn = [paint(outfits[first + n], one.skin) for n, one in enumerate(figure)]
    looks = [
        [Look(one.points[n], one.facing[n], colours) for n in _chosen(one.heading, count, rng)]
        for one, colours in zip(figure, worn, strict=True)
    ]
    for person, own in enumerate(looks):
        others = [look for n, look in enumerate(looks) if n != person]
        flat = [look for other in others for look in other]
        for at, look in enumerate(own):
            crops[person, at] = take(clip, look, flat, rng)


def _chosen(heading: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Numbers of outlines, half of the time only of those that show about one side."""
    candidates = np.arange(len(heading))
    if rng.random() < _ONE_SIDE:
        away = np.abs(np.angle(np.exp(1j * (heading - rng.uniform(-np.pi, np.pi)))))
        candidates = np.argsort(away)[: max(count, int(_SIDE_SHARE * len(heading)))]
    return rng.choice(candidates, count, replace=len(candidates) < count)


def arguments() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = argparse.ArgumentParser(prog="python -m training.appearance.draw", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("out", type=Path, help="folder of the parts")
    parser.add_argument(
        "--mocap", type=Path, nargs="+", default=[], help="motion files; made up without"
    )
    parser.add_argument("--photos", default="", help="folder of photographs for surroundings")
    parser.add_argument("--parts", type=int, default=60, help="how many parts")
    parser.add_argument("--first", type=int, default=0, help="number of the first part")
    parser.add_argument("--clips", type=int, default=CLIPS, help="clips in each part")
    parser.add_argument("--seed", type=int, default=0, help="where randomness begins")
    return parser


def main(argv: list[str] | None = None) -> None:
    """The command line: draws the parts that are missing."""
    options = arguments().parse_args(argv)
    make_folder(options.out)
    clips = open_clips(options.mocap, figure_of(BODY)) if options.mocap else []
    clips = [clip for clip in clips if clip.subject not in HELD_OUT]
    bank = Bank(0, photographs(options.photos))
    for part in range(options.first, options.first + options.parts):
        path = options.out / f"{part:04d}.npy"
        if path.exists():
            continue
        shape = (options.clips, PEOPLE, LOOKS)
        crops = draw_part(clips, bank, np.random.default_rng([part, options.seed]), shape)
        write_part(path, crops)
        print(f"{path}: {crops.shape[0]} clips", flush=True)


if __name__ == "__main__":
    sys.exit(command_line(main))
