"""Motions with fingers as characters: exact, with bones that curl about x, hidden at a click."""

from dataclasses import replace

import bpy
import numpy as np
import pytest

from addon.scene.armature import FINGERS, bone_by_joint
from addon.scene.keyframes import curves
from staf_backend.body import WITH_FINGERS, finger_joints, load_body
from staf_backend.geometry import from_axis_angle, from_quaternions, to_quaternions
from staf_backend.motion import Motion, joints_m, save_motion
from tests.addon.blender_scene import heads_m, vertices_m
from tests.addon.known_motions import known_motion

pytestmark = pytest.mark.usefixtures("clean")
TO_BLENDER = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])


def moving_fingers(count: int = 12) -> Motion:
    """The known motion, with fingers that swing, no two alike."""
    plain, body = known_motion(count), load_body("open-neutral", fingers=True)
    phase = np.arange(count)[:, None, None] * (0.05 + 0.01 * np.arange(52))[None, :, None]
    turns = from_axis_angle(0.5 * np.sin(phase + np.arange(52)[None, :, None] + np.arange(3)))
    turns[:, :22] = from_quaternions(plain.rotations_wxyz[:, :22].astype(float))
    return known_motion(
        count,
        rotations_wxyz=to_quaternions(turns).astype(np.float32),
        rest_joints_m=body.rest_joints_m(plain.betas),
        skeleton=WITH_FINGERS,
    )


def bring_in(folder, motion: Motion, **words):
    save_motion(folder / "walk.npz", motion)
    path = str(folder / "walk.npz")
    assert bpy.ops.staf.import_motion(filepath=path, **words) == {"FINISHED"}
    return bpy.context.object


@pytest.mark.parametrize("axes", ["limbs", "smpl"])
def test_every_finger_and_the_skin_are_where_the_motion_has_them(tmp_path, axes):
    motion = moving_fingers()
    rig = bring_in(tmp_path, motion, axes=axes)
    expected = joints_m(motion) @ TO_BLENDER.T
    names = [bone_by_joint(rig)[joint] for joint in WITH_FINGERS.names]
    body = load_body("open-neutral", fingers=True)
    rotations = from_quaternions(motion.rotations_wxyz.astype(np.float64))
    skin = body.vertices_m(rotations, motion.betas, motion.root_m) @ TO_BLENDER.T
    for frame in (0, 5, 11):
        bpy.context.scene.frame_set(frame + 1)
        np.testing.assert_allclose(heads_m(rig, names), expected[frame], atol=1e-4)
        np.testing.assert_allclose(vertices_m(rig.children[0]), skin[frame], atol=1e-4)


def test_a_positive_turn_about_x_curls_every_finger(tmp_path):
    rig = bring_in(tmp_path, moving_fingers(2))
    rig.animation_data.action = None
    for side in ("left", "right"):
        chains = np.array(finger_joints(side)).reshape(5, 3)
        pinky = rig.pose.bones[WITH_FINGERS.names[chains[2, 0]]]
        for chain in chains:
            for pose in rig.pose.bones:
                pose.rotation_quaternion = (1, 0, 0, 0)
            bpy.context.view_layer.update()
            last = rig.pose.bones[WITH_FINGERS.names[chain[2]]]
            before, thumb = np.array(last.tail), chain[0] == chains[4, 0]
            for joint in chain:
                bone = rig.pose.bones[WITH_FINGERS.names[joint]]
                bone.rotation_quaternion = (0.9659, 0.2588, 0, 0)  # 30 degrees
            bpy.context.view_layer.update()
            after = np.array(last.tail)
            if thumb:  # towards the root of the little finger
                away = [np.linalg.norm(point - np.array(pinky.head)) for point in (before, after)]
                assert away[1] < away[0] - 0.005, chain
            else:  # towards the palm, which looks down
                assert after[2] < before[2] - 0.01, chain


def marked(action, bone: str, prop: str = "rotation_quaternion") -> np.ndarray:
    """(T,) bool: which keys of a bone say that nobody saw it, the same on all its curves."""
    found = [c for c in curves(action) if c.data_path == f'pose.bones["{bone}"].{prop}']
    assert found, bone
    told = np.array([[key.type != "KEYFRAME" for key in curve.keyframe_points] for curve in found])
    assert (told == told[0]).all()
    return told[0]


def half_seen(count: int = 12) -> Motion:
    """The left hand is not seen on keys 3 to 6, the right one on 9, nobody on 11."""
    seen, observed = np.ones((count, 2), bool), np.ones(count, bool)
    seen[3:7, 0] = seen[9, 1] = observed[11] = False
    return replace(moving_fingers(count), hand_seen=seen, observed=observed)


def test_keys_are_marked_where_a_hand_was_not_seen(tmp_path):
    """By the type that keys have where nobody saw the body; of that hand's fingers alone."""
    motion = half_seen()
    assert motion.hand_seen is not None
    rig = bring_in(tmp_path, motion)
    left, right = motion.hand_seen.T
    away = ~motion.observed
    for joint in WITH_FINGERS.names[22:]:
        hidden = ~left if joint.startswith("left") else ~right
        told = marked(rig.animation_data.action, joint)
        np.testing.assert_array_equal(told, hidden | away, err_msg=joint)
    for joint in ("L_Wrist", "R_Elbow", "Head"):
        np.testing.assert_array_equal(marked(rig.animation_data.action, joint), away)


