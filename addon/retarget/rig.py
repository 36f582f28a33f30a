# SPDX-License-Identifier: GPL-3.0-or-later
"""A rig in Blender: read at rest, and refused where keys on it would not do what they say."""

from __future__ import annotations

import re

import bpy
import numpy as np

from ..scene.armature import refuse_edit_mode
from .joints import ROOT
from .map_file import BoneMap
from .shape import RetargetError, RigShape
from .tails import believed_tails

_EVEN = 1e-3
_LIKE_A_PERSON_M = (0.2, 10.0)
"""Heights of rigs that are worth no remark.  Chosen: a doll, a giant."""


def read_shape(rig: bpy.types.Object) -> RigShape:
    """The rig at rest."""
    bones = list(rig.data.bones)
    places = {bone.name: place for place, bone in enumerate(bones)}
    matrices = np.array([bone.matrix_local for bone in bones], np.float64).reshape(-1, 4, 4)
    heads = matrices[:, :3, 3]
    tails = np.array([bone.tail_local for bone in bones], np.float64).reshape(-1, 3)
    parents = tuple(places[bone.parent.name] if bone.parent else -1 for bone in bones)
    ends = believed_tails(parents, heads, tails)
    return RigShape(tuple(places), parents, heads, ends, matrices[:, :3, :3])


def check_rig(context: bpy.types.Context, rig: bpy.types.Object | None) -> bpy.types.Object:
    """The rig, if motion can be put on it.

    Raises:
        UserError: it is no armature, empty, linked, hidden, in edit mode, or stretched.
    """
    if rig is None or rig.type != "ARMATURE":
        raise RetargetError("no rig is active.", "Select the armature that shall move.")
    refuse_edit_mode(context)
    if rig.library is not None:
        advice = "Make a library override of it first (Object > Library Override)."
        raise RetargetError(f"{rig.name} is linked from another file.", advice)
    if not len(rig.data.bones):
        raise RetargetError(f"{rig.name} has no bones.")
    if rig.data.pose_position == "REST":
        raise RetargetError(
            f"{rig.name} shows its rest position.", "Set Skeleton to Pose Position."
        )
    if not rig.visible_get():
        raise RetargetError(f"{rig.name} is hidden.", "Show it, so that Blender works it out.")
    scale = np.array(rig.matrix_world.to_scale())
    if rig.matrix_world.determinant() <= 0 or np.ptp(scale) > _EVEN * scale.max():
        advice = "Apply its scale (Ctrl A), or scale all axes alike."
        raise RetargetError(f"{rig.name} is scaled unevenly or mirrored.", advice)
    return rig


def size_note(rig: bpy.types.Object, shape: RigShape) -> list[str]:
    """A remark where the rig is far from a person's size, as one in centimetres is."""
    corners = np.concatenate([shape.heads, shape.tails]) * rig.matrix_world.median_scale
    tall_m = float(np.ptp(corners, axis=0).max())
    low, high = _LIKE_A_PERSON_M
    if low <= tall_m <= high:
        return []
    return [f"{rig.name} is {tall_m:.3g} m large; its motion is as much larger or smaller."]


def check_free(rig: bpy.types.Object, bone_map: BoneMap, travel: str) -> None:
    """Refuse bones whose keys would be locked, or overruled by drivers.

    Raises:
        RetargetError: which, and what to do.
    """
    locked, driven = [], []
    for joint, name in bone_map.bones.items():
        goes = joint == "Pelvis" or (joint == ROOT and travel == "root")
        if _is_locked(rig.pose.bones[name], joint != ROOT, goes):
            locked.append(name)
        if _is_driven(rig, name):
            driven.append(name)
    for names, what, advice in (
        (locked, "locked channels", "Unlock them in the sidebar, tab Item, or map other bones."),
        (driven, "drivers on its channels", "Remove the drivers, or map other bones."),
    ):
        if names:
            words = ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
            raise RetargetError(f"{rig.name} has {what}: {words}.", advice)


def is_free(rig: bpy.types.Object, name: str) -> bool:
    """Whether a twist bone of a rig is for keys, not for the rig's own constraints and drivers."""
    bone = rig.pose.bones[name]
    held = any(not one.mute for one in bone.constraints)
    return bone.bone.use_deform and not (
        held or _is_locked(bone, True, False) or _is_driven(rig, name)
    )


def _is_locked(bone: bpy.types.PoseBone, turns: bool, goes: bool) -> bool:
    fourth = bone.lock_rotations_4d and bone.lock_rotation_w
    return (turns and (any(bone.lock_rotation) or fourth)) or (goes and any(bone.lock_location))


def _is_driven(rig: bpy.types.Object, name: str) -> bool:
    start = f'pose.bones["{bpy.utils.escape_identifier(name)}"]'
    paths = [one.data_path for one in rig.animation_data.drivers] if rig.animation_data else []
    rest = [path.removeprefix(start) for path in paths if path.startswith(start)]
    return any(re.match(r"\.(rotation|location|scale)", path) for path in rest)
