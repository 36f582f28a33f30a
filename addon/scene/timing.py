# SPDX-License-Identifier: GPL-3.0-or-later
"""Seconds and frames.  `frame = start + seconds · rate`: nothing is resampled, nothing drifts."""

import math
from dataclasses import dataclass

import numpy as np

_ON_A_FRAME = 0.04


@dataclass(frozen=True)
class FrameRate:
    """Frames per second as Blender stores it: a whole number over a base."""

    fps: int
    base: float

    def __post_init__(self) -> None:
        if self.fps < 1 or self.base <= 0:
            raise ValueError(f"fps and base must be positive, got {self.fps} and {self.base}")

    @property
    def rate(self) -> float:
        return self.fps / self.base


def frame_rate(rate: float) -> FrameRate:
    """Blender's pair for a rate: 29.97 is 30 over 1.001, 25 is 25 over 1.

    Raises:
        ValueError: the rate is not positive and finite.
    """
    if not (math.isfinite(rate) and rate > 0):
        raise ValueError(f"rate must be positive, got {rate}")
    whole = round(rate)
    for base in (1.0, 1.001):
        if whole and abs(whole / base - rate) < 2e-3:
            return FrameRate(whole, base)
    return FrameRate(math.ceil(rate), math.ceil(rate) / rate)


def rate_of(times_s: np.ndarray, nominal_fps: float) -> float:
    """The video's rate: what it says of itself, else that of the median step; 24 for one key."""
    if nominal_fps > 0:
        return nominal_fps
    return 1 / float(np.median(np.diff(times_s))) if len(times_s) > 1 else 24.0


def frames_of(times_s: np.ndarray, start_frame: float, rate: float) -> np.ndarray:
    """Scene frames (T,) of times (T,); second 0 is `start_frame`.

    What lies within 0.04 frames of a whole frame is put on it, for clocks of video files round to
    milliseconds; unless two keys would meet there, as those of a thousand-a-second camera might.
    """
    frames = start_frame + np.asarray(times_s, np.float64) * rate
    whole = np.rint(frames)
    snapped = np.where(np.abs(frames - whole) < _ON_A_FRAME, whole, frames)
    return snapped if (np.diff(snapped) > 0).all() else frames
