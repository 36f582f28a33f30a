# SPDX-License-Identifier: GPL-3.0-or-later
"""Making a control rig, tying a character to it, and taking it away again."""

from __future__ import annotations

import bpy
from mathutils import Vector

from ..scene.armature import (
    CONTROLS_KEY,
    FINGERS,
    ArmatureError,
    bone_by_joint,
    controls_of,
    link,
    refuse_edit_mode,
)
from ..scene.bone_names import ROOT_BONE
from ..scene.transaction import focus
from . import shapes
from .layout import Plan, plan_of
from .limbs import LIMBS, MASTER, Limb

LINK = "STAF Controls"
"""Name of the constraints."""
SWITCH = "IK"
"""Custom property of a limb's control: 1 where the limb follows it, 0 where FK bones count."""
_STIFF = 0.95
"""Of 1: how little the joint in the middle turns but about its own x.  Chosen."""
_IK, _FK, _HIDDEN = "IK", "FK", "Followers"
_COLOURS = {"L": "THEME01", "R": "THEME04"}
_MIDDLE = "THEME09"


def build(context: bpy.types.Context, rig: bpy.types.Object) -> bpy.types.Object:
    """A control rig for a character, at rest; call inside `all_or_nothing`.

    Raises:
        ArmatureError: it is none of ours, linked, in edit mode, or has one already.
    """
    refuse_edit_mode(context)
    if rig.library is not None:
        advice = "Make a library override of it first (Object > Library Override)."
        raise ArmatureError(f"{rig.name} is linked from another file.", advice)
    if controls_of(rig) is not None:
        raise ArmatureError(f"{rig.name} has a control rig already.", "Remove that one first.")
    plan = plan_of(rig)
    controls = _armature(context, rig, plan)
    _collect(controls, plan)
    _dress(controls, plan)
    for limb in LIMBS:
        _tie_limb(controls, plan, limb)
    return controls


def tie(rig: bpy.types.Object, controls: bpy.types.Object) -> None:
    """Let a character follow its controls."""
    for name, leader in plan_of(rig).followed.items():
        constraint = rig.pose.bones[name].constraints.new("COPY_TRANSFORMS")
        constraint.name = LINK
        constraint.target, constraint.subtarget = controls, leader
    rig.show_in_front = False


def remove(rig: bpy.types.Object) -> None:
    """Take the controls away; the character plays its own action again."""
    controls = controls_of(rig)
    for bone in rig.pose.bones:
        for constraint in [one for one in bone.constraints if one.name.startswith(LINK)]:
            bone.constraints.remove(constraint)
    rig.show_in_front = True
    if controls is None:
        return
    data = controls.animation_data
    actions = {data.action} if data else set()
    bpy.data.armatures.remove(controls.data)  # and the object with it
    for action in actions - {None}:
        if action.users <= int(action.use_fake_user):
            bpy.data.actions.remove(action)
    shapes.forget_unused()


def fk_bones(rig: bpy.types.Object, limb: Limb) -> list[str]:
    """The FK controls of a limb."""
    joints = bone_by_joint(rig)
    return [joints[joint] for joint in limb.joints]


def _armature(context: bpy.types.Context, rig: bpy.types.Object, plan: Plan) -> bpy.types.Object:
    armature = bpy.data.armatures.new(f"{rig.name} controls")
    controls = bpy.data.objects.new(armature.name, armature)
    link(context, controls)
    controls.parent = rig
    controls[CONTROLS_KEY] = 1
    active, selected = context.view_layer.objects.active, list(context.selected_objects)
    focus(context, controls, [controls])
    bpy.ops.object.mode_set(mode="EDIT")
    for lying in plan.bones:
        bone = armature.edit_bones.new(lying.name)
        bone.head, bone.tail = Vector(lying.head_m), Vector(lying.tail_m)
        bone.align_roll(Vector(lying.z_axis))
        bone.parent = armature.edit_bones[lying.parent] if lying.parent else None
        bone.use_deform = False
    bpy.ops.object.mode_set(mode="OBJECT")
    focus(context, active, selected)
    controls.show_in_front = True
    armature.display_type = "WIRE"
    return controls


