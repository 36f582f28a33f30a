"""Sets of photographs in their authors' formats become prepared sets; facts are checked by name."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from staf_backend.geometry import rotations
from tests.support import make_training_sets as made
from tests.support.make_picture_sets import SLOT, known, make_coco, make_mpii, make_mpii_json, ready
from training.datasets import SetError
from training.datasets.coco import POINTS as COCO
from training.datasets.formats.smpl_labels import SmplLabels
from training.datasets.mpii import POINTS as MPII
from training.joints import LSP


def test_coco(tmp_path: Path):
    content = make_coco(tmp_path / "root")
    found = ready("coco", tmp_path)
    assert (len(found), found.body, found.fps, found.split) == (2, "none", 1.0, "train")
    assert found.image_of(0) == "train2014/COCO_train2014_000000000009.jpg"
    assert (found.root / found.image_of(0)).is_file()
    np.testing.assert_array_equal(found.boxes_px[0], [50, 55, 90])
    points = np.reshape(content["annotations"][0]["keypoints"], (17, 3))
    wrist = found.keypoints_px[0, SLOT["left_wrist"]]
    np.testing.assert_allclose(wrist, [*points[COCO.index("left_wrist"), :2], 1], atol=1e-4)
    assert known(found.keypoints_px[0]) == set(COCO)
    assert known(found.keypoints_px[1]) == set(COCO[5:])
    assert not found.has_pose.any()
    assert not found.joints_m.any()
    skipped = found.report()["skipped"]
    assert skipped["skipped: not every major joint is labelled"] == 1
    assert skipped["skipped: a crowd, or no points"] == 1


def test_coco_with_eft(tmp_path: Path):
    make_coco(tmp_path / "root")
    pose = rotations.from_axis_angle(np.random.default_rng(0).normal(size=(24, 3)))
    entry = {
        "imageName": "COCO_train2014_000000000025.jpg",
        "annotId": 103,
        "smpltype": "smpl",
        "parm_pose": pose.tolist(),
        "parm_shape": [0.5] * 10,
        "bbox_center": [50.0, 55.0],
        "bbox_scale": 0.5,
        "parm_cam": [0.9, 0.0, 0.1],
    }
    labels = made.write_json(tmp_path / "eft.json", {"ver": 0.1, "data": [entry]})
    found = ready("coco", tmp_path, labels=labels)
    assert found.body == "smpl-neutral"
    assert found.has_pose.tolist() == [0, 0, 1]
    assert found.has_betas.tolist() == [0, 0, 1]
    turned = rotations.from_quaternions(found.quaternions_wxyz[2])
    np.testing.assert_allclose(turned, pose, atol=1e-5)
    np.testing.assert_allclose(found.betas[2], 0.5)


def test_coco_with_neural_annot(tmp_path: Path):
    make_coco(tmp_path / "root")
    pose = np.random.default_rng(0).normal(size=72)
    labels = {
        "101": {
            "smpl_param": {"pose": pose.tolist(), "shape": [0.1] * 10, "trans": [0] * 3},
            "cam_param": {"focal": [5000, 5000], "princpt": [80, 60]},
        }
    }
    found = ready("coco", tmp_path, labels=made.write_json(tmp_path / "na.json", labels))
    assert found.has_pose.tolist() == [1, 0, 0]
    turned = rotations.from_quaternions(found.quaternions_wxyz[0])
    np.testing.assert_allclose(turned, rotations.from_axis_angle(pose.reshape(24, 3)), atol=1e-5)


def test_lsp(tmp_path: Path):
    """All points count, hidden or not; the first thousand train."""
    joints = np.random.default_rng(0).uniform(10, 100, (3, 14, 2000))
    joints[2] = 1
    (tmp_path / "root").mkdir()
    savemat(tmp_path / "root/joints.mat", {"joints": joints})
    for number in (1, 1000):
        made.picture(tmp_path / f"root/images/im{number:04d}.jpg")
    found = ready("lsp", tmp_path, allow_missing=True)
    assert [found.image_of(row) for row in range(len(found))] == [
        "images/im0001.jpg",
        "images/im1000.jpg",
    ]
    assert known(found.keypoints_px[0]) == set(LSP)
    top = found.keypoints_px[1, SLOT["head_top"]]
    np.testing.assert_allclose(top[:2], joints[:2, 13, 999], rtol=1e-6)
    assert found.report()["skipped"]["skipped: image missing"] == 998
    with pytest.raises(SetError, match=r"im0002\.jpg is missing"):
        ready("lsp", tmp_path)


def test_lsp_extended_with_eft(tmp_path: Path):
    """Its third column says what is labelled; one label an image needs no place."""
    joints = np.random.default_rng(0).uniform(10, 100, (14, 3, 3))
    joints[:, 2] = 1
    joints[:5, :, 1] = [-3, -4, 0]
    (tmp_path / "root").mkdir()
    savemat(tmp_path / "root/joints.mat", {"joints": joints})
    for number in range(3):
        made.picture(tmp_path / f"root/images/im{number + 1:05d}.png")
    entry = {
        "imageName": "im00002.jpg",
        "parm_pose": np.tile(np.eye(3), (24, 1, 1)).tolist(),
        "parm_shape": [0.0] * 10,
        "bbox_center": [999.0, 999.0],
    }
    labels = made.write_json(tmp_path / "eft.json", {"data": [entry]})
    found = ready("lsp-extended", tmp_path, labels=labels)
    assert known(found.keypoints_px[1]) == set(LSP[5:])
    assert found.has_pose.tolist() == [0, 1, 0]
    with pytest.raises(SetError, match="all for training"):
        ready("lsp-extended", tmp_path, split="test")


def test_mpii(tmp_path: Path):
    values = make_mpii(tmp_path / "root")
    found = ready("mpii", tmp_path)
    assert len(found) == 2
    assert [found.image_of(row) for row in range(len(found))] == [
        "images/01560180.jpg",
        "images/01560181.jpg",
    ]
    np.testing.assert_allclose(found.boxes_px[0], [60, 50, 100])
    for name in ("right_ankle", "thorax", "neck", "left_wrist"):
        point = found.keypoints_px[0, SLOT[name], :2]
        np.testing.assert_allclose(point, values[MPII.index(name)], rtol=1e-6)
    assert known(found.keypoints_px[1]) == set(MPII[:9])
    assert found.report()["skipped"]["skipped: a person without points or size"] == 2


@pytest.mark.parametrize("prefix", ["images/", ""])
def test_mpii_with_neural_annot(tmp_path: Path, prefix: str):
    people = make_mpii_json(tmp_path / "root", prefix)
    pose = np.random.default_rng(1).normal(size=72)
    content = {
        "8": {
            "smpl_param": {"pose": pose.tolist(), "shape": [0.1] * 10, "trans": [0] * 3},
            "cam_param": {"focal": [5000, 5000], "princpt": [80, 60]},
        }
    }
    found = ready("mpii", tmp_path, labels=made.write_json(tmp_path / "labels.json", content))
    assert (len(found), found.body, found.image_of(0)) == (
        2,
        "smpl-neutral",
        "images/015601864.jpg",
    )
    assert found.has_pose.tolist() == [0, 1]
    turned = rotations.from_quaternions(found.quaternions_wxyz[1])
    np.testing.assert_allclose(turned, rotations.from_axis_angle(pose.reshape(24, 3)), atol=1e-5)
    points = np.reshape(people[1]["keypoints"], (16, 3))
    for name in ("right_ankle", "thorax", "left_wrist"):
        point = found.keypoints_px[1, SLOT[name], :2]
        np.testing.assert_allclose(point, points[MPII.index(name), :2], rtol=1e-6)
    assert known(found.keypoints_px[0]) == set(MPII) - {"head_top"}
    np.testing.assert_allclose(found.boxes_px[0], [50, 55, 90])


def test_labels_of_another_edition_are_refused(tmp_path: Path):
    """NeuralAnnot numbers the people of train.json; MATLAB's file has no such numbers."""
    make_mpii(tmp_path / "root")
    content = {"8": {"smpl_param": {"pose": [0] * 72, "shape": [0] * 10}}}
    labels = made.write_json(tmp_path / "labels.json", content)
    with pytest.raises(SetError, match=r"Not one label of .* is of anybody kept here"):
        ready("mpii", tmp_path, labels=labels)
    assert not (tmp_path / "set").exists()


def test_labels_of_two_people_in_an_image_go_to_the_nearer(tmp_path: Path):
    entries = [
        {
            "imageName": "x/01560181.jpg",
            "parm_pose": np.tile(np.eye(3), (24, 1, 1)).tolist(),
            "parm_shape": [shape] * 10,
            "bbox_center": center,
        }
        for shape, center in ((0.1, [20.0, 20.0]), (0.2, [100.0, 90.0]))
    ]
    labels = SmplLabels(made.write_json(tmp_path / "eft.json", {"data": entries}))
    found = labels.of(-1, "images/01560181.jpg", np.array([90.0, 90.0, 60.0]))
    assert found is not None
    np.testing.assert_allclose(found.betas, 0.2)
    assert labels.of(-1, "images/01560181.jpg", np.array([300.0, 90.0, 60.0])) is None
    assert labels.of(-1, "images/0.jpg", np.array([20.0, 20.0, 60.0])) is None
