"""Two-bone inverse kinematics: legs that reach for where the foot should be, and never stretch."""

from typing import NamedTuple

import numpy as np

from staf_backend.files import long_copy, stretches
from staf_backend.geometry import Skeleton, forward_kinematics, from_axis_angle

SOFT_M = 0.005
"""From the straight leg, within which it reaches only softly, lest knees snap.  Chosen."""
_FOLDED_M = 1e-3
"""Least distance from hip to ankle beyond the bones' difference.  Chosen: none folds whole."""
_BENT = 0.15
"""Sine of the bend from which the bones' own plane is the knee's; a straighter knee bends about its
own x axis.  Chosen."""


class Leg(NamedTuple):
    """The joints of a leg."""

    hip: int
    knee: int
    ankle: int


def legs_of(skeleton: Skeleton) -> tuple[Leg, Leg]:
    """The left leg and the right one."""
    left, right = (
        Leg(*(skeleton.index(f"{side}_{name}") for name in ("hip", "knee", "ankle")))
        for side in ("left", "right")
    )
    return left, right


def reach(
    rotations: np.ndarray,
    rest_m: np.ndarray,
    root_m: np.ndarray,
    skeleton: Skeleton,
    leg: Leg,
    ankle_m: np.ndarray,
    foot: np.ndarray,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Rotations with one leg bent and swung so that its ankle comes to a place.

    The knee keeps its plane.  A leg that would have to be longer than it is stays short.

    Args:
        rotations: (T, J, 3, 3) parent-relative.
        rest_m: (J, 3) joints of the rest pose.
        root_m: (T, 3).
        skeleton: of the body.
        leg: which.
        ankle_m: (T, 3) where the ankle should be.
        foot: (T, 3, 3) how the foot should be turned, in the world.
        out: what is changed and returned, if not a copy: (T, J, 3, 3), `rotations` itself.
    """
    out = long_copy(rotations) if out is None else out
    for some in stretches(len(rotations)):
        posed = forward_kinematics(rotations[some].astype(float), rest_m, root_m[some], skeleton)
        goal = ankle_m[some], foot[some]
        out[some, list(leg)] = _reached(*posed, leg, skeleton.parents[leg.hip], *goal)
    return out


def _reached(
    turned: np.ndarray,
    joints: np.ndarray,
    leg: Leg,
    parent: int,
    ankle_m: np.ndarray,
    foot: np.ndarray,
) -> np.ndarray:
    """The leg's own rotations (T, 3, 3, 3) that bring it there, of a body as it is posed."""
    hip, knee, ankle = (joints[:, joint] for joint in leg)
    thigh, shank = _unit(knee - hip), _unit(ankle - knee)
    upper, lower = np.linalg.norm(knee - hip, axis=-1), np.linalg.norm(ankle - knee, axis=-1)
    distance = _reachable(np.linalg.norm(ankle_m - hip, axis=-1), upper, lower)
    cosine = (upper**2 + lower**2 - distance**2) / (2 * upper * lower)
    bend = np.pi - np.arccos(cosine.clip(-1, 1))
    plane = np.cross(thigh, shank)
    axis = _knee_axis(plane, turned[:, leg.knee, :, 0])
    now = np.arctan2((plane * axis).sum(-1), (thigh * shank).sum(-1))
    change = from_axis_angle(axis * (bend - now)[:, None])
    bent = knee + (change @ (ankle - knee)[..., None])[..., 0]
    swing = _arc(bent - hip, ankle_m - hip)
    turned_hip, turned_knee = swing @ turned[:, leg.hip], swing @ change @ turned[:, leg.knee]
    own = (
        _relative(turned[:, parent], turned_hip),
        _relative(turned_hip, turned_knee),
        _relative(turned_knee, foot),
    )
    return np.stack(own, 1)


def _reachable(wanted: np.ndarray, upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Distances from hip to ankle that the bones allow, eased in before the leg is straight."""
    eased = upper + lower - SOFT_M
    over = np.maximum(wanted - eased, 0)
    near = np.where(over > 0, eased + SOFT_M * (1 - np.exp(-over / SOFT_M)), wanted)
    return np.maximum(near, np.abs(upper - lower) + _FOLDED_M)


def _knee_axis(plane: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Unit axes (T, 3) that knees bend about: across the bones' plane, or the knee's own x."""
    bent = np.linalg.norm(plane, axis=-1, keepdims=True) > _BENT
    forward = np.where((plane * own).sum(-1, keepdims=True) < 0, -1.0, 1.0)
    return _unit(np.where(bent, plane * forward, own))


def _arc(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The shortest turns (T, 3, 3) between directions (T, 3)."""
    start, end = _unit(start), _unit(end)
    axis = np.cross(start, end)
    angle = np.arctan2(np.linalg.norm(axis, axis=-1), (start * end).sum(-1))
    return from_axis_angle(_unit(axis) * angle[:, None])


def _relative(parent: np.ndarray, turned: np.ndarray) -> np.ndarray:
    return np.swapaxes(parent, -1, -2) @ turned


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
