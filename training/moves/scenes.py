"""People in front of cameras: moves get a body, a place and a camera, and become markers.

local rotations ─► body of drawn shape ─► planted feet ─► camera ─► joints and markers in
                                                                    camera axes
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from staf_backend.body import SHAPE_COUNT, load_body
from staf_backend.body.markers import Markers, indices, markers_of
from staf_backend.geometry import SMPL, TO_Y_UP, rotations, skeleton
from staf_backend.landmarks.windows import GRID_HZ
from training.moves.mocap import FEET, Clip, Moves, feet, read_clips
from training.moves.smooth_noise import smooth_normals

BODY = "open-neutral"
"""The body that captured motion is put on."""
BETA_WIDTHS = np.array([1.0, 0.8, 0.8, 0.7, 0.6, 0.5, 0.5, 0.5, 0.5, 0.5])
"""Deviations of the betas that are drawn; chosen, narrower than the model's own deviation of 1."""
# Bones that grow or shrink together: joints whose bone from the parent is scaled by one draw, its
# mean and deviation.  The open body's shanks are long and its trunk short beside the people whose
# limbs were triangulated (LOG.md, 2026-11-22); the network must not lean on its proportions
_BONE_GROUPS = (
    (("knee",), 1.0, 0.05),
    (("ankle",), 0.95, 0.07),
    (("elbow",), 1.02, 0.06),
    (("wrist",), 1.05, 0.07),
    (("spine1", "spine2", "spine3", "neck"), 1.02, 0.05),
    (("hip",), 1.0, 0.06),
    (("shoulder",), 1.0, 0.06),
)
_CLOSEST_M = 1.0  # no part of the pelvis' path comes nearer to the camera; chosen
_LEVEL_RAD = 0.07  # deviation of a nearly level camera's pitch; chosen: 4 degrees
_ON_THE_SPOT = np.array([0.1, 1, 0.1])  # share of the path (x, y, z) that is left on a treadmill
_SWAY = np.array([0.03, 0.03, 0])  # tangents, across and along the picture; chosen
_SLIDES_M_PER_S = 0.15
"""A foot that moves faster does not stand; chosen: three times what the captured feet's standing
leaves (5 to 10 cm/s), half of a slow step."""
_SWAY_FRAMES = 8.0  # how slowly the camera sways; chosen


@dataclass(frozen=True)
class Cameras:
    """How cameras are drawn.

    Attributes:
        distance_m: nearest and farthest; drawn evenly in the logarithm.
        pitch_deg: lowest and highest; negative looks down.
        level: chance of a nearly level camera instead.
        roll_deg: deviation of a careful camera's roll, and of a careless one's.
        careless: chance of a careless one.
        off_axis: largest tangent of the person's direction, across and along the picture's height.
        still: chance that the person stays on the spot, as on a treadmill, contact unknown.
        shaken: chance that the camera sways.
        focal_error: deviation of the logarithm of the focal length that is assumed.
        bone_width: factor on the spread of people's proportions beyond the betas; 0 for none.
    """

    distance_m: tuple[float, float] = (1.6, 10.0)
    pitch_deg: tuple[float, float] = (-40.0, 25.0)
    level: float = 0.4
    roll_deg: tuple[float, float] = (2.0, 15.0)
    careless: float = 0.2
    off_axis: tuple[float, float] = (0.45, 0.3)
    still: float = 0.2
    shaken: float = 0.25
    focal_error: float = 0.12
    bone_width: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.distance_m[0] <= self.distance_m[1]:
            raise ValueError(f"distance_m must be two growing distances, got {self.distance_m}")


@dataclass(frozen=True)
class Scenes:
    """N windows of a person in camera axes (x right, y down, z away), metres.

    Attributes:
        rotations: (N, W, 24, 3, 3) global.
        pelvis_m: (N, W, 3).
        joints_m: (N, W, 24, 3) about the pelvis.
        markers_m: (N, W, 27, 3) about the pelvis.
        bones_m: (N, 24, 3) each joint from its parent in the rest pose, y up.
        betas: (N, 10).
        up: (N, 3) unit, against gravity.
        contact: (N, W, 4) bool, which of `mocap.FEET` stands.
        contact_known: (N,) bool.
    """

    rotations: np.ndarray
    pelvis_m: np.ndarray
    joints_m: np.ndarray
    markers_m: np.ndarray
    bones_m: np.ndarray
    betas: np.ndarray
    up: np.ndarray
    contact: np.ndarray
    contact_known: np.ndarray


