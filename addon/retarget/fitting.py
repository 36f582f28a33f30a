# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rig and a body have to do with each other at rest: which way the rig faces, how much
larger it is, and by how much each bone stands otherwise than the body's limb.

Everything is in the motion's frame (front to -y, z up), in the rig's unit.  B mapped bones.

    turn of a bone = turn of the joint · A        A: rig's limb at rest ─► body's limb at rest

The torso keeps its own posture (A is nothing); feet turn about the vertical only, so that soles
stay flat.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .joints import LIMBS, PARENTS, ROOT
from .map_file import BoneMap
from .performance import Performance
from .rotations import angles_deg, between, unit
from .shape import RetargetError, RigShape

_SQUARE_DEG = 25.0
"""A rig that stands so near to its axes is meant to stand on them.  Chosen: a spine that leans."""
_ON_GROUND = 0.1
"""Of the leg: feet so near to the armature's origin stand on it.  Chosen: above an ankle's height
where a rig has no toes, below a step."""
_FLAT = 0.05
"""Of the leg: a foot that reaches less far forward has no direction.  Chosen."""


@dataclass(frozen=True, eq=False)
class Fit:
    """A rig as the motion sees it."""

    bones: tuple[str, ...]
    """(B,)"""
    joints: tuple[str, ...]
    """(B,) what each bone stands for."""
    facing: np.ndarray
    """(3, 3) the armature's axes into the motion's frame."""
    scale: float
    """Rig units for a metre of the body."""
    ground: float
    """Height of the rig's ground."""
    heads: np.ndarray
    """(B, 3) at rest."""
    tails: np.ndarray
    """(B, 3)"""
    axes: np.ndarray
    """(B, 3, 3) the bones' axes as columns."""
    aligned: np.ndarray
    """(B, 3, 3) A of each bone."""
    carriers: tuple[int, ...]
    """(B,) the mapped bone whose turn each takes part in; -1 for none."""
    ankles_m: float
    """Height of the body's ankles at rest."""

    def place(self, joint: str) -> int:
        """The bone of a joint.

        Raises:
            ValueError: none is mapped.
        """
        return self.joints.index(joint)

    @property
    def ankles(self) -> float:
        """Height of the rig's ankles above its ground."""
        return float(self.heads[self._pair("Ankle"), 2].mean()) - self.ground

    @property
    def leg(self) -> float:
        """Length of a leg."""
        return leg_length(*(self.heads[self._pair(j)] for j in ("Hip", "Knee", "Ankle")))

    def middle(self) -> np.ndarray:
        """(3,) between the hips at rest."""
        return self.heads[self._pair("Hip")].mean(0)

    def _pair(self, joint: str) -> list[int]:
        return [self.place(f"L_{joint}"), self.place(f"R_{joint}")]


def leg_length(hips: np.ndarray, knees: np.ndarray, ankles: np.ndarray) -> float:
    """Mean length of legs by their joints (2, 3)."""
    thighs, shins = np.linalg.norm(knees - hips, axis=1), np.linalg.norm(ankles - knees, axis=1)
    return float((thighs + shins).mean())


def fit_rig(
    shape: RigShape,
    bone_map: BoneMap,
    performance: Performance,
    carriers: Mapping[str, str | None] | None = None,
) -> Fit:
    """Compare a rig with a body.

    Args:
        shape: the rig at rest.
        bone_map: fits the rig.
        performance: its body.
        carriers: for each mapped bone, the mapped bone that it takes part in; None: by the tree.

    Raises:
        RetargetError: legs without length, or bones of more than one tree.
    """
    used = {j: b for j, b in bone_map.bones.items() if j in performance.joints and j != ROOT}
    joints, bones = tuple(used), tuple(used.values())
    places = [shape.places[bone] for bone in bones]
    _refuse_two_roots(shape, bone_map)
    facing = facing_of(shape, bone_map)
    heads, tails = shape.heads[places] @ facing.T, shape.tails[places] @ facing.T
    pairs = [[joints.index(f"{s}_{j}") for s in "LR"] for j in ("Hip", "Knee", "Ankle")]
    rig_leg = leg_length(*(heads[pair] for pair in pairs))
    body = [[performance.place(f"{s}_{j}") for s in "LR"] for j in ("Hip", "Knee", "Ankle")]
    body_leg_m = leg_length(*(performance.rest_m[pair] for pair in body))
    if not (rig_leg > 0 and body_leg_m > 0):
        raise RetargetError("the rig's legs have no length.", "Look at the bones of its legs.")
    found = _tree_carriers(shape, bones) if carriers is None else carriers
    return Fit(
        bones=bones,
        joints=joints,
        facing=facing,
        scale=rig_leg / body_leg_m,
        ground=_ground(heads, tails, joints, rig_leg),
        heads=heads,
        tails=tails,
        axes=facing @ shape.axes[places],
        aligned=_aligned(joints, heads, tails, performance, rig_leg),
        carriers=tuple(_index(bones, found[bone]) for bone in bones),
        ankles_m=float(performance.rest_m[body[2], 2].mean()),
    )


