"""Sets of photographs in their authors' formats become prepared sets; facts are checked by name."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from staf_backend.geometry import rotations
from tests.support import make_training_sets as made
from training import prepare
from training.datasets.coco import POINTS as COCO
from training.datasets.formats.smpl_labels import SmplLabels
from training.datasets.mpii import POINTS as MPII
from training.datasets.rows import Request, boxes_of, runs
from training.datasets.store import PreparedSet, SetError, open_set
from training.targets.joints import JOINTS_49, LSP

SLOT = {name: index for index, name in enumerate(JOINTS_49)}


def ready(name: str, tmp_path: Path, split: str = "train", **asked: Any) -> PreparedSet:
    """The set below "root" prepared and opened."""
    request = Request(tmp_path / "root", split, **asked)
    prepare.prepare(name, request, tmp_path / "set")
    return open_set(tmp_path / "set")


def known(values: np.ndarray) -> set[str]:
    """Names of the joints of one row with confidence."""
    return {JOINTS_49[index] for index in np.flatnonzero(values[:, -1])}


# COCO, with the labels of EFT and NeuralAnnot


def coco_person(number: int, image: int, seen: int = 17, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed + number)
    points = np.zeros((17, 3))
    points[17 - seen :, :2] = rng.uniform(20, 100, (seen, 2)).round(2)
    points[17 - seen :, 2] = rng.integers(1, 3, seen)
    return {
        "id": number, "image_id": image, "category_id": 1, "iscrowd": 0, "area": 900.0,
        "keypoints": points.ravel().tolist(), "num_keypoints": seen, "bbox": [20, 10, 60, 90],
    }  # fmt: skip


def make_coco(root: Path, **changes: Any) -> dict[str, Any]:
    """Four people in two images: whole, without a face, only half labelled, a crowd."""
    names = [f"COCO_train2014_{number:012d}.jpg" for number in (9, 25)]
    for seed, name in enumerate(names):
        made.picture(root / "train2014" / name, seed=seed)
    people = [coco_person(101, 9), coco_person(102, 25, 12), coco_person(103, 25, 8)]
    people.append(coco_person(104, 25) | {"iscrowd": 1})
    content = {
        "images": [{"id": i, "file_name": n, "width": 160, "height": 120}
                   for i, n in zip((9, 25), names)],
        "annotations": people,
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO)}],
    } | changes  # fmt: skip
    made.write_json(root / "annotations/person_keypoints_train2014.json", content)
    return content


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
    entry = {"imageName": "COCO_train2014_000000000025.jpg", "annotId": 103, "smpltype": "smpl",
             "parm_pose": pose.tolist(), "parm_shape": [0.5] * 10, "bbox_center": [50.0, 55.0],
             "bbox_scale": 0.5, "parm_cam": [0.9, 0.0, 0.1]}  # fmt: skip
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
    labels = {"101": {"smpl_param": {"pose": pose.tolist(), "shape": [0.1] * 10, "trans": [0] * 3},
                      "cam_param": {"focal": [5000, 5000], "princpt": [80, 60]}}}  # fmt: skip
    found = ready("coco", tmp_path, labels=made.write_json(tmp_path / "na.json", labels))
    assert found.has_pose.tolist() == [1, 0, 0]
    turned = rotations.from_quaternions(found.quaternions_wxyz[0])
    np.testing.assert_allclose(turned, rotations.from_axis_angle(pose.reshape(24, 3)), atol=1e-5)


# LSP, LSP-Extended, MPII


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
    entry = {"imageName": "im00002.jpg", "parm_pose": np.tile(np.eye(3), (24, 1, 1)).tolist(),
             "parm_shape": [0.0] * 10, "bbox_center": [999.0, 999.0]}  # fmt: skip
    labels = made.write_json(tmp_path / "eft.json", {"data": [entry]})
    found = ready("lsp-extended", tmp_path, labels=labels)
    assert known(found.keypoints_px[1]) == set(LSP[5:])
    assert found.has_pose.tolist() == [0, 1, 0]
    with pytest.raises(SetError, match="all for training"):
        ready("lsp-extended", tmp_path, split="test")


def make_mpii(root: Path, training: list[int] | None = None) -> np.ndarray:
    """Two training images, of one person and of two (one without points), and a test image."""
    root.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(0).uniform(10, 100, (16, 2))
    points = [{"x": x, "y": y, "id": i, "is_visible": i % 2} for i, (x, y) in enumerate(values)]
    person = {"scale": 0.5, "objpos": {"x": 60.0, "y": 50.0}, "annopoints": {"point": points},
              "x1": 1.0, "y1": 1.0, "x2": 9.0, "y2": 9.0}  # fmt: skip
    without = {"scale": [], "objpos": [], "annopoints": [], "x1": 1.0, "y1": 1.0, "x2": 2.0,
               "y2": 2.0}  # fmt: skip
    few = person | {"annopoints": {"point": points[:9]}}
    people = [person, [few, without, person | {"scale": []}], []]
    names = [f"0156018{number}.jpg" for number in range(3)]
    for name in names:
        made.picture(root / "images" / name)
    images = [{"image": {"name": n}, "annorect": p, "vididx": 1} for n, p in zip(names, people)]
    release = {"annolist": images, "img_train": training or [1, 1, 0], "version": "12"}
    savemat(root / "mpii_human_pose_v1_u12_1.mat", {"RELEASE": as_structs(release)})
    return values


def as_structs(value: Any) -> Any:
    """Lists of dictionaries as MATLAB's arrays of structs."""
    if isinstance(value, dict):
        return {key: as_structs(entry) for key, entry in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        fields = list(value[0])
        rows = np.empty((1, len(value)), [(field, object) for field in fields])
        for index, entry in enumerate(value):
            rows[0, index] = tuple(as_structs(entry[field]) for field in fields)
        return rows
    return np.array(value) if isinstance(value, list) else value


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


def make_mpii_json(root: Path, prefix: str = "images/") -> list[dict[str, Any]]:
    """Two people in one image, as COCO's form has them, and a crowd."""
    rng = np.random.default_rng(0)
    people = []
    for number in (7, 8, 9):
        points = np.concatenate([rng.uniform(10, 100, (16, 2)), np.ones((16, 1))], 1).round(2)
        points[9, 2] = 0
        people.append({"id": number, "image_id": 3, "category_id": 1, "iscrowd": int(number == 9),
                       "keypoints": points.ravel().tolist(), "bbox": [20, 10, 60, 90]})  # fmt: skip
    made.picture(root / "images/015601864.jpg")
    images = [{"id": 3, "file_name": f"{prefix}015601864.jpg", "width": 160, "height": 120}]
    content = {"images": images, "annotations": people, "categories": []}
    made.write_json(root / "annotations/train.json", content)
    return people


@pytest.mark.parametrize("prefix", ["images/", ""])
def test_mpii_with_neural_annot(tmp_path: Path, prefix: str):
    people = make_mpii_json(tmp_path / "root", prefix)
    pose = np.random.default_rng(1).normal(size=72)
    content = {"8": {"smpl_param": {"pose": pose.tolist(), "shape": [0.1] * 10, "trans": [0] * 3},
                     "cam_param": {"focal": [5000, 5000], "princpt": [80, 60]}}}  # fmt: skip
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
    entries = [{"imageName": "x/01560181.jpg", "parm_pose": np.tile(np.eye(3), (24, 1, 1)).tolist(),
                "parm_shape": [shape] * 10, "bbox_center": center}
               for shape, center in ((0.1, [20.0, 20.0]), (0.2, [100.0, 90.0]))]  # fmt: skip
    labels = SmplLabels(made.write_json(tmp_path / "eft.json", {"data": entries}))
    found = labels.of(-1, "images/01560181.jpg", np.array([90.0, 90.0, 60.0]))
    assert found is not None
    np.testing.assert_allclose(found.betas, 0.2)
    assert labels.of(-1, "images/01560181.jpg", np.array([300.0, 90.0, 60.0])) is None
    assert labels.of(-1, "images/0.jpg", np.array([20.0, 20.0, 60.0])) is None


# what happens on rubbish


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


# the command line, and what the readers share


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
        0, 0, 1, 1, 2, 2,
    ]  # fmt: skip
    assert runs(np.zeros(0, int)).tolist() == []
