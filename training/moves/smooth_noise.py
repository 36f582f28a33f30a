"""Random numbers that change smoothly along a window."""

from functools import cache

import numpy as np

from staf_backend.landmarks.windows import WINDOW


def smooth_normals(rng: np.random.Generator, count: int, columns: int, frames: float) -> np.ndarray:
    """Normal numbers of unit variance (N, W, columns), correlated over about `frames` frames.

    Args:
        rng: where randomness comes from.
        count: windows N.
        columns: independent series a window.
        frames: deviation of the Gaussian that smooths them.
    """
    white = rng.standard_normal((count, WINDOW, columns), np.float32)
    return _kernel(frames) @ white


def three_kinds(
    count: int, columns: int, widths: np.ndarray, frames: float, rng: np.random.Generator
) -> np.ndarray:
    """Errors (N, W, columns) of three widths: one that stays, one that drifts, one that jitters.

    Args:
        count: windows N.
        columns: independent series a window.
        widths: (3,) or (3, columns) deviations.
        frames: how slowly the second one drifts.
        rng: where randomness comes from.
    """
    steady = rng.standard_normal((count, 1, columns), np.float32)
    drift = smooth_normals(rng, count, columns, frames)
    jitter = smooth_normals(rng, count, columns, 0.8)
    return (widths[0] * steady + widths[1] * drift + widths[2] * jitter).astype(np.float32)


@cache
def _kernel(frames: float) -> np.ndarray:
    """Smoothing matrix (W, W); rows of unit norm, so that the variance stays 1."""
    lag = np.subtract.outer(np.arange(WINDOW), np.arange(WINDOW)) / frames
    kernel = np.exp(-0.5 * lag**2)
    return (kernel / np.linalg.norm(kernel, axis=1, keepdims=True)).astype(np.float32)