def test_on_whole_frames_a_hand_is_seen_where_both_keys_around_are(tmp_path):
    rig = bring_in(tmp_path, half_seen(), keys="whole", scene_fps="60")
    told = marked(rig.animation_data.action, "left_index1")
    assert told.sum() == 2 * 4 + 1 + 2, "four keys, their halves and both sides, and the last"
    assert not told[:4].any()


def test_the_raw_layer_marks_them_too(tmp_path):
    motion = half_seen()
    assert motion.hand_seen is not None
    raw = {"raw_rotations_wxyz": motion.rotations_wxyz, "raw_root_m": motion.root_m}
    rig = bring_in(tmp_path, replace(motion, **raw))
    assert bpy.ops.staf.add_raw() == {"FINISHED"}
    strips = [s for track in rig.animation_data.nla_tracks for s in track.strips]
    for strip in strips:
        told = marked(strip.action, "left_index1")
        np.testing.assert_array_equal(told, ~motion.hand_seen[:, 0] | ~motion.observed)


def test_an_older_file_marks_nothing(tmp_path):
    rig = bring_in(tmp_path, moving_fingers())
    assert not marked(rig.animation_data.action, "left_index1").any()


def test_fingers_are_hidden_at_a_click(tmp_path):
    rig = bring_in(tmp_path, moving_fingers(2))
    collection = rig.data.collections[FINGERS]
    assert len(collection.bones) == 30
    assert {bone.name for bone in collection.bones} == set(WITH_FINGERS.names[22:])


def test_a_motion_without_fingers_has_no_such_collection(tmp_path):
    rig = bring_in(tmp_path, known_motion(2))
    assert FINGERS not in rig.data.collections
    assert len(rig.data.bones) == 25


def test_programs_find_their_own_names(tmp_path):
    rig = bring_in(tmp_path, moving_fingers(2), bone_names="mixamo")
    assert bone_by_joint(rig)["left_ring2"] == "LeftHandRing2"


def test_a_body_file_without_fingers_says_so(tmp_path):
    from addon.scene.body_file import BodyFileError, open_body_path, read_body

    with np.load(open_body_path("open-male")) as archive:
        arrays = {n: archive[n] for n in archive.files if not n.startswith("fingers_")}
    np.savez(tmp_path / "old.npz", **arrays)
    with pytest.raises(BodyFileError, match="has no fingers"):
        read_body(tmp_path / "old.npz", "old", fingers=True)
    assert len(read_body(tmp_path / "old.npz", "old").joint_names) == 24


def test_the_slider_fades_fingers_to_their_mean_and_leaves_the_rest(tmp_path):
    rig = bring_in(tmp_path, moving_fingers(12))
    names = list(WITH_FINGERS.names)
    bpy.context.scene.frame_set(4)
    seen = heads_m(rig, names)
    assert bpy.ops.staf.add_fade() == {"FINISHED"}
    np.testing.assert_allclose(heads_m(rig, names), seen, atol=1e-6)

    def at(frame: int, fade: float) -> np.ndarray:
        rig["fade_fingers"] = fade
        rig.update_tag()
        bpy.context.scene.frame_set(frame)
        wrist = rig.evaluated_get(bpy.context.evaluated_depsgraph_get()).pose.bones["L_Wrist"]
        inside = np.linalg.inv(np.array(wrist.matrix))
        tips = heads_m(rig, ["left_index3", "left_pinky3", "left_thumb3"])
        return tips @ inside[:3, :3].T + inside[:3, 3]

    assert np.abs(at(2, 0.0) - at(9, 0.0)).max() > 5e-3, "fingers move"
    np.testing.assert_allclose(at(2, 1.0), at(9, 1.0), atol=1e-5)
    half = at(9, 0.5)
    assert np.abs(half - at(9, 0.0)).max() < np.abs(at(9, 1.0) - at(9, 0.0)).max()
    body = names[:22]
    rig["fade_fingers"] = 0.0
    rig.update_tag()
    bpy.context.scene.frame_set(4)
    before = heads_m(rig, body)
    rig["fade_fingers"] = 1.0
    rig.update_tag()
    bpy.context.scene.frame_set(4)
    np.testing.assert_allclose(heads_m(rig, body), before, atol=1e-7)
    assert bpy.ops.staf.remove_fade() == {"FINISHED"}
    np.testing.assert_allclose(heads_m(rig, names), seen, atol=1e-6)
    assert not any(bone.constraints for bone in rig.pose.bones)


def test_who_has_no_fingers_has_no_slider(tmp_path):
    bring_in(tmp_path, known_motion(3))
    with pytest.raises(RuntimeError, match="walk has no fingers"):
        bpy.ops.staf.add_fade()
