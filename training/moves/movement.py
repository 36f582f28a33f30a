"""One person's motion of any length and frame rate: captured and varied, or sampled.

`variety` does the same to many windows of a fixed length, for the lifting network; here one
sequence of T frames is made at a time, for synthetic people.  Deviations were chosen so that most
poses stay possible for a body, and never fitted to anything.
"""

from dataclasses import dataclass

import numpy as np

from staf_backend.geometry import SMPL, rotations
from staf_backend.landmarks.windows import GRID_HZ, MIRROR_X
from training.moves.limbs import (
    ARMS,
    CROUCH_RAD,
    KNEES,
    LEGS,
    UPPER_BODY,
    blended,
    crouch,
    lead_share,
    leans,
    mirrored,
)
from training.moves.mocap import Clip, clip_odds
from training.moves.smooth_noise import smooth_series
from training.moves.variety import Variety

_SPEEDS = (0.6, 1.25)
"""Slowest and fastest, over the captured speed; chosen: what still looks natural."""
_BEND_RAD = SMPL.per_joint(
    {
        **{"pelvis": 0.15, "spine1": 0.12, "spine2": 0.08, "spine3": 0.08, "neck": 0.15},
        **{"head": 0.2, "collar": 0.08, "shoulder": 0.3, "elbow": 0.2, "wrist": 0.2},
        **{"hip": 0.18, "knee": 0.12, "ankle": 0.15, "foot": 0.08},
    },
    0.0,
)
"""Deviation of a turn added to each joint."""
_BEND_S, _GATE_S, _POSE_S = 0.4, 0.5, (0.25, 0.8)
"""How slowly bends, crouches and leading, and sampled poses change: the Gaussian's deviation."""

# Sampled motion: mean turn and deviation about x, y, z of each joint, radians; left limbs, whose
# mirror images the right ones are.
_MEANS_RAD = {
    "left_hip": (-0.3, 0.0, 0.1),
    "left_knee": (0.5, 0.0, 0.0),
    "left_shoulder": (0.0, -0.3, -0.9),
    "left_elbow": (0.0, -0.7, 0.0),
}
_LIMBS_RAD = {
    "left_hip": (0.55, 0.3, 0.25),
    "left_knee": (0.6, 0.03, 0.03),
    "left_ankle": (0.25, 0.1, 0.1),
    "left_collar": (0.05, 0.1, 0.12),
    "left_shoulder": (0.4, 0.6, 0.6),
    "left_elbow": (0.3, 0.7, 0.1),
    "left_wrist": (0.35, 0.15, 0.35),
}
_SPINE_RAD = {"spine1": 0.18, "spine2": 0.12, "spine3": 0.1, "neck": 0.18, "head": 0.25}
_ROOT_RAD = (0.15, 0.3, 0.1)
_SWAY_M = (0.15, 0.0, 0.15)
"""Deviation of a sampled pelvis' path; its height stays."""


@dataclass(frozen=True)
class Movement:
    """T frames of somebody's motion, y up.

    Attributes:
        local: (T, 24, 3, 3) parent-relative rotations, joint 0 in the world.
        pelvis_m: (T, 3), the pelvis joint; its height is as captured, the floor is not known.
    """

    local: np.ndarray
    pelvis_m: np.ndarray


def captured(
    clips: list[Clip], frames: int, rate_hz: float, variety: Variety, rng: np.random.Generator
) -> Movement:
    """Captured motion, varied: mirrored, recombined, bent, limbs led elsewhere, laid down."""
    base = _stretch(clips, frames, rate_hz, rng)
    local = base.local
    if rng.random() < variety.upper_swap:
        local[:, UPPER_BODY] = _stretch(clips, frames, rate_hz, rng).local[:, UPPER_BODY]
    for arm in ARMS:
        if rng.random() < variety.arm_swap:
            local[:, arm] = _stretch(clips, frames, rate_hz, rng).local[:, arm]
    local = local @ rotations.from_axis_angle(_bends(frames, rate_hz, variety, rng))
    poses = _poses(frames, rate_hz, rng)
    for limbs, chance in ((ARMS, variety.free_arm), (LEGS, variety.free_leg)):
        for limb in limbs:
            if rng.random() < chance:
                _lead(local, limb, poses[:, limb], rate_hz, rng)
    return _turned(Movement(local, base.pelvis_m), variety.tilt, rng)


def sampled(frames: int, rate_hz: float, variety: Variety, rng: np.random.Generator) -> Movement:
    """Motion between poses drawn at random, on the spot: no capture is needed."""
    local = _poses(frames, rate_hz, rng)
    path = smooth_series(rng, frames, 3, rate_hz) * _SWAY_M
    return _turned(Movement(local, path), variety.tilt, rng)


