"""Landmarks that jump away and back: for a frame or two a network reads something else.

No limb's end gets away and back at such a speed; what does was not seen.
"""

from dataclasses import replace

import numpy as np

from staf_backend.files import long_copy, stretches
from staf_backend.landmarks.network import Landmarks
from staf_backend.landmarks.sides import torso_px

_FASTEST_PER_S = 24.0
"""Torso lengths a second, there and back: 12 m/s.  Chosen: fists and feet reach 10 m/s, and do not
turn back within a frame."""
_LONGEST = 2
"""Frames of a jump.  Chosen: of longer ones nobody knows which end is wrong."""


def without_glitches(landmarks: Landmarks, times_s: np.ndarray) -> Landmarks:
    """Landmarks of one track, those that jump away and back taken out: NaN, no visibility.

    Args:
        landmarks: of T frames, sides decided.
        times_s: (T,) of the frames.
    """
    reach_px = _FASTEST_PER_S * torso_px(landmarks.points_px)
    away = np.zeros(landmarks.visibility.shape, bool)
    for rows in stretches(len(times_s)):
        begin, end = max(rows.start - _LONGEST, 0), rows.stop + _LONGEST
        found = _jumps(landmarks.points_px[begin:end], times_s[begin:end], reach_px)
        away[rows] = found[rows.start - begin :][: rows.stop - rows.start]
    if not away.any():
        return landmarks
    kept = {
        name: long_copy(getattr(landmarks, name)) for name in ("points_px", "world_m", "visibility")
    }
    for rows in stretches(len(times_s)):
        kept["points_px"][rows][away[rows]] = np.nan
        kept["world_m"][rows][away[rows]] = np.nan
        kept["visibility"][rows][away[rows]] = 0
    return replace(landmarks, **kept)


def _jumps(points: np.ndarray, times_s: np.ndarray, reach_px: float) -> np.ndarray:
    """(T, K) which points (T, K, 2) got away and back faster than `reach_px` a second."""
    away = np.zeros(points.shape[:2], bool)
    for length in range(1, min(_LONGEST, len(times_s) - 2) + 1):
        first, last = points[: -length - 1], points[length + 1 :]
        seconds = times_s[length + 1 :] - times_s[: -length - 1]
        steady = np.linalg.norm(last - first, axis=-1) < 0.5 * reach_px * seconds[:, None]
        inside = [slice(k, len(points) - length - 1 + k) for k in range(1, length + 1)]
        for rows in inside:
            for ends, theirs in ((first, times_s[: -length - 1]), (last, times_s[length + 1 :])):
                way = np.linalg.norm(points[rows] - ends, axis=-1)
                steady &= way > reach_px * np.abs(times_s[rows] - theirs)[:, None]
        for rows in inside:
            away[rows] |= steady
    return away
