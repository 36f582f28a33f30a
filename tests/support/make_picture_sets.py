"""Small sets of photographs in their authors' formats, for tests of their readers."""

from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat

from tests.support import make_training_sets as made
from training import prepare
from training.datasets import PreparedSet, Request, open_set
from training.datasets.coco import POINTS as COCO
from training.joints import JOINTS_49

SLOT = {name: index for index, name in enumerate(JOINTS_49)}


def ready(name: str, tmp_path: Path, split: str = "train", **asked: Any) -> PreparedSet:
    """The set below "root" prepared and opened."""
    request = Request(tmp_path / "root", split, **asked)
    prepare.prepare(name, request, tmp_path / "set")
    return open_set(tmp_path / "set")


def known(values: np.ndarray) -> set[str]:
    """Names of the joints of one row with confidence."""
    return {JOINTS_49[index] for index in np.flatnonzero(values[:, -1])}


def coco_person(number: int, image: int, seen: int = 17, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed + number)
    points = np.zeros((17, 3))
    points[17 - seen :, :2] = rng.uniform(20, 100, (seen, 2)).round(2)
    points[17 - seen :, 2] = rng.integers(1, 3, seen)
    return {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "iscrowd": 0,
        "area": 900.0,
        "keypoints": points.ravel().tolist(),
        "num_keypoints": seen,
        "bbox": [20, 10, 60, 90],
    }


def make_coco(root: Path, **changes: Any) -> dict[str, Any]:
    """Four people in two images: whole, without a face, only half labelled, a crowd."""
    names = [f"COCO_train2014_{number:012d}.jpg" for number in (9, 25)]
    for seed, name in enumerate(names):
        made.picture(root / "train2014" / name, seed=seed)
    people = [coco_person(101, 9), coco_person(102, 25, 12), coco_person(103, 25, 8)]
    people.append(coco_person(104, 25) | {"iscrowd": 1})
    content = {
        "images": [
            {"id": i, "file_name": n, "width": 160, "height": 120} for i, n in zip((9, 25), names)
        ],
        "annotations": people,
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO)}],
    } | changes
    made.write_json(root / "annotations/person_keypoints_train2014.json", content)
    return content


def make_mpii(root: Path, training: list[int] | None = None) -> np.ndarray:
    """Two training images, of one person and of two (one without points), and a test image."""
    root.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(0).uniform(10, 100, (16, 2))
    points = [{"x": x, "y": y, "id": i, "is_visible": i % 2} for i, (x, y) in enumerate(values)]
    person = {
        "scale": 0.5,
        "objpos": {"x": 60.0, "y": 50.0},
        "annopoints": {"point": points},
        "x1": 1.0,
        "y1": 1.0,
        "x2": 9.0,
        "y2": 9.0,
    }
    without = {
        "scale": [],
        "objpos": [],
        "annopoints": [],
        "x1": 1.0,
        "y1": 1.0,
        "x2": 2.0,
        "y2": 2.0,
    }
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


def make_mpii_json(root: Path, prefix: str = "images/") -> list[dict[str, Any]]:
    """Two people in one image, as COCO's form has them, and a crowd."""
    rng = np.random.default_rng(0)
    people = []
    for number in (7, 8, 9):
        points = np.concatenate([rng.uniform(10, 100, (16, 2)), np.ones((16, 1))], 1).round(2)
        points[9, 2] = 0
        people.append(
            {
                "id": number,
                "image_id": 3,
                "category_id": 1,
                "iscrowd": int(number == 9),
                "keypoints": points.ravel().tolist(),
                "bbox": [20, 10, 60, 90],
            }
        )
    made.picture(root / "images/015601864.jpg")
    images = [{"id": 3, "file_name": f"{prefix}015601864.jpg", "width": 160, "height": 120}]
    content = {"images": images, "annotations": people, "categories": []}
    made.write_json(root / "annotations/train.json", content)
    return people
