"""Time, axes and bones, without Blender."""

import numpy as np
import pytest

from addon.scene.axes import TO_BLENDER, camera_matrix, continuous, matrix_of, to_blender
from addon.scene.bone_names import SCHEMES, bone_names
from addon.scene.bones import keys_of, layout
from addon.scene.motion_file import read_motion
from addon.scene.timing import FrameRate, frame_rate, frames_of, rate_of
from staf_backend.export.bone_names import BONE_NAMES
from staf_backend.geometry import SMPL, from_axis_angle, to_quaternions
from tests.addon.known_motions import write


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (29.97002997, FrameRate(30, 1.001)),
        (29.97, FrameRate(30, 1.001)),
        (23.976, FrameRate(24, 1.001)),
        (59.94, FrameRate(60, 1.001)),
        (25, FrameRate(25, 1.0)),
        (120, FrameRate(120, 1.0)),
    ],
)
def test_common_rates_are_exact(rate, expected):
    assert frame_rate(rate) == expected


@pytest.mark.parametrize("rate", [7.5, 14.985, 29.5, 0.5, 23.02, 1000.3])
def test_any_rate_is_met(rate):
    assert frame_rate(rate).rate == pytest.approx(rate, rel=1e-4)


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_impossible_rates(rate):
    with pytest.raises(ValueError, match="rate"):
        frame_rate(rate)


def test_an_hour_does_not_drift():
    times = np.arange(107_892) * 1001 / 30_000
    frames = frames_of(times, 1, frame_rate(29.97).rate)
    assert np.array_equal(frames, np.arange(1, 107_893))


def test_clocks_of_milliseconds_land_on_frames():
    times = np.round(np.arange(300) / 30, 3)
    assert np.array_equal(frames_of(times, 1, 30), np.arange(1, 301))


def test_keys_closer_than_frames_never_meet():
    frames = frames_of(np.arange(500) / 1000, 1, 24)
    assert (np.diff(frames) > 0).all()


def test_rate_without_a_nominal_one():
    assert rate_of(np.array([0, 0.04, 0.08, 0.5]), 0) == pytest.approx(25)
    assert rate_of(np.array([1.0]), 0) == 24
    assert rate_of(np.array([0, 1]), 50) == 50


def test_turn_to_blender_is_a_rotation_that_keeps_left_and_raises_up():
    assert np.linalg.det(TO_BLENDER) == pytest.approx(1)
    assert np.array_equal(to_blender(np.eye(3)), [[1, 0, 0], [0, 0, 1], [0, -1, 0]])


def test_level_camera_looks_along_positive_y_with_z_up():
    matrix = camera_matrix(np.array([1.0, 0, 0, 0]), np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(matrix[:3, :3] @ [0, 0, -1], [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(matrix[:3, :3] @ [0, 1, 0], [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(matrix[:3, 3], [1, -3, 2])


def test_signs_become_continuous_and_rotations_stay():
    vectors = np.cumsum(np.full((50, 3), 0.2), 0)
    quaternions = to_quaternions(from_axis_angle(vectors))
    smooth = continuous(quaternions)
    assert (np.sum(smooth[1:] * smooth[:-1], -1) > 0.9).all()
    np.testing.assert_allclose(matrix_of(smooth), matrix_of(quaternions), atol=1e-12)


@pytest.mark.parametrize("axes", ["limbs", "smpl"])
def test_no_bone_is_without_length_or_free_roll(tmp_path, axes):
    clip = read_motion(write(tmp_path / "a.npz", 2))
    bones = layout(clip.rest_joints_m, clip.parents, 1.2, axes)
    along = bones.tails_m - bones.heads_m
    lengths = np.linalg.norm(along, axis=1, keepdims=True)
    assert lengths.min() >= 0.02 - 1e-9
    crossing = np.linalg.norm(np.cross(along / lengths, bones.z_axes), axis=1)
    assert crossing.min() > 0.3


def test_joints_on_one_place_still_give_bones():
    rest = np.zeros((3, 3))
    bones = layout(rest, (-1, 0, 1), 0.0)
    assert np.linalg.norm(bones.tails_m - bones.heads_m, axis=1).min() >= 0.02 - 1e-9


def test_travel_adds_up(tmp_path):
    clip = read_motion(write(tmp_path / "a.npz", 9))
    heads = to_blender(clip.rest_joints_m)
    axes = np.tile(TO_BLENDER, (24, 1, 1))
    keys = {t: keys_of(clip, heads, axes, TO_BLENDER, t) for t in ("root", "pelvis", "in-place")}
    whole = to_blender(clip.root_m) - heads[0]
    for travel in ("root", "pelvis"):
        added = (keys[travel].root_m + keys[travel].pelvis_m) @ TO_BLENDER.T
        np.testing.assert_allclose(added, whole, atol=1e-12)
    assert np.abs((keys["root"].pelvis_m @ TO_BLENDER.T)[:, :2]).max() < 1e-12
    assert not keys["in-place"].root_m.any()
    with pytest.raises(ValueError, match="travel"):
        keys_of(clip, heads, axes, TO_BLENDER, "fly")


def test_smpl_axes_leave_quaternions_as_they_are(tmp_path):
    clip = read_motion(write(tmp_path / "a.npz", 9))
    axes = np.tile(TO_BLENDER, (24, 1, 1))
    keys = keys_of(clip, to_blender(clip.rest_joints_m), axes, TO_BLENDER, "root")
    np.testing.assert_allclose(keys.rotations_wxyz, continuous(clip.rotations_wxyz), atol=1e-7)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_bone_names_are_the_backends(scheme):
    theirs = tuple(name.removeprefix("mixamorig:") for name in BONE_NAMES[scheme])
    assert bone_names(SMPL.names, scheme) == theirs


def test_unknown_joints_keep_their_names():
    assert bone_names(("Pelvis", "tail"), "mixamo") == ("Hips", "tail")
    with pytest.raises(ValueError, match="scheme"):
        bone_names(SMPL.names, "maya")


def test_wrong_axes_are_refused():
    with pytest.raises(ValueError, match="axes"):
        layout(np.zeros((24, 3)), SMPL.parents, 0, "maya")
