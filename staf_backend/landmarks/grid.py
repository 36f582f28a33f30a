"""A clip's landmarks on the lifting network's steady clock: 30 frames a second, gaps filled.

    any frame rate, NaN = missing ──quieten──► fill gaps ──► 30 Hz, what was filled in is marked

numpy only.
"""

import numpy as np

from staf_backend.landmarks.windows import GRID_HZ, Windows

_LONGEST_BRIDGE_S = 0.11
"""A shorter gap counts as seen.  Chosen: three frames of the grid."""
_LONGEST_BRIDGE_FRAMES = 1.5
"""Or one missing frame of the clip's own, at a low frame rate."""


def fill_gaps(values: np.ndarray, observed: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Values between observed frames by straight lines, before the first and after the last held.

    Args:
        values: (..., T, K, C); what is not observed is ignored, NaN included.
        observed: (..., T, K).
        times: (T,) increasing.

    Returns:
        (..., T, K, C), zero where a column was never observed.
    """
    before, after = _neighbours(observed)
    values = np.where(observed[..., None], values, 0)
    share = _share(times.reshape(-1, 1), before, after, times)
    start = np.take_along_axis(values, before[..., None], -3)
    end = np.take_along_axis(values, after[..., None], -3)
    return (start + share[..., None].astype(values.dtype) * (end - start)).astype(values.dtype)


def _share(
    here_s: np.ndarray, before: np.ndarray, after: np.ndarray, times_s: np.ndarray
) -> np.ndarray:
    """How far times are from one frame to another, 0..1; 0 where both are one."""
    span = times_s[after] - times_s[before]
    return np.where(span > 0, (here_s - times_s[before]) / np.where(span > 0, span, 1), 0)


def _neighbours(observed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of the last observed frame up to each frame and of the first from it, (..., T, K).

    Where one side has none, it is the other side's; where neither has, it is frame 0.
    """
    count = observed.shape[-2]
    frames = np.arange(count).reshape(-1, 1)
    before = np.maximum.accumulate(np.where(observed, frames, -1), axis=-2)
    later = np.where(observed, frames, count)
    after = np.flip(np.minimum.accumulate(np.flip(later, -2), axis=-2), -2)
    before_or_after = np.where(before < 0, after, before)
    after_or_before = np.where(after >= count, before, after)
    none = (before < 0) & (after >= count)
    return np.where(none, 0, before_or_after), np.where(none, 0, after_or_before)


class Grid:
    """A clip's landmarks at 30 frames a second, made a stretch at a time, since a clip may be long.

    Faster clips are averaged over a triangle of one grid step to each side, which quietens the
    landmarks; slower ones are interpolated.

    Args:
        rays: (T, K, 2), NaN = missing.
        world_m: (T, K, 3), NaN = missing.
        visibility: (T, K), NaN = 0.
        times_s: (T,) increasing.

    Attributes:
        times_s: (G,) the grid's, from the first to at least the last time.
    """

    def __init__(
        self, rays: np.ndarray, world_m: np.ndarray, visibility: np.ndarray, times_s: np.ndarray
    ) -> None:
        steps = int(np.ceil((times_s[-1] - times_s[0]) * GRID_HZ - 1e-6))
        self.times_s = times_s[0] + np.arange(steps + 1) / GRID_HZ
        flat, deep = (np.isfinite(values).min(-1) for values in (rays, world_m))
        seen = _Sightings(flat, times_s)
        both = seen if np.array_equal(flat, deep) else _Sightings(deep, times_s)
        self._flat = _Filled((rays, visibility[..., None]), seen)
        self._world = _Filled((world_m,), both)

    def __len__(self) -> int:
        return len(self.times_s)

    def stretch(self, begin: int, end: int) -> Windows:
        """Frames `begin` to `end` of the grid as one run: `Windows` without its first axis."""
        grid_s = self.times_s[begin:end]
        flat, observed = self._flat.sampled(grid_s), self._flat.seen.bridged(grid_s)
        same = self._world.seen is self._flat.seen
        return Windows(
            flat[..., :2].astype(np.float32),
            self._world.sampled(grid_s).astype(np.float32),
            np.where(observed, flat[..., 2], 0).astype(np.float32),
            observed,
            observed if same else self._world.seen.bridged(grid_s),
        )


class _Sightings:
    """On which of a clip's own frames each of K markers counts.

    Args:
        seen: (T, K).
        times_s: (T,) increasing.
    """

    def __init__(self, seen: np.ndarray, times_s: np.ndarray) -> None:
        self.seen, self.times_s = seen, times_s
        self._at = [np.flatnonzero(column).astype(np.int32) for column in seen.T]
        usual = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 0.0
        self._longest_s = max(_LONGEST_BRIDGE_S, _LONGEST_BRIDGE_FRAMES * usual)

    def neighbours(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`_neighbours` (n, K) of frames (n,)."""
        before, after = (np.zeros((len(rows), len(self._at)), int) for _ in range(2))
        for k, at in enumerate(self._at):
            if len(at):
                low = np.searchsorted(at, rows, side="right") - 1
                before[:, k] = at[low.clip(min=0)]
                after[:, k] = at[np.searchsorted(at, rows).clip(max=len(at) - 1)]
        return before, after

    def bridged(self, grid_s: np.ndarray) -> np.ndarray:
        """Which (n, K) of some times lie on a frame that counts or in a short gap between two."""
        low, share = interpolation(self.times_s, grid_s)
        high = np.minimum(low + (share > 0), len(self.times_s) - 1)
        start, end = (
            self.times_s[self.neighbours(rows)[side]] for side, rows in enumerate((low, high))
        )
        inside = (start <= grid_s[:, None] + 1e-9) & (end >= grid_s[:, None] - 0.5 / GRID_HZ)
        ever = np.array([len(at) > 0 for at in self._at])
        return ever & inside & (end - start <= self._longest_s)


class _Filled:
    """Values of a clip's own frames, quietened and without gaps, of some frames at a time.

    Args:
        values: (T, K, ...) of K markers, side by side.
        seen: where they count.
    """

    def __init__(self, values: tuple[np.ndarray, ...], seen: _Sightings) -> None:
        self._values, self.seen = values, seen
        times_s = seen.times_s
        reach = np.searchsorted(times_s, times_s + 0.99 / GRID_HZ) - 1 - np.arange(len(times_s))
        self._lags = range(1, min(int(reach.max()), (len(times_s) - 1) // 2) + 1)

    def sampled(self, grid_s: np.ndarray) -> np.ndarray:
        """Values (n, K, C) at rising times by straight lines, the ends held."""
        low, share = interpolation(self.seen.times_s, grid_s)
        share = share[:, None, None]
        high = np.minimum(low + 1, len(self.seen.times_s) - 1)
        rows = np.arange(low[0], high[-1] + 1)
        values = self._filled(rows)
        return values[low - rows[0]] * (1 - share) + values[high - rows[0]] * share

    def _filled(self, rows: np.ndarray) -> np.ndarray:
        """(n, K, C) of frames (n,), as by `fill_gaps`."""
        before, after = self.seen.neighbours(rows)
        start, end = self._quietened(before), self._quietened(after)
        here_s = self.seen.times_s[rows, None]
        return start + _share(here_s, before, after, self.seen.times_s)[..., None] * (end - start)

    def _quietened(self, rows: np.ndarray) -> np.ndarray:
        """Values (n, K, C) of each marker's own frames (n, K), averaged over a triangle one grid
        step to each side."""
        times_s, last = self.seen.times_s, len(self.seen.times_s) - 1
        total, weights = self._raw(rows), self._counts(rows).astype(float)
        for lag in self._lags:
            sides = (rows - lag).clip(min=0), (rows + lag).clip(max=last)
            # both sides or neither, so that a gap's edge does not pull the average in time
            both = (rows >= lag) & (rows <= last - lag)
            both &= self._counts(sides[0]) & self._counts(sides[1])
            for side in sides:
                share = np.clip(1 - np.abs(times_s[side] - times_s[rows]) * GRID_HZ, 0, 1) * both
                total += share[..., None] * self._raw(side)
                weights += share
        return total / np.maximum(weights, 1)[..., None]

    def _raw(self, rows: np.ndarray) -> np.ndarray:
        """(n, K, C), zero where they do not count."""
        markers = np.arange(rows.shape[1])
        values = [np.nan_to_num(part[rows, markers].astype(float)) for part in self._values]
        return np.where(self._counts(rows)[..., None], np.concatenate(values, -1), 0)

    def _counts(self, rows: np.ndarray) -> np.ndarray:
        return self.seen.seen[rows, np.arange(rows.shape[1])]


def interpolation(times_s: np.ndarray, wanted_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each wanted time the frame before it and how far it is towards the next one, 0..1."""
    low = np.clip(np.searchsorted(times_s, wanted_s, side="right") - 1, 0, len(times_s) - 1)
    high = np.minimum(low + 1, len(times_s) - 1)
    span = times_s[high] - times_s[low]
    share = np.where(span > 0, (wanted_s - times_s[low]) / np.where(span > 0, span, 1), 0)
    return low, np.clip(share, 0, 1)
