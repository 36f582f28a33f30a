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
    here = times.reshape(-1, 1)
    span = times[after] - times[before]
    share = np.where(span > 0, (here - times[before]) / np.where(span > 0, span, 1), 0)
    start = np.take_along_axis(values, before[..., None], -3)
    end = np.take_along_axis(values, after[..., None], -3)
    return (start + share[..., None].astype(values.dtype) * (end - start)).astype(values.dtype)


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
        flat = np.concatenate([rays, np.nan_to_num(visibility)[..., None]], -1)
        self._flat = _Filled(flat, np.isfinite(rays).min(-1), times_s)
        self._world = _Filled(world_m, np.isfinite(world_m).min(-1), times_s)

    def __len__(self) -> int:
        return len(self.times_s)

    def stretch(self, begin: int, end: int) -> Windows:
        """Frames `begin` to `end` of the grid as one run: `Windows` without its first axis."""
        grid_s = self.times_s[begin:end]
        flat, observed = self._flat.sampled(grid_s), self._flat.bridged(grid_s)
        return Windows(
            flat[..., :2].astype(np.float32),
            self._world.sampled(grid_s).astype(np.float32),
            np.where(observed, flat[..., 2], 0).astype(np.float32),
            observed,
            self._world.bridged(grid_s),
        )


class _Filled:
    """Values (T, K, C) of a clip's own frames, quietened and without gaps.

    Args:
        values: (T, K, C).
        seen: (T, K) where they count.
        times_s: (T,) increasing.
    """

    def __init__(self, values: np.ndarray, seen: np.ndarray, times_s: np.ndarray) -> None:
        self._times_s, self._ever = times_s, seen.max(0)
        self._values = np.empty(values.shape)
        self._before, self._after = np.empty(seen.shape, np.int32), np.empty(seen.shape, np.int32)
        for k in range(seen.shape[1]):  # one marker at a time: a clip may be long
            one = slice(k, k + 1)
            quiet = _quietened(values[:, one].astype(float), seen[:, one], times_s)
            self._values[:, one] = fill_gaps(quiet, seen[:, one], times_s)
            self._before[:, one], self._after[:, one] = _neighbours(seen[:, one])
        usual = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 0.0
        self._longest_s = max(_LONGEST_BRIDGE_S, _LONGEST_BRIDGE_FRAMES * usual)

    def sampled(self, grid_s: np.ndarray) -> np.ndarray:
        """Values (n, K, C) at some times by straight lines, the ends held."""
        low, share = interpolation(self._times_s, grid_s)
        share = share[:, None, None]
        high = np.minimum(low + 1, len(self._values) - 1)
        return self._values[low] * (1 - share) + self._values[high] * share

    def bridged(self, grid_s: np.ndarray) -> np.ndarray:
        """Which (n, K) lie on a frame that counts or in a short gap between two."""
        low, share = interpolation(self._times_s, grid_s)
        high = np.minimum(low + (share > 0), len(self._times_s) - 1)
        start, end = self._times_s[self._before[low]], self._times_s[self._after[high]]
        inside = (start <= grid_s[:, None] + 1e-9) & (end >= grid_s[:, None] - 0.5 / GRID_HZ)
        return self._ever & inside & (end - start <= self._longest_s)


def _quietened(values: np.ndarray, seen: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """Values (T, K, C) averaged over a triangle one grid step to each side of every frame."""
    reach = np.searchsorted(times_s, times_s + 0.99 / GRID_HZ) - 1 - np.arange(len(times_s))
    values = np.where(seen[..., None], values, 0)
    total, weights = values.copy(), seen.astype(values.dtype)
    for lag in range(1, min(int(reach.max()), (len(seen) - 1) // 2) + 1):
        share = np.clip(1 - (times_s[lag:] - times_s[:-lag]) * GRID_HZ, 0, 1)[:, None]
        # both sides or neither, so that a gap's edge does not pull the average in time
        both = seen[: -2 * lag] & seen[2 * lag :]
        sides = (share[:-lag] * both, values[: -2 * lag]), (share[lag:] * both, values[2 * lag :])
        for weight, source in sides:
            total[lag:-lag] += weight[..., None] * source
            weights[lag:-lag] += weight
    return total / np.maximum(weights, 1)[..., None]


def interpolation(times_s: np.ndarray, wanted_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each wanted time the frame before it and how far it is towards the next one, 0..1."""
    low = np.clip(np.searchsorted(times_s, wanted_s, side="right") - 1, 0, len(times_s) - 1)
    high = np.minimum(low + 1, len(times_s) - 1)
    span = times_s[high] - times_s[low]
    share = np.where(span > 0, (wanted_s - times_s[low]) / np.where(span > 0, span, 1), 0)
    return low, np.clip(share, 0, 1)
