"""MPI-INF-3DHP in its authors' files, with mesh labels, as JSON, and its test set."""

from pathlib import Path

import numpy as np
import pytest

from staf_backend.geometry import rotations
from tests.support import make_training_sets as made
from tests.support.make_picture_sets import SLOT, ready
from tests.support.make_video_sets import (
    calibration,
    make_mpi,
    make_mpi_json,
    make_mpi_test,
    mpi_smpl,
    relative,
    seen_px,
)
from training.datasets import SetError, mpi_inf_3dhp, mpi_inf_3dhp_json
from training.joints import MPII3D_17


def test_mpi_inf_3dhp(tmp_path: Path):
    points = make_mpi(tmp_path / "root")
    found = ready("mpi-inf-3dhp", tmp_path)
    assert len(found) == 8 * 2 * 8 * 7
    assert found.images[0] == "S1/Seq1/imageSequence/video_0.avi#0"
    assert found.frame[:7].tolist() == [0, 1, 2, 4, 5, 6, 7]
    assert made.extents(found)[:2].tolist() == [[0, 3], [3, 7]], "a gap starts a new sequence"
    names = mpi_inf_3dhp.POINTS
    for name, slot in (("right_wrist", "right_wrist"), ("spine", "spine"), ("face", "head")):
        expected = relative(points, names, name)[[0, 1, 2, 4, 5, 6, 7]]
        np.testing.assert_allclose(found.joints_m[:7, SLOT[slot], :3], expected, atol=1e-5)
    assert (found.joints_m[0, MPII3D_17, 3] == 1).all()
    assert found.report()["skipped"]["skipped: fewer than 17 known points"] == 128
    slower = ready("mpi-inf-3dhp", tmp_path, fps=12.5)
    assert slower.frame[:4].tolist() == [0, 1, 2, 3]
    assert slower.images[1] == "S1/Seq1/imageSequence/video_0.avi#2"
    with pytest.raises(SetError, match="10 does not divide it"):
        ready("mpi-inf-3dhp", tmp_path, fps=10.0)


def test_mpi_inf_3dhp_rubbish(tmp_path: Path):
    make_mpi(tmp_path / "root", annot3=np.zeros((8, 84)))
    with pytest.raises(SetError, match=r"annot\.mat: camera 0 holds \(\), not"):
        ready("mpi-inf-3dhp", tmp_path)
    (tmp_path / "root/S1/Seq1/annot.mat").unlink()
    with pytest.raises(SetError, match=r"annot\.mat is missing"):
        ready("mpi-inf-3dhp", tmp_path)


def test_mpi_inf_3dhp_with_neural_annot(tmp_path: Path):
    """Roots are turned from the world into each camera; the last frame has no label."""
    root = tmp_path / "root"
    make_mpi(root)
    turns = rotations.from_axis_angle(np.random.default_rng(3).normal(size=(9, 3)))
    for folder in root.glob("S*/Seq*"):
        (folder / "camera.calibration").write_text(calibration(turns))
    poses, content = mpi_smpl(7)
    labels = made.write_json(tmp_path / "labels.json", content)
    found = ready("mpi-inf-3dhp", tmp_path, labels=labels)
    assert (len(found), found.body) == (8 * 2 * 8 * 7, "smpl-neutral")
    kept = [0, 1, 2, 4, 5, 6]
    local = rotations.from_axis_angle(poses[kept].reshape(6, 24, 3))
    for video, camera in enumerate(mpi_inf_3dhp.CAMERAS[:5]):
        rows = slice(7 * video, 7 * video + 7)
        assert found.has_pose[rows].tolist() == [1, 1, 1, 1, 1, 1, 0]
        turned = rotations.from_quaternions(found.quaternions_wxyz[rows][:6])
        np.testing.assert_allclose(turned[:, 0], turns[camera] @ local[:, 0], atol=1e-5)
        np.testing.assert_allclose(turned[:, 1:], local[:, 1:], atol=1e-5)
    np.testing.assert_allclose(found.betas[0], 0.2)