@dataclass(frozen=True)
class Figure:
    """What of a body the scenes need.

    Attributes:
        joints_m: (24, 3) rest joints of the mean shape, y up.
        joints_per_beta: (24, 3, 10).
        markers: the 27 markers.
    """

    joints_m: np.ndarray
    joints_per_beta: np.ndarray
    markers: Markers

    def rest_feet_m(self, joints_m: np.ndarray, betas: np.ndarray) -> np.ndarray:
        """Heels and big toes (N, 4, 3) of the rest pose: left heel, left toe, right ones."""
        return rest_markers(self.markers, joints_m, betas)[:, indices(*FEET)]


def rest_markers(markers: Markers, joints_m: np.ndarray, betas: np.ndarray) -> np.ndarray:
    """Markers (N, 27, 3) of rest poses with joints (N, 24, 3) and betas (N, 10)."""
    offsets = markers.offset_m + np.einsum("icb,nb->nic", markers.offset_per_beta, betas)
    return (markers.blending() @ (offsets + joints_m[:, markers.joint])).astype(np.float32)


def place(moves: Moves, figure: Figure, cameras: Cameras, rng: np.random.Generator) -> Scenes:
    """Give moves a body and a camera."""
    count = len(moves.rotations)
    betas = rng.standard_normal((count, SHAPE_COUNT), np.float32) * BETA_WIDTHS.astype(np.float32)
    rest_m, bones_m = _bodies(figure, betas, cameras.bone_width, rng)
    turned, joints_m = skeleton.forward_kinematics(
        moves.rotations, rest_m[:, None], np.zeros_like(moves.pelvis_m)
    )
    pelvis_m, slide_m_per_s = _planted(moves, rest_m, figure.rest_feet_m(rest_m, betas))
    view = _views(count, cameras, rng)
    still = rng.random(count) < cameras.still
    pelvis_m = _before_camera(pelvis_m, view, still, cameras, rng)
    turned = view[:, None, None] @ turned
    joints_m = joints_m @ view[:, None].swapaxes(-1, -2)
    markers_m = _markers(figure.markers, turned, joints_m, betas)
    return Scenes(
        rotations=turned,
        pelvis_m=pelvis_m,
        joints_m=joints_m,
        markers_m=markers_m,
        bones_m=bones_m,
        betas=betas,
        up=view[:, :, 1],
        contact=moves.contact & (slide_m_per_s < _SLIDES_M_PER_S),
        contact_known=moves.contact_known & ~still,
    )


