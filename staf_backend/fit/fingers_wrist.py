"""Wrist and forearm turned as the palm was seen.

The pose's three points of a hand tell little about how far the forearm is twisted; the hand that is
fitted to 21 points does, and its palm takes the wrist along:

    palm, camera axes ─► change of the wrist ─► over time ─┬► about the forearm: the elbow's twist
                                                           └► what is left: the wrist's own

No joint moves.  Where the hand is not seen the change fades.
"""

import numpy as np

from staf_backend.fit.fingers_time import smoothed
from staf_backend.geometry import (
    SMPL,
    TO_Y_UP,
    continuous_signs,
    forward_kinematics,
    from_axis_angle,
    from_quaternions,
    to_axis_angle,
    to_quaternions,
)
from staf_backend.motion import Motion

_LARGEST_RAD = np.radians(100)
"""Change of a wrist beyond which the palm is not believed.  Chosen: the pose's wrists are off by 75
degrees at most on drawn people, a palm that is taken for the back of the hand by 180."""

_BELIEVED = 0.25
"""Of the trust in fingers: a palm's expected error is twice that of a frame's finger.  Chosen on
five drawn people: 1 leaves them 0.7 degrees nearer and a juggler's wrists trembling by a half."""


def palms_in_motion(motion: Motion, palms: np.ndarray, points_px: np.ndarray) -> np.ndarray:
    """Rotations (T, 3, 3) of palms in the motion's axes.

    Args:
        motion: whose camera looks.
        palms: (T, 3, 3) as `fingers_frame` has them: axes of a camera that looks at the hand.
        points_px: (T, 21, 2) the hand's points, NaN where not seen.
    """
    camera, path = motion.camera, motion.camera_path
    rays = camera.rays(np.nan_to_num(points_px.astype(float)).mean(1))
    ahead = np.broadcast_to([0.0, 0.0, 1.0], (len(rays), 3))
    towards = np.concatenate([rays, np.ones((len(rays), 1))], 1)
    axis = np.cross(ahead, towards / np.linalg.norm(towards, axis=1, keepdims=True))
    sine = np.linalg.norm(axis, axis=1, keepdims=True)
    aside = from_axis_angle(axis * np.arcsin(sine.clip(0, 1)) / sine.clip(1e-9))
    keys = camera.rotation_wxyz if path is None else path.rotations_wxyz
    return from_quaternions(keys) @ TO_Y_UP @ aside @ palms


def with_seen_wrist(
    motion: Motion, rotations_wxyz: np.ndarray, side: str, palms: np.ndarray, trust: np.ndarray
) -> np.ndarray:
    """Rotations (T, J, 4) whose elbow and wrist of one side follow the palm.

    Args:
        motion: whose rest joints and clock they have.
        rotations_wxyz: (T, J, 4) of SMPL's joints.
        side: "left" or "right".
        palms: (T, 3, 3) see `palms_in_motion`; any rotation where nothing is trusted.
        trust: (T,) in them, 0..1.
    """
    if not trust.any():
        return rotations_wxyz
    shoulder, elbow, wrist = SMPL.indices(*(f"{side}_{n}" for n in ("shoulder", "elbow", "wrist")))
    rest = motion.rest_joints_m.astype(float)
    turns, _ = forward_kinematics(
        from_quaternions(rotations_wxyz.astype(float)), rest, motion.root_m, motion.skeleton
    )
    forearm, hand = turns[:, elbow], turns[:, wrist]
    own = forearm.swapaxes(1, 2)  # in the forearm's axes a wrong twist stays as the arm swings
    change = to_axis_angle(own @ palms @ hand.swapaxes(1, 2) @ forearm)
    sound = np.linalg.norm(change, axis=1) < _LARGEST_RAD
    believed, there = np.where(sound, _BELIEVED * trust, 0.0), np.ones(len(trust), bool)
    change = smoothed(motion.times_s, change, believed, np.zeros(3), there)
    along = _unit(rest[wrist] - rest[elbow])
    hand = forearm @ from_axis_angle(change) @ own @ hand
    forearm = forearm @ from_axis_angle(_twist_rad(change, along)[:, None] * along)
    turned = rotations_wxyz.copy()
    for joint, before, after in ((elbow, turns[:, shoulder], forearm), (wrist, forearm, hand)):
        turned[:, joint] = continuous_signs(to_quaternions(before.swapaxes(1, 2) @ after))
    return turned


def _twist_rad(change: np.ndarray, along: np.ndarray) -> np.ndarray:
    """(T,) the part of rotations, as axis angles (T, 3), about a unit axis (3,)."""
    half = np.linalg.norm(change, axis=1) / 2
    sine = np.sinc(half / np.pi) * (change @ along) / 2
    return 2 * np.arctan2(sine, np.cos(half))


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)
