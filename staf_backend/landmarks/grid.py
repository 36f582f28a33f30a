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


def on_grid(
    rays: np.ndarray, world_m: np.ndarray, visibility: np.ndarray, times_s: np.ndarray
) -> tuple[np.ndarray, Windows]:
    """A clip's landmarks at 30 frames a second.

    Faster clips are averaged over a triangle of one grid step to each side, which quietens the
    landmarks; slower ones are interpolated.

    Args:
        rays: (T, K, 2), NaN = missing.
        world_m: (T, K, 3), NaN = missing.
        visibility: (T, K), NaN = 0.
        times_s: (T,) increasing.

    Returns:
        grid times (G,) from the first to at least the last time, and one run of G frames
        (`Windows` without its first axis).
    """
    steps = int(np.ceil((times_s[-1] - times_s[0]) * GRID_HZ - 1e-6))
    grid_s = times_s[0] + np.arange(steps + 1) / GRID_HZ
    shape = (len(grid_s), rays.shape[1])
    run = Windows(
        np.empty((*shape, 2), np.float32),
        np.empty((*shape, 3), np.float32),
        np.empty(shape, np.float32),
        np.empty(shape, bool),
        np.empty(shape, bool),
    )
    for k in range(shape[1]):  # one marker at a time: a clip may be long
        one = slice(k, k + 1)
        seen, world_seen = np.isfinite(rays[:, one]).min(-1), np.isfinite(world_m[:, one]).min(-1)
        flat = np.concatenate([rays[:, one], np.nan_to_num(visibility[:, one, None])], -1)
        flat = _gridded(flat, seen, times_s, grid_s)
        run.rays[:, one] = flat[..., :2]
        run.world_m[:, one] = _gridded(world_m[:, one], world_seen, times_s, grid_s)
        run.observed[:, one] = _bridged(seen, times_s, grid_s)
        run.visibility[:, one] = np.where(run.observed[:, one], flat[..., 2], 0)
        run.world_observed[:, one] = _bridged(world_seen, times_s, grid_s)
    return grid_s, run


def _gridded(
    values: np.ndarray, seen: np.ndarray, times_s: np.ndarray, grid_s: np.ndarray
) -> np.ndarray:
    """Values (T, K, C) of a clip's frames, quietened and without gaps, on the grid."""
    quiet = _quietened(values.astype(float), seen, times_s)
    return _sampled(fill_gaps(quiet, seen, times_s), times_s, grid_s)


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


def _sampled(values: np.ndarray, times_s: np.ndarray, grid_s: np.ndarray) -> np.ndarray:
    """Values (T, ...) at the grid times by straight lines, the ends held."""
    low, share = interpolation(times_s, grid_s)
    share = share.reshape(-1, *(1,) * (values.ndim - 1))
    high = np.minimum(low + 1, len(values) - 1)
    return values[low] * (1 - share) + values[high] * share


def interpolation(times_s: np.ndarray, wanted_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each wanted time the frame before it and how far it is towards the next one, 0..1."""
    low = np.clip(np.searchsorted(times_s, wanted_s, side="right") - 1, 0, len(times_s) - 1)
    high = np.minimum(low + 1, len(times_s) - 1)
    span = times_s[high] - times_s[low]
    share = np.where(span > 0, (wanted_s - times_s[low]) / np.where(span > 0, span, 1), 0)
    return low, np.clip(share, 0, 1)


def _bridged(seen: np.ndarray, times_s: np.ndarray, grid_s: np.ndarray) -> np.ndarray:
    """Which grid frames (G, K) lie on an observed frame or in a short gap between two."""
    before, after = _neighbours(seen)
    low, share = interpolation(times_s, grid_s)
    high = np.minimum(low + (share > 0), len(times_s) - 1)
    usual = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 0.0
    longest = max(_LONGEST_BRIDGE_S, _LONGEST_BRIDGE_FRAMES * usual)
    start, end = times_s[before[low]], times_s[after[high]]
    inside = (start <= grid_s[:, None] + 1e-9) & (end >= grid_s[:, None] - 0.5 / GRID_HZ)
    return seen.max(0) & inside & (end - start <= longest)
