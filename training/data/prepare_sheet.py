"""A contact sheet of a prepared set: do its labels lie on its people?

Each cell shows the crop as training cuts it, with the key points, and beside it the joints in
space, looked at along the camera.  Left is red, right is blue, the midline green.
"""

from pathlib import Path

import numpy as np

from training.data.crops import PreparedImages
from training.datasets import PreparedSet, SetError
from training.joints import JOINTS_49
from training.targets import Targets

_CELLS, _COLUMNS, _SIDE_PX = 12, 3, 224
"""Rows of the set, how many stand side by side, and a crop's side.  Chosen: fits a screen."""
_HALF_M = 1.1  # half of what a drawing in space shows
_RED, _BLUE, _GREEN = (230, 40, 40), (60, 110, 255), (60, 220, 60)
"""RGB of left limbs, right limbs and the rest.  Chosen."""


def write_sheet(prepared: PreparedSet, path: Path) -> None:
    """Write a sheet of rows spread evenly over the set.

    Args:
        prepared: the set.
        path: .png to write.

    Raises:
        SetError: a picture is missing or broken, or the sheet cannot be written.
    """
    import cv2

    source, rng = PreparedImages(prepared), np.random.default_rng(0)
    rows = np.unique(np.linspace(0, len(prepared) - 1, _CELLS).astype(int))
    cells = [_cell(*source.image(int(row), rng)) for row in rows]
    blank = [np.zeros_like(cells[0])] * (-len(cells) % _COLUMNS)
    lines = np.array(cells + blank).reshape(-1, _COLUMNS, _SIDE_PX, 2 * _SIDE_PX, 3)
    sheet = np.concatenate([np.concatenate(list(line), 1) for line in lines])
    done, data = cv2.imencode(".png", np.ascontiguousarray(sheet[..., ::-1]))
    try:
        path.write_bytes(data.tobytes() if done else b"")
    except OSError as error:
        raise SetError(f"{path} cannot be written: {error.strerror}.", "Check the path.") from error


def _cell(crop: np.ndarray, targets: Targets) -> np.ndarray:
    """The crop with its key points, and the joints in space: (224, 448, 3) uint8 RGB."""
    points = (targets.keypoints[:, :2] + 1) / 2 * _SIDE_PX
    crop = _dotted(crop.copy(), points, targets.keypoints[:, 2])
    space = (targets.joints_m[:, :2] / _HALF_M + 1) / 2 * _SIDE_PX
    beside = _dotted(np.full_like(crop, 25), space, targets.joints_m[:, 3])
    return np.concatenate([crop, beside], 1)


def _dotted(image: np.ndarray, points_px: np.ndarray, known: np.ndarray) -> np.ndarray:
    import cv2

    for name, (x, y), confidence in zip(JOINTS_49, points_px, known):
        if confidence > 0 and abs(x) < 2 * _SIDE_PX and abs(y) < 2 * _SIDE_PX:
            colour = _RED if "left" in name else _BLUE if "right" in name else _GREEN
            cv2.circle(image, (round(float(x)), round(float(y))), 3, colour, -1, cv2.LINE_AA)
    return image
