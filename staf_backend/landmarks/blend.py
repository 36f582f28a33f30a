"""Overlapping windows' guesses as one guess for the whole clip, at the clip's own times."""

import numpy as np

from staf_backend.geometry import SMPL, from_6d, slerp, to_quaternions
from staf_backend.landmarks.grid import interpolation
from staf_backend.landmarks.lifted import Guess, Lifted
from staf_backend.landmarks.windows import WINDOW, Windows

_UNSEEN_TRUST = 0.01
"""In a frame of which nothing was seen.  Chosen: small, so that only such frames decide nothing."""
_BLOCK_FRAMES = 1024
"""Turned from the grid to the clip's times at once.  Chosen: constant, so that memory is."""


def trust_in(windows: Windows) -> np.ndarray:
    """How much frames of windows (N, 32) count: the middle, where there is motion to both sides."""
    middle = 1 - np.abs(np.arange(WINDOW) - (WINDOW - 1) / 2) / (WINDOW / 2 + 1)
    return middle * (_UNSEEN_TRUST + windows.observed.mean(-1))


class Blend:
    """Overlapping windows, added up along a run of G grid frames."""

    def __init__(self, frames: int) -> None:
        self._weights = np.zeros(frames)
        self._columns = np.zeros((frames, len(SMPL), 3, 2), np.float32)
        self._deviation = np.zeros((frames, len(SMPL)), np.float32)
        self._contact = np.zeros((frames, 4), np.float32)
        # betas and up: sums of value times weight, and of weights
        self._betas, self._betas_weight = np.zeros(10), 0.0
        self._up, self._up_weight = np.zeros(3), 0.0

    def add(self, guess: Guess, first: np.ndarray, trust: np.ndarray) -> None:
        """Add guesses for windows that begin at grid frames `first`, frames weighted (N, 32)."""
        for k, start in enumerate(first):
            stop = min(start + WINDOW, len(self._weights))
            here, weight = slice(start, stop), trust[k, : stop - start]
            self._weights[here] += weight
            columns = guess.rotations[k, : stop - start, :, :, :2]
            self._columns[here] += weight[:, None, None, None] * columns
            self._deviation[here] += weight[:, None] * guess.deviation_rad[k, : stop - start]
            self._contact[here] += weight[:, None] * guess.contact[k, : stop - start]
        seen = trust.sum(1)
        self._betas += seen @ guess.betas
        self._betas_weight += seen.sum()
        sure = seen / guess.up_deviation_rad**2
        self._up += sure @ guess.up
        self._up_weight += sure.sum()

    def at(self, grid_s: np.ndarray, times_s: np.ndarray) -> Lifted:
        """The blend at the times of the clip's frames."""
        weights = self._weights[:, None]
        low, share = interpolation(grid_s, times_s)
        high = np.minimum(low + 1, len(grid_s) - 1)

        def between(values: np.ndarray) -> np.ndarray:
            mixed = values[low] * (1 - share[:, None]) + values[high] * share[:, None]
            return mixed.astype(np.float32)

        turned = np.empty((len(times_s), len(SMPL), 4), np.float32)
        for begin in range(0, len(times_s), _BLOCK_FRAMES):
            rows = slice(begin, begin + _BLOCK_FRAMES)
            ends = (self._quaternions(low[rows]), self._quaternions(high[rows]))
            turned[rows] = slerp(*ends, share[rows, None, None])
        length = float(np.linalg.norm(self._up))
        return Lifted(
            turned,
            between(self._deviation / weights),
            self._betas / self._betas_weight,
            self._up / length,
            self._up_spread(length),
            np.clip(between(self._contact / weights), 0, 1),
        )

    def _quaternions(self, frames: np.ndarray) -> np.ndarray:
        """Blended rotations (n, 24, 4) of some grid frames."""
        return to_quaternions(from_6d(self._columns[frames]))

    def _up_spread(self, length: float) -> float:
        """Expected error of the mean direction: what windows expect, and how far they disagree."""
        expected = np.sqrt(self._betas_weight / self._up_weight)
        apart = np.arccos(np.clip(length / self._up_weight, -1, 1))
        return float(np.hypot(expected, apart))
