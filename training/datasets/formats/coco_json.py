"""People in COCO's JSON form, which other sets of photographs are given in, too.

{"images": [{"id", "file_name"}],
 "annotations": [{"id", "image_id", "keypoints": K x (x, y, 0..2), "bbox", "iscrowd"}]}
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from staf_backend.files import shown
from training.datasets.formats.files import name_below, need, shaped
from training.datasets.photographs import Person
from training.datasets.rows import Request
from training.datasets.store import SetError


def people(
    request: Request, content: Any, path: Path, count: int, image: Callable[[str], str]
) -> Iterator[Person]:
    """Everybody annotated who is no crowd and has points.

    Args:
        request: counts who is left out.
        content: of the file, with "images" and "annotations".
        path: the file.
        count: K, points of a person.
        image: path below the root of an image's name.

    Raises:
        SetError: an entry is of another layout, or of no listed image.
    """
    for entry in content["images"]:
        need(entry, ("id", "file_name"), path)
    names = {entry["id"]: name_below(entry["file_name"], path) for entry in content["images"]}
    for entry in content["annotations"]:
        need(entry, ("id", "image_id", "keypoints", "bbox"), path)
        if entry.get("iscrowd") or not any(entry["keypoints"]):
            request.skip("a crowd, or no points")
            continue
        if entry["image_id"] not in names:
            raise SetError(
                f"{path}: annotation {shown(str(entry['id']))} is of no listed image.",
                "Fetch it again.",
            )
        points = shaped(entry["keypoints"], (3 * count,), "keypoints", path).reshape(count, 3)
        points[:, 2] = points[:, 2] > 0  # 1: labelled, hidden; 2: labelled, seen
        box = square(entry["bbox"], path)
        yield Person(image(names[entry["image_id"]]), points, box, int(entry["id"]))


def square(box: Any, path: Path) -> np.ndarray:
    """Centre and side (3,) of the square about a box of left, top, width, height."""
    left, top, width, height = shaped(box, (4,), "bbox", path)
    return np.array([left + width / 2, top + height / 2, max(width, height)], np.float32)
