"""InstaVariety (Kanazawa et al. 2019), as its authors' TFRecords.

    train/insta_variety_00_copy00_hmr_noS5.ckpt-642561.tfrecord   (or the files in the root)
    test/*.tfrecord                                               of the same form

An example is one person's track: JPEG crops and OpenPose's points on them.  The crops are
unpacked, byte by byte, into the prepared set.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from staf_backend.files import shown
from training.datasets.formats.files import reading, shaped
from training.datasets.formats.tfrecord import Feature, example, records
from training.datasets.pictures import image_state
from training.datasets.rows import (
    Head,
    Request,
    among_49,
    annotations,
    boxes_of,
    good_rows,
    keep,
    runs,
)
from training.datasets.store import UNPACKED, Annotations, SetError

POINTS = (
    *("op_right_heel", "op_right_knee", "op_right_hip", "op_left_hip", "op_left_knee"),
    *("op_left_heel", "op_right_wrist", "op_right_elbow", "op_right_shoulder"),
    *("op_left_shoulder", "op_left_elbow", "op_left_wrist", "op_neck", "head_top"),
    *("op_nose", "op_left_eye", "op_right_eye", "op_left_ear", "op_right_ear"),
    *("op_left_big_toe", "op_right_big_toe", "op_left_small_toe", "op_right_small_toe"),
    *("op_left_ankle", "op_right_ankle"),
)
"""Fourteen of the body, five of the face, six of the feet."""
_ON_BODY, _ON_FACE, _ON_FEET = 14, 5, 6
FEWEST = 6
"""Known points of a person; chosen."""
FPS = 30.0
"""Nominal: the files do not say."""
_NEEDED = ("meta/N", "image/encoded", "image/xys", "image/visibilities", "image/face_pts")


def parts(request: Request) -> Iterator[Annotations]:
    """A part for each track.

    Raises:
        SetError: missing, damaged, or of another layout.
    """
    split = "train" if request.split == "train" else "test"
    folder = request.root / split
    if not folder.is_dir() and split == "train":
        folder = request.root
    paths = sorted(folder.glob("*.tfrecord"))
    if not paths:
        raise SetError(f"{folder} holds no .tfrecord files.", "Finish the download.")
    for path in paths:
        with reading(path):
            for number, message in enumerate(records(path)):
                yield from _track(request, path, number, message)


def _track(request: Request, path: Path, number: int, message: bytes) -> Iterator[Annotations]:
    where = f"{path}, example {number}"
    try:
        features = example(message)
    except ValueError as error:
        raise SetError(f"{where} is damaged: {shown(str(error))}.", "Fetch it again.") from error
    for name in _NEEDED:
        if name not in features:
            raise SetError(f"{where} lacks the entry {name!r}.", "Is it InstaVariety's file?")
    count = int(np.ravel(features["meta/N"])[0])
    crops = [bytes(crop) for crop in features["image/encoded"]]
    points = _points(features, count, path, where)
    if len(crops) != count:
        raise SetError(f"{where} has {len(crops)} images of {count}.", "Fetch it again.")
    keypoints = among_49(POINTS, points)
    rows = {
        "image": np.arange(count),
        "frame": np.arange(count),
        "keypoints_px": keypoints,
        "boxes_px": boxes_of(keypoints),
    }
    rows = keep(rows, good_rows(request, rows, request.enough(FEWEST)))
    images = _unpack(
        request, f"{UNPACKED}/{path.name.split('.')[0]}/{number:03d}", crops, rows["image"]
    )
    rows = keep(rows, np.array([name != "" for name in images], bool))
    if len(rows["image"]):
        rows |= {"image": np.arange(len(rows["image"])), "sequence": runs(rows["frame"])}
        head = Head("insta-variety", request.split, fps=FPS)
        yield annotations(head, [name for name in images if name], rows)


def _points(features: dict[str, Feature], count: int, path: Path, where: str) -> np.ndarray:
    """(count, 25, 3); the files keep the axis x, y, seen before that of the points."""
    try:
        body = np.reshape(features["image/xys"], (count, 2, _ON_BODY))
        seen = np.reshape(features["image/visibilities"], (count, 1, _ON_BODY))
        face = np.reshape(features["image/face_pts"], (count, 3, _ON_FACE))
        toes = np.asarray(features.get("image/toe_pts", np.zeros(0)), np.float32)
        toes = toes if len(toes) else np.zeros(count * 3 * _ON_FEET)
        toes = np.reshape(toes, (count, 3, _ON_FEET))
    except ValueError as error:
        raise SetError(
            f"{where}: its points do not fit {count} frames ({shown(str(error))}).",
            "Fetch it again.",
        ) from error
    points = np.concatenate([np.concatenate([body, seen], 1), face, toes], 2).transpose(0, 2, 1)
    points = shaped(points, points.shape, "a point", path, missing=True).astype(np.float32)
    points[..., 2] = points[..., 2] > 0
    return points


def _unpack(request: Request, below: str, crops: list[bytes], wanted: np.ndarray) -> list[str]:
    """Write the wanted crops; gives their names, "" for a broken one, which is counted."""
    folder = request.scratch / below
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for index in wanted:
        path = folder / f"{index:06d}.jpg"
        path.write_bytes(crops[index])
        state = image_state(path)
        if state != "whole":
            request.skip(f"image {state}")
            path.unlink()
        names.append(f"{below}/{path.name}" if state == "whole" else "")
    return names
