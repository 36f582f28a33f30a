"""Raw and grounded in the NLA: weighed by one slider, without the backend."""

import bpy
import numpy as np
import pytest

from addon.scene.armature import bone_by_joint
from addon.scene.layers import grounded_strip, raw_strip
from staf_backend.geometry import from_axis_angle, to_quaternions
from staf_backend.motion import Motion, save_motion
from tests.addon.blender_scene import fingerprint, heads_m
from tests.addon.known_motions import known_motion

pytestmark = pytest.mark.usefixtures("clean")
COUNT = 20
DRIFT_M = np.array([0.0, 0.07, 0.2])


def grounded_motion() -> Motion:
    """A motion that was 7 cm higher and 20 cm nearer before, its knees straight."""
    plain = known_motion(COUNT)
    turns = plain.rotations_wxyz.copy()
    turns[:, plain.skeleton.index("L_Knee")] = to_quaternions(from_axis_angle(np.zeros(3)))
    return known_motion(COUNT, raw_rotations_wxyz=turns, raw_root_m=plain.root_m + DRIFT_M)


def bring_in(folder, motion: Motion, **words):
    save_motion(folder / "walk.npz", motion)
    assert bpy.ops.staf.import_motion(filepath=str(folder / "walk.npz"), **words) == {"FINISHED"}
    return bpy.context.object


def places(rig, frame: int) -> np.ndarray:
    bpy.context.scene.frame_set(frame)
    return heads_m(rig, list(bone_by_joint(rig).values()))


@pytest.mark.parametrize("words", [{}, {"root_motion": "pelvis", "height_cm": 150}, {"nla": True}])
def test_the_slider_goes_from_raw_to_grounded(tmp_path, words):
    rig = bring_in(tmp_path, grounded_motion(), **words)
    grounded = places(rig, 8)
    assert bpy.ops.staf.add_raw() == {"FINISHED"}
    np.testing.assert_allclose(places(rig, 8), grounded, atol=1e-6)
    strip = grounded_strip(rig)
    assert strip is not None
    strip.influence = 0.0
    raw = places(rig, 8)
    assert strip.influence == 0, "it stays where it was put"
    step = raw[0] - grounded[0]
    if "height_cm" in words:
        assert 0.8 < step[2] / 0.07 < 1.0, "as much smaller as the person is"
    else:
        np.testing.assert_allclose(step, [0.0, -0.2, 0.07], atol=1e-5)
    strip.influence = 0.5
    half = places(rig, 8)
    np.testing.assert_allclose(half[0], (raw[0] + grounded[0]) / 2, atol=1e-5)
    assert 0 < np.abs(half - raw).max() < np.abs(grounded - raw).max()
    strip.mute = True
    np.testing.assert_allclose(places(rig, 8), raw, atol=1e-6)


def test_removed_the_take_plays_as_before(tmp_path):
    rig = bring_in(tmp_path, grounded_motion())
    before, pose = fingerprint(), places(rig, 8)
    assert bpy.ops.staf.add_raw() == {"FINISHED"}
    with pytest.raises(RuntimeError, match=r"a raw layer\. Press Bake"):
        bpy.ops.staf.export_clips(filepath=str(tmp_path / "a.glb"))
    assert bpy.ops.staf.remove_raw() == {"FINISHED"}
    assert raw_strip(rig) is None
    bpy.context.scene.frame_set(1)
    assert fingerprint() == before
    np.testing.assert_allclose(places(rig, 8), pose, atol=1e-7)


def test_baked_is_what_was_seen(tmp_path):
    rig = bring_in(tmp_path, grounded_motion())
    bpy.ops.staf.add_raw()
    strip = grounded_strip(rig)
    assert strip is not None
    strip.influence = 0.3
    seen = places(rig, 8)
    assert bpy.ops.staf.bake_raw() == {"FINISHED"}
    assert raw_strip(rig) is None
    assert rig.animation_data.action.name == "walk take 2"
    np.testing.assert_allclose(places(rig, 8), seen, atol=1e-5)


def test_without_a_raw_motion_it_says_so(tmp_path):
    rig = bring_in(tmp_path, known_motion(5))
    before = fingerprint()
    with pytest.raises(RuntimeError, match=r"no motion from before the ground"):
        bpy.ops.staf.add_raw()
    (tmp_path / "walk.npz").unlink()
    with pytest.raises(RuntimeError, match=r"walk\.npz does not exist"):
        bpy.ops.staf.add_raw()
    with pytest.raises(RuntimeError, match="no raw layer"):
        bpy.ops.staf.remove_raw()
    assert fingerprint() == before
    assert rig.animation_data.action is not None
