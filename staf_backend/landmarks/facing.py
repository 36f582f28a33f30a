"""Windows that a camera saw which turned, as one that does not turn within a window.

The camera of a window looks where the one that filmed does in the window's middle, but for its
tilt: it is turned about the axis y of the lifted pose alone, which the network takes for down.
"""

import numpy as np

from staf_backend.geometry import nearest_rotation
from staf_backend.landmarks.grid import interpolation
from staf_backend.landmarks.lifted import Guess
from staf_backend.landmarks.windows import WINDOW, Windows

_NEAREST_Z = 0.1
"""Of a ray's direction (x, y, 1) once turned: beyond, 84 degrees off the axis, x/z means nothing.
Chosen."""


class Facing:
    """How a camera was turned along the grid.

    Args:
        turns: (T, 3, 3) from the axes of the lifted pose to those of each frame's camera.
        times_s: (T,) of the clip's frames.
        grid_s: (G,) of the grid.
    """

    def __init__(self, turns: np.ndarray, times_s: np.ndarray, grid_s: np.ndarray) -> None:
        low, share = interpolation(times_s, grid_s)
        high, share = np.minimum(low + 1, len(turns) - 1), share[:, None, None]
        between = turns[low] * (1 - share) + turns[high] * share
        self._turns = nearest_rotation(between).astype(np.float32)

    def faced(self, windows: Windows, first: np.ndarray) -> tuple[Windows, np.ndarray]:
        """Windows in axes that stay throughout each.

        Args:
            windows: of the camera's own axes.
            first: (N,) grid frame at which each begins.

        Returns:
            the windows, and the turns (N, 3, 3) from the axes of the lifted pose to theirs.
        """
        frames = np.minimum(first[:, None] + np.arange(WINDOW), len(self._turns) - 1)
        turns = self._turns[frames]
        own = _about_y(turns[:, WINDOW // 2, 2])
        back = turns @ own[:, None].swapaxes(-1, -2)
        ways = np.concatenate([windows.rays, np.ones_like(windows.rays[..., :1])], -1) @ back
        near = ways[..., 2] > _NEAREST_Z
        faced = Windows(
            ways[..., :2] / np.maximum(ways[..., 2:], _NEAREST_Z),
            windows.world_m @ back,
            windows.visibility * near,
            windows.observed & near,
            windows.world_observed,
        )
        return faced, own


def turned_back(guess: Guess, turns: np.ndarray) -> Guess:
    """What was guessed in axes turned by (N, 3, 3)."""
    back = turns.swapaxes(-1, -2)
    up = (back @ guess.up[..., None])[..., 0]
    return guess._replace(rotations=back[:, None, None] @ guess.rotations, up=up)


def _about_y(ways: np.ndarray) -> np.ndarray:
    """Turns (N, 3, 3) about y after which directions (N, 3) have no x and point away."""
    x, z = ways[:, 0], ways[:, 2]
    length = np.maximum(np.hypot(x, z), 1e-6)
    sine, cosine, none, one = x / length, z / length, np.zeros_like(x), np.ones_like(x)
    rows = [[cosine, none, -sine], [none, one, none], [sine, none, cosine]]
    return np.stack([np.stack(row, -1) for row in rows], -2)
