"""Hands with known fingers, as pictures: an arm and a trunk of the open body, lit and coloured.

Fingers bend together, one by one, or at single joints; arms hold them anywhere, wrists bend.  None
of the gestures that hands are tested with is among them by name.
"""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from staf_backend.body import Body, finger_joints, load_body
from staf_backend.export.mesh import vertex_normals
from staf_backend.export.raster import nearest_faces
from staf_backend.fit.fingers_hand import RELAXED_DEG, TWIST, Hand, hand_of
from staf_backend.geometry import SMPL, forward_kinematics, from_axis_angle

SIDES = ("left", "right")
_HAND_M, _FOCAL_PX = 0.17, 1000.0
"""From the wrist to the tip of the middle finger, and of the camera.  Chosen."""
_VIEW, _FINER_PX = 2.6, 85.0
"""Side of a picture, over a hand's length; hands below this are drawn twice as large.  Chosen."""
_ARM = ("collar", "shoulder", "elbow", "wrist")
_TRUNK = ("pelvis", "spine1", "spine2", "spine3")


@dataclass(frozen=True)
class Part:
    """One arm and the trunk: faces (F, 3) among V vertices, their skin weights (V, 52) and rest
    places (V, 3) in metres."""

    faces: np.ndarray
    weights: np.ndarray
    rest_m: np.ndarray


@dataclass(frozen=True)
class DrawnHand:
    """A picture (H, W, 3) uint8 of a hand and its truth: angles (21,), joints (52, 2) pixels."""

    image: np.ndarray
    angles: np.ndarray
    joints_px: np.ndarray

    def pose_points(self, side: str) -> np.ndarray:
        """(3, 2) wrist, little and index finger."""
        first = finger_joints(side)
        return self.joints_px[[SMPL.index(f"{side}_wrist"), first[6], first[0]]]


@cache
def body() -> Body:
    """The body that is drawn."""
    return load_body("open-neutral", fingers=True)


@cache
def hand(side: str) -> Hand:
    """Its hand."""
    return hand_of(body(), np.zeros(10), side)


@cache
def part(side: str) -> Part:
    """What is drawn of it."""
    weights = body().dense_weights
    arm = [SMPL.index(f"{side}_{name}") for name in _ARM] + list(finger_joints(side))
    trunk = [SMPL.index(name) for name in _TRUNK]
    kept = (weights[:, arm].sum(1) > 0.5) | (weights[:, trunk].sum(1) > 0.4)
    number = np.full(len(weights), -1)
    number[kept] = np.arange(kept.sum())
    faces = number[body().faces]
    faces = faces[(faces >= 0).all(1)]
    return Part(faces, weights[kept].astype(np.float32), body().template_m[kept])


def draw_hand(rng: np.random.Generator, side: str, hand_px: float) -> DrawnHand:
    """A hand in the middle of a picture.

    Args:
        rng: where all that is left to chance comes from.
        side: "left" or "right".
        hand_px: its length.
    """
    fingers = {one: finger_angles(rng) for one in SIDES}
    rotations = _pose(rng)
    for one, angles in fingers.items():
        rotations[list(finger_joints(one))] = hand(one).rotations(angles[None])[0]
    rest = body().rest_joints_m(np.zeros(10))
    turned, joints = forward_kinematics(rotations, rest, np.zeros(3), body().skeleton)
    bones = np.concatenate(
        [turned, (joints - np.einsum("kij,kj->ki", turned, rest))[..., None]], axis=2
    )
    drawn = part(side)
    skin = (drawn.weights @ bones.reshape(52, 12)).reshape(-1, 3, 4)
    vertices = np.einsum("vij,vj->vi", skin[..., :3], drawn.rest_m) + skin[..., 3]
    flip = np.array([1.0, -1.0, -1.0])  # y up, facing +z -> camera axes
    away = np.array([0, 0, _FOCAL_PX * _HAND_M / hand_px]) - flip * joints[finger_joints(side)[3]]
    size = int(_VIEW * hand_px)
    seen = [points * flip + away for points in (vertices, joints)]
    flat = [_FOCAL_PX * points[:, :2] / points[:, 2:] + size / 2 for points in seen]
    image = _picture(rng, drawn, seen[0], flat[0], size, 2 if hand_px < _FINER_PX else 1)
    return DrawnHand(image, fingers[side], flat[1])


