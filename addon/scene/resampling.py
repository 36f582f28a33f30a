# SPDX-License-Identifier: GPL-3.0-or-later
"""A motion at whole frames of the scene: turns at constant speed, places on a line.  numpy only."""

import dataclasses

import numpy as np

from .motion_file import MotionClip
from .timing import frames_of


def on_whole_frames(clip: MotionClip, start_frame: int, rate: float) -> MotionClip:
    """The motion with a key at each whole frame that it covers, at least one.

    A key is `observed`, and a hand seen, where both keys around it are.

    Args:
        clip: the motion.
        start_frame: scene frame of second 0.
        rate: scene frames a second.
    """
    frames = frames_of(clip.times_s, start_frame, rate)
    first, last = int(np.ceil(frames[0])), int(np.floor(frames[-1]))
    wanted = np.arange(first, max(first, last) + 1)
    after = np.clip(np.searchsorted(frames, wanted), 1, max(1, len(frames) - 1))
    if len(frames) == 1:
        return dataclasses.replace(clip, times_s=(wanted - start_frame) / rate)
    before = after - 1
    share = np.clip((wanted - frames[before]) / (frames[after] - frames[before]), 0.0, 1.0)
    nearest = np.where(share < 0.5, before, after)

    def seen(told: np.ndarray) -> np.ndarray:
        share_of = share.reshape(-1, *[1] * (told.ndim - 1))
        return (told[before] | (share_of == 1)) & (told[after] | (share_of == 0))

    return dataclasses.replace(
        clip,
        times_s=(wanted - start_frame) / rate,
        frames=clip.frames[nearest],
        rotations_wxyz=_turned(clip.rotations_wxyz, before, after, share),
        root_m=_moved(clip.root_m, before, after, share),
        observed=seen(clip.observed),
        hand_seen=None if clip.hand_seen is None else seen(clip.hand_seen),
        keypoints_px=None,
        keypoint_names=(),
        camera=_filmed(clip, before, after, share),
    )


def _filmed(clip: MotionClip, before: np.ndarray, after: np.ndarray, share: np.ndarray):
    film = clip.camera
    if film.rotations_wxyz is None or film.positions_m is None:
        return film
    return dataclasses.replace(
        film,
        rotations_wxyz=_turned(film.rotations_wxyz, before, after, share),
        positions_m=_moved(film.positions_m, before, after, share),
    )


def _moved(
    places: np.ndarray, before: np.ndarray, after: np.ndarray, share: np.ndarray
) -> np.ndarray:
    part = share[:, None]
    return (1 - part) * places[before] + part * places[after]


def _turned(
    turns: np.ndarray, before: np.ndarray, after: np.ndarray, share: np.ndarray
) -> np.ndarray:
    """Slerp the short way: sin((1-s)θ)/sin θ · a + sin(sθ)/sin θ · b."""
    a, b = turns[before], turns[after]
    dots = (a * b).sum(-1, keepdims=True)
    b = np.where(dots < 0, -b, b)
    angle = np.arccos(np.clip(np.abs(dots), 0.0, 1.0))
    part = share.reshape(-1, *[1] * (turns.ndim - 1))
    sine = np.sin(angle)
    near = sine < 1e-6
    divisor = np.where(near, 1.0, sine)
    first = np.where(near, 1 - part, np.sin((1 - part) * angle) / divisor)
    second = np.where(near, part, np.sin(part * angle) / divisor)
    mixed = first * a + second * b
    return mixed / np.linalg.norm(mixed, axis=-1, keepdims=True)
