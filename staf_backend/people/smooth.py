"""Smoothing in time without lag, on any clock."""

import numpy as np

_REACH = 3
"""Widths of the Gaussian to each side.  Chosen: what lies beyond weighs a hundredth."""
_BLOCK = 1024
"""Frames at once.  Chosen: constant, so that memory is."""


def smooth(times_s: np.ndarray, values: np.ndarray, sigma_s: float, degree: int) -> np.ndarray:
    """Gaussian-weighted local polynomials (T, K): no lag, exact on polynomials, ends included.

    Args:
        times_s: (T,) rising, evenly spaced or not.
        values: (T, K).
        sigma_s: width of the Gaussian.
        degree: of the polynomials.
    """
    half = int(np.ceil(_REACH * sigma_s / np.median(np.diff(times_s)))) if len(times_s) > 1 else 0
    half = min(half, len(times_s) - 1)
    if half < 1:
        return values.astype(np.float64)
    blocks = np.split(np.arange(len(times_s)), range(_BLOCK, len(times_s), _BLOCK))
    return np.concatenate(
        [_smooth_block(times_s, values, rows, half, sigma_s, degree) for rows in blocks]
    )


def _smooth_block(
    times_s: np.ndarray,
    values: np.ndarray,
    rows: np.ndarray,
    half: int,
    sigma_s: float,
    degree: int,
) -> np.ndarray:
    """The fitted value at the times of `rows`, from the 2 half + 1 samples around each."""
    columns = rows[:, None] + np.arange(-half, half + 1)
    inside = (columns >= 0) & (columns < len(times_s))
    columns = np.clip(columns, 0, len(times_s) - 1)
    u = (times_s[columns] - times_s[rows, None]) / sigma_s
    weight = np.exp(-(u**2) / 2) * inside
    powers = u[..., None] ** np.arange(degree + 1)
    normal = np.einsum("rw,rwi,rwj->rij", weight, powers, powers)
    normal += 1e-9 * np.eye(degree + 1)
    right = np.einsum("rw,rwi,rwk->rik", weight, powers, values[columns])
    return np.linalg.solve(normal, right)[:, 0]