def facing_of(shape: RigShape, bone_map: BoneMap) -> np.ndarray:
    """The turn (3, 3) from the armature's axes into the motion's frame.

    The way up is from ankles to hips, the left from right hip to left.
    """
    heads = {joint: shape.heads[shape.places[bone]] for joint, bone in bone_map.bones.items()}
    hips = (heads["L_Hip"] + heads["R_Hip"]) / 2
    up = unit(hips - (heads["L_Ankle"] + heads["R_Ankle"]) / 2)
    left = heads["L_Hip"] - heads["R_Hip"]
    left = unit(left - (left @ up) * up)
    measured = np.stack([left, np.cross(up, left), up])
    if not np.allclose(measured @ measured.T, np.eye(3), atol=1e-6):
        raise RetargetError("the rig's hips and ankles lie in one line.", "Look at its bones.")
    square = np.zeros((3, 3))
    largest = np.argmax(np.abs(measured), axis=1)
    square[np.arange(3), largest] = np.sign(measured[np.arange(3), largest])
    near = angles_deg(measured, square).max() < _SQUARE_DEG
    return square if near and abs(np.linalg.det(square) - 1) < 0.1 else measured


def _ground(heads: np.ndarray, tails: np.ndarray, joints: tuple[str, ...], leg: float) -> float:
    feet = [p for p, joint in enumerate(joints) if joint[2:] in ("Ankle", "Foot")]
    low = float(np.concatenate([heads[feet, 2], tails[feet, 2]]).min())
    return 0.0 if abs(low) < _ON_GROUND * leg else low


def _aligned(
    joints: tuple[str, ...],
    heads: np.ndarray,
    tails: np.ndarray,
    performance: Performance,
    leg: float,
) -> np.ndarray:
    turns = np.tile(np.eye(3), (len(joints), 1, 1))
    order = sorted(range(len(joints)), key=lambda place: _depth(joints[place]))
    for place in order:
        joint = joints[place]
        body = _body_limb(performance, joint)
        if joint not in LIMBS or body is None:
            above = PARENTS.get(joint, "")
            part = joint[:1] in "LR" and joint[1:2] == "_" and above in LIMBS
            if part and above in joints:  # goes on as its limb does
                turns[place] = turns[joints.index(above)]
            continue
        follower = LIMBS[joint]
        end = heads[joints.index(follower)] if follower in joints else tails[place]
        rig = end - heads[place]
        if joint[2:] == "Ankle":
            rig, body = rig * [1, 1, 0], body * [1, 1, 0]
            if np.linalg.norm(rig) < _FLAT * leg or np.linalg.norm(body) < 1e-6:
                continue
        turns[place] = between(rig, body)
    return turns


def _body_limb(performance: Performance, joint: str) -> np.ndarray | None:
    """(3,) where the body's limb points at rest; None where it has no next joint."""
    side = joint[:2]
    for follower in (LIMBS.get(joint, ""), f"{side}Hand" if joint[2:] == "Wrist" else ""):
        if follower in performance.joints:
            start, end = performance.place(joint), performance.place(follower)
            return performance.rest_m[end] - performance.rest_m[start]
    return None


def _depth(joint: str) -> int:
    depth = 0
    while joint in PARENTS:
        joint, depth = PARENTS[joint], depth + 1
    return depth


def _tree_carriers(shape: RigShape, bones: tuple[str, ...]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for bone in bones:
        above = (shape.names[place] for place in shape.above(shape.places[bone]))
        found[bone] = next((name for name in above if name in bones), None)
    return found


def _index(bones: tuple[str, ...], name: str | None) -> int:
    return bones.index(name) if name in bones else -1


def _refuse_two_roots(shape: RigShape, bone_map: BoneMap) -> None:
    roots: dict[int, str] = {}
    for joint, bone in bone_map.bones.items():
        if joint != ROOT:
            roots.setdefault(shape.root_of(shape.places[bone]), f"{bone} ({joint})")
    if len(roots) > 1:
        words = " and ".join(f"{shape.names[r]} with {bone}" for r, bone in roots.items())
        message = f"the mapped bones hang on {len(roots)} roots: {words}."
        raise RetargetError(message, "Parent them to one root, or map bones of one tree.")
