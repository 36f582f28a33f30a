"""Motions at a constant rate, for formats that have one."""

import numpy as np

from staf_backend.geometry import continuous_signs, slerp
from staf_backend.motion import Motion

_COMMON_RATES = np.array(
    [15, 24000 / 1001, 24, 25, 30000 / 1001, 30, 48, 50, 60000 / 1001, 60, 90, 100, 120, 240]
)
_SNAP = 5e-4
"""Share of a common rate within which it is meant.  Chosen: 30000 / 1001 and 30 are 1e-3 apart."""


def nearest_rate(times_s: np.ndarray) -> float:
    """The constant rate, in frames a second, nearest to the keys (T,); 30 for a single key.

    A rate within 0.05 % of a usual one is that one, so rounded time stamps of 29.97 are 29.97.
    """
    if len(times_s) < 2:
        return 30.0
    rate = 1 / float(np.median(np.diff(times_s)))
    nearest = float(_COMMON_RATES[abs(_COMMON_RATES - rate).argmin()])
    return nearest if abs(nearest / rate - 1) < _SNAP else rate


def resample(motion: Motion, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Quaternions (N, J, 4) and pelvis (N, 3) every 1 / rate seconds from the first key."""
    span_s = motion.times_s[-1] - motion.times_s[0]
    samples_s = motion.times_s[0] + np.arange(int(span_s * rate + 0.5) + 1) / rate
    place = np.interp(samples_s, motion.times_s, np.arange(len(motion.times_s)))
    first = np.minimum(place.astype(int), max(len(motion.times_s) - 2, 0))
    second = np.minimum(first + 1, len(motion.times_s) - 1)
    part = (place - first)[:, None]
    quaternions = continuous_signs(motion.rotations_wxyz.astype(np.float64))
    turned = slerp(quaternions[first], quaternions[second], part[..., None])
    turned = turned / np.linalg.norm(turned, axis=-1, keepdims=True)
    return turned, motion.root_m[first] * (1 - part) + motion.root_m[second] * part
