"""3DPW: every frame of its splits, its bodies, and lists that lie."""

from pathlib import Path

import numpy as np
import pytest

from staf_backend.body import load_body
from staf_backend.body.pickles import read_pickled_lists
from staf_backend.geometry import rotations, skeleton
from tests.support import make_training_sets as made
from tests.support.make_body_files import model_arrays, write_npz
from tests.support.make_picture_sets import SLOT, known, ready
from tests.support.make_video_sets import make_3dpw, seen_px
from training.datasets import SetError
from training.joints import HIPS


def test_3dpw(tmp_path: Path):
    """A pickle of Python 2, read without running it; the camera turns root and joints alike."""
    content = make_3dpw(tmp_path / "root")
    found = ready("3dpw", tmp_path)
    assert (len(found), found.body, found.fps) == (11, "smpl-gendered", 30.0)
    assert found.gender.tolist() == [1] * 5 + [2] * 6
    assert found.frame.tolist() == [0, 1, 2, 4, 5, 0, 1, 2, 3, 4, 5]
    assert made.extents(found).tolist() == [[0, 3], [3, 5], [5, 11]]
    assert found.image_of(3) == "imageFiles/yard_00/image_00004.jpg"
    np.testing.assert_allclose(found.betas[5], content["betas"][1][:10], rtol=1e-6)
    camera = content["cam_poses"][0]
    local = rotations.from_axis_angle(content["poses"][1].reshape(6, 24, 3))
    turned = rotations.from_quaternions(found.quaternions_wxyz[5:])
    np.testing.assert_allclose(turned[:, 0], camera[:3, :3] @ local[:, 0], atol=1e-5)
    np.testing.assert_allclose(turned[:, 1:], local[:, 1:], atol=1e-5)
    joints = content["jointPositions"][1].reshape(6, 24, 3) @ camera[:3, :3].T + camera[:3, 3]
    expected = joints[:, 20] - joints[:, 1:3].mean(1)  # left wrist
    for name in ("left_wrist", "op_left_wrist"):
        np.testing.assert_allclose(found.joints_m[5:, SLOT[name], :3], expected, atol=1e-5)
    np.testing.assert_allclose(
        found.keypoints_px[5:, SLOT["left_wrist"], :2], seen_px(joints[:, 20]), atol=1e-3
    )
    assert "right_hip" not in known(found.joints_m[0]), "LSP's hips are not SMPL's"


def test_3dpw_keeps_every_frame_of_the_test_split(tmp_path: Path):
    make_3dpw(tmp_path / "root")
    found = ready("3dpw", tmp_path, split="test")
    assert len(found) == 12
    assert found.valid.tolist() == [True] * 3 + [False] + [True] * 8


def test_3dpw_with_bodies(tmp_path: Path):
    """All 49 joints from the user's SMPL files; those that the sequence lists lie as listed."""
    bodies = tmp_path / "bodies"
    bodies.mkdir()
    models = {"MALE": model_arrays(seed=1), "FEMALE": model_arrays(seed=2)}
    write_npz(bodies / "SMPL_MALE.npz", models["MALE"])
    content = make_3dpw(tmp_path / "root")
    with pytest.raises(SetError, match=r"holds no female SMPL file \(only male\)"):
        ready("3dpw", tmp_path, bodies=bodies)
    write_npz(bodies / "SMPL_FEMALE.npz", models["FEMALE"])
    found = ready("3dpw", tmp_path, bodies=bodies)
    assert (found.joints_m[..., 3] == 1).all()
    hips = found.joints_m[:, HIPS, :3].mean(1)
    np.testing.assert_allclose(hips, 0, atol=1e-5)
    body = load_body(bodies / "SMPL_FEMALE.npz")
    turn = rotations.from_axis_angle(content["poses"][1].reshape(6, 24, 3))
    turn[:, 0] = content["cam_poses"][0, :3, :3] @ turn[:, 0]
    rest_m = body.rest_joints_m(content["betas"][1][:10])
    joints = skeleton.forward_kinematics(turn, rest_m, np.zeros((6, 3)))[1]
    expected = joints[:, 20] - joints[:, 1:3].mean(1)  # left wrist, hips composed of SMPL's
    np.testing.assert_allclose(found.joints_m[5:, SLOT["left_wrist"], :3], expected, atol=1e-4)


def test_3dpw_rubbish(tmp_path: Path):
    root = tmp_path / "root"
    make_3dpw(root, genders=["m"])
    with pytest.raises(SetError, match="disagrees on how many people"):
        ready("3dpw", tmp_path)
    make_3dpw(root, cam_poses=np.zeros((5, 4, 4)))
    with pytest.raises(SetError, match=r"cam_poses is \(5, 4, 4\), not \(6, 4, 4\)"):
        ready("3dpw", tmp_path)
    make_3dpw(root, poses=None)
    with pytest.raises(SetError, match="lacks the entry 'poses'"):
        ready("3dpw", tmp_path)
    path = root / "sequenceFiles/train/yard_00.pkl"
    path.write_bytes(b"cos\nsystem\n(S'touch " + str(tmp_path / "run").encode() + b"'\ntR.")
    with pytest.raises(SetError, match=r"asks to run code \(os\.system\); it was not run"):
        ready("3dpw", tmp_path)
    assert not (tmp_path / "run").exists()
    path.write_bytes(made.python2_pickle({"a": 1})[:9])
    with pytest.raises(SetError, match="damaged or cut short"):
        ready("3dpw", tmp_path)


def test_a_list_that_repeats_itself_takes_no_memory():
    """A megabyte array named ten thousand times over: ten gigabytes if each were a copy."""
    array = made.python2_pickle(np.zeros(1 << 17))[2:-1]
    data = b"\x80\x02}(T\x01\x00\x00\x00a](" + array + b"q\x07" + b"h\x07" * 9_999 + b"eu."
    found = read_pickled_lists(data)["a"]
    assert len(found) == 10_000
    assert len({id(entry) for entry in found}) == 1
    assert "a" not in read_pickled_lists(made.python2_pickle({"a": [[[1]]]})), "one level only"
