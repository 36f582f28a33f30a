"""Random numbers that change smoothly in time, for windows and for sequences of any length."""

from functools import cache

import numpy as np

from staf_backend.landmarks.windows import WINDOW

_JITTER_FRAMES = 0.8  # deviation of the Gaussian that smooths a jitter; LOG.md: hardly correlated


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
    jitter = smooth_normals(rng, count, columns, _JITTER_FRAMES)
    return (widths[0] * steady + widths[1] * drift + widths[2] * jitter).astype(np.float32)


def smooth_series(rng: np.random.Generator, frames: int, columns: int, width: float) -> np.ndarray:
    """Normal numbers (T, columns) of unit variance, correlated over about `width` frames."""
    reach = int(np.ceil(3 * width))
    kernel = _bell(reach, width)
    kernel /= np.linalg.norm(kernel)
    return _convolved(rng.standard_normal((frames + 2 * reach, columns)), kernel)


def smoothed(path: np.ndarray, width: float) -> np.ndarray:
    """A path (T, C), smoothed over about `width` frames; its ends are held."""
    reach = int(np.ceil(2 * width))
    kernel = _bell(reach, width)
    padded = np.pad(path, ((reach, reach), (0, 0)), mode="edge")
    return _convolved(padded, kernel / kernel.sum())


def _bell(reach: int, width: float) -> np.ndarray:
    """A Gaussian (2 reach + 1,) of deviation `width`."""
    return np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)


def _convolved(columns: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Columns (T + 2 reach, C), each convolved: (T, C)."""
    return np.stack([np.convolve(column, kernel, "valid") for column in columns.T], -1)


@cache
def _kernel(frames: float) -> np.ndarray:
    """Smoothing matrix (W, W); rows of unit norm, so that the variance stays 1."""
    lag = np.subtract.outer(np.arange(WINDOW), np.arange(WINDOW)) / frames
    kernel = np.exp(-0.5 * lag**2)
    return (kernel / np.linalg.norm(kernel, axis=1, keepdims=True)).astype(np.float32)
