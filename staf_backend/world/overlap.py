"""How well the drawn body covers what the landmark network saw of the person in the picture."""

import numpy as np

from staf_backend.body import Body
from staf_backend.geometry import from_quaternions
from staf_backend.landmarks import Outlines
from staf_backend.landmarks.outlines import CELLS, Outline
from staf_backend.motion import Motion

_FEWEST_CELLS = 40
"""Of a person inside the picture.  Chosen: a hand or a foot alone says nothing of the body."""
_FINER, _CLOSED = 4, 5
"""Along a cell's side, while a body is drawn, about a centimetre each; and cells over which holes
are closed.  Chosen: vertices and middles of faces are 1 to 3 cm apart."""
_COVERED = 0.5
"""Share of a cell from which it is the body's.  Chosen: as the network's masks are cut."""
_NEAR_M = 0.1
"""Before the camera.  Chosen: what is nearer cannot be drawn."""


def overlaps(motion: Motion, body: Body, outlines: Outlines) -> tuple[np.ndarray, np.ndarray]:
    """Rows (N,) of a motion that have an outline, and the overlap (N,) of body and outline there.

    Args:
        motion: finished, in any axes.
        body: of the motion.
        outlines: what was seen.

    Returns:
        rows, and intersection over union, 0..1, inside the picture.
    """
    found = []
    for row in np.flatnonzero(motion.observed).tolist():
        outline = outlines.of(motion.person, int(motion.frames[row]))
        overlap = None if outline is None else _overlap(motion, body, row, outline)
        if overlap is not None:
            found.append((row, overlap))
    known = np.array(found).reshape(-1, 2)
    return known[:, 0].astype(int), known[:, 1]


def _overlap(motion: Motion, body: Body, row: int, outline: Outline) -> float | None:
    """None where too little of the person is inside the picture, or the body behind the camera."""
    seen_m = _seen_m(motion, body, row)
    if seen_m[:, 2].min() < _NEAR_M:
        return None
    inside = _inside_picture(outline, motion.camera.width_px, motion.camera.height_px)
    mask = outline.cells & inside
    drawn = _drawn(outline.to_cells(motion.camera.project(seen_m))) & inside
    if mask.sum() < _FEWEST_CELLS:
        return None
    return float((mask & drawn).sum() / (mask | drawn).sum())


def _seen_m(motion: Motion, body: Body, row: int) -> np.ndarray:
    """Vertices and middles of faces (N, 3) of a key, as its camera sees them."""
    part = slice(row, row + 1)
    turns = from_quaternions(motion.rotations_wxyz[part].astype(np.float32))
    vertices = body.vertices_m(turns, motion.betas, motion.root_m[part].astype(np.float32))
    camera = motion.camera if motion.camera_path is None else motion.camera_path[part]
    seen = camera.to_camera_axes(vertices)[0]
    return np.concatenate([seen, seen[body.faces].mean(1)])


def _drawn(points: np.ndarray) -> np.ndarray:
    """(CELLS, CELLS) bool: cells that points (N, 2) of a body cover, its small gaps closed."""
    import cv2

    side = CELLS * _FINER
    at = np.floor(points * _FINER).astype(int)
    at = at[((at >= 0) & (at < side)).all(1)]
    fine = np.zeros((side, side), np.uint8)
    fine[at[:, 1], at[:, 0]] = 1
    fine = cv2.morphologyEx(fine, cv2.MORPH_CLOSE, np.ones((_CLOSED, _CLOSED), np.uint8))
    return fine.reshape(CELLS, _FINER, CELLS, _FINER).mean((1, 3)) > _COVERED


def _inside_picture(outline: Outline, width_px: int, height_px: int) -> np.ndarray:
    """(CELLS, CELLS) bool: cells that the picture reaches."""
    import cv2

    corners = np.array([[0, 0], [width_px, 0], [width_px, height_px], [0, height_px]], float)
    cells = np.zeros((CELLS, CELLS), np.uint8)
    edge = np.round(outline.to_cells(corners) - 0.5).astype(np.int32)
    cv2.fillConvexPoly(cells, edge, (1,))
    return cells.astype(bool)
