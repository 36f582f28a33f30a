"""Overlapping windows' guesses as one guess for the whole clip, at the clip's own times."""

from dataclasses import dataclass

import numpy as np

from staf_backend.files import long_array
from staf_backend.geometry import SMPL, from_6d, slerp, to_quaternions
from staf_backend.landmarks.grid import interpolation
from staf_backend.landmarks.lifted import Guess, Lifted
from staf_backend.landmarks.windows import WINDOW, Windows

_UNSEEN_TRUST = 0.01
"""In a frame of which nothing was seen.  Chosen: small, so that only such frames decide nothing."""


def trust_in(windows: Windows) -> np.ndarray:
    """How much frames of windows (N, 32) count: the middle, where there is motion to both sides."""
    middle = 1 - np.abs(np.arange(WINDOW) - (WINDOW - 1) / 2) / (WINDOW / 2 + 1)
    return middle * (_UNSEEN_TRUST + windows.observed.mean(-1))


class Blend:
    """Overlapping windows, added up along the grid.

    What no later window reaches is turned to the clip's own times at once: a clip may be long.

    Args:
        grid_s: (G,) times of the grid.
        times_s: (T,) of the clip's frames, none before or after the grid's.
    """

    def __init__(self, grid_s: np.ndarray, times_s: np.ndarray) -> None:
        self._low, self._share = interpolation(grid_s, times_s)
        self._high = np.minimum(self._low + 1, len(grid_s) - 1)
        self._frames, self._begin, self._done = len(grid_s), 0, 0
        self._sums = _Sums.zeros(0)
        self._turned = long_array((len(times_s), len(SMPL), 4))
        self._deviation = long_array((len(times_s), len(SMPL)))
        self._contact = long_array((len(times_s), 4))
        # betas and up: sums of value times weight, and of weights
        self._betas, self._betas_weight = np.zeros(10), 0.0
        self._up, self._up_weight = np.zeros(3), 0.0

    def add(self, guess: Guess, first: np.ndarray, trust: np.ndarray) -> None:
        """Add guesses for windows that begin at grid frames `first`, frames weighted (N, 32).

        No window before `first` may come later.
        """
        self._sums.reach(min(int(first[-1]) + WINDOW, self._frames) - self._begin)
        for k, start in enumerate(first):
            stop = min(start + WINDOW, self._frames)
            here = slice(start - self._begin, stop - self._begin)
            self._sums.add(here, guess, k, trust[k, : stop - start])
        seen = trust.sum(1)
        self._betas += seen @ guess.betas
        self._betas_weight += seen.sum()
        sure = seen / guess.up_deviation_rad**2
        self._up += sure @ guess.up
        self._up_weight += sure.sum()
        self._finish(int(first[-1]))

    def finished(self) -> Lifted:
        """The blend at the times of the clip's frames, once all windows are added."""
        self._finish(self._frames)
        length = float(np.linalg.norm(self._up))
        return Lifted(
            self._turned,
            self._deviation,
            self._betas / self._betas_weight,
            self._up / length,
            self._up_spread(length),
            self._contact,
        )

    def _finish(self, grid_frame: int) -> None:
        """Turn to the clip's times what lies before a frame of the grid."""
        rows = slice(self._done, int(np.searchsorted(self._high, grid_frame)))
        low, high = self._low[rows] - self._begin, self._high[rows] - self._begin
        share = self._share[rows, None]
        sums, weights = self._sums, self._sums.weights[:, None]
        before, after = (to_quaternions(from_6d(sums.columns[at])) for at in (low, high))
        self._turned[rows] = slerp(before, after, share[..., None])
        for sum_, out in ((sums.deviation, self._deviation), (sums.contact, self._contact)):
            mean = sum_ / weights
            out[rows] = mean[low] * (1 - share) + mean[high] * share
        np.clip(self._contact[rows], 0, 1, out=self._contact[rows])
        self._done = rows.stop
        needed = min([grid_frame, *self._low[self._done :][:1]])
        sums.drop(needed - self._begin)
        self._begin = needed

    def _up_spread(self, length: float) -> float:
        """Expected error of the mean direction: what windows expect, and how far they disagree."""
        expected = np.sqrt(self._betas_weight / self._up_weight)
        apart = np.arccos(np.clip(length / self._up_weight, -1, 1))
        return float(np.hypot(expected, apart))


@dataclass
class _Sums:
    """Values times weight of some frames of the grid, and the weights."""

    weights: np.ndarray
    columns: np.ndarray
    deviation: np.ndarray
    contact: np.ndarray

    @classmethod
    def zeros(cls, frames: int) -> "_Sums":
        return cls(
            np.zeros(frames),
            np.zeros((frames, len(SMPL), 3, 2), np.float32),
            np.zeros((frames, len(SMPL)), np.float32),
            np.zeros((frames, 4), np.float32),
        )

    def add(self, here: slice, guess: Guess, k: int, weight: np.ndarray) -> None:
        """Window `k` of a guess, its first frames weighted (n,)."""
        rows = slice(len(weight))
        self.weights[here] += weight
        self.columns[here] += weight[:, None, None, None] * guess.rotations[k, rows, :, :, :2]
        self.deviation[here] += weight[:, None] * guess.deviation_rad[k, rows]
        self.contact[here] += weight[:, None] * guess.contact[k, rows]

    def reach(self, frames: int) -> None:
        """Go on with zeros to a number of frames."""
        more = _Sums.zeros(max(frames - len(self.weights), 0))
        for name, values in vars(more).items():
            setattr(self, name, np.concatenate([getattr(self, name), values]))

    def drop(self, frames: int) -> None:
        """Forget the first frames."""
        for name, values in vars(self).items():
            setattr(self, name, values[frames:])
