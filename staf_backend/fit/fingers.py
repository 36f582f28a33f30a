"""Fingers for a motion: what was seen of the hands, on the body's own hands, as 52 joints.

    SeenHands ─► fitted in each frame ─► corrected ─► over time ─► Motion of SMPL-H's joints

Wrists and forearms follow the palms that are seen; other body joints stay as they are.  SMPL's two
hand joints make way for the fingers.
"""

import dataclasses
from functools import partial

import numpy as np

from staf_backend.body import WITH_FINGERS, Body, finger_joints
from staf_backend.files import long_array, stretches
from staf_backend.fit.fingers_frame import fit_frames
from staf_backend.fit.fingers_hand import Hand, hand_of
from staf_backend.fit.fingers_learnt import corrected
from staf_backend.fit.fingers_points import tips_of
from staf_backend.fit.fingers_time import over_time
from staf_backend.fit.fingers_wrist import palms_in_motion, with_seen_wrist
from staf_backend.geometry import continuous_signs, to_quaternions
from staf_backend.landmarks import SIDES, SeenHands
from staf_backend.motion import Motion

_SURE_M = 0.025
"""Expected error of a finger's tip that halves a frame's weight for this finger.  Chosen on 48
drawn films (training/LOG.md)."""
_DOUBTFUL_M, _UNSTEADY, _ALIKE_S = 0.022, 0.5, 0.15
"""A finger counts as not seen where its tip is expected to be that far off: as the frame has it,
and with that share of how far it is from its smooth way, both averaged over the frames within about
that time.  Chosen on 32 drawn films: a finger with two explanations trembles between them."""
_SHORTEST_S = 0.06
"""Of a hand's use without a break.  Chosen: shorter ones are mostly looks at something else."""
_BLOCK = 170
"""Frames fitted at once.  Chosen: some 50 MB."""


def with_fingers(motion: Motion, body: Body, seen: SeenHands) -> Motion:
    """The motion with 52 joints, and in its quality on which share of frames each hand was used.

    Args:
        motion: of SMPL's 24 joints.
        body: its body, with fingers.
        seen: the hands of its frames.
    """
    turns, shares, used = {}, {}, []
    keys, raw = motion.rotations_wxyz, motion.raw_rotations_wxyz
    for place, side in enumerate(SIDES):
        hand = hand_of(body, motion.betas, side)
        angles, trust, palms = hand_angles(hand, motion.times_s, seen, place)
        turns[side] = _keys(hand, angles)
        used.append((trust > 0).any(1))
        shares[f"{side}_hand_seen"] = float(used[-1].mean())
        palms = palms_in_motion(motion, palms, seen.points_px[:, place])
        turned = partial(with_seen_wrist, motion, side=side, palms=palms, trust=trust.mean(1))
        keys = turned(keys)
        raw = None if raw is None else turned(raw)
    return dataclasses.replace(
        motion,
        rotations_wxyz=_joined(keys, turns),
        raw_rotations_wxyz=None if raw is None else _joined(raw, turns),
        rest_joints_m=body.rest_joints_m(motion.betas),
        skeleton=WITH_FINGERS,
        hand_seen=np.stack(used, 1),
        quality={**motion.quality, **shares},
    )


def hand_angles(
    hand: Hand, times_s: np.ndarray, seen: SeenHands, place: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Angles (T, 21) of one of a person's hands over time, trust (T, 5) in what was seen of index,
    middle, pinky and ring finger and thumb, and the palm (T, 3, 3) as `FrameFit` has it.

    Args:
        hand: the body's.
        times_s: (T,) of the frames.
        seen: what was seen of both hands.
        place: 0 the left one, 1 the right one.
    """
    angles = np.tile(hand.relaxed_rad, (len(times_s), 1))
    doubt_m, used = np.zeros((len(times_s), 5)), lasting(seen.usable[:, place], times_s)
    palms = np.tile(np.eye(3), (len(times_s), 1, 1))
    rows = np.flatnonzero(used)
    for begin in range(0, len(rows), _BLOCK):
        some = rows[begin : begin + _BLOCK]
        points, world = seen.points_px[some, place], seen.world_m[some, place]
        fitted = fit_frames(hand, points, world, times_s[some])
        palms[some] = fitted.palm
        angles[some], doubt_m[some] = corrected(hand, fitted, points, world)
    sure = np.where(used, seen.presence[:, place] ** 2, 0.0)[:, None]
    sure = sure / (1 + (doubt_m / _SURE_M) ** 2)
    smooth = over_time(hand, times_s, angles, sure)
    unsteady_m = np.linalg.norm(tips_of(hand, angles) - tips_of(hand, smooth), axis=-1)
    expected_m = _averaged(doubt_m + _UNSTEADY * unsteady_m, times_s, used)
    trust = np.where(expected_m < _DOUBTFUL_M, sure, 0.0)
    return over_time(hand, times_s, angles, trust), trust, palms


def _averaged(values: np.ndarray, times_s: np.ndarray, used: np.ndarray) -> np.ndarray:
    """(T, 5) means of values over the used frames nearby, those farther away counting less."""
    found, rows = values.copy(), np.flatnonzero(used)
    near = np.searchsorted(times_s[rows], times_s[rows, None] + [-3 * _ALIKE_S, 3 * _ALIKE_S])
    for row, (begin, end) in zip(rows, near, strict=True):
        some = rows[begin:end]
        weights = np.exp(-(((times_s[some] - times_s[row]) / _ALIKE_S) ** 2) / 2)
        found[row] = weights @ values[some] / weights.sum()
    return found


def lasting(usable: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """(T,) which usable frames are part of a stretch that lasts."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], usable, [False]]).astype(int)))
    kept = np.zeros(len(usable), bool)
    step_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else _SHORTEST_S
    for begin, end in edges.reshape(-1, 2):
        if times_s[end - 1] - times_s[begin] + step_s >= _SHORTEST_S - 1e-6:
            kept[begin:end] = True
    return kept


def _keys(hand: Hand, angles: np.ndarray) -> np.ndarray:
    """Quaternions (T, 15, 4), of continuous signs."""
    return continuous_signs(to_quaternions(hand.rotations(angles))).astype(np.float32)


def _joined(rotations_wxyz: np.ndarray, turns: dict[str, np.ndarray]) -> np.ndarray:
    """Rotations (T, 52, 4): those of the body's first 22 joints, and the fingers'."""
    joined = long_array((len(rotations_wxyz), len(WITH_FINGERS), 4))
    first = finger_joints(SIDES[0])[0]
    for rows in stretches(len(joined)):
        joined[rows, :first] = rotations_wxyz[rows, :first]
        for side, keys in turns.items():
            joined[rows, list(finger_joints(side))] = keys[rows]
    joined.setflags(write=False)  # so that the motion keeps this array, not a copy
    return joined
