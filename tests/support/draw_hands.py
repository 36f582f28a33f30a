"""People with exact fingers, drawn: an open body in a made pose, lit and coloured, as a picture.

Hands are relaxed, spread, pointing, gripping or anything between; arms hold them somewhere before
or beside the body, turned to the camera or not.  The picture shows a hand and what is around it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from staf_backend.body import Body, finger_joints, load_body, vertex_normals
from staf_backend.export.raster import nearest_faces
from staf_backend.fit.fingers_hand import Hand, hand_of
from staf_backend.geometry import SMPL, forward_kinematics, from_axis_angle, to_axis_angle
from staf_backend.video import Video, open_video

_DRAWN_HAND_PX = 160
"""Length of a hand as it is drawn at least; smaller ones are drawn larger and averaged."""
_HAND_M = 0.17
"""From the wrist to the tip of the middle finger; what a hand's size in pixels means."""

# degrees from the rest pose: flexion of the three joints of index, middle, pinky, ring
GESTURES = {
    "flat": ((-17, -11, -7), (-20, -5, -2), (-24, -7, -3), (-19, -6, -2)),
    "relaxed": ((10, 16, 8), (14, 20, 10), (20, 26, 14), (18, 24, 12)),
    "fist": ((66, 80, 50), (66, 84, 52), (64, 80, 50), (64, 84, 52)),
    "point": ((-8, -10, -6), (66, 84, 52), (64, 80, 50), (66, 84, 52)),
    "grip": ((30, 45, 25), (34, 48, 26), (36, 46, 25), (36, 48, 26)),
    "hook": ((0, 70, 40), (0, 74, 42), (2, 70, 40), (0, 74, 42)),
    "victory": ((-10, -8, -4), (-12, -6, -2), (62, 80, 50), (62, 84, 52)),
    "spread": ((-15, -10, -6), (-18, -5, -2), (-20, -6, -3), (-17, -5, -2)),
}
_SPREAD = {"spread": (14.0, 2.0, 16.0, 8.0), "victory": (12.0, -8.0, 0.0, 0.0)}
# thumb: flexion of three joints, and how far it stands off the palm
_THUMBS = {"fist": (10, 26, 34, 30), "point": (10, 26, 34, 30), "victory": (10, 26, 30, 30)}
_THUMB = (0, 6, 8, 10)


@dataclass(frozen=True)
class Drawn:
    """A picture, and the truth in it."""

    image: np.ndarray
    """(H, W, 3) uint8"""
    gesture: str
    side: str
    rotations: np.ndarray
    """(52, 3, 3) parent-relative"""
    joints_m: np.ndarray
    """(52, 3) camera axes"""
    tips_m: np.ndarray
    """(2, 5, 3) camera axes, left hand first"""
    joints_px: np.ndarray
    """(52, 2)"""
    hand_px: float
    """length of the hand"""

    def pose_points(self, side: str) -> np.ndarray:
        """(3, 2) wrist, pinky and index as a pose network would give them."""
        first = finger_joints(side)
        return self.joints_px[[SMPL.index(f"{side}_wrist"), first[6], first[0]]]


@cache
def drawn_body() -> tuple[Body, dict[str, Hand]]:
    """The body that is drawn, and its hands."""
    body = load_body("open-neutral", fingers=True)
    return body, {side: hand_of(body, np.zeros(10), side) for side in ("left", "right")}


def gesture_angles(name: str, rng: np.random.Generator, noise_deg: float = 6.0) -> np.ndarray:
    """(21,) radians from the rest pose, see `fingers_hand`."""
    angles = np.zeros((5, 4))
    angles[:4, :3] = GESTURES[name]
    angles[:4, 3] = _SPREAD.get(name, (0, 0, 0, 0))
    angles[4] = _THUMBS.get(name, _THUMB)
    angles[:4] += rng.normal(0, noise_deg, (4, 4)) * [1, 1, 0.6, 0.5]
    angles[4] += rng.normal(0, noise_deg, 4)
    return np.append(np.radians(angles).ravel(), 0.0)


