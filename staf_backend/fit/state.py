"""The fit's present answer for some frames: where it starts, and how a step changes it."""

from dataclasses import dataclass

import numpy as np

from staf_backend.fit.unknowns import ANGLES, ROOT, Unknowns
from staf_backend.geometry import from_axis_angle, to_axis_angle

_LARGEST_STEP_RAD, _LARGEST_STEP_M = 0.5, 1.0
"""What the linear terms can still mean.  Chosen."""
_ENOUGH_MARKERS = 4
"""Seen markers that place a root of three unknowns safely.  Chosen: each gives two equations."""
_NEAREST_ROOT_M = 0.3
"""Depth of a person, metres; a nearer one was placed by noise.  Chosen."""
_UNSEEN_ROOT_M = (0.0, 0.0, 3.0)
"""Where a person stands who is never seen, camera axes.  Chosen: any place before the camera."""


@dataclass
class State:
    """The unknowns of some frames: parent-relative rotations (T, J, 3, 3), root (T, 3)."""

    rotations: np.ndarray
    root_m: np.ndarray

    def __getitem__(self, chosen: slice | np.ndarray) -> "State":
        return State(self.rotations[chosen], self.root_m[chosen])

    def moved(self, step: np.ndarray, unknowns: Unknowns) -> "State":
        """After a step (T, U)."""
        rotations = self.rotations.copy()
        turns = from_axis_angle(step[:, ANGLES].reshape(len(step), -1, 3))
        rotations[:, unknowns.moving] = rotations[:, unknowns.moving] @ turns
        return State(rotations, self.root_m + step[:, ROOT])


def bounded(step: np.ndarray) -> np.ndarray:
    """A step (T, U), no part of it larger than the linear terms can mean."""
    limits = np.full(step.shape[-1], _LARGEST_STEP_RAD)
    limits[ROOT] = _LARGEST_STEP_M
    return step.clip(-limits, limits)


def placed(
    markers_m: np.ndarray,
    rays: np.ndarray,
    weights: np.ndarray,
    turns: np.ndarray | None = None,
) -> np.ndarray:
    """Root positions (T, 3) that put root-centred markers on their rays.

    X + t on the ray u means X_xy + t_xy = u (X_z + t_z): linear in t.  Frames that see too little
    take their neighbours' place.

    Args:
        markers_m: (T, 27, 3) about the root.
        rays: (T, 27, 2) viewing rays x/z, y/z, axes of each frame's camera, finite.
        weights: (T, 27) of each, 0 where it is not seen.
        turns: (T, 3, 3) from the markers' axes to the camera's; None where both are the same.
    """
    if turns is not None:
        markers_m = markers_m @ turns.swapaxes(1, 2)
    normal = np.zeros((*markers_m.shape[:2], 2, 3))
    normal[..., 0, 0] = normal[..., 1, 1] = 1
    normal[..., 2] = -rays
    values = rays * markers_m[..., 2:] - markers_m[..., :2]
    w = (weights + 1e-12)[..., None, None]
    matrix = (w * normal).transpose(0, 1, 3, 2) @ normal
    vector = ((w * normal).transpose(0, 1, 3, 2) @ values[..., None])[..., 0]
    matrix, vector = matrix.sum(1), vector.sum(1)
    matrix += np.eye(3) * (1e-6 * np.trace(matrix, axis1=1, axis2=2)[:, None, None] + 1e-9)
    root = np.linalg.solve(matrix, vector[..., None])[..., 0]
    enough = ((weights > 0).sum(1) >= _ENOUGH_MARKERS) & (root[:, 2] > _NEAREST_ROOT_M)
    if turns is not None:
        root = np.einsum("tba,tb->ta", turns, root)
    if not enough.any():
        return np.tile(_UNSEEN_ROOT_M, (len(root), 1))
    steps, known = np.arange(len(root)), np.flatnonzero(enough)
    return np.stack([np.interp(steps, known, root[known, axis]) for axis in range(3)], -1)


def between(state: State, coarse: State) -> State:
    """Put the coarse solution on even frames and half-way between on odd ones."""
    rotations, root = state.rotations.copy(), state.root_m.copy()
    rotations[::2], root[::2] = coarse.rotations, coarse.root_m
    odd = slice(1, 2 * len(coarse.root_m) - 1, 2)
    before, after = coarse[:-1], coarse[1:]
    half = to_axis_angle(np.swapaxes(before.rotations, -1, -2) @ after.rotations) / 2
    rotations[odd] = before.rotations @ from_axis_angle(half)
    root[odd] = (before.root_m + after.root_m) / 2
    return State(rotations, root)
