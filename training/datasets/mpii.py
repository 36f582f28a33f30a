"""MPII Human Pose (Andriluka et al. 2014), with EFT's or NeuralAnnot's SMPL labels.

    mpii_human_pose_v1_u12_1.mat   (also in the folder mpii_human_pose_v1_u12_2 of its archive)
    annotations/train.json         read instead where it is there; NeuralAnnot numbers its people
    images/015601864.jpg

RELEASE.annolist[i].annorect[r] is a person: .objpos and .scale (200 px tall at 1), and
.annopoints.point[p] with .id, .x, .y.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from training.datasets.formats.coco_json import people
from training.datasets.formats.files import name_below, read_json, reading, shaped
from training.datasets.formats.native import read_native
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
"""Known points of a person; chosen."""
_PERSON_PX = 200.0  # height of a person whose scale is 1 (MPII's annotations)
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
    with reading(path):
        yield from photographs(request, "mpii", found, POINTS, FEWEST)


def _of_json(request: Request, path: Path) -> Iterator[Person]:
    content = read_json(path, "images", "annotations")
    below = lambda name: name if name.startswith("images/") else f"images/{name}"
    return people(request, content, path, len(POINTS), below)


def _people(request: Request, path: Path) -> Iterator[Person]:
    found = read_native("release", path, points=len(POINTS))
    names = [f"images/{name_below(str(name), path)}" for name in found["names"]]
    sizes = shaped(found["size"], (-1, 3), "size", path, missing=True)
    points = shaped(found["points"], (-1, len(POINTS), 3), "points", path, missing=True)
    for image, size, labelled in zip(found["image"], sizes, points):
        if np.isnan(size).all() or not labelled[:, 2].any():  # some are only a head's box
            request.skip("a person without points or size")
            continue
        x, y, scale = size
        box = np.array([x, y, _PERSON_PX * scale], np.float32)
        yield Person(names[image], labelled, box)