def draw_person(
    rng: np.random.Generator, gesture: str, hand_px: float, side: str = "left"
) -> Drawn:
    """A person whose one hand makes a gesture, and the other a relaxed one.

    Args:
        rng: where arms, light and colours come from.
        gesture: one of `GESTURES`.
        hand_px: length of a hand in the picture.
        side: of the hand in the middle of the picture.
    """
    rotations = _posed(rng, gesture, side)
    return _drawn(rng, rotations, gesture, hand_px, side)


def draw_track(
    rng: np.random.Generator, gestures: tuple[str, str], hand_px: float, side: str, frames: int
) -> list[Drawn]:
    """A person who moves from one pose and gesture to another, seen by a camera that follows.

    Args:
        rng: as for `draw_person`.
        gestures: first and last.
        hand_px, side: as for `draw_person`.
        frames: how many.
    """
    first, last = (_posed(rng, gesture, side) for gesture in gestures)
    turn = to_axis_angle(first.swapaxes(-1, -2) @ last)
    look = int(rng.integers(1 << 31))  # colours, light and what is behind stay
    shares = np.linspace(0, 1, frames)
    return [
        _drawn(
            np.random.default_rng(look),
            first @ from_axis_angle(share * turn),
            gestures[int(share > 0.5)],
            hand_px,
            side,
        )
        for share in shares
    ]


def draw_whole(
    rng: np.random.Generator, gesture: str, size: int, frames: int
) -> tuple[list[np.ndarray], np.ndarray, float]:
    """A whole person whose arms move a little, before a camera that stands still.

    Args:
        rng, gesture: as for `draw_person`.
        size: of the square pictures.
        frames: how many.

    Returns:
        pictures (size, size, 3) uint8; (T, 52, 3, 3) rotations of joints against the camera's axes;
        and the focal length in pixels.
    """
    body, _ = drawn_body()
    first, last = (_posed(rng, gesture, "left") for _ in range(2))
    turn, look = to_axis_angle(first.swapaxes(-1, -2) @ last), int(rng.integers(1 << 31))
    flip, focal = np.diag([1.0, -1.0, -1.0]), 1.2 * size
    images, turned = [], []
    for share in np.linspace(0, 0.3, frames):
        rotations, root = first @ from_axis_angle(share * turn), np.zeros(3)
        turns, joints = forward_kinematics(
            rotations, body.rest_joints_m(np.zeros(10)), root, body.skeleton
        )
        away = np.array([0, 0, 2.7]) - flip @ joints[0]
        seen = body.vertices_m(rotations, np.zeros(10), root) @ flip.T + away
        project = lambda points: focal * points[..., :2] / points[..., 2:] + size / 2
        images.append(_picture(np.random.default_rng(look), body, seen, project, size, 1))
        turned.append(flip @ turns)
    return images, np.array(turned), focal


def film_of(folder: Path, track: list[Drawn]) -> Video:
    """The track as a folder of pictures, opened."""
    import cv2

    folder.mkdir()
    for number, drawn in enumerate(track):
        assert cv2.imwrite(str(folder / f"{number:03d}.png"), drawn.image[..., ::-1])
    return open_video(folder)


def _posed(rng: np.random.Generator, gesture: str, side: str) -> np.ndarray:
    """(52, 3, 3) a person whose one hand makes a gesture."""
    hands = drawn_body()[1]
    rotations = _pose(rng)
    for one in ("left", "right"):
        angles = gesture_angles(gesture if one == side else "relaxed", rng)
        angles = angles.clip(*hands[one].limits_rad)
        rotations[list(finger_joints(one))] = hands[one].rotations(angles[None])[0]
    return rotations


