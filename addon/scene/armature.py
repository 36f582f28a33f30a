# SPDX-License-Identifier: GPL-3.0-or-later
"""The armature: bones where the joints are, a root bone on the ground, the object at identity."""

from __future__ import annotations

import bpy
import numpy as np
from mathutils import Vector

from ..user_error import UserError
from .axes import FRONT, UP
from .bone_names import ROOT_BONE
from .bones import ROOT_LENGTH_M, Layout, finger_places
from .transaction import focus

JOINT_KEY = "staf_joint"
"""Custom property of a bone: the joint it stands for, whatever the bone is called."""


FINGERS = "Fingers"
"""Name of the bone collection that holds them."""
CONTROLS_KEY = "staf_controls"
"""Custom property of a control rig, which is the child of its character."""


class ArmatureError(UserError):
    """An armature cannot be made, or is not one of ours."""


def make_armature(
    context: bpy.types.Context,
    name: str,
    joint_names: tuple[str, ...],
    bone_names: tuple[str, ...],
    parents: tuple[int, ...],
    bones: Layout,
) -> bpy.types.Object:
    """A new armature object at identity, linked to the scene, in object mode.

    Raises:
        ArmatureError: something is in edit mode.
    """
    refuse_edit_mode(context)
    armature = bpy.data.armatures.new(name)
    rig = bpy.data.objects.new(name, armature)
    link(context, rig)
    active, selected = context.view_layer.objects.active, list(context.selected_objects)
    focus(context, rig, [rig])
    bpy.ops.object.mode_set(mode="EDIT")
    _lay_bones(armature, bone_names, parents, bones)
    bpy.ops.object.mode_set(mode="OBJECT")
    focus(context, active, selected)
    for joint, bone in zip(joint_names, bone_names, strict=True):
        armature.bones[bone][JOINT_KEY] = joint
    _collect_fingers(armature, joint_names, bone_names)
    _prepare_pose(rig, bone_names[0])
    rig.show_in_front = True
    armature.display_type = "STICK"
    return rig


def link(context: bpy.types.Context, item: bpy.types.Object) -> None:
    """Put an object into the active collection, or the scene's own where that is not shown."""
    place = context.view_layer.active_layer_collection
    hidden = place.exclude or place.collection.library is not None
    (context.scene.collection if hidden else place.collection).objects.link(item)


def refuse_edit_mode(context: bpy.types.Context) -> None:
    """Bones can only be made in object mode, and switching would end what the user is doing.

    Raises:
        ArmatureError: something is in edit mode.
    """
    if context.mode.startswith("EDIT"):
        item = context.view_layer.objects.active
        name = item.name if item else "an object"
        raise ArmatureError(f"{name} is in Edit Mode.", "Leave Edit Mode (Tab) and try again.")


def bone_by_joint(rig: bpy.types.Object) -> dict[str, str]:
    """Names of an armature's bones by the joint they stand for; empty for a stranger."""
    bones = rig.data.bones
    return {bone[JOINT_KEY]: bone.name for bone in bones if JOINT_KEY in bone.keys()}  # noqa: SIM118


def root_bone(rig: bpy.types.Object) -> str | None:
    """Name of a character's bone on the ground: "root", or what somebody called it; None: gone."""
    bones = rig.data.bones
    pelvis = bones.get(bone_by_joint(rig).get("Pelvis", ""))
    parent = pelvis.parent if pelvis is not None else None
    if ROOT_BONE in bones or parent is None or JOINT_KEY in parent.keys():  # noqa: SIM118
        return ROOT_BONE if ROOT_BONE in bones else None
    return parent.name


def controls_of(rig: bpy.types.Object) -> bpy.types.Object | None:
    """The control rig that a character has."""
    return next((child for child in rig.children if CONTROLS_KEY in child), None)


def rest_frames(rig: bpy.types.Object, bone_names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Heads (J, 3) and axes (J, 3, 3), as columns, of bones at rest, in the armature's space."""
    bones = rig.data.bones
    matrices = np.array([bones[name].matrix_local for name in bone_names], np.float64)
    return matrices[:, :3, 3], matrices[:, :3, :3]


def _lay_bones(
    armature: bpy.types.Armature, names: tuple[str, ...], parents: tuple[int, ...], bones: Layout
) -> None:
    root = armature.edit_bones.new(ROOT_BONE)
    root.head, root.tail = Vector(), Vector(UP * ROOT_LENGTH_M)
    root.align_roll(Vector(FRONT))
    root.use_deform = False
    made = []
    for joint, name in enumerate(names):
        bone = armature.edit_bones.new(name)
        bone.head, bone.tail = Vector(bones.heads_m[joint]), Vector(bones.tails_m[joint])
        bone.align_roll(Vector(bones.z_axes[joint]))
        bone.parent = made[parents[joint]] if parents[joint] >= 0 else root
        bone.use_connect = bones.connected[joint]
        made.append(bone)


def _collect_fingers(
    armature: bpy.types.Armature, joint_names: tuple[str, ...], bone_names: tuple[str, ...]
) -> None:
    """A bone collection of the fingers, so that they can be hidden at a click."""
    fingers = finger_places(joint_names)
    if not fingers:
        return
    collection = armature.collections.new(FINGERS)
    for place in fingers:
        collection.assign(armature.bones[bone_names[place]])


def _prepare_pose(rig: bpy.types.Object, pelvis: str) -> None:
    """Quaternions everywhere; only the root and the pelvis travel."""
    for bone in rig.pose.bones:
        bone.rotation_mode = "QUATERNION"
        bone.lock_scale = (True, True, True)
        bone.lock_location = (bone.name not in (ROOT_BONE, pelvis),) * 3
