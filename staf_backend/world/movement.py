"""A person's movement as this wing works on it, and the points of the body that touch the ground.

Axes: y up and metres, the camera of the first key at the origin.
"""

import dataclasses
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from staf_backend.body import Body, SmplParams, markers
from staf_backend.geometry import TO_Y_UP, forward_kinematics
from staf_backend.motion import PARTS

FEET = PARTS[:4]
"""Heels and toes, left first: what the lifter and the fit call contacts, too."""
_MARKERS = (
    *(("left_heel",), ("left_foot_index",), ("right_heel",), ("right_foot_index",)),
    *(("left_index", "left_pinky"), ("right_index", "right_pinky")),
    *(("left_knee",), ("right_knee",), ("left_hip", "right_hip")),
)
"""The markers in whose middle each part's point lies."""
_THICKNESS_M = {"hand": 0.02, "knee": 0.06, "seat": 0.11}
"""From the point inside the body to the skin.  Chosen, near the open neutral body's."""
_BLOCK = 1000
"""Frames posed at once, so that memory does not grow with the clip.  Chosen."""


class Posed(NamedTuple):
    """joints_m (T, J, 3), points_m (T, 9, 3) of `PARTS`, soles (T, 2, 3): the ways up that the
    soles of the left and the right foot would have if they stood flat.  4-byte floats, since a
    clip may be long."""

    joints_m: np.ndarray
    points_m: np.ndarray
    soles: np.ndarray


@dataclass(frozen=True)
class Movement:
    """One person's movement.

    Attributes:
        times_s: (T,).
        rotations: (T, J, 3, 3) parent-relative, joint 0 in the world.
        root_m: (T, 3).
        betas: (B,).
        body: whose joints these are.
        eye_m: (T, 3) where the camera stands.
        feet_seen: (T, 2) bool, whether the left and the right foot were seen.
    """

    times_s: np.ndarray
    rotations: np.ndarray
    root_m: np.ndarray
    betas: np.ndarray
    body: Body
    eye_m: np.ndarray
    feet_seen: np.ndarray

    def __len__(self) -> int:
        return len(self.times_s)

    @property
    def rate_hz(self) -> float:
        """Frames a second; 30 for a single frame."""
        return 1 / float(np.median(np.diff(self.times_s))) if len(self) > 1 else 30.0

    @cached_property
    def posed(self) -> Posed:
        """The joints, and the points that may touch the ground."""
        parts = [self._posed(slice(k, k + _BLOCK)) for k in range(0, len(self), _BLOCK)]
        return Posed(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

    @cached_property
    def rest_heights_m(self) -> np.ndarray:
        """(9,) height of each part's point when the part lies on the ground."""
        rest = self.body.rest_vertices_m(self.betas)
        count = len(self.body.skeleton)
        turned, joints = np.eye(3)[None].repeat(count, 0), self.body.rest_joints_m(self.betas)
        points = _points(self.body, turned[None], joints[None], self.betas)[0]
        heights = points[:, 1] - rest[:, 1].min()
        for k, part in enumerate(PARTS[len(FEET) :], len(FEET)):
            heights[k] = _THICKNESS_M[part.split("_")[-1]]
        return heights

    def joints(self, *wanted: int) -> tuple[np.ndarray, np.ndarray]:
        """How some joints are turned (T, n, 3, 3) and where they are (T, n, 3), in the world."""
        rest, skeleton = self.body.rest_joints_m(self.betas), self.body.skeleton
        turned = np.empty((len(self), len(wanted), 3, 3))
        places = np.empty((len(self), len(wanted), 3))
        for begin in range(0, len(self), _BLOCK):
            some = slice(begin, begin + _BLOCK)
            rotations = self.rotations[some].astype(float)
            all_ = forward_kinematics(rotations, rest, self.root_m[some], skeleton)
            turned[some], places[some] = (values[:, list(wanted)] for values in all_)
        return turned, places

    def turned(self, turn: np.ndarray) -> "Movement":
        """In other axes: every point turned by (3, 3) about the origin."""
        rotations = self.rotations.copy()
        rotations[:, 0] = turn @ rotations[:, 0]
        moved = dataclasses.replace(
            self, rotations=rotations, root_m=self.root_m @ turn.T, eye_m=self.eye_m @ turn.T
        )
        # what is posed already is turned, which is quicker than posing it again
        turn = turn.astype(np.float32)
        moved.__dict__["posed"] = Posed(*(points @ turn.T for points in self.posed))
        moved.__dict__["rest_heights_m"] = self.rest_heights_m
        return moved

    def _posed(self, rows: slice) -> Posed:
        rest = self.body.rest_joints_m(self.betas)
        rotations = self.rotations[rows].astype(float)
        turned, joints = forward_kinematics(rotations, rest, self.root_m[rows], self.body.skeleton)
        ankles = self.body.skeleton.indices("ankle")
        points = _points(self.body, turned, joints, self.betas)
        kept = joints, points, turned[:, ankles][..., 1]
        return Posed(*(values.astype(np.float32) for values in kept))


def movement_of(
    params: SmplParams, times_s: np.ndarray, body: Body, feet_seen: np.ndarray
) -> Movement:
    """A movement of parameters in camera axes (x right, y down, z away)."""
    rotations = params.rotations.astype(np.float32)  # a clip may be long
    rotations[:, 0] = TO_Y_UP @ rotations[:, 0]
    root_m = params.root_m @ TO_Y_UP.T
    eye_m = np.zeros_like(root_m)
    return Movement(times_s, rotations, root_m, params.betas, body, eye_m, feet_seen)


@lru_cache(maxsize=2)
def _markers_of(body: Body) -> markers.Markers:
    return markers.markers_of(body)


def _points(body: Body, turned: np.ndarray, joints: np.ndarray, betas: np.ndarray) -> np.ndarray:
    """(T, 9, 3) of `PARTS`."""
    shared = _markers_of(body)
    all_ = shared.blend(shared.influences_m(turned, joints, betas))
    return np.stack([all_[:, markers.indices(*names)].mean(1) for names in _MARKERS], 1)
