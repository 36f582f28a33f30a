"""A contact sheet of whole synthetic pictures: the true joints, and those that estimators found.

A cell shows the true person and as much of the picture around as people are told apart by.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from staf_backend.staf import CROP_PX, cut
from training.joints import BONES, LSP
from training.scoring.matching import Found, Truth
from training.synthetic import picture_file, write_png

ROWS = 6
_COLUMNS, _AROUND, _ZOOM = 4, 1.3, 2
"""Of the sheet; a cell shows 1.3 times the person's box, in twice its pixels.  Chosen."""
_TRUE = "truth"
_COLOURS = ((80, 255, 80), (255, 60, 60), (60, 130, 255))
"""RGB of the truth and of the estimators in turn.  Chosen."""
_LIMBS = [(LSP.index(a), LSP.index(b)) for a, b in BONES if a in LSP and b in LSP]

Row = list[np.ndarray]


def row_of(folder: Path, truth: Truth, found: Mapping[str, Found]) -> Row:
    """Cells (448, 448, 3) uint8 RGB spread over a recorded video, with everybody's joints.

    Args:
        folder: of the recorded pictures.
        truth: drawn green and thick.
        found: by estimator, drawn red and blue; joints are LSP's fourteen.
    """
    row = []
    for frame in np.linspace(0, len(truth.times_s) - 1, _COLUMNS).astype(int).tolist():
        shown = {_TRUE: truth.joints_px[frame]}
        shown |= {name: one.joints_px[frame] for name, one in found.items() if one.there[frame]}
        joints_px = truth.joints_px[frame]
        centre_px = (joints_px.min(0) + joints_px.max(0)) / 2
        square_px = np.array([*centre_px, _AROUND * truth.sides_px[frame]])
        cell = _cut(picture_file(folder, frame), square_px)
        for line, (name, colour) in enumerate(zip((_TRUE, *found), _COLOURS), 1):
            if name in shown:
                _draw(cell, _in_cell(shown[name], square_px), colour, 2 if line == 1 else 1)
            _write(cell, name, line, colour)
        row.append(cell)
    return row


def write_sheet(rows: list[Row], path: Path) -> None:
    """Writes rows of `row_of` as one .png.

    Raises:
        OutputError: the file cannot be written.
    """
    write_png(path, np.concatenate([np.concatenate(row, 1) for row in rows]))


def _cut(path: Path, square_px: np.ndarray) -> np.ndarray:
    import cv2

    picture = cv2.imread(str(path))
    assert picture is not None
    enlarged = cv2.resize(cut(picture, square_px), None, fx=_ZOOM, fy=_ZOOM)
    return np.ascontiguousarray(enlarged[..., ::-1])


def _in_cell(joints_px: np.ndarray, square_px: np.ndarray) -> np.ndarray:
    return ((joints_px - square_px[:2]) / square_px[2] + 0.5) * CROP_PX * _ZOOM


def _draw(cell: np.ndarray, joints: np.ndarray, colour: tuple[int, int, int], thick: int) -> None:
    import cv2

    points = np.clip(np.rint(joints), -9999, 9999).astype(int).tolist()
    for first, second in _LIMBS:
        cv2.line(cell, points[first], points[second], colour, thick, cv2.LINE_AA)


def _write(cell: np.ndarray, name: str, line: int, colour: tuple[int, int, int]) -> None:
    import cv2

    cv2.putText(cell, name, (6, 18 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, 1, cv2.LINE_AA)
