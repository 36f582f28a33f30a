# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the bones of a control rig lie at rest.

A control for each bone of the character, laid along its limb whatever axes the character has, so
that IK can use it; then the controls of the limbs.  A bone of the character whose axes differ has a
follower, a hidden bone with its own axes below the control.
"""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np

from ..scene.armature import ArmatureError, bone_by_joint, rest_frames, root_bone
from ..scene.axes import FRONT, TO_BLENDER, UP
from ..scene.bone_names import ROOT_BONE
from ..scene.bones import ROOT_LENGTH_M, layout
from .limbs import LIMBS, MASTER
from .motion import POLE_M

_SAME = 1e-4
"""Of two axes.  Chosen: half an arc minute."""
_POLE_LENGTH_M = 0.1
_MASTER_LENGTH_M = 0.6
"""Of bones that only show a place: large enough to click.  Chosen."""


@dataclass(frozen=True, eq=False)
class Lying:
    """A bone of the control rig."""

    name: str
    head_m: np.ndarray
    tail_m: np.ndarray
    z_axis: np.ndarray
    parent: str | None


@dataclass(frozen=True, eq=False)
class Plan:
    """A control rig to be."""

    bones: list[Lying]
    """Parents before children."""
    controls: dict[str, str]
    """Joint -> its FK control, which is called as the character's bone."""
    followed: dict[str, str]
    """Bone of the character -> bone that it follows."""


def plan_of(rig: bpy.types.Object) -> Plan:
    """Lay a character's controls.

    Raises:
        ArmatureError: it is no character of this add-on, or its bones lack a limb.
    """
    joints = bone_by_joint(rig)
    needed = {joint for limb in LIMBS for joint in limb.joints}
    missing = sorted(needed - set(joints))
    root = root_bone(rig)
    if root not in (ROOT_BONE, None) and not missing:
        raise ArmatureError(f"{rig.name}'s root bone is called {root}.", "Call it root first.")
    if root is None or missing:
        lacks = ", ".join(missing[:3]) or "a root bone"
        raise ArmatureError(f"{rig.name} is no character of this add-on: it lacks {lacks}.")
    taken = {limb.control for limb in LIMBS} | {limb.pole for limb in LIMBS} | {MASTER}
    clash = sorted(taken & set(joints.values()))
    if clash:
        raise ArmatureError(f"{rig.name} has a bone called {clash[0]}.", "Rename it first.")
    bones = [
        Lying(MASTER, np.zeros(3), UP * 0 - FRONT * _MASTER_LENGTH_M, UP, None),
        Lying(ROOT_BONE, np.zeros(3), UP * ROOT_LENGTH_M, FRONT, MASTER),
    ]
    bones += _body(rig, joints)
    by_name = {bone.name: bone for bone in bones}
    for limb in LIMBS:
        lower, end = (by_name[joints[joint]] for joint in limb.joints[1:])
        bones.append(Lying(limb.control, end.head_m, end.tail_m, end.z_axis, MASTER))
        place = lower.head_m + limb.ahead * POLE_M * FRONT
        tail = place + limb.ahead * _POLE_LENGTH_M * FRONT
        bones.append(Lying(limb.pole, place, tail, UP, MASTER))
    followers = _followers(rig, joints, by_name)
    followed = {ROOT_BONE: ROOT_BONE} | {name: name for name in joints.values()}
    followed |= {one.parent: one.name for one in followers if one.parent}
    return Plan([*bones, *followers], joints, followed)


def _body(rig: bpy.types.Object, joints: dict[str, str]) -> list[Lying]:
    names = list(joints.values())
    heads, _ = rest_frames(rig, names)
    above = {name: rig.data.bones[name].parent for name in names}
    parents = tuple(names.index(p.name) if p and p.name in names else -1 for p in above.values())
    laid = layout(heads @ TO_BLENDER, parents, 0.0, "limbs", tuple(joints))
    return [
        Lying(
            name,
            laid.heads_m[place],
            laid.tails_m[place],
            laid.z_axes[place],
            names[parents[place]] if parents[place] >= 0 else ROOT_BONE,
        )
        for place, name in enumerate(names)
    ]


def _followers(
    rig: bpy.types.Object, joints: dict[str, str], laid: dict[str, Lying]
) -> list[Lying]:
    found = []
    for name in joints.values():
        bone, control = rig.data.bones[name], laid[name]
        along = np.array(bone.tail_local - bone.head_local)
        mine = control.tail_m - control.head_m
        axes = np.array(bone.matrix_local)[:3, :3]
        if np.allclose(along / np.linalg.norm(along), mine / np.linalg.norm(mine), atol=_SAME):
            across = control.z_axis - (control.z_axis @ axes[:, 1]) * axes[:, 1]
            if np.allclose(axes[:, 2], across / np.linalg.norm(across), atol=_SAME):
                continue
        head = np.array(bone.head_local)
        found.append(Lying(f"{name} follower", head, head + along, axes[:, 2], name))
    return found
