"""PoseTrack, in the format of 2018 (Andriluka et al. 2018).

    posetrack_data/annotations/train/000001_bonn_train.json     (or annotations/train/...)
    images/train/000001_bonn_train/000000.jpg

A file is a video: images with frame ids, annotations with COCO-style points and a track id.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from staf_backend.files import shown
from training.datasets.formats.coco_json import square
from training.datasets.formats.files import name_below, need, read_json, reading, shaped
from training.datasets.pictures import Pictures
from training.datasets.rows import (
    Head,
    Request,
    among_49,
    annotations,
    boxes_of,
    good_rows,
    keep,
    one_of,
    runs,
)
from training.datasets.store import Annotations, SetError

POINTS = (
    *("nose", "neck", "head_top", "", "", "left_shoulder", "right_shoulder", "left_elbow"),
    *("right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee"),
    *("right_knee", "left_ankle", "right_ankle"),
)
"""PoseTrack's seventeen by their names among the 49; the ears are never labelled."""
_NAMES = ("nose", "head_bottom", "head_top", "left_ear", "right_ear", *POINTS[5:])
FEWEST = 8
"""Known points of a person: VIBE's."""
FPS = 25.0
"""Nominal: the videos come as images."""


def parts(request: Request) -> Iterator[Annotations]:
    """A part for each video.

    Raises:
        SetError: missing, damaged, or of another layout.
    """
    split = "val" if request.split == "test" else request.split
    folder = one_of(
        request.root,
        f"posetrack_data/annotations/{split}",
        f"annotations/{split}",
        f"posetrack_data/{split}",
    )
    files = sorted(folder.glob("*.json"))
    if not files:
        raise SetError(f"{folder} holds no .json files.", "Finish the download.")
    pictures = Pictures(request)
    for path in files:
        with reading(path):
            yield from _video(request, path, pictures)


def _video(request: Request, path: Path, pictures: Pictures) -> Iterator[Annotations]:
    content = read_json(path, "images", "annotations", "categories")
    names = content["categories"][0].get("keypoints", _NAMES) if content["categories"] else _NAMES
    if tuple(names) != _NAMES:
        raise SetError(
            f"{path}: its points are {shown(', '.join(names))}.", "Give the format of 2018."
        )
    images = _images(content["images"], path)
    tracks: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for entry in content["annotations"]:
        need(entry, ("image_id", "keypoints", "track_id"), path)
        if entry["image_id"] not in images:
            raise SetError(f"{path}: a label is of no listed image.", "Fetch it again.")
        tracks[entry["track_id"]].append(entry)
    rows = [_track(track, number, images, path) for number, track in sorted(tracks.items())]
    if rows:
        yield from _part(
            request, {n: np.concatenate([r[n] for r in rows]) for n in rows[0]}, pictures
        )


def _images(entries: Any, path: Path) -> dict[int, tuple[int, str]]:
    """Image id -> number in the video, file."""
    for entry in entries:
        need(entry, ("id", "file_name"), path)
        name_below(entry["file_name"], path)
    ordered = sorted(entries, key=lambda entry: entry["file_name"])
    return {entry["id"]: (number, entry["file_name"]) for number, entry in enumerate(ordered)}


def _track(
    entries: list[dict[str, Any]], number: int, images: dict[int, tuple[int, str]], path: Path
) -> dict[str, np.ndarray]:
    entries = sorted(entries, key=lambda entry: images[entry["image_id"]][0])
    wide = (3 * len(POINTS),)
    points = np.stack([shaped(e["keypoints"], wide, "keypoints", path) for e in entries])
    points = points.reshape(-1, len(POINTS), 3)
    points[..., 2] = points[..., 2] > 0
    keypoints = among_49(POINTS, points)
    boxes = boxes_of(keypoints)
    for row, entry in enumerate(entries):
        if any(entry.get("bbox") or ()):
            boxes[row] = square(entry["bbox"], path)
    frames, files = zip(*(images[entry["image_id"]] for entry in entries))
    return {
        "image": np.array(files, object),
        "keypoints_px": keypoints,
        "boxes_px": boxes,
        "sequence": np.full(len(entries), number),
        "frame": np.array(frames),
    }


def _part(
    request: Request, rows: dict[str, np.ndarray], pictures: Pictures
) -> Iterator[Annotations]:
    rows = keep(rows, good_rows(request, rows, request.enough(FEWEST)))
    rows = keep(rows, pictures.usable(list(rows["image"])))
    again = (np.diff(rows["sequence"]) == 0) & (np.diff(rows["frame"]) == 0)
    request.skip("a second label of the same person and frame", again.sum())
    rows = keep(rows, np.append(True, ~again)[: len(rows["image"])])
    if len(rows["image"]):
        images, image = np.unique(rows["image"].astype(str), return_inverse=True)
        sequence = runs(rows["frame"], rows["sequence"])
        yield annotations(
            Head("posetrack", request.split, fps=FPS),
            [str(name) for name in images],
            rows | {"image": image, "sequence": sequence},
        )
