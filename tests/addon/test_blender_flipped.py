"""Paste Flipped mirrors a pose, whatever the bones are called and with controls, too."""

import bpy
import numpy as np
import pytest

from addon.scene.armature import bone_by_joint, controls_of
from addon.scene.bone_names import SCHEMES
from staf_backend.motion import save_motion
from tests.addon.blender_scene import heads_m
from tests.addon.known_motions import write
from tests.addon.test_blender_fingers import moving_fingers

pytestmark = pytest.mark.usefixtures("clean")
_OTHER = {"L_": "R_", "R_": "L_", "left_": "right_", "right_": "left_"}


def paste_flipped(item) -> None:
    """Copy the pose, then paste it flipped in place of the animation."""
    bpy.context.view_layer.objects.active = item
    bpy.ops.object.mode_set(mode="POSE")
    for bone in item.pose.bones:
        (bone if hasattr(bone, "select") else bone.bone).select = True
    assert bpy.ops.pose.copy() == {"FINISHED"}
    item.animation_data.action = None
    assert bpy.ops.pose.paste(flipped=True) == {"FINISHED"}
    bpy.ops.object.mode_set(mode="OBJECT")
    bpy.context.view_layer.update()


def mirrored(rig, heads: np.ndarray) -> np.ndarray:
    """Heads (J, 3) of the bones, seen in a mirror across x."""
    joints = list(bone_by_joint(rig))
    partners = []
    for joint in joints:
        start = next((word for word in _OTHER if joint.startswith(word)), "")
        partners.append(joints.index(_OTHER.get(start, "") + joint[len(start) :]))
    return heads[partners] * [-1, 1, 1]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_pose_with_fingers_pasted_flipped_is_the_mirrored_pose(tmp_path, scheme):
    save_motion(tmp_path / "walk.npz", moving_fingers(12))
    bpy.ops.staf.import_motion(filepath=str(tmp_path / "walk.npz"), bone_names=scheme, mesh=False)
    rig = bpy.context.object
    bpy.context.scene.frame_set(10)
    names = list(bone_by_joint(rig).values())
    before = heads_m(rig, names)
    paste_flipped(rig)
    expected = mirrored(rig, before)
    assert np.abs(before - expected).max() > 0.3, "it is another pose"
    np.testing.assert_allclose(heads_m(rig, names), expected, atol=2e-3)


def test_a_pose_of_the_controls_pasted_flipped_is_the_mirrored_pose(tmp_path):
    bpy.ops.staf.import_motion(filepath=str(write(tmp_path / "walk.npz", 20)), mesh=False)
    rig = bpy.context.object
    bpy.ops.staf.add_controls()
    bpy.context.scene.frame_set(12)
    names = list(bone_by_joint(rig).values())
    before = heads_m(rig, names)
    paste_flipped(controls_of(rig))
    np.testing.assert_allclose(heads_m(rig, names), mirrored(rig, before), atol=2e-3)
