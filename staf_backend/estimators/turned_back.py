"""What a camera that turns saw, as one that does not turn would have seen it."""

import numpy as np

from staf_backend.body import SmplParams

_NEAREST_Z = 0.1
"""Of a ray's direction (x, y, 1) once turned: beyond, 84 degrees off the axis, x/z means nothing.
Chosen."""


def turned_back(points: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Points or ways (T, N, 3) in the axes of each frame's camera -> those of the motion's camera.

    Args:
        points: of the frames.
        turns: (T, 3, 3) from the motion's camera axes to each frame's.
    """
    return (points @ turns).astype(points.dtype)


def rays_turned_back(rays: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Rays (T, N, 2) as x/z and y/z, likewise; NaN for what lies beside or behind the camera."""
    ways = np.concatenate([rays, np.ones_like(rays[..., :1])], -1) @ turns
    depth = np.where(ways[..., 2:] > _NEAREST_Z, ways[..., 2:], np.nan)
    return (ways[..., :2] / depth).astype(rays.dtype)


def params_turned_back(params: SmplParams, turns: np.ndarray) -> SmplParams:
    """Pose and place of a person, likewise."""
    rotations = np.array(params.rotations)
    rotations[:, 0] = turns.swapaxes(1, 2) @ rotations[:, 0]
    root_m = np.einsum("tba,tb->ta", turns, params.root_m)
    return SmplParams(rotations, root_m, params.betas)