def _drawn(
    rng: np.random.Generator, rotations: np.ndarray, gesture: str, hand_px: float, side: str
) -> Drawn:
    body, hands = drawn_body()
    root = np.zeros(3)
    turned, joints = forward_kinematics(
        rotations, body.rest_joints_m(np.zeros(10)), root, body.skeleton
    )
    vertices = body.vertices_m(rotations, np.zeros(10), root)
    flip = np.diag([1.0, -1.0, -1.0])  # y up, facing +z -> camera axes
    focal, distance = 1000.0, 1000.0 * _HAND_M / hand_px
    middle = joints[finger_joints(side)[3]]
    away = np.array([0, 0, distance]) - flip @ middle
    camera = lambda points: points @ flip.T + away
    size = int(3.4 * hand_px)
    project = lambda points: focal * points[..., :2] / points[..., 2:] + size / 2
    finer = max(1, round(_DRAWN_HAND_PX / hand_px))
    image = _picture(rng, body, camera(vertices), project, size, finer)
    tips = np.array([_tips(hands[s], turned, joints, s) for s in ("left", "right")])
    seen = camera(joints)
    return Drawn(image, gesture, side, rotations, seen, camera(tips), project(seen), hand_px)


def _tips(hand: Hand, turned: np.ndarray, joints: np.ndarray, side: str) -> np.ndarray:
    last = np.array(finger_joints(side)).reshape(5, 3)[:, 2]
    return joints[last] + (turned[last] @ hand.bones_m[:, 3, :, None])[..., 0]


def _pose(rng: np.random.Generator) -> np.ndarray:
    """(52, 3, 3) a standing person who holds both hands somewhere."""
    rotations = np.tile(np.eye(3), (52, 1, 1))
    rotations[0] = from_axis_angle(np.array([0, rng.uniform(-0.7, 0.7), 0]))
    turn = lambda *angles: from_axis_angle(np.array(angles, float))
    for sign, shoulder, elbow, wrist in ((1, 16, 18, 20), (-1, 17, 19, 21)):
        down, ahead = rng.uniform(0.2, 1.2), rng.uniform(-0.2, 1.0)
        rotations[shoulder] = turn(0, -sign * ahead, 0) @ turn(0, 0, -sign * down)
        rotations[elbow] = turn(0, -sign * rng.uniform(0.1, 2.0), 0) @ turn(
            rng.uniform(-1.5, 1.0), 0, 0
        )
        rotations[wrist] = turn(0, rng.normal(0, 0.2), rng.normal(0, 0.35))
    return rotations


def _picture(
    rng: np.random.Generator,
    body: Body,
    vertices_m: np.ndarray,
    project: Callable[[np.ndarray], np.ndarray],
    size: int,
    finer: int,
) -> np.ndarray:
    import cv2

    fine = size * finer
    points = project(vertices_m) * finer
    owner = nearest_faces(points, vertices_m[:, 2], body.faces, (fine, fine))
    normals = vertex_normals(vertices_m, body.faces)
    light = rng.normal(0, 1, 3) * [1, 1, 0.4] + [0, -1.2, -1.2]
    lit = 0.42 + 0.58 * (normals @ (light / np.linalg.norm(light))).clip(0)
    lit *= 0.8 + 0.2 * (-normals[:, 2]).clip(0)
    tone = np.array([0.86, 0.65, 0.53]) * rng.uniform(0.45, 1.1)
    cloth = rng.uniform(0.1, 0.9, 3)
    rest = body.template_m
    skin = (np.abs(rest[:, 0]) > rng.uniform(0.3, 0.6)) | (rest[:, 1] > 0.25)
    colour = np.where(skin[:, None], tone, cloth) * lit[:, None]
    faces = colour[body.faces].mean(1)
    picture = _background(rng, fine)
    hit = owner >= 0
    picture[hit] = faces[owner[hit]]
    picture = cv2.GaussianBlur(picture, (0, 0), 0.8)
    small = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
    small = small + rng.normal(0, rng.uniform(0.003, 0.02), small.shape)
    return (255 * small.clip(0, 1) ** 0.9).astype(np.uint8)


def _background(rng: np.random.Generator, size: int) -> np.ndarray:
    """Soft patches, as a room out of focus."""
    import cv2

    coarse = rng.uniform(0.05, 0.95, (6, 6, 3)) * 0.5 + rng.uniform(0, 0.5)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC).clip(0, 1)
