"""MPII Human Pose (Andriluka et al. 2014), with EFT's or NeuralAnnot's SMPL labels.

    mpii_human_pose_v1_u12_1.mat   (also in the folder mpii_human_pose_v1_u12_2 of its archive)
    annotations/train.json         read instead where it is there; NeuralAnnot numbers its people
    images/015601864.jpg

RELEASE.annolist[i].annorect[r] is a person: .objpos and .scale (200 px tall at 1), and
.annopoints.point[p] with .id, .x, .y.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from training.datasets.formats.coco_json import people
from training.datasets.formats.files import read_json, read_mat
from training.datasets.photographs import Person, photographs
from training.datasets.rows import Request, one_of
from training.datasets.store import Annotations, SetError

POINTS = (
    *("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "pelvis"),
    *("thorax", "neck", "head_top", "right_wrist", "right_elbow", "right_shoulder"),
    *("left_shoulder", "left_elbow", "left_wrist"),
)
"""MPII's sixteen by id, by their names among the 49."""
FEWEST = 6
_PERSON_PX = 200.0
_FILE, _JSON = "mpii_human_pose_v1_u12_1.mat", "annotations/train.json"


def parts(request: Request) -> Iterator[Annotations]:
    """The people of the training images; labels of the test images were never published.

    Raises:
        SetError: missing, damaged, of another layout, or asked for another split.
    """
    if request.split != "train":
        raise SetError("MPII publishes labels for training only.", "Give --split train.")
    path = one_of(request.root, _JSON, _FILE, f"mpii_human_pose_v1_u12_2/{_FILE}")
    one_of(request.root, "images")
    found = _of_json(request, path) if path.suffix == ".json" else _people(request, path)
    yield from photographs(request, "mpii", found, POINTS, FEWEST)


def _of_json(request: Request, path: Path) -> Iterator[Person]:
    content = read_json(path, "images", "annotations")
    below = lambda name: name if name.startswith("images/") else f"images/{name}"
    return people(request, content, path, len(POINTS), below)


def _people(request: Request, path: Path) -> Iterator[Person]:
    release = read_mat(path, "RELEASE", structs=True)["RELEASE"]
    images = _many(_of(release, "annolist", path))
    training = _many(_of(release, "img_train", path))
    if len(images) != len(training):
        raise SetError(f"{path}: {len(images)} images, but {len(training)} flags of training.",
                       "Fetch it again.")  # fmt: skip
    for image, trains in zip(images, training):
        if trains:
            name = f"images/{_of(_of(image, 'image', path), 'name', path)}"
            for person in _many(_of(image, "annorect", path)):
                yield from _person(request, name, person, path)


def _person(request: Request, image: str, person: Any, path: Path) -> Iterator[Person]:
    """The person, if any points of it are labelled (some are only a head's box)."""
    points = _many(getattr(getattr(person, "annopoints", None), "point", ()))
    place, scale = getattr(person, "objpos", None), np.ravel(getattr(person, "scale", ()))
    if not points or place is None or not hasattr(place, "x") or len(scale) != 1:
        request.skip("a person without points or size")
        return
    values = np.zeros((len(POINTS), 3))
    for point in points:
        number = int(_of(point, "id", path))
        if not 0 <= number < len(POINTS):
            raise SetError(f"{path}: a point has the id {number}.", "Is it MPII's file?")
        values[number] = float(_of(point, "x", path)), float(_of(point, "y", path)), 1
    box = np.array([place.x, place.y, _PERSON_PX * float(scale[0])], np.float32)
    yield Person(image, values, box)


def _of(struct: Any, name: str, path: Path) -> Any:
    if not hasattr(struct, name):
        raise SetError(f"{path} lacks the entry {name!r}.", "Is it MPII's file, version u12?")
    return getattr(struct, name)


def _many(value: Any) -> list[Any]:
    """MATLAB's array of structs as a list; one alone loses its axis when read."""
    if isinstance(value, np.ndarray):
        return list(value.ravel())
    return list(value) if isinstance(value, list | tuple) else [value]
