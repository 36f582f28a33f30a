# SPDX-License-Identifier: GPL-3.0-or-later
"""What is put on a rig: turns of joints since the rest pose, in Blender's axes, front to -y.

T keys, J joints.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..scene.axes import TO_BLENDER, UP, matrix_of, to_blender
from ..scene.motion_file import MotionClip
from .joints import PARENTS, canonical
from .shape import RetargetError

_RISES_M, _SLIDES_M = 0.05, 0.2
"""How far an ankle over its heel, or a ball over its toes, goes up and along at most while they
stand.  Measured on twelve solved motions: 25 mm and, turning on the toes, 155; stands that are not
kept rise by 56 mm and more."""
_NEEDED = ("Pelvis", "L_Hip", "R_Hip", "L_Knee", "R_Knee", "L_Ankle", "R_Ankle")


@dataclass(frozen=True)
class Stand:
    """A span of keys in which a heel or toe stays on its place."""

    part: str
    """left_heel, left_toe, right_heel or right_toe."""
    first: int
    last: int
    """Keys, both included."""
    floor_m: float


@dataclass(frozen=True, eq=False)
class Performance:
    """One person's movement.

    Raises:
        RetargetError: it is of no body with legs.
    """

    name: str
    joints: tuple[str, ...]
    """(J,) as bone maps spell them."""
    rest_m: np.ndarray
    """(J, 3) joints at rest, the soles at z = 0."""
    turns: np.ndarray
    """(T, J, 3, 3) since rest, in the world."""
    root_m: np.ndarray
    """(T, 3) of joint 0."""
    times_s: np.ndarray
    """(T,)"""
    stands: tuple[Stand, ...] = ()

    def __post_init__(self) -> None:
        missing = [joint for joint in _NEEDED if joint not in self.joints]
        if missing:
            raise RetargetError(f"{self.name} is of no body with legs: it lacks {missing[0]}.")

    def place(self, joint: str) -> int:
        """Where a joint stands among the joints."""
        return self.joints.index(joint)

    def middle_m(self) -> np.ndarray:
        """(T, 3) the middle between the hips."""
        hips = self.rest_m[[self.place("L_Hip"), self.place("R_Hip")]].mean(0)
        return self.root_m + self.turns[:, 0] @ (hips - self.rest_m[0])


def turns_of(rotations: np.ndarray, parents: tuple[int, ...]) -> np.ndarray:
    """Turns (T, J, 3, 3) in the world of rotations (T, J, 3, 3) relative to the parents'."""
    turns = np.array(rotations, np.float64)
    for joint, parent in enumerate(parents):
        if parent >= 0:
            turns[:, joint] = turns[:, parent] @ turns[:, joint]
    return turns


def of_clip(clip: MotionClip, lift_m: float) -> Performance:
    """A motion file's movement.

    Args:
        clip: the motion.
        lift_m: how far its body at rest is raised so that its soles touch the ground.
    """
    turns = turns_of(matrix_of(clip.rotations_wxyz), clip.parents)
    stands = [
        Stand(span.part, *keys_within(clip.times_s, span.start_s, span.end_s), span.floor_m)
        for span in clip.contacts
        if span.part.endswith(("_heel", "_toe"))
    ]
    performance = Performance(
        clip.name,
        tuple(canonical(name) for name in clip.joint_names),
        to_blender(clip.rest_joints_m) + UP * lift_m,
        TO_BLENDER @ turns @ TO_BLENDER.T,
        to_blender(clip.root_m),
        clip.times_s,
        (),
    )
    return with_stands(performance, [stand for stand in stands if stand.first <= stand.last])


def with_stands(performance: Performance, stands: Sequence[Stand]) -> Performance:
    """The performance with those stands that it keeps itself.

    A foot of somebody who was put on no floor may slide or rise while it is said to stand; to hold
    it would pull the legs off.
    """
    ways_m = {
        part: _way_m(performance, _over(performance, part)) for part in {one.part for one in stands}
    }
    kept = []
    for stand in stands:
        far_m = np.ptp(ways_m[stand.part][stand.first : stand.last + 1], axis=0)
        if far_m[2] < _RISES_M and far_m[:2].max() < _SLIDES_M:
            kept.append(stand)
    return replace(performance, stands=tuple(kept))


def _over(performance: Performance, part: str) -> str:
    """The joint over a heel or toe."""
    side = part[0].upper()
    ball = f"{side}_Foot"
    return ball if part.endswith("toe") and ball in performance.joints else f"{side}_Ankle"


def _way_m(performance: Performance, joint: str) -> np.ndarray:
    """(T, 3) where a joint is."""
    if joint == "Pelvis":
        return performance.root_m
    above = PARENTS[joint]
    place, carrier = performance.place(joint), performance.place(above)
    bone_m = performance.rest_m[place] - performance.rest_m[carrier]
    return _way_m(performance, above) + performance.turns[:, carrier] @ bone_m


def keys_within(times: np.ndarray, start: float, end: float) -> tuple[int, int]:
    """First and last key from a time to another; last before first where there is none."""
    slack = 1e-6
    first = int(np.searchsorted(times, start - slack))
    return first, int(np.searchsorted(times, end + slack, side="right")) - 1
