"""COCO's people (Lin et al. 2014), with EFT's or NeuralAnnot's SMPL labels.

annotations/person_keypoints_train2014.json   (or 2017; val2014, val2017 for "val")
train2014/COCO_train2014_000000000009.jpg     (or images/train2014/...)
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..store import Annotations, SetError
from .files import need, read_json, shaped
from .photographs import Person, photographs
from .rows import Request, one_of

POINTS = (
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder"),
    *("right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip"),
    *("right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle"),
)
"""COCO's seventeen, by their names among the 49."""
_BODY = slice(5, 17)
FEWEST = 12  # without labels: every major joint (SPIN)
FEWEST_LABELLED = 6  # with: EFT's own rule


def parts(request: Request) -> Iterator[Annotations]:
    """Everybody annotated who is no crowd.

    Raises:
        SetError: missing, damaged, or of another layout.
    """
    split = "val" if request.split == "test" else request.split
    # EFT's labels are of 2014's training images
    path = one_of(
        request.root, *(f"annotations/person_keypoints_{split}{year}.json" for year in (2014, 2017))
    )
    folder = one_of(request.root, path.stem[17:], f"images/{path.stem[17:]}")
    fewest = FEWEST_LABELLED if request.labels else FEWEST
    people = _people(request, path, folder, bodies_only=not request.labels)
    yield from photographs(request, "coco", people, POINTS, fewest)


def _people(request: Request, path: Path, folder: Path, *, bodies_only: bool) -> Iterator[Person]:
    content = read_json(path, "images", "annotations", "categories")
    _check_order(content["categories"], path)
    for image in content["images"]:
        need(image, ("id", "file_name"), path)
    names = {image["id"]: image["file_name"] for image in content["images"]}
    below = folder.relative_to(request.root).as_posix()
    for entry in content["annotations"]:
        need(entry, ("id", "image_id", "keypoints", "bbox"), path)
        if entry.get("iscrowd") or not any(entry["keypoints"]):
            request.skip("a crowd, or no points")
            continue
        if entry["image_id"] not in names:
            raise SetError(f"{path}: annotation {entry['id']} is of no listed image.",
                           "Fetch it again.")  # fmt: skip
        points = _points(entry, path)
        if bodies_only and (points[_BODY, 2] > 0).sum() < request.enough(FEWEST):
            request.skip("not every major joint is labelled")
            continue
        image = f"{below}/{names[entry['image_id']]}"
        yield Person(image, points, square(entry["bbox"], path), int(entry["id"]))


def _check_order(categories: Any, path: Path) -> None:
    """The points' names stand in the file: a set in another order is not read as this one."""
    for category in categories:
        if category.get("name") == "person" and tuple(category.get("keypoints", POINTS)) == POINTS:
            return
    raise SetError(f"{path} does not list COCO's seventeen points of a person.",
                   "Give the official person_keypoints files.")  # fmt: skip


def _points(entry: dict[str, Any], path: Path) -> np.ndarray:
    points = shaped(entry["keypoints"], (51,), "keypoints", path).reshape(17, 3)
    points[:, 2] = points[:, 2] > 0  # 1: labelled, hidden; 2: labelled, seen
    return points


def square(box: Any, path: Path) -> np.ndarray:
    """Centre and side (3,) of the square about a box of left, top, width, height."""
    left, top, width, height = shaped(box, (4,), "bbox", path)
    return np.array([left + width / 2, top + height / 2, max(width, height)], np.float32)
