"""A body's own hand: bones at rest, the anatomical axes its fingers turn about, and their limits.

Each finger bends about one axis at all of its joints and spreads at the first; the thumb is a chain
whose base bends, stands off the palm and twists.  One number an angle, radians from the rest pose,
`ANGLES` of a hand; a positive flexion closes the hand, a positive spread leads away from the middle
finger (the middle one: towards the thumb; the thumb: out of the palm).

    R1 = R_spread R_flexion      R2, R3 = R_flexion

With spread outside flexion, a finger that is bent by 90 degrees cannot be moved sideways, as in a
real hand; the other order turned noise of bent fingers into spreads beyond any limit.
"""

from dataclasses import dataclass

import numpy as np

from staf_backend.body import Body, finger_joints
from staf_backend.geometry import SMPL, from_axis_angle

ANGLES = 21
"""Of a hand: for index, middle, pinky, ring and thumb the flexions of three joints and the spread
of the first, then the twist of the thumb's base."""
TWIST = 20
"""The place of the twist among them."""

_FLEXION_DEG = ((-25.0, 92.0), (-4.0, 110.0), (-8.0, 80.0))
"""Of a finger's joints from straight.  Chosen: active ranges of the hand surgeons' tables (90, 100,
80), and what a relaxed hand extends beyond straight."""
_SPREAD_DEG = (-14.0, 22.0)
"""Of a finger from its rest pose.  Chosen: 20 degrees of abduction and a little."""
_THUMB_DEG = ((-25.0, 45.0), (-15.0, 65.0), (-25.0, 80.0), (-20.0, 50.0))
"""Of the thumb from its rest pose: flexions, and out of the palm.  Chosen, as for fingers."""
_TWIST_DEG = (-25.0, 25.0)
"""Of the thumb's base.  Chosen: what opposition takes."""
RELAXED_DEG = ((26.0, 30.0, 16.0), (32.0, 34.0, 18.0), (34.0, 34.0, 20.0), (34.0, 34.0, 20.0))
"""Flexion from straight of index, middle, pinky and ring of a hand that does nothing.  Chosen: the
pose `relaxed` that came with the open body's fingers."""
_RELAXED_THUMB_DEG = (4.0, 8.0, 10.0, 10.0)
"""The thumb's, from the rest pose.  Chosen, as above."""
_OPEN_MARKERS_MM = (
    ((-11.0, 0.5, -2.0), (-0.5, -5.9, -1.7), (-0.5, -5.1, -0.4), (-6.4, 2.9, -0.3)),
    ((-7.0, -0.5, 2.6), (-1.0, -4.3, 2.7), (-2.6, -3.2, 1.7), (-8.3, 1.8, 2.4)),
    ((-8.5, 1.2, 5.6), (-1.7, -1.6, 2.4), (-0.2, -1.4, 0.7), (-5.0, 3.2, 3.3)),
    ((-8.0, -1.2, 3.1), (-0.6, -4.8, 1.6), (-1.0, -2.7, 0.5), (-8.0, 3.0, 3.8)),
    ((-12.0, -7.5, 2.0), (5.1, -0.2, 2.5), (-0.5, 2.9, -4.6), (-8.0, 4.0, -3.6)),
)
"""From each joint and tip of the open body's left hand to the point that the hand network sees
there, at rest.  Measured on 400 drawn hands: the network's knuckles lie nearer to the wrist, as in
a real hand, and its tips inside the fingers."""
_OPEN_WRIST_MM = (1.5, 3.5, -1.8)
"""The same of the wrist."""
_TIP_DEPTH_M = 0.008
"""How far inside the tip the network's point lies, for other bodies.  From the same measurement."""
_STRAIGHT_THUMB = 0.15
"""Added share of the axis across the palm, for thumbs that are straight at rest.  Chosen."""


@dataclass(frozen=True, eq=False)
class Hand:
    """One hand of a shaped body, in the body's axes at rest (palm down, left hand towards +x).

    Attributes:
        side: "left" or "right".
        bones_m: (5, 4, 3) of each finger, from the joint before to this one: the first from the
            wrist to the knuckle, the last to the tip.
        markers_m: (5, 4, 3) from each finger's joints and its tip to the point that the hand
            network sees there; each moves with the bone that leads to it.
        wrist_marker_m: (3,) the same of the wrist.
        flexion_axes: (5, 3, 3) unit axis of each finger's joints.
        spread_axes: (5, 3) of the first joints.
        limits_rad: (2, 21) least and most angles from the rest pose.
        relaxed_rad: (21,) of a hand that does nothing.
    """

    side: str
    bones_m: np.ndarray
    markers_m: np.ndarray
    wrist_marker_m: np.ndarray
    flexion_axes: np.ndarray
    spread_axes: np.ndarray
    limits_rad: np.ndarray
    relaxed_rad: np.ndarray

    def turns(self, angles: np.ndarray) -> np.ndarray:
        """Rotations (T, 5, 3, 3, 3) of fingers' joints against what they hang on.

        Args:
            angles: (T, 21) radians.
        """
        by_finger = angles[:, :TWIST].reshape(-1, 5, 4)
        turns = from_axis_angle(by_finger[..., :3, None] * self.flexion_axes)
        spread = from_axis_angle(by_finger[..., 3, None] * self.spread_axes)
        turns[:, :, 0] = spread @ turns[:, :, 0]
        along = self.bones_m[4, 1] / np.linalg.norm(self.bones_m[4, 1])
        turns[:, 4, 0] = turns[:, 4, 0] @ from_axis_angle(angles[:, TWIST:] * along)
        return turns

    def rotations(self, angles: np.ndarray) -> np.ndarray:
        """(T, 15, 3, 3) parent-relative, in the order of `finger_joints`, of angles (T, 21)."""
        return self.turns(angles).reshape(-1, 15, 3, 3)


