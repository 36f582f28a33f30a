"""Contact sheets of synthetic people, with their targets drawn."""

from pathlib import Path

import numpy as np

from .joints import JOINTS_49
from .samples import Targets
from .synthetic import SyntheticImages, SyntheticSequences
from .synthetic_recipe import SyntheticError, SyntheticRecipe

_ROWS, _COLUMNS = 6, 8
_BONES = (
    *(("right_ankle", "right_knee"), ("right_knee", "right_hip"), ("left_hip", "left_knee")),
    *(("left_knee", "left_ankle"), ("right_wrist", "right_elbow"), ("neck", "head_top")),
    *(("right_elbow", "right_shoulder"), ("left_shoulder", "left_elbow")),
    *(("left_elbow", "left_wrist"), ("right_hip", "left_hip"), ("right_shoulder", "left_shoulder")),
    *(("op_left_heel", "op_left_big_toe"), ("op_right_heel", "op_right_big_toe")),
)


def write_sheet(
    recipe: SyntheticRecipe, seed: int, path: Path, videos: bool, with_targets: bool
) -> None:
    """Write a sheet of six rows of eight crops.  Left limbs are drawn red, right ones blue.

    Args:
        recipe: what to draw.
        seed: of the source.
        path: .png to write.
        videos: each row shows one sequence, eight frames spread over it; else single pictures.
        with_targets: draw the joints on them.

    Raises:
        SyntheticError: nothing can draw here, or the file cannot be written.
    """
    import cv2

    if not path.parent.is_dir():
        raise SyntheticError(f"{path} cannot be written: there is no folder {path.parent}.")
    rows = _video_rows(recipe, seed) if videos else _image_rows(recipe, seed)
    sheet = np.concatenate(
        [
            np.concatenate([_marked(*cell) if with_targets else cell[0] for cell in row], 1)
            for row in rows
        ]
    )
    done, data = cv2.imencode(".png", np.ascontiguousarray(sheet[..., ::-1]))
    try:
        path.write_bytes(data.tobytes() if done else b"")
    except OSError as error:
        raise SyntheticError(f"{path} cannot be written: {error}.") from error


def _image_rows(recipe: SyntheticRecipe, seed: int) -> list[list[tuple[np.ndarray, Targets]]]:
    source, rng = SyntheticImages(recipe, _ROWS * _COLUMNS, seed), np.random.default_rng(seed)
    cells = [source.image(index, rng) for index in range(len(source))]
    return [cells[row * _COLUMNS : (row + 1) * _COLUMNS] for row in range(_ROWS)]


def _video_rows(recipe: SyntheticRecipe, seed: int) -> list[list[tuple[np.ndarray, Targets]]]:
    source, rows = SyntheticSequences(recipe, _ROWS, seed), []
    for index in range(_ROWS):
        parts = list(source.parts(index))
        images = np.concatenate([part.images for part in parts])
        targets = Targets(*(np.concatenate(fields) for fields in zip(*(p.targets for p in parts))))
        shown = np.linspace(0, len(images) - 1, _COLUMNS).astype(int)
        rows.append([(images[i], targets.map(lambda field, i=i: field[i])) for i in shown])
    return rows


def _marked(image: np.ndarray, targets: Targets) -> np.ndarray:
    """The crop with its joints."""
    import cv2

    canvas = image.copy()
    half = len(image) / 2
    points = np.clip((targets.keypoints[:, :2] + 1) * half, -999, 999).astype(int).tolist()
    for first, second in _BONES:
        colour = (60, 90, 255) if "right" in first else (255, 60, 60)
        ends = (points[JOINTS_49.index(first)], points[JOINTS_49.index(second)])
        cv2.line(canvas, ends[0], ends[1], colour, 1, cv2.LINE_AA)
    for point in points[:25]:
        cv2.circle(canvas, point, 2, (80, 255, 80), -1)
    return canvas
