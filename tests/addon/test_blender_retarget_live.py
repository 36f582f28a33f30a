"""A live link: the rig follows the character as it is edited, and is as before afterwards."""

import bpy
import numpy as np
import pytest

from addon.retarget.guess import guess_map
from addon.retarget.rig import read_shape
from tests.addon.blender_scene import fingerprint
from tests.addon.retarget_motions import write_steps
from tests.addon.retarget_scene import TO_MOTION, known_rig, limb_errors_deg, world_heads
from tests.addon.test_blender_retarget import ARMS, LEGS, performance_of

pytestmark = pytest.mark.usefixtures("clean")


@pytest.mark.parametrize("kind", ["mixamo", "vrm", "unreal"])
def test_a_linked_rig_follows_and_lets_go(tmp_path, kind):
    steps = write_steps(tmp_path / "steps.npz")
    bpy.ops.staf.import_motion(filepath=str(steps), camera=False)
    rig = known_rig(kind)
    before = fingerprint()
    assert bpy.ops.staf.link_rig() == {"FINISHED"}
    found = guess_map(read_shape(rig), rig.name).bones
    joints = [*LEGS, *ARMS]
    frames = range(1, 241, 20)
    heads = world_heads(rig, [found[joint] for joint in joints], frames)
    turn = TO_MOTION.get(kind, np.eye(3))
    keys = range(0, 240, 20)
    performance = performance_of(steps)
    errors = limb_errors_deg(heads, joints, performance, turn, keys)
    assert max(errors.values()) < 0.5, errors
    ankles = heads[:, [joints.index("L_Ankle"), joints.index("R_Ankle")]] @ turn.T
    assert 0.05 < ankles[..., 2].min() < 0.12
    bpy.ops.staf.unlink_rig()
    bpy.context.scene.frame_set(bpy.context.scene.frame_start)
    assert fingerprint() == before
    assert not [one for bone in rig.pose.bones for one in bone.constraints]
    with pytest.raises(RuntimeError, match="follows no character"):
        bpy.ops.staf.unlink_rig()


def test_retargeting_turns_a_link_into_keys(tmp_path):
    bpy.ops.staf.import_motion(filepath=str(write_steps(tmp_path / "steps.npz")), camera=False)
    rig = known_rig("vrm")
    bpy.ops.staf.link_rig()
    bpy.context.scene.frame_set(90)
    linked = world_heads(rig, ["leftHand", "head"], range(90, 91))
    bpy.ops.staf.retarget()
    assert not [one for bone in rig.pose.bones for one in bone.constraints]
    keyed = world_heads(rig, ["leftHand", "head"], range(90, 91))
    np.testing.assert_allclose(linked, keyed, atol=0.02)  # planted feet move the hips a little