def hand_of(body: Body, betas: np.ndarray, side: str) -> Hand:
    """A hand of a body with 52 joints.

    Args:
        body: with fingers.
        betas: (10,) its shape.
        side: "left" or "right".
    """
    joints = body.rest_joints_m(betas)
    wrist = joints[SMPL.index(f"{side}_wrist")]
    chains = joints[list(finger_joints(side))].reshape(5, 3, 3)
    points = np.concatenate(
        [np.tile(wrist, (5, 1, 1)), chains, _tips_m(body, betas, side, chains)[:, None]], 1
    )
    bones = np.diff(points, axis=1)
    knuckles = bones[:, 0]
    back = np.cross(knuckles[0], knuckles[2]) * (1 if side == "left" else -1)
    back /= np.linalg.norm(back)
    thumbward = knuckles[0] - knuckles[2]
    flexion = _unit(np.cross(bones[:, 1:], -back))
    flexion[4] = _thumb_axis(bones[4], knuckles[2] - knuckles[4])
    away = _unit(np.cross(flexion[:, 0], bones[:, 1]))
    leads = np.einsum("fi,i->f", np.cross(away, bones[:, 1]), thumbward)
    signs = np.sign(leads) * [1, 1, -1, -1, 1]
    signs[4] = np.sign(np.cross(away[4], bones[4, 1]) @ -back)
    low, high, relaxed = _ranges(_straight_rad(bones, flexion, back))
    markers, wrist_marker = _markers_m(body, side, bones)
    spread, limits = away * signs[:, None], np.stack([low, high])
    return Hand(side, bones, markers, wrist_marker, flexion, spread, limits, relaxed)


def _markers_m(body: Body, side: str, bones: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Offsets (5, 4, 3) of the network's points of the fingers, and (3,) of the wrist's."""
    if body.kind == "open":
        mirror = np.array([1.0 if side == "left" else -1.0, 1.0, 1.0]) * 1e-3
        return np.array(_OPEN_MARKERS_MM) * mirror, np.array(_OPEN_WRIST_MM) * mirror
    markers = np.zeros(bones.shape)
    markers[:, 3] = -_TIP_DEPTH_M * _unit(bones[:, 3])
    return markers, np.zeros(3)


def _tips_m(body: Body, betas: np.ndarray, side: str, chains: np.ndarray) -> np.ndarray:
    """(5, 3) the farthest vertex along each last bone of those that it moves most."""
    vertices, tips = body.rest_vertices_m(betas), []
    for joint, chain in zip(finger_joints(side)[2::3], chains, strict=True):
        mine = vertices[body.dense_weights[:, joint] > 0.5]
        far = (mine - chain[2]) @ (chain[2] - chain[1]) if len(mine) else np.zeros(0)
        tips.append(mine[far.argmax()] if len(mine) else 2 * chain[2] - chain[1])
    return np.array(tips)


def _thumb_axis(bones: np.ndarray, across: np.ndarray) -> np.ndarray:
    """(3,) normal of the plane that the thumb (4, 3) lies in, or of it and the palm."""
    along = _unit(bones[1:])
    plane = np.cross(along[0], along[1]) + np.cross(along[1], along[2])
    return _unit(plane + _STRAIGHT_THUMB * _unit(np.cross(along[1], across)))


def _straight_rad(bones: np.ndarray, flexion: np.ndarray, back: np.ndarray) -> np.ndarray:
    """(4, 3) how far fingers' joints are bent at rest, the thumb left out."""
    along = _unit(bones[:4, 1:])
    before = along[:, 0] - (along[:, 0] @ back)[:, None] * back
    chain = np.concatenate([_unit(before)[:, None], along], 1)
    sine = (np.cross(chain[:, :-1], chain[:, 1:]) * flexion[:4]).sum(-1)
    return np.arctan2(sine, (chain[:, :-1] * chain[:, 1:]).sum(-1))


def _ranges(bent: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Least, most and relaxed angles (21,) of a hand whose fingers are bent (4, 3) at rest."""
    low, high, relaxed = np.zeros((3, 5, 4))
    for array, side in ((low, 0), (high, 1)):
        array[:4, :3] = np.radians([limits[side] for limits in _FLEXION_DEG]) - bent
        array[:4, 3] = np.radians(_SPREAD_DEG[side])
        array[4] = np.radians([limits[side] for limits in _THUMB_DEG])
    relaxed[:4, :3] = np.radians(RELAXED_DEG) - bent
    relaxed[4] = np.radians(_RELAXED_THUMB_DEG)
    twist = np.radians([*_TWIST_DEG, 0.0])
    return tuple(  # type: ignore[return-value]  # three
        np.append(array.ravel(), one)
        for array, one in zip((low, high, relaxed), twist, strict=True)
    )


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True).clip(1e-9)
