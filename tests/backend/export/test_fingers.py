"""Motions with fingers, as every file that carries them."""

import json
from pathlib import Path

import numpy as np
import pytest

from staf_backend.body import WITH_FINGERS, finger_joints, load_body
from staf_backend.export.amass import save_amass
from staf_backend.export.bone_names import BONE_NAMES, bone_names_of
from staf_backend.export.gltf import write_glb
from staf_backend.geometry import SMPL, Skeleton, from_axis_angle, from_quaternions
from staf_backend.motion import Motion, MotionError, joints_m, load_motion, save_motion
from tests.support.glb_reader import read_glb
from tests.support.node_checks import run_node
from tests.support.sample_motions import sample_motion

BODY = load_body("open-neutral", fingers=True)


def moving_fingers() -> Motion:
    """52 joints, each moving differently."""
    rng = np.random.default_rng(4)
    rate = rng.uniform(0.3, 1, (1, 52, 3))
    turns = from_axis_angle(0.4 * np.sin(np.arange(20)[:, None, None] / 5 * rate))
    betas = np.linspace(-1, 1, 10)
    return sample_motion(
        turns, betas=betas, skeleton=WITH_FINGERS, rest_joints_m=BODY.rest_joints_m(betas)
    )


def test_the_motion_file_keeps_them(tmp_path: Path):
    motion = moving_fingers()
    save_motion(tmp_path / "m.npz", motion)
    back = load_motion(tmp_path / "m.npz")
    assert back.skeleton.names == WITH_FINGERS.names
    assert back.skeleton.parents == WITH_FINGERS.parents
    np.testing.assert_array_equal(back.rotations_wxyz, motion.rotations_wxyz)


def test_amass_has_their_columns(tmp_path: Path):
    motion = moving_fingers()
    save_amass(tmp_path / "a.npz", motion)
    poses = np.load(tmp_path / "a.npz")["poses"].reshape(-1, 52, 3)
    expected = from_quaternions(motion.rotations_wxyz.astype(float))
    np.testing.assert_allclose(from_axis_angle(poses[:, 1:]), expected[:, 1:], atol=1e-5)


def test_amass_refuses_other_skeletons(tmp_path: Path):
    names = (*WITH_FINGERS.names[:-1], "tail")
    motion = moving_fingers()
    tail = Skeleton(names, WITH_FINGERS.parents)
    strange = sample_motion(
        from_quaternions(motion.rotations_wxyz.astype(float)),
        skeleton=tail,
        rest_joints_m=motion.rest_joints_m,
    )
    with pytest.raises(MotionError, match="SMPL-H's 52"):
        save_amass(tmp_path / "a.npz", strange)


def test_the_glb_puts_every_finger_where_the_motion_does(tmp_path: Path):
    motion = moving_fingers()
    write_glb(tmp_path / "m.glb", [motion], {"open-neutral": BODY})
    glb = read_glb(tmp_path / "m.glb")
    names = [glb.json["nodes"][node]["name"] for node in glb.json["skins"][0]["joints"]]
    assert tuple(names[1:]) == WITH_FINGERS.names
    expected = joints_m(motion)
    for key in (0, 7, 19):
        found = glb.joints_m(0, motion.name, key)[1:]
        np.testing.assert_allclose(found, expected[key], atol=1e-4)


def test_the_khronos_validator_finds_nothing_in_52_joints(tmp_path: Path):
    path = tmp_path / "m.glb"
    write_glb(path, [moving_fingers()], {"open-neutral": BODY})
    issues = run_node("validate.mjs", str(path))[str(path)]
    assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues


def test_three_js_has_every_finger_and_its_tip_where_the_motion_has_them(tmp_path: Path):
    motion, keys = moving_fingers(), [0, 7, 19]
    write_glb(tmp_path / "m.glb", [motion], {"open-neutral": BODY})
    rotations = from_quaternions(motion.rotations_wxyz[keys].astype(float))
    tips = BODY.vertices_m(rotations, motion.betas, motion.root_m[keys])[:, tip_vertices()]
    first = read_glb(tmp_path / "m.glb").vertices_m(0, motion.name, keys[0])
    numbers = [int(np.linalg.norm(first - tip, axis=1).argmin()) for tip in tips[0]]
    times_s = [float(time) for time in (motion.times_s - motion.times_s[0])[keys]]
    arguments = [str(tmp_path / "m.glb"), motion.name, json.dumps(times_s), json.dumps(numbers)]
    person = run_node("three_joints.mjs", *arguments)["people"][0]
    np.testing.assert_allclose(np.array(person["joints"])[:, 1:], joints_m(motion)[keys], atol=1e-4)
    np.testing.assert_allclose(person["vertices"], tips, atol=1e-4)


def tip_vertices() -> list[int]:
    """Ten vertices of the body, the farthest along each finger's last bone."""
    joints, found = BODY.rest_joints_m(np.zeros(10)), []
    for side in ("left", "right"):
        for before, last in np.array(finger_joints(side)).reshape(5, 3)[:, 1:]:
            reach = (BODY.template_m - joints[last]) @ (joints[last] - joints[before])
            reach[BODY.dense_weights[:, last] <= 0.5] = -np.inf
            found.append(int(reach.argmax()))
    return found


def test_a_body_without_fingers_does_not_carry_them(tmp_path: Path):
    with pytest.raises(MotionError, match="another skeleton"):
        write_glb(
            tmp_path / "m.glb", [moving_fingers()], {"open-neutral": load_body("open-neutral")}
        )


@pytest.mark.parametrize("scheme", BONE_NAMES)
def test_names_of_fingers(scheme: str):
    names = bone_names_of(scheme, WITH_FINGERS)
    assert len(set(names)) == 52
    assert names[:22] == BONE_NAMES[scheme][:22]
    assert bone_names_of(scheme, SMPL) == BONE_NAMES[scheme]


def test_programs_words_for_fingers():
    at = WITH_FINGERS.index("left_index1"), WITH_FINGERS.index("right_thumb1")
    expected = {
        "mixamo": ("mixamorig:LeftHandIndex1", "mixamorig:RightHandThumb1"),
        "vrm": ("leftIndexProximal", "rightThumbMetacarpal"),
        "unreal": ("index_01_l", "thumb_01_r"),
    }
    for scheme, words in expected.items():
        names = bone_names_of(scheme, WITH_FINGERS)
        assert tuple(names[joint] for joint in at) == words