def test_mpi_inf_3dhp_labels_without_what_they_need(tmp_path: Path):
    root = tmp_path / "root"
    make_mpi(root)
    labels = made.write_json(tmp_path / "labels.json", mpi_smpl(8)[1])
    with pytest.raises(SetError, match=r"camera\.calibration is missing"):
        ready("mpi-inf-3dhp", tmp_path, labels=labels)
    path = root / "S1/Seq1/camera.calibration"
    path.write_text(calibration(np.tile(np.eye(3), (8, 1, 1))))
    with pytest.raises(SetError, match=r"camera\.calibration lacks camera 8"):
        ready("mpi-inf-3dhp", tmp_path, labels=labels)
    whole = path.read_bytes()
    for rubbish in (b"<html>", b"\xff\xfe", b"", whole[: whole.index(b"extrinsic") + 20]):
        path.write_bytes(rubbish)
        with pytest.raises(SetError, match="no camera calibration, or damaged"):
            ready("mpi-inf-3dhp", tmp_path, labels=labels)
    for folder in root.glob("S*/Seq*"):
        (folder / "camera.calibration").write_text(calibration(np.tile(np.eye(3), (9, 1, 1))))
    for nobody in ({}, mpi_smpl(8, first=500)[1]):
        with pytest.raises(SetError, match=r"Not one label of .* is of anybody kept here"):
            ready("mpi-inf-3dhp", tmp_path, labels=made.write_json(labels, nobody))
    coco = {"101": {"smpl_param": {"pose": [0] * 72, "shape": [0] * 10}}}
    for other in ({"ver": 0.1, "data": []}, coco, []):
        with pytest.raises(SetError, match="is not NeuralAnnot's file of this set"):
            ready("mpi-inf-3dhp", tmp_path, labels=made.write_json(labels, other))
    with pytest.raises(SetError, match="test set has no SMPL labels"):
        ready("mpi-inf-3dhp", tmp_path, split="test", labels=labels)


def test_mpi_inf_3dhp_json(tmp_path: Path):
    """World to camera, the cameras at chest height, frames that count from one."""
    facts = make_mpi_json(tmp_path / "root")
    found = ready("mpi-inf-3dhp", tmp_path)
    assert (len(found), found.body, found.fps) == (6, "smpl-neutral", 25.0)
    assert found.images[0] == "images_1k/S1/Seq1/imageSequence/img_1_000001.jpg"
    assert made.extents(found).tolist() == [[0, 3], [3, 6]]
    names = mpi_inf_3dhp_json.POINTS
    for name, slot in (("right_wrist", "right_wrist"), ("spine", "spine"), ("face", "head")):
        expected = relative(facts["points"], names, name)
        np.testing.assert_allclose(found.joints_m[:3, SLOT[slot], :3], expected, atol=1e-5)
    wrist = seen_px(facts["points"][:, names.index("right_wrist")])
    np.testing.assert_allclose(found.keypoints_px[:3, SLOT["right_wrist"], :2], wrist, atol=1e-3)
    assert (found.joints_m[0, MPII3D_17, 3] == 1).all()
    local = rotations.from_axis_angle(facts["poses"].reshape(3, 24, 3))
    turned = rotations.from_quaternions(found.quaternions_wxyz[:3])
    np.testing.assert_allclose(turned[:, 0], facts["turn"] @ local[:, 0], atol=1e-5)
    np.testing.assert_allclose(found.boxes_px[0], [29, 46, 80])
    path = tmp_path / "root/MPI-INF-3DHP_SMPL_NeuralAnnot.json"
    made.write_json(path, mpi_smpl(3, first=500)[1])
    with pytest.raises(SetError, match=r"Not one label of .* is of anybody kept here"):
        ready("mpi-inf-3dhp", tmp_path)
    path.unlink()
    assert ready("mpi-inf-3dhp", tmp_path).body == "none"
    frames = {str(f): (facts["world"] + 5000 * (f == 2)).tolist()[f - 1] for f in (1, 2, 3)}
    joints = {"1": {"1": frames, "2": frames}}
    made.write_json(tmp_path / "root/MPI-INF-3DHP_joint_3d.json", joints)
    assert len(ready("mpi-inf-3dhp", tmp_path)) == 4, "whoever leaves the image is left out"
    (tmp_path / "root/MPI-INF-3DHP_joint_3d.json").write_text("{")
    with pytest.raises(SetError, match=r"joint_3d\.json is damaged or cut short"):
        ready("mpi-inf-3dhp", tmp_path)


def test_mpi_inf_3dhp_test_set(tmp_path: Path):
    """The universal skeleton; every frame is kept, and which are scored is told."""
    points = make_mpi_test(tmp_path / "root")
    found = ready("mpi-inf-3dhp", tmp_path, split="test")
    assert len(found) == 30
    assert found.valid[:5].tolist() == [True, True, False, True, True]
    assert found.images[1] == "mpi_inf_3dhp_test_set/TS1/imageSequence/img_000002.jpg"
    expected = relative(points, mpi_inf_3dhp_json.POINTS, "top")
    np.testing.assert_allclose(found.joints_m[:5, SLOT["head_top"], :3], expected, atol=1e-5)
    assert (found.joints_m[:, MPII3D_17, 3] == 1).all()


def test_mpi_inf_3dhp_test_labels_disagree(tmp_path: Path):
    make_mpi_test(tmp_path / "root", valid_frame=np.ones((4, 1)))
    with pytest.raises(SetError, match=r"points are \(5, 1, 17, 2\), not \(4, 1, 17, 2\)"):
        ready("mpi-inf-3dhp", tmp_path, split="test")
