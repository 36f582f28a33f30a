"""Sets of photographs, one part of rows at a time: what COCO, LSP and MPII readers share."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np

from training.datasets.formats.smpl_labels import Smpl, SmplLabels, nobodys, smpl_rows
from training.datasets.pictures import Pictures
from training.datasets.rows import Head, Request, among_49, annotations, boxes_of, good_rows, keep
from training.datasets.store import Annotations

_PART = 4096  # rows in memory at once; chosen


class Person(NamedTuple):
    """One labelled person.

    Attributes:
        image: path below the root.
        points_px: (K, 3) x, y, confidence, in the set's own order.
        box_px: (3,) centre and side, or None: the square about the points.
        annotation: the set's id of it, or -1.
    """

    image: str
    points_px: np.ndarray
    box_px: np.ndarray | None = None
    annotation: int = -1


def photographs(
    request: Request, name: str, people: Iterable[Person], names: tuple[str, ...], fewest: int
) -> Iterator[Annotations]:
    """Rows of people in photographs, with SMPL labels where the request gives them.

    Args:
        names: of the points, among the 49 or left out.
        fewest: known points a person must have, unless the request says otherwise.

    Raises:
        SetError: an image is missing, the labels cannot be read or are of nobody here.
    """
    labels = SmplLabels(request.labels) if request.labels else None
    head = Head(name, request.split, "smpl-neutral" if labels else "none")
    pictures, stream, matched = Pictures(request), iter(people), 0
    while chunk := list(islice(stream, _PART)):
        rows = _rows(request, chunk, names, fewest, labels, pictures)
        matched += int(rows["has_pose"].sum()) if "has_pose" in rows else 0
        if len(rows["image"]):
            yield _part(head, rows)
    if labels:
        if not matched:
            raise nobodys(labels.path)
        request.tally["SMPL labels of nobody kept"] += max(0, len(labels) - matched)


def _rows(
    request: Request,
    chunk: list[Person],
    names: tuple[str, ...],
    fewest: int,
    labels: SmplLabels | None,
    pictures: Pictures,
) -> dict[str, np.ndarray]:
    keypoints = among_49(names, np.stack([person.points_px for person in chunk]))
    boxes = boxes_of(keypoints)
    for row, person in enumerate(chunk):
        if person.box_px is not None:
            boxes[row] = person.box_px
    rows = {
        "image": np.array([person.image for person in chunk], object),
        "keypoints_px": keypoints,
        "boxes_px": boxes,
    }
    if labels:
        found: list[Smpl | None] = [
            labels.of(person.annotation, person.image, box) for person, box in zip(chunk, boxes)
        ]
        rows |= smpl_rows(found)
    rows = keep(rows, good_rows(request, rows, request.enough(fewest)))
    return keep(rows, pictures.usable(list(rows["image"])))


def _part(head: Head, rows: dict[str, np.ndarray]) -> Annotations:
    images, image = np.unique(rows["image"].astype(str), return_inverse=True)
    return annotations(head, [str(name) for name in images], rows | {"image": image})