def _bodies(
    figure: Figure, betas: np.ndarray, bone_width: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Rest joints and bones (N, 24, 3) of bodies whose proportions vary beyond the betas."""
    joints = figure.joints_m + np.einsum("jcb,nb->njc", figure.joints_per_beta, betas)
    bones = joints.copy()
    parents = np.array(SMPL.parents[1:])
    bones[:, 1:] -= joints[:, parents]
    for group, mean, width in _BONE_GROUPS:
        spread = mean - 1 + width * rng.standard_normal((len(betas), 1, 1))
        bones[:, list(SMPL.indices(*group))] *= 1 + bone_width * spread
    grown = bones.copy()
    for joint, parent in enumerate(parents, start=1):
        grown[:, joint] += grown[:, parent]
    return grown.astype(np.float32), bones.astype(np.float32)


def _planted(
    moves: Moves, rest_m: np.ndarray, rest_feet_m: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The pelvis' path (N, W, 3) on which standing feet stay where they are.

    The changed moves would skate along the captured path.  From frame to frame the pelvis moves
    against its standing feet, and as captured while none stands.  Feet that stand together and move
    apart still slide: the speed of each (N, W, 4), metres a second, comes with the path; the
    smaller of those before and after a frame, for feet land and leave at once.
    """
    zero = np.zeros_like(moves.pelvis_m)
    about = feet(moves.rotations, zero, rest_m[:, None], rest_feet_m[:, None])
    both = (moves.contact[:, 1:] & moves.contact[:, :-1])[..., None]
    against = -(np.diff(about, axis=1) * both).sum(2) / np.maximum(both.sum(2), 1)
    step = np.where(both.any(2), against, np.diff(moves.pelvis_m, axis=1))
    path = np.concatenate([moves.pelvis_m[:, :1], step], 1)
    path = np.cumsum(path, axis=1).astype(np.float32)
    speed = np.linalg.norm(np.diff(about + path[:, :, None], axis=1), axis=-1) * GRID_HZ
    slide = np.minimum(
        np.concatenate([speed[:, :1], speed], 1), np.concatenate([speed, speed[:, -1:]], 1)
    )
    return path, slide


def _views(count: int, cameras: Cameras, rng: np.random.Generator) -> np.ndarray:
    """Rotations (N, 3, 3) from the world, y up, to camera axes."""
    yaw = rng.uniform(0, 2 * math.pi, count)
    pitch = np.radians(rng.uniform(*cameras.pitch_deg, count))
    level = rng.random(count) < cameras.level
    pitch = np.where(level, rng.normal(0, _LEVEL_RAD, count), pitch)
    careless = rng.random(count) < cameras.careless
    roll = np.radians(rng.normal(0, 1, count) * np.where(careless, *cameras.roll_deg[::-1]))
    about_z, about_x, about_y = (
        rotations.from_axis_angle(np.eye(3)[axis] * angle[:, None])
        for axis, angle in ((2, roll), (0, -pitch), (1, yaw))
    )
    return (TO_Y_UP @ about_z @ about_x @ about_y).astype(np.float32)


def _before_camera(
    path_m: np.ndarray,
    view: np.ndarray,
    still: np.ndarray,
    cameras: Cameras,
    rng: np.random.Generator,
) -> np.ndarray:
    """The path (N, W, 3) in camera axes, somewhere in front of the camera."""
    count = len(path_m)
    about = path_m - path_m.mean(1, keepdims=True)
    about = np.where(still[:, None, None], about * _ON_THE_SPOT, about)
    about = about @ view.swapaxes(-1, -2)
    nearest, farthest = np.log(cameras.distance_m)
    far = np.exp(rng.uniform(nearest, farthest, count))
    place = rng.uniform(-1, 1, (count, 3)) * (*cameras.off_axis, 0)
    place = (place + np.array([0, 0, 1])) * far[:, None]
    shaken = (rng.random(count) < cameras.shaken)[:, None, None]
    sway = smooth_normals(rng, count, 3, _SWAY_FRAMES) * shaken * _SWAY
    path = about + place[:, None] + sway * far[:, None, None]
    path[..., 2] += np.maximum(_CLOSEST_M - path[..., 2].min(1), 0)[:, None]
    return path.astype(np.float32)


def _markers(
    markers: Markers, turned: np.ndarray, joints_m: np.ndarray, betas: np.ndarray
) -> np.ndarray:
    """Markers (N, W, 27, 3) about the pelvis; as `Markers.influences_m`, with a shape a window."""
    offsets = markers.offset_m + np.einsum("icb,nb->nic", markers.offset_per_beta, betas)
    offsets = offsets.astype(np.float32)[:, None, :, :, None]
    influences = (turned[:, :, markers.joint] @ offsets)[..., 0] + joints_m[:, :, markers.joint]
    return markers.blending().astype(np.float32) @ influences


def figure_of(body_name: str) -> Figure:
    """The joints and markers of a body."""
    body = load_body(body_name)
    joints_m = np.asarray(body.joint_template_m, np.float32)
    return Figure(joints_m, np.asarray(body.joint_shape_directions, np.float32), markers_of(body))


def open_clips(paths: list[Path], figure: Figure) -> list[Clip]:
    """The clips of motion files, contacts found on this figure.

    Raises:
        MocapError: a file cannot be read as motion.
    """
    joints_m = figure.joints_m[None]
    feet_m = figure.rest_feet_m(joints_m, np.zeros((1, SHAPE_COUNT), np.float32))
    return [clip for path in paths for clip in read_clips(path, joints_m[0], feet_m[0])]
