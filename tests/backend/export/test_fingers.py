"""Motions with fingers, as every file that carries them."""

from pathlib import Path

import numpy as np
import pytest

from staf_backend.body import WITH_FINGERS, load_body
from staf_backend.export.amass import save_amass
from staf_backend.export.bone_names import BONE_NAMES, bone_names_of
from staf_backend.export.gltf import write_glb
from staf_backend.geometry import SMPL, Skeleton, from_axis_angle, from_quaternions
from staf_backend.motion import Motion, MotionError, joints_m, load_motion, save_motion
from tests.support.glb_reader import read_glb
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
