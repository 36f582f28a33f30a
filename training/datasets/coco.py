"""COCO's people (Lin et al. 2014), with EFT's or NeuralAnnot's SMPL labels.

annotations/person_keypoints_train2014.json   (or 2017; val2014, val2017 for "val")
train2014/COCO_train2014_000000000009.jpg     (or images/train2014/...)
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from training.datasets.formats.coco_json import people
from training.datasets.formats.files import read_json, reading
from training.datasets.photographs import Person, photographs
from training.datasets.rows import Request, one_of
from training.datasets.store import Annotations, SetError

POINTS = (
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder"),
    *("right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip"),
    *("right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle"),
)
"""COCO's seventeen, by their names among the 49."""
_BODY = slice(POINTS.index("left_shoulder"), len(POINTS))
FEWEST = 12
"""Known points of a person without SMPL labels: every major joint (SPIN)."""
FEWEST_LABELLED = 6
"""The same with labels: EFT's own rule."""


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
    found = _people(request, path, folder, bodies_only=not request.labels)
    with reading(path):
        yield from photographs(request, "coco", found, POINTS, fewest)


def _people(request: Request, path: Path, folder: Path, *, bodies_only: bool) -> Iterator[Person]:
    content = read_json(path, "images", "annotations", "categories")
    _check_order(content["categories"], path)
    below = folder.relative_to(request.root).as_posix()
    found = people(request, content, path, len(POINTS), lambda name: f"{below}/{name}")
    for person in found:
        if bodies_only and (person.points_px[_BODY, 2] > 0).sum() < request.enough(FEWEST):
            request.skip("not every major joint is labelled")
            continue
        yield person


def _check_order(categories: Any, path: Path) -> None:
    """The points' names stand in the file: a set in another order is not read as this one."""
    for category in categories:
        if category.get("name") == "person" and tuple(category.get("keypoints", POINTS)) == POINTS:
            return
    raise SetError(
        f"{path} does not list COCO's seventeen points of a person.",
        "Give the official person_keypoints files.",
    )
