"""Rigs of `retarget_rigs` in Blender, a generated Rigify rig, and what is measured on them."""

from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector

from addon.retarget.joints import LIMBS
from addon.retarget.performance import Performance
from addon.retarget.rotations import angles_deg
from tests.addon.retarget_rigs import FACING_X, IMPORTED_TAILS, RIGS, Y_UP, Bone, bones_of

TO_MOTION = {"unreal": FACING_X.T}
"""From the world into the motion's frame, of rigs that do not face -y."""


def make_rig(bones: list[Bone], name: str = "Hero") -> bpy.types.Object:
    """An armature object of these bones, active, in object mode."""
    armature = bpy.data.armatures.new(name)
    rig = bpy.data.objects.new(name, armature)
    bpy.context.scene.collection.objects.link(rig)
    bpy.context.view_layer.objects.active = rig
    rig.select_set(True)
    bpy.ops.object.mode_set(mode="EDIT")
    for bone, parent, head, tail in bones:
        made = armature.edit_bones.new(bone)
        made.head, made.tail = Vector(head), Vector(tail)
        made.roll = 0.1 * len(armature.edit_bones)
        made.parent = armature.edit_bones.get(parent)
    bpy.ops.object.mode_set(mode="OBJECT")
    return rig


def known_rig(kind: str, tails: str = "") -> bpy.types.Object:
    """A rig of `RIGS`, as an importer leaves it: standing, metres, tails of `IMPORTED_TAILS`."""
    made = RIGS[kind]
    bones = bones_of(made)
    rig = make_rig(IMPORTED_TAILS[tails](bones) if tails else bones)
    turn = Y_UP.T if made.axes is Y_UP else np.eye(3)
    scale = Matrix.Diagonal((1 / made.unit,) * 3)
    rig.matrix_world = (Matrix(turn.tolist()) @ scale).to_4x4()
    bpy.context.view_layer.update()
    return rig


def generate_rigify(path: Path) -> None:
    """Generate Rigify's basic human once, into a .blend; the metarig stays in it as "metarig"."""
    import addon_utils

    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    addon_utils.enable("rigify", default_set=True)
    bpy.ops.object.armature_basic_human_metarig_add()
    bpy.context.object.name = "metarig"
    bpy.ops.pose.rigify_generate()
    made = [o for o in bpy.data.objects if o.type == "ARMATURE" and o.name != "metarig"]
    made[0].name = "rig"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    addon_utils.disable("rigify", default_set=True)


def world_heads(rig: bpy.types.Object, bones: list[str], frames: range) -> np.ndarray:
    """(T, N, 3) heads of bones in the world, evaluated at frames."""
    out = []
    for frame in frames:
        bpy.context.scene.frame_set(frame)
        out.append([rig.matrix_world @ rig.pose.bones[bone].head for bone in bones])
    return np.array(out)


def limb_errors_deg(
    heads: np.ndarray, joints: list[str], performance: Performance, turn: np.ndarray, keys: range
) -> dict[str, float]:
    """The largest angle between each limb and the motion's.

    Args:
        heads: (T, N, 3) joints of the rig in the world.
        joints: (N,)
        performance: the motion.
        turn: (3, 3) from the world into the motion's frame.
        keys: T keys of the motion.
    """
    errors = {}
    for joint, follower in LIMBS.items():
        if joint in joints and follower in joints and joint[2:] != "Ankle":
            limb = heads[:, joints.index(follower)] - heads[:, joints.index(joint)]
            places = [performance.place(one) for one in (joint, follower)]
            rest = performance.rest_m[places[1]] - performance.rest_m[places[0]]
            body = performance.turns[list(keys), places[0]] @ rest
            errors[joint] = float(angles_deg(limb @ turn.T, body).max())
    return errors


def knee_steps_deg(heads: np.ndarray, joints: list[str]) -> float:
    """How far a knee bends from one key to the next at most."""
    worst = 0.0
    for side in "LR":
        hip, knee, ankle = (heads[:, joints.index(f"{side}_{j}")] for j in ("Hip", "Knee", "Ankle"))
        worst = max(worst, float(np.abs(np.diff(angles_deg(knee - hip, ankle - knee))).max()))
    return worst