def _stretch(clips: list[Clip], frames: int, rate_hz: float, rng: np.random.Generator) -> Movement:
    """A stretch of one clip at varied speed, half of them mirrored."""
    wanted = frames * GRID_HZ / rate_hz
    lengths = np.array([len(clip.rotations) for clip in clips])
    # clips that would have to be slowed below the usual are left out where others are there
    odds = np.where(lengths >= min(wanted * _SPEEDS[0], lengths.max()), clip_odds(lengths), 0)
    clip = clips[rng.choice(len(clips), p=odds / odds.sum())]
    room = len(clip.rotations) - 1.001
    step = min(rng.uniform(*_SPEEDS) * GRID_HZ / rate_hz, room / max(frames - 1, 1))
    at = rng.random() * (room - step * (frames - 1)) + step * np.arange(frames)
    low, share = np.floor(at).astype(int), at % 1
    wide = share[:, None, None, None]
    local = blended(clip.rotations[low], clip.rotations[low + 1], wide)
    path = clip.pelvis_m[low] * (1 - share[:, None]) + clip.pelvis_m[low + 1] * share[:, None]
    if rng.random() < 0.5:
        return Movement(mirrored(local), path * MIRROR_X)
    return Movement(local, path)


def _bends(frames: int, rate_hz: float, variety: Variety, rng: np.random.Generator) -> np.ndarray:
    """Joint turns (T, 24, 3), axis-angle: constant and slowly varying, some crouching."""
    steady = rng.standard_normal((len(SMPL), 3))
    slow = _wander(frames, _BEND_S * rate_hz, rng)
    bends = (0.8 * steady + 0.5 * slow) * _BEND_RAD[:, None] * rng.random() * variety.bend
    if rng.random() < variety.crouch:
        drift = smooth_series(rng, frames, 1, _GATE_S * rate_hz)
        depth = rng.random(2) * CROUCH_RAD * (0.7 + 0.4 * np.clip(drift, -1, 1))
        crouch(bends, depth, rng.random(2))
    return bends


def _wander(frames: int, width: float, rng: np.random.Generator) -> np.ndarray:
    """Smooth normal numbers (T, 24, 3)."""
    return smooth_series(rng, frames, 3 * len(SMPL), width).reshape(frames, len(SMPL), 3)


def _lead(
    local: np.ndarray, limb: np.ndarray, poses: np.ndarray, rate_hz: float, rng: np.random.Generator
) -> None:
    """Lead one limb of `local`, in place, to the poses (T, 3, 3, 3) and perhaps back."""
    gate = smooth_series(rng, len(local), 1, _GATE_S * rate_hz)[:, 0] + rng.normal(1.0, 1.0)
    share = lead_share(gate)[:, None, None, None]
    local[:, limb] = blended(local[:, limb], poses, share)


def _poses(frames: int, rate_hz: float, rng: np.random.Generator) -> np.ndarray:
    """Rotations (T, 24, 3, 3) that drift about a pose drawn at random; the root looks anywhere."""
    drift = _wander(frames, rng.uniform(*_POSE_S) * rate_hz, rng)
    noise = 0.85 * rng.standard_normal((len(SMPL), 3)) + 0.4 * drift
    turns = np.zeros((frames, len(SMPL), 3))
    for name, width in _SPINE_RAD.items():
        joint = SMPL.index(name)
        turns[:, joint] = noise[:, joint] * width
    for name, widths in _LIMBS_RAD.items():
        left, mean = SMPL.index(name), np.array(_MEANS_RAD.get(name, (0.0, 0.0, 0.0)))
        right = SMPL.mirror[left]
        turns[:, left] = mean + noise[:, left] * widths
        turns[:, right] = (mean + noise[:, right] * widths) * (1, -1, -1)
    turns[:, KNEES, 0] = np.abs(turns[:, KNEES, 0])
    for elbow, way in zip(SMPL.indices("elbow"), (-1, 1), strict=True):
        turns[:, elbow, 1] = way * np.abs(turns[:, elbow, 1])
    turns[:, 0] = noise[:, 0] * _ROOT_RAD
    return rotations.from_axis_angle(turns)


def _turned(movement: Movement, tilt: float, rng: np.random.Generator) -> Movement:
    """Turned to any side, some leant over or laid down; the path begins above the origin."""
    turn = rotations.from_axis_angle(np.array([0, rng.uniform(0, 2 * np.pi), 0]))
    path = (movement.pelvis_m - movement.pelvis_m.mean(0) * (1, 0, 1)) @ turn.T
    if rng.random() < tilt:
        turn = rotations.from_axis_angle(leans(rng)) @ turn
    local = np.array(movement.local, np.float64)
    local[:, 0] = turn @ local[:, 0]
    return Movement(local, path)
