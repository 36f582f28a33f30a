"""Motions: fields checked, trimmed, mirrored, seen by their camera."""

import dataclasses
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from staf_backend.geometry import SMPL, Camera, CameraPath, forward_kinematics
from staf_backend.motion import MotionError, joints_m
from staf_backend.motion.edits import mirror, trim
from tests.support.sample_motions import (
    assert_equal,
    sample_motion,
    swaying,
    with_all,
    with_keypoints,
)


def test_arrays_are_copies_and_read_only():
    root_m = np.zeros((40, 3))
    motion = sample_motion(root_m=root_m)
    root_m[:] = 9
    assert motion.root_m.max() == 0
    with pytest.raises(ValueError, match="read-only"):
        motion.root_m[0] = 1


def test_joints_follow_the_rotations():
    rotations = swaying()
    motion = sample_motion(rotations)
    _, expected = forward_kinematics(rotations, motion.rest_joints_m, motion.root_m)
    np.testing.assert_allclose(joints_m(motion), expected, atol=1e-6)
    lengths = np.linalg.norm(np.diff(joints_m(motion)[:, [16, 18]], axis=1), axis=-1)
    assert np.ptp(lengths) < 1e-9


BAD_FIELDS = [
    ("times_s", np.zeros(40)),
    ("times_s", np.full(40, np.nan)),
    ("times_s", np.zeros(0)),
    ("frames", np.arange(39)),
    ("frames", np.arange(40)[::-1]),
    ("frames", np.arange(40) + 0.5),
    ("rotations_wxyz", np.ones((40, 24, 4))),
    ("rotations_wxyz", np.zeros((40, 23, 4))),
    ("root_m", np.zeros((40, 2))),
    ("root_m", np.full((40, 3), np.inf)),
    ("root_m", np.full((40, 3), "x")),
    ("observed", np.ones(40)),
    ("betas", np.zeros((1, 10))),
    ("betas", np.full(10, np.nan)),
    ("rest_joints_m", np.zeros((24, 2))),
    ("body", ""),
    ("gender", None),
    ("person", 1.5),
    ("person", -1),
    ("source_fps", float("nan")),
    ("quality", {"jitter": float("nan")}),
    ("keypoints_px", np.zeros((40, 5, 3))),
    ("camera_path", CameraPath(np.tile([1.0, 0, 0, 0], (39, 1)), np.zeros((39, 3)))),
    ("camera_path", CameraPath(np.tile([0.0, 1, 0, 0], (40, 1)), np.zeros((40, 3)))),
    ("contact_names", ("left_heel",)),
    ("raw_root_m", np.zeros((40, 3))),
    ("card", {"words": np.zeros(2)}),
    ("card", {"numbers": float("nan")}),
    ("card", ["words"]),
]


@pytest.mark.parametrize(("field", "value"), BAD_FIELDS)
def test_a_bad_field_is_named(field: str, value: Any):
    with pytest.raises(MotionError, match=field):
        dataclasses.replace(sample_motion(), **{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("focal_px", 0.0),
        ("focal_px", float("nan")),
        ("width_px", 0),
        ("rotation_deg", 45),
        ("rotation_wxyz", np.zeros(4)),
        ("position_m", np.zeros(2)),
        ("principal_point_px", np.array([np.nan, 0])),
    ],
)
def test_a_bad_camera_field_is_named(field: str, value: Any):
    fields = {"focal_px": 1000.0, "width_px": 640, "height_px": 480} | {field: value}
    with pytest.raises(ValueError, match=field):
        Camera(**fields)


def test_trim_keeps_the_videos_clock():
    motion = with_keypoints()
    part = trim(motion, 2.6, 3.0)
    assert part.times_s[0] >= 2.6
    assert part.times_s[-1] < 3.0
    np.testing.assert_array_equal(part.frames, np.rint(part.times_s * 30))
    assert part.keypoints_px is not None
    assert len(part.keypoints_px) == len(part.times_s)
    with pytest.raises(MotionError, match=r"no keys from 9 to 10 s.*runs from 2\.500"):
        trim(motion, 9, 10)


def test_trim_cuts_all_that_has_keys():
    motion = with_all()
    part = trim(motion, 2.6, 3.0)
    rows = np.flatnonzero((motion.times_s >= 2.6) & (motion.times_s < 3.0))
    assert part.camera_path is not None
    assert motion.camera_path is not None
    np.testing.assert_array_equal(
        part.camera_path.positions_m, motion.camera_path.positions_m[rows]
    )
    np.testing.assert_array_equal(part.camera.position_m, motion.camera_path.positions_m[rows[0]])
    for name in ("contact_probability", "raw_root_m", "raw_rotations_wxyz"):
        np.testing.assert_array_equal(getattr(part, name), getattr(motion, name)[rows])
    assert [(s.start_s, s.end_s) for s in part.contacts] == [(part.times_s[0], 2.7), (2.8, 2.9)]


def test_mirror_leaves_nobody_elsewhere_in_the_picture():
    motion = with_all()
    flipped = mirror(motion)
    points = motion.to_camera_axes(joints_m(motion))
    swap = [SMPL.names.index(_partner(name)) for name in SMPL.names]
    seen = flipped.to_camera_axes(joints_m(flipped))
    np.testing.assert_allclose(seen, points[:, swap] * [-1, 1, 1], atol=1e-6)
    assert flipped.contact_names == ("right_heel", "seat")
    assert [s.part for s in flipped.contacts] == ["right_heel", "right_toe"]
    assert_equal(mirror(flipped), motion)


def test_mirror_shows_the_other_side_and_undoes_itself():
    motion = with_keypoints()
    flipped = mirror(motion)
    swap = [SMPL.names.index(_partner(name)) for name in SMPL.names]
    expected = joints_m(motion)[:, swap] * [-1, 1, 1]
    np.testing.assert_allclose(joints_m(flipped), expected, atol=1e-6)
    assert flipped.keypoints_px is not None
    assert motion.keypoints_px is not None
    left_x_px = motion.keypoints_px[:, 1, 0]
    np.testing.assert_allclose(flipped.keypoints_px[:, 2, 0], 1280 - left_x_px)
    np.testing.assert_allclose(joints_m(mirror(flipped)), joints_m(motion), atol=1e-6)


def _partner(name: str) -> str:
    return {"L_": "R_", "R_": "L_"}.get(name[:2], name[:2]) + name[2:]


def test_the_light_rooms_load_no_heavy_library():
    code = (
        "import sys, staf_backend.motion.motion, staf_backend.export.gltf, "
        "staf_backend.export.amass, "
        "staf_backend.body.body, staf_backend.motion.edits\n"
        "heavy = {'torch', 'cv2', 'onnxruntime', 'scipy', 'av', 'pygltflib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_camera_sees_from_its_principal_point():
    camera = Camera(1000.0, 640, 480, principal_point_px=np.array([300.0, 260.0]))
    np.testing.assert_allclose(
        camera.project(np.array([[0, 0, 3.0], [1, 2, 4]])), [[300, 260], [550, 760]]
    )
