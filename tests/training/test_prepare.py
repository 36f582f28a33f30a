"""`training.prepare`: broken, changed and half downloaded sets, its command line, and its sheet."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from tests.support import make_training_sets as made
from tests.support.make_picture_sets import coco_person, make_coco, make_mpii, ready
from training import prepare
from training.datasets import Request, SetError, open_set
from training.datasets.coco import POINTS as COCO
from training.datasets.rows import boxes_of, runs


def test_nothing_there(tmp_path: Path):
    with pytest.raises(SetError, match="is not a folder"):
        Request(tmp_path / "root", "train")
    (tmp_path / "root").mkdir()
    for name in prepare.READERS:
        with pytest.raises(SetError) as caught:
            ready(name, tmp_path)
        assert str(tmp_path / "root") in str(caught.value)
    assert not (tmp_path / "set").exists()


def test_a_broken_image_is_skipped_and_counted(tmp_path: Path):
    make_coco(tmp_path / "root")
    path = tmp_path / "root/train2014/COCO_train2014_000000000009.jpg"
    path.write_bytes(path.read_bytes()[: -path.stat().st_size // 2])
    found = ready("coco", tmp_path)
    assert len(found) == 1
    assert found.report()["skipped"]["skipped: image cut short"] == 1
    path.write_bytes(b"<html>Not found</html>")
    assert ready("coco", tmp_path).report()["skipped"]["skipped: image no JPEG or PNG"] == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"categories": [{"name": "person", "keypoints": list(COCO[::-1])}]}, "seventeen points"),
        ({"images": [{"id": 9}]}, "lacks the entry 'file_name'"),
        ({"images": []}, "annotation 101 is of no listed image"),
        ({"annotations": [{"id": 1}]}, "lacks the entry 'image_id'"),
        (
            {"annotations": [coco_person(1, 9) | {"keypoints": [1, 2, 3]}]},
            r"is \(3,\), not \(51,\)",
        ),
        (
            {"annotations": [coco_person(1, 9) | {"bbox": "wide"}]},
            "bbox is not an array of numbers",
        ),
    ],
)
def test_changed_layouts_are_named(tmp_path: Path, changes: dict[str, Any], message: str):
    make_coco(tmp_path / "root", **changes)
    with pytest.raises(SetError, match=message):
        ready("coco", tmp_path)


def test_half_downloaded_labels(tmp_path: Path):
    make_coco(tmp_path / "root")
    path = tmp_path / "root/annotations/person_keypoints_train2014.json"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(SetError, match="damaged or cut short"):
        ready("coco", tmp_path)


def test_matlab_files_of_another_set(tmp_path: Path):
    (tmp_path / "root").mkdir()
    path = tmp_path / "root/joints.mat"
    savemat(path, {"joints": np.zeros((14, 3, 10))})
    with pytest.raises(SetError, match=r"joints is \(14, 3, 10\), LSP's is \(3, 14"):
        ready("lsp", tmp_path)
    savemat(path, {"people": np.zeros((14, 3, 10))})
    with pytest.raises(SetError, match="lacks the entry 'joints'"):
        ready("lsp", tmp_path)
    savemat(path, {"joints": np.zeros((3, 14, 10))})
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(SetError, match="damaged or cut short"):
        ready("lsp", tmp_path)


def test_mpii_lists_that_disagree(tmp_path: Path):
    make_mpii(tmp_path / "root", training=[1, 1])
    with pytest.raises(SetError, match="3 images, but 2 flags"):
        ready("mpii", tmp_path)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"data": [{"imageName": "a.jpg"}]}, "lacks the entry 'parm_pose'"),
        ({"people": []}, "neither EFT's nor NeuralAnnot's"),
        ([], "neither EFT's nor NeuralAnnot's"),
        ({"101": {"smpl_param": {"pose": [0] * 9, "shape": [0] * 10}}}, r"\(9,\), not \(72,\)"),
    ],
)
def test_labels_of_another_layout(tmp_path: Path, labels: Any, message: str):
    make_coco(tmp_path / "root")
    with pytest.raises(SetError, match=message):
        ready("coco", tmp_path, labels=made.write_json(tmp_path / "labels.json", labels))


@pytest.mark.parametrize("number", [np.nan, np.inf, 1e300])
def test_a_number_that_is_none_is_skipped(tmp_path: Path, number: float):
    """MATLAB's files may lack numbers; JSON's cannot, and are refused."""
    joints = np.random.default_rng(0).uniform(10, 100, (14, 3, 2))
    joints[0, 0, 0], joints[:, 2] = number, 1
    (tmp_path / "root").mkdir()
    savemat(tmp_path / "root/joints.mat", {"joints": joints})
    for row in (1, 2):
        made.picture(tmp_path / f"root/images/im{row:05d}.jpg")
    found = ready("lsp-extended", tmp_path)
    assert len(found) == 1
    assert found.report()["skipped"]["skipped: a number is missing"] == 1
    bad = coco_person(101, 9)
    bad["keypoints"][0] = number
    make_coco(tmp_path / "root", annotations=[bad, coco_person(102, 9)])
    with pytest.raises(SetError, match=r"2014\.json.*(is no number|that no label has)"):
        ready("coco", tmp_path)


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    make_coco(tmp_path / "root")
    arguments = ["coco", "--root", str(tmp_path / "root"), "--out", str(tmp_path / "set")]
    assert prepare.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "         2  rows\n" in printed
    assert "skipped: a crowd, or no points" in printed
    assert "         1          0  right_ear" in printed
    assert open_set(tmp_path / "set").report()["asked"]["min_side_px"] == 20.0
    assert prepare.main([*arguments, "--min-keypoints", "18"]) == 6
    assert "every row was skipped" in capsys.readouterr().err
    assert len(open_set(tmp_path / "set")) == 2, "the older set is still there"


def test_the_sheet_shows_points_where_they_are(tmp_path: Path):
    """A left point is red on the crop, at its place in the box of 1.2 times the person's."""
    content = make_coco(tmp_path / "root")
    out, sheet = tmp_path / "set", tmp_path / "sheet.png"
    arguments = ["coco", "--root", str(tmp_path / "root"), "--out", str(out)]
    assert prepare.main([*arguments, "--sheet", str(sheet)]) == 0
    drawn = cv2.imread(str(sheet))
    assert drawn is not None
    points = np.reshape(content["annotations"][0]["keypoints"], (17, 3))[:, :2]
    places = ((points - [50, 55]) / (90 * 1.2 / 2) + 1) / 2 * 224
    ankle = places[COCO.index("left_ankle")].round().astype(int)  # drawn last of the left
    blue, green, red = drawn[ankle[1], ankle[0]].astype(int)
    assert red > 150
    assert max(blue, green) < 110
    assert prepare.main([*arguments, "--sheet", str(tmp_path / "no/sheet.png")]) == 6


def test_help_shows_what_lies_where(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        prepare.main(["--help"])
    printed = capsys.readouterr().out
    for line in ("sequenceFiles/train/courtyard_arguing_00.pkl", "S1/Seq1/annot.mat", "joints.mat"):
        assert line in printed


def test_boxes_are_about_the_known_points():
    points = np.array([[[10, 20, 1], [30, 80, 1], [500, 500, 0]], [[1, 1, 0]] * 3], float)
    np.testing.assert_array_equal(boxes_of(points), [[20, 50, 60], [0, 0, 0]])


def test_runs_break_where_frames_are_missing():
    assert runs(np.array([3, 4, 6, 7, 0, 1]), np.array([0, 0, 0, 0, 2, 2])).tolist() == [
        0,
        0,
        1,
        1,
        2,
        2,
    ]
    assert runs(np.zeros(0, int)).tolist() == []
