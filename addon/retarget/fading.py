# SPDX-License-Identifier: GPL-3.0-or-later
"""Corrections that count on some keys, and come and go softly around them.  T keys."""

import numpy as np

FADE_S = 0.2
"""How long a correction takes to come and go.  Chosen: half a step of a walk."""


def fade(
    values: np.ndarray, active: np.ndarray, times_s: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Values (T, N) that count where active (T,), fading to nothing elsewhere.

    Returns:
        the values, and how much they count (T,), 1 where active.
    """
    keys = np.flatnonzero(active)
    if not len(keys):
        return np.zeros_like(values), np.zeros(len(values))
    every = np.arange(len(values))
    after = np.searchsorted(keys, every)
    later, earlier = keys[np.minimum(after, len(keys) - 1)], keys[np.maximum(after - 1, 0)]
    earlier = np.where(active, every, earlier)
    gap = np.abs(times_s[later] - times_s[earlier])
    gap = np.where((earlier < every) & (every < later), gap, np.inf)
    length = np.minimum(FADE_S, gap)
    first = _smooth(1 - np.abs(times_s - times_s[earlier]) / length)
    second = np.where(earlier == later, 0, _smooth(1 - np.abs(times_s[later] - times_s) / length))
    weights = np.where(active, 1.0, np.clip(first + second, 0, 1))
    mixed = first[:, None] * values[earlier] + second[:, None] * values[later]
    return np.where(active[:, None], values, mixed), weights


def _smooth(share: np.ndarray) -> np.ndarray:
    share = np.clip(share, 0, 1)
    return share * share * (3 - 2 * share)


def runs(active: np.ndarray) -> list[slice]:
    """The stretches of True in (T,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], active, [False]]).astype(int)))
    return [slice(start, end) for start, end in edges.reshape(-1, 2).tolist()]


def keys_in(seconds: float, times_s: np.ndarray) -> int:
    """Keys that so many seconds have, as times usually follow; at least one, at most all."""
    step_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 1.0
    return min(max(1, round(seconds / step_s)), len(times_s))
