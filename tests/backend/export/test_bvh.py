"""BVH files read back by a reader that shares nothing with the writer."""

from pathlib import Path

import numpy as np
import pytest

from staf_backend.body import load_body
from staf_backend.choices import BONE_SCHEMES, BoneScheme, BvhUnit
from staf_backend.export.bone_names import BONE_NAMES
from staf_backend.export.bvh import write_bvh, zxy_degrees
from staf_backend.files import OutputError
from staf_backend.geometry import SMPL, from_axis_angle
from staf_backend.motion import joints_m
from tests.support.bvh_reader import read_bvh
from tests.support.sample_motions import raised_left_arm, sample_motion, swaying


@pytest.mark.parametrize(("unit", "per_metre"), [("m", 1), ("cm", 100)])
@pytest.mark.parametrize("add_offset", [True, False])
def test_joints_are_within_a_millimetre(
    tmp_path: Path, unit: BvhUnit, per_metre: int, add_offset: bool
):
    """However a reader treats the offset of a joint that has positions."""
    motion = sample_motion(swaying(40, scale_rad=1.5))
    write_bvh(tmp_path / "a.bvh", motion, unit=unit)
    bvh = read_bvh(tmp_path / "a.bvh")
    assert bvh.frame_s == pytest.approx(1 / 30)
    found = bvh.positions(add_offset=add_offset)
    expected = joints_m(motion)
    assert len(found["Pelvis"]) == len(expected)
    for joint, name in enumerate(SMPL.names):
        np.testing.assert_allclose(found[name] / per_metre, expected[:, joint], atol=1e-4)


def test_fingers_are_joints_like_others(tmp_path: Path):
    body = load_body("open-neutral", fingers=True)
    rng = np.random.default_rng(3)
    turns = from_axis_angle(rng.normal(0, 0.3, (5, len(body.skeleton), 3)))
    rest_m = body.rest_joints_m(np.linspace(-1, 1, 10))
    words = {"joint_names": body.skeleton.names, "parents": body.skeleton.parents}
    motion = sample_motion(turns, rest_joints_m=rest_m, skeleton=body.skeleton)
    assert words["joint_names"] == motion.skeleton.names
    write_bvh(tmp_path / "a.bvh", motion)
    found = read_bvh(tmp_path / "a.bvh").positions()
    for joint, name in enumerate(motion.skeleton.names):
        np.testing.assert_allclose(found[name], joints_m(motion)[:, joint], atol=1e-4)


@pytest.mark.parametrize("scheme", BONE_SCHEMES)
def test_bones_have_the_names_that_were_asked_for(tmp_path: Path, scheme: BoneScheme):
    write_bvh(tmp_path / "a.bvh", sample_motion(swaying(2)), bone_names=scheme)
    joints = read_bvh(tmp_path / "a.bvh").joints
    assert joints[0].name == BONE_NAMES[scheme][0]
    names = {joint.name for joint in joints if joint.channels}
    assert names == set(BONE_NAMES[scheme])
    assert [len(joint.channels) for joint in joints if joint.channels] == [6] + [3] * 23


def test_in_place_there_is_no_way_over_the_ground(tmp_path: Path):
    motion = sample_motion()
    write_bvh(tmp_path / "a.bvh", motion, root_motion="in-place")
    found = read_bvh(tmp_path / "a.bvh").positions()["Pelvis"]
    assert np.ptp(found[:, [0, 2]], axis=0).max() < 1e-5
    np.testing.assert_allclose(found[:, 1], motion.root_m[:, 1], atol=1e-5)


def test_the_arm_that_is_raised_is_the_left_one(tmp_path: Path):
    write_bvh(tmp_path / "a.bvh", sample_motion(raised_left_arm()))
    found = read_bvh(tmp_path / "a.bvh").positions()
    assert found["L_Wrist"][0, 1] > found["Head"][0, 1]
    assert found["R_Wrist"][0, 1] < found["Head"][0, 1]
    assert found["L_Hip"][0, 0] > found["R_Hip"][0, 0], "left towards +x: it faces +z"


def test_a_varying_clock_becomes_the_nearest_rate(tmp_path: Path):
    times_s = 2.5 + np.cumsum(np.r_[0, np.tile([0.03, 0.0366667], 20)])[:40]
    motion = sample_motion(times_s=times_s)
    write_bvh(tmp_path / "a.bvh", motion)
    bvh = read_bvh(tmp_path / "a.bvh")
    length = (len(bvh.values) - 1) * bvh.frame_s
    assert length == pytest.approx(times_s[-1] - times_s[0], abs=bvh.frame_s)


class TestAngles:
    def test_they_never_jump_where_the_movement_does_not(self):
        """A limb that turns round and round, and one that passes straight up."""
        swings = np.radians(np.linspace(0, 720, 240))
        about = np.array([[0, 0, 1.0], [0, 1.0, 0], [1.0, 0, 0], [0.7, 0.1, 0.7]])
        turns = from_axis_angle(swings[:, None, None] * about)
        angles = zxy_degrees(turns)
        assert abs(np.diff(angles, axis=0))[:, :3].max() < 4
        assert np.ptp(angles[:, 0, 0]) == pytest.approx(720, abs=0.01)

    def test_straight_up_is_an_angle_like_others(self):
        turns = from_axis_angle(np.radians([[[90.0, 0, 0]], [[-90.0, 0, 0]]]))
        np.testing.assert_allclose(zxy_degrees(turns)[:, 0, 1], [90, -90], atol=1e-4)


def test_equal_motions_give_equal_bytes(tmp_path: Path):
    for name in "ab":
        write_bvh(tmp_path / f"{name}.bvh", sample_motion())
    assert (tmp_path / "a.bvh").read_bytes() == (tmp_path / "b.bvh").read_bytes()


class TestRefusals:
    def test_an_unknown_unit(self, tmp_path: Path):
        with pytest.raises(ValueError, match="m, cm"):
            write_bvh(tmp_path / "a.bvh", sample_motion(), unit="inch")  # pyright: ignore[reportArgumentType]
        assert list(tmp_path.iterdir()) == []

    def test_a_place_that_is_not_there(self, tmp_path: Path):
        with pytest.raises(OutputError, match="folder does not exist"):
            write_bvh(tmp_path / "gone" / "a.bvh", sample_motion())
