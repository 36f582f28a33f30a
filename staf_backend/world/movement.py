"""A person's movement as this wing works on it, and the points of the body that touch the ground.

Axes: y up and metres, the camera of the first key at the origin.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from staf_backend.body import Body, SmplParams, markers
from staf_backend.files import long_copy, stretches
from staf_backend.geometry import TO_Y_UP, forward_kinematics
from staf_backend.motion import PARTS
from staf_backend.world.posed import Posed, PosedMovement, joined, rate_hz, turned_roots

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
_PER_FRAME = ("times_s", "rotations", "root_m", "eye_m", "feet_seen")
"""Fields of a movement with one row a frame."""


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
        return rate_hz(self.times_s)

    @property
    def travel_m(self) -> np.ndarray | None:
        """`eye_m` in camera axes (x right, y down, z away); None where the camera stays."""
        return self.eye_m @ TO_Y_UP if self.eye_m.any() else None

    @cached_property
    def posed(self) -> Posed:
        """The joints, and the points that may touch the ground."""
        return joined((part._posed() for part in self.parts()), len(self))

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

    def parts(self) -> Iterator["Movement"]:
        """The movement some frames at a time, so that memory does not grow with the clip; what is
        written into the arrays of a part is written into its own."""
        for rows in stretches(len(self)):
            own = {name: getattr(self, name)[rows] for name in _PER_FRAME}
            yield dataclasses.replace(self, **own)

    def points_m(self, *wanted: int) -> np.ndarray:
        """(T, n, 3) as some of `posed`, which is not kept: of a movement that still changes."""
        return np.concatenate([part.posed.points_m[:, list(wanted)] for part in self.parts()])

    def joints(self, *wanted: int) -> tuple[np.ndarray, np.ndarray]:
        """How some joints are turned (T, n, 3, 3) and where they are (T, n, 3), in the world."""
        found = [[values[:, list(wanted)] for values in part._moved()] for part in self.parts()]
        turned, places = (np.concatenate(values) for values in zip(*found, strict=True))
        return turned, places

    def places_m(self, *wanted: int) -> np.ndarray:
        """(T, n, 3) where some joints are, in the world."""
        return np.concatenate([part._moved()[1][:, list(wanted)] for part in self.parts()])

    def turned(self, turn: np.ndarray) -> "Movement":
        """In other axes: every point turned by (3, 3) about the origin."""
        rotations = turned_roots(long_copy(self.rotations), turn)
        moved = dataclasses.replace(
            self, rotations=rotations, root_m=self.root_m @ turn.T, eye_m=self.eye_m @ turn.T
        )
        # what is posed already is turned, which is quicker than posing it again
        moved.__dict__["posed"] = self.posed.turned(turn)
        moved.__dict__["rest_heights_m"] = self.rest_heights_m
        return moved

    def _moved(self) -> tuple[np.ndarray, np.ndarray]:
        """How all joints are turned, and where they are, in the world."""
        rest, rotations = self.body.rest_joints_m(self.betas), self.rotations.astype(float)
        return forward_kinematics(rotations, rest, self.root_m, self.body.skeleton)

    def _posed(self) -> Posed:
        turned, joints = self._moved()
        ankles = self.body.skeleton.indices("ankle")
        points = _points(self.body, turned, joints, self.betas)
        kept = joints, points, turned[:, ankles][..., 1]
        return Posed(*(values.astype(np.float32) for values in kept))


def movement_of(
    params: SmplParams,
    times_s: np.ndarray,
    body: Body,
    feet_seen: np.ndarray,
    eye_m: np.ndarray | None = None,
    out: np.ndarray | None = None,
) -> Movement:
    """A movement of parameters in camera axes (x right, y down, z away).

    Args:
        params: of its frames.
        times_s: (T,).
        body: whose parameters they are.
        feet_seen: (T, 2) see `Movement`.
        eye_m: (T, 3) where the camera stood that the person's place is told from, in these axes; at
            their origin if not given.
        out: (T, J, 3, 3) what is changed and becomes the movement's rotations, if not a copy in
            4-byte floats: `params.rotations` where nobody asks for them any more.
    """
    rotations = long_copy(params.rotations, np.float32) if out is None else out
    turned_roots(rotations, TO_Y_UP)
    root_m = params.root_m @ TO_Y_UP.T
    eye_m = np.zeros_like(root_m) if eye_m is None else eye_m @ TO_Y_UP.T
    root_m = root_m + eye_m
    return Movement(times_s, rotations, root_m, params.betas, body, eye_m, feet_seen)


def posed_movement(
    params: SmplParams,
    times_s: np.ndarray,
    body: Body,
    feet_seen: np.ndarray,
    eye_m: np.ndarray | None = None,
) -> PosedMovement:
    """What is posed of `movement_of` alone: without rotations, since a clip may be long."""
    parts = (
        movement_of(
            SmplParams(params.rotations[rows], params.root_m[rows], params.betas),
            times_s[rows],
            body,
            feet_seen[rows],
            None if eye_m is None else eye_m[rows],
        )
        for rows in stretches(len(times_s))
    )
    posed = joined((part.posed for part in parts), len(times_s))
    some = SmplParams(params.rotations[:1], params.root_m[:1], params.betas)
    heights_m = movement_of(some, times_s[:1], body, feet_seen[:1]).rest_heights_m
    eye_m = np.zeros((len(times_s), 3)) if eye_m is None else eye_m @ TO_Y_UP.T
    return PosedMovement(times_s, params.betas, body, eye_m, feet_seen, posed, heights_m)


Poses = Movement | PosedMovement
"""What contacts and gravity ask: never for rotations."""


@lru_cache(maxsize=2)
def _markers_of(body: Body) -> markers.Markers:
    return markers.markers_of(body)


def _points(body: Body, turned: np.ndarray, joints: np.ndarray, betas: np.ndarray) -> np.ndarray:
    """(T, 9, 3) of `PARTS`."""
    shared = _markers_of(body)
    all_ = shared.blend(shared.influences_m(turned, joints, betas))
    return np.stack([all_[:, markers.indices(*names)].mean(1) for names in _MARKERS], 1)