def finger_angles(rng: np.random.Generator) -> np.ndarray:
    """(21,) radians from the rest pose, within the limits; twist as of a right hand's thumb."""
    rest = _rest_rad()
    angles = np.zeros((5, 4))
    together = rng.uniform(0, 1) if rng.random() < 0.8 else rng.choice([0.0, 1.0])
    kind = rng.random()
    for finger in range(4):
        if kind < 0.45:  # all alike
            knuckle = middle = together + rng.normal(0, 0.12)
        elif kind < 0.75:  # each straight or closed
            knuckle = middle = rng.choice([rng.beta(0.6, 2.5), rng.beta(2.5, 0.6)])
        else:
            knuckle = middle = rng.beta(0.7, 0.7)
        if rng.random() < 0.35:
            knuckle = np.clip(knuckle + rng.normal(0, 0.4), -0.1, 1.1)
        last = np.clip(middle + rng.normal(0, 0.12), 0, 1.1)
        bent = np.array([-12 + 90 * knuckle, -2 + 104 * middle, -2 + 66 * last])
        angles[finger, :3] = np.radians(bent + rng.normal(0, 5, 3)) - rest[finger]
        angles[finger, 3] = np.radians(rng.normal(2, 7))
    if rng.random() < 0.25:  # spread
        angles[:4, 3] += np.radians([10, 0, 12, 6]) * rng.uniform(0, 1.3)
    closed = np.clip(angles[:2, 1].mean() / 1.6, 0, 1) if rng.random() < 0.6 else 0.0
    thumb = np.array([4, 10, 14, 14]) + closed * np.array([8, 18, 22, 18])
    angles[4] = np.radians(thumb + rng.normal(0, 1, 4) * [12, 14, 18, 13])
    all_angles = np.append(angles.ravel(), np.radians(rng.normal(0, 8)))
    return all_angles.clip(*hand("right").limits_rad)


@cache
def _rest_rad() -> np.ndarray:
    """(4, 3) how far fingers are bent at rest, from straight."""
    relaxed = hand("right").relaxed_rad[:TWIST].reshape(5, 4)[:4, :3]
    return np.radians(RELAXED_DEG) - relaxed


def _pose(rng: np.random.Generator) -> np.ndarray:
    """(52, 3, 3) somebody who holds both hands somewhere."""
    rotations = np.tile(np.eye(3), (52, 1, 1))
    turn = lambda *angles: from_axis_angle(np.array(angles, float))
    rotations[0] = turn(rng.normal(0, 0.15), 0, 0) @ turn(0, rng.uniform(-1.3, 1.3), 0)
    for sign, side in ((1, "left"), (-1, "right")):
        shoulder, elbow, wrist = SMPL.indices(*(f"{side}_{name}" for name in _ARM[1:]))
        down, ahead = rng.uniform(-0.5, 1.3), rng.uniform(-0.3, 1.1)
        rotations[shoulder] = turn(0, -sign * ahead, 0) @ turn(0, 0, -sign * down)
        bend = turn(0, -sign * rng.uniform(0.05, 2.2), 0)
        rotations[elbow] = bend @ turn(rng.uniform(-1.7, 1.4), 0, 0)
        rotations[wrist] = turn(0, sign * rng.normal(0, 0.22), sign * rng.normal(0, 0.4))
    return rotations


def _picture(
    rng: np.random.Generator,
    drawn: Part,
    vertices_m: np.ndarray,
    points_px: np.ndarray,
    size: int,
    finer: int,
) -> np.ndarray:
    fine, points = size * finer, points_px * finer
    corners = points[drawn.faces]
    faces = drawn.faces[((corners.max(1) > 0) & (corners.min(1) < fine)).all(1)]
    owner = nearest_faces(points, vertices_m[:, 2], faces, (fine, fine))
    normals = vertex_normals(vertices_m, faces)
    light = rng.normal(0, 1, 3) * [1, 1, 0.4] + [0, -1.2, -1.2]
    lit = 0.42 + 0.58 * (normals @ (light / np.linalg.norm(light))).clip(0)
    lit *= 0.8 + 0.2 * (-normals[:, 2]).clip(0)
    tone, cloth = np.array([0.86, 0.65, 0.53]) * rng.uniform(0.45, 1.1), rng.uniform(0.1, 0.9, 3)
    bare = (np.abs(drawn.rest_m[:, 0]) > rng.uniform(0.3, 0.6)) | (drawn.rest_m[:, 1] > 0.25)
    colours = (np.where(bare[:, None], tone, cloth) * lit[:, None])[faces].mean(1)
    coarse = rng.uniform(0.05, 0.95, (6, 6, 3)) * 0.5 + rng.uniform(0, 0.5)
    picture = cv2.resize(coarse.astype(np.float32), (fine, fine), interpolation=cv2.INTER_CUBIC)
    picture = picture.clip(0, 1)
    picture[owner >= 0] = colours[owner[owner >= 0]]
    picture = cv2.GaussianBlur(picture, (0, 0), 0.8)
    if finer > 1:
        picture = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
    noise = rng.standard_normal(picture.shape, dtype=np.float32)
    picture = picture + noise * np.float32(rng.uniform(0.003, 0.02))
    return (255 * picture.clip(0, 1) ** 0.9).astype(np.uint8)
