"""Contact sheets of any source of crops, with the targets drawn; of synthetic people by command.

python -m training.synthetic.sheet --mocap FILE --out sheet.png
"""

import argparse
import logging
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from training.command import command_line
from training.joints import BONES, JOINTS_49, OPENPOSE
from training.synthetic.draw import renderer
from training.synthetic.recipe import PARTS, SyntheticError, SyntheticRecipe
from training.synthetic.studio import SyntheticImages, SyntheticSequences
from training.targets import ImageSource, SequenceSource, Targets

Rows = list[list[tuple[np.ndarray, Targets]]]
ROWS, COLUMNS = 6, 8
"""Of the sheet.  Chosen: fits a screen."""
_RED, _BLUE, _GREEN = (255, 60, 60), (60, 90, 255), (80, 255, 80)
"""RGB of left limbs, right limbs and the rest.  Chosen."""
_FARTHEST_PX = 999  # cv2 draws no line to infinity


def write_sheet(rows: Rows, path: Path, with_targets: bool) -> None:
    """Write rows of crops as one picture.  Left limbs are drawn red, right ones blue.

    Args:
        rows: of `image_rows` or `video_rows`.
        path: .png to write.
        with_targets: draw the joints on them.

    Raises:
        SyntheticError: the file cannot be written.
    """
    import cv2

    cells = [[_marked(*cell) if with_targets else cell[0] for cell in row] for row in rows]
    sheet = np.concatenate([np.concatenate(row, 1) for row in cells])
    done, data = cv2.imencode(".png", np.ascontiguousarray(sheet[..., ::-1]))
    try:
        path.write_bytes(data.tobytes() if done else b"")
    except OSError as error:
        raise SyntheticError(f"{path} cannot be written: {error}.") from error


def image_rows(source: ImageSource, seed: int) -> Rows:
    """Six rows of eight pictures."""
    rng = np.random.default_rng(seed)
    cells = [source.image(index % len(source), rng) for index in range(ROWS * COLUMNS)]
    return [cells[row * COLUMNS : (row + 1) * COLUMNS] for row in range(ROWS)]


def video_rows(source: SequenceSource) -> Rows:
    """Six rows: sequences, of each eight frames spread over it."""
    rows: Rows = []
    for index in range(min(ROWS, len(source))):
        parts = list(source.parts(index))
        images = np.concatenate([part.images for part in parts])
        targets = Targets(*(np.concatenate(fields) for fields in zip(*(p.targets for p in parts))))
        shown = np.linspace(0, len(images) - 1, COLUMNS).astype(int)
        rows.append([(images[i], targets.map(lambda field, i=i: field[i])) for i in shown])
    return rows


def _marked(image: np.ndarray, targets: Targets) -> np.ndarray:
    """The crop with its joints."""
    import cv2

    canvas = image.copy()
    half = len(image) / 2
    points_px = np.clip((targets.keypoints[:, :2] + 1) * half, -_FARTHEST_PX, _FARTHEST_PX)
    points = points_px.astype(int).tolist()
    for first, second in BONES:
        colour = _BLUE if "right" in first else _RED
        ends = (points[JOINTS_49.index(first)], points[JOINTS_49.index(second)])
        cv2.line(canvas, ends[0], ends[1], colour, 1, cv2.LINE_AA)
    for point in points[: len(OPENPOSE)]:
        cv2.circle(canvas, point, 2, _GREEN, -1)
    return canvas


def arguments() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = argparse.ArgumentParser(prog="python -m training.synthetic.sheet", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--out", type=Path, required=True, help="picture to write, .png")
    parser.add_argument("--mocap", default="", help="motion capture, .npz")
    parser.add_argument("--photos", default="", help="folder of photographs for backdrops")
    parser.add_argument("--recipe", type=Path, help="recipe, JSON")
    parser.add_argument("--part", choices=PARTS, help="whose motion")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--videos", action="store_true", help="rows are videos, not single pictures"
    )
    parser.add_argument("--plain", action="store_true", help="without the targets")
    return parser


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    options = arguments().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    recipe = SyntheticRecipe.read(options.recipe) if options.recipe else SyntheticRecipe()
    given = {"mocap": options.mocap, "photos": options.photos, "part": options.part}
    recipe = replace(recipe, **{name: value for name, value in given.items() if value})
    if not options.out.absolute().parent.is_dir():
        raise SyntheticError(f"{options.out} cannot be written: its folder does not exist.")
    if options.videos:
        rows = video_rows(SyntheticSequences(recipe, ROWS, options.seed))
    else:
        rows = image_rows(SyntheticImages(recipe, ROWS * COLUMNS, options.seed), options.seed)
    write_sheet(rows, options.out, not options.plain)
    print(f"{options.out}, drawn by {renderer(recipe.pixels).name}")


if __name__ == "__main__":
    sys.exit(command_line(main))
