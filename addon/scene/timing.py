# SPDX-License-Identifier: GPL-3.0-or-later
"""Seconds and frames.  `frame = start + seconds · rate`: nothing is resampled, nothing drifts."""

import math
from dataclasses import dataclass

import numpy as np

_ON_A_FRAME = 0.04
_VARIES = 0.1
"""Of a step between pictures, from which a rate varies.  Chosen: clocks in ms give 0.06 at
60 pictures a second."""
USUAL_FPS = (24.0, 25.0, 30.0, 48.0, 50.0, 60.0, 90.0, 100.0, 120.0, 240.0)
"""What cameras film at."""


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


def scene_rate(times_s: np.ndarray, frames: np.ndarray, told_fps: float) -> FrameRate:
    """The rate for a scene that shows a video: its own, or the usual one nearest to a varying one.

    A phone's 29.87 frames a second of varying rate, which Blender reads as 60, make 30.

    Args:
        times_s: (T,) of pictures of the video.
        frames: (T,) their numbers in the video.
        told_fps: the rate that the video has where its pictures come at a constant rate.
    """
    steps = np.diff(times_s) / np.diff(frames) if len(times_s) > 1 else np.zeros(0)
    if not len(steps) or np.ptp(steps) <= _VARIES * np.median(steps):
        return frame_rate(told_fps)
    middle = np.median(steps)  # pictures that were left out make long steps, which do not count
    usual = 1 / float(steps[np.abs(steps - middle) < middle / 2].mean())
    return frame_rate(min(USUAL_FPS, key=lambda one: abs(math.log(one / usual))))


def frames_of(times_s: np.ndarray, start_frame: float, rate: float) -> np.ndarray:
    """Scene frames (T,) of times (T,); second 0 is `start_frame`.

    What lies within 0.04 frames of a whole frame is put on it, for clocks of video files round to
    milliseconds; unless two keys would meet there, as those of a thousand-a-second camera might.
    """
    frames = start_frame + np.asarray(times_s, np.float64) * rate
    whole = np.rint(frames)
    snapped = np.where(np.abs(frames - whole) < _ON_A_FRAME, whole, frames)
    return snapped if (np.diff(snapped) > 0).all() else frames
