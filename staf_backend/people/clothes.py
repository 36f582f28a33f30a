"""The colours of a person's clothes, chest and thighs apart: a cheap cue for who is who."""

import numpy as np

from staf_backend.people.keypoints import HIPS, KNEES, SHOULDERS

_LEVELS = 6
"""Of each colour channel.  Chosen: coarse enough for light that changes."""
_ACROSS, _DOWN = 10, 14
"""Samples of a region.  Chosen: a colour a cell of the histogram or so, at little cost."""
_INSIDE = (0.1, 0.9)
"""Shares of a region between which samples lie, so that none falls beside the person."""
_SPREAD = 0.5 * np.eye(_LEVELS) + 0.25 * (np.eye(_LEVELS, k=1) + np.eye(_LEVELS, k=-1))
_SPREAD[0, 0] = _SPREAD[-1, -1] = 0.75
"""(6, 6) of a channel's levels: a quarter counts in each neighbouring one, so that a passing shadow
does not change everything.  Chosen."""


def clothes_histograms(image: np.ndarray, keypoints_px: np.ndarray) -> np.ndarray:
    """Colour histograms (2, 216) of the torso and of the thighs, each summing to 1.

    Args:
        image: (H, W, 3) uint8 RGB.
        keypoints_px: (17, 3) of one person in it.

    The samples are a grid between the shoulders and the hips, and between the hips and the knees;
    seen from the side, where both fall together, the grid is widened to a sixth of its length.
    """
    shoulders, hips, knees = (keypoints_px[pair, :2] for pair in (SHOULDERS, HIPS, KNEES))
    return np.stack([_histogram(image, shoulders, hips), _histogram(image, hips, knees)])


def clothes_similarity(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Bhattacharyya coefficient 0..1 of histograms (..., 2, 216), mean of the two regions."""
    return np.sqrt(one * other).sum(-1).mean(-1)


def _histogram(image: np.ndarray, top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    points = _grid(_widened(top, bottom), _widened(bottom, top))
    limit = np.array(image.shape[1::-1]) - 1
    col, row = np.clip(np.floor(points).astype(int), 0, limit).T
    levels = image[row, col].astype(int) * _LEVELS // 256
    code = (levels[:, 0] * _LEVELS + levels[:, 1]) * _LEVELS + levels[:, 2]
    cube = np.bincount(code, minlength=_LEVELS**3)
    for _ in range(3):  # each time the last axis comes first
        cube = (cube.reshape(-1, _LEVELS) @ _SPREAD).T
    return cube.ravel() / cube.sum()


def _widened(pair: np.ndarray, opposite: np.ndarray) -> np.ndarray:
    """Both points, moved apart along x until they are a sixth of the region's length apart."""
    pair = pair[np.argsort(pair[:, 0])]
    middle, half = pair.mean(0), (pair[1] - pair[0]) / 2
    least = np.linalg.norm(middle - opposite.mean(0)) / 12  # half of a sixth
    if np.linalg.norm(half) < least:
        half = np.array([least, 0.0])
    return np.stack([middle - half, middle + half])


def _grid(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Points (140, 2) inside the four corners; the outermost tenth is left out."""
    across = np.linspace(*_INSIDE, _ACROSS)[None, :, None]
    down = np.linspace(*_INSIDE, _DOWN)[:, None, None]
    # both pairs run from left to right on the screen
    upper = top[0] + across * (top[1] - top[0])
    lower = bottom[0] + across * (bottom[1] - bottom[0])
    return (upper + down * (lower - upper)).reshape(-1, 2)