def _collect(controls: bpy.types.Object, plan: Plan) -> None:
    """Bone collections, to show and hide at a click."""
    armature = controls.data
    ends = {name for limb in LIMBS for name in (limb.control, limb.pole)}
    limbs = {plan.controls[joint] for limb in LIMBS for joint in limb.joints}
    fingers = {bone for joint, bone in plan.controls.items() if joint[-1].isdigit()}
    fingers -= {plan.controls[j] for j in plan.controls if j.startswith("Spine")}
    hidden = set(plan.followed.values()) - set(plan.controls.values()) - {ROOT_BONE}
    kinds = {_IK: ends, _FK: limbs, FINGERS: fingers, _HIDDEN: hidden}
    body = set(armature.bones.keys()) - set().union(*kinds.values())
    for name, bones in {"Body": body, **kinds}.items():
        if not bones:
            continue
        collection = armature.collections.new(name)
        for bone in bones:
            collection.assign(armature.bones[bone])
        collection.is_visible = name != _HIDDEN


def _dress(controls: bpy.types.Object, plan: Plan) -> None:
    ends = {name for limb in LIMBS for name in (limb.control, limb.pole)}
    kinds = {limb.control: ("box", 1.2) for limb in LIMBS} | {MASTER: ("ring", 1.0)}
    kinds |= {limb.pole: ("ball", 0.8) for limb in LIMBS}
    kinds |= {bone: ("ring", 1.6) for joint, bone in plan.controls.items() if "_" not in joint}
    sides = {plan.controls[joint]: joint[:1].upper() for joint in plan.controls if "_" in joint}
    for bone in controls.pose.bones:
        kind, size = kinds.get(bone.name, ("ring", 0.5))
        bone.custom_shape = shapes.shape(kind)
        bone.custom_shape_scale_xyz = (size,) * 3
        bone.rotation_mode = "QUATERNION"
        bone.lock_scale = (True, True, True)
        goes = bone.name in (MASTER, ROOT_BONE, plan.controls["Pelvis"], *ends)
        bone.lock_location = (not goes,) * 3
        side = bone.name[-1:] if bone.name[-2:] in (".L", ".R") else sides.get(bone.name, "")
        bone.color.palette = _COLOURS.get(side, _MIDDLE)


def _tie_limb(controls: bpy.types.Object, plan: Plan, limb: Limb) -> None:
    """IK for the middle bone, the control's own turn for the last, as far as the switch says."""
    _, middle, end = (controls.pose.bones[plan.controls[joint]] for joint in limb.joints)
    control = controls.pose.bones[limb.control]
    control[SWITCH] = 1.0
    control.id_properties_ui(SWITCH).update(
        min=0.0, max=1.0, description="1: follows this control; 0: its FK bones"
    )
    reach = middle.constraints.new("IK")
    reach.target = reach.pole_target = controls
    reach.subtarget, reach.pole_subtarget = limb.control, limb.pole
    reach.chain_count, reach.use_stretch = 2, False
    reach.pole_angle = limb.ahead * 1.5707963267948966
    # bends about x first; locked, it could not be posed as bodies are, which are no hinges
    middle.ik_stiffness_y = middle.ik_stiffness_z = _STIFF
    turn = end.constraints.new("COPY_ROTATION")
    turn.target, turn.subtarget = controls, limb.control
    for constraint in (reach, turn):
        constraint.name = LINK
        _drive(controls, constraint, limb)


def _drive(controls: bpy.types.Object, constraint: bpy.types.Constraint, limb: Limb) -> None:
    driver = constraint.driver_add("influence").driver
    driver.type = "AVERAGE"  # of one value: no expression, so no question about scripts
    variable = driver.variables.new()
    variable.targets[0].id = controls
    variable.targets[0].data_path = f'pose.bones["{limb.control}"]["{SWITCH}"]'
