"""Sets of several cameras as JSON: joints in the world, cameras and labels apart.

    images    {"images": [{"id", "file_name", "width", "height", "cam_idx", "frame_idx", ...}],
               "annotations": [{"image_id", "bbox"}]}
    cameras   {...: {rotation, translation (mm), focal lengths and principal point (px)}}
    joints    {a: {b: {frame: K x 3 (mm, world)}}}
    labels    {a: {b: {frame: {"pose", "shape", "trans"}}}}   SMPL by NeuralAnnot (Moon et al. 2022)

a and b are an image's action and subaction, or its subject and sequence: `Edition.filed`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training.datasets.formats.coco_json import square
from training.datasets.formats.files import (
    filed_under,
    name_below,
    need,
    read_json,
    reading,
    shaped,
    whole_number,
)
from training.datasets.formats.smpl_labels import FiledLabels, Smpl, smpl_rows
from training.datasets.head_points import named
from training.datasets.pictures import Pictures, stride_for
from training.datasets.rows import (
    Head,
    Request,
    about_the_hips,
    among_49,
    annotations,
    boxes_of,
    good_rows,
    inside,
    keep,
    runs,
    with_confidence,
)
from training.datasets.store import Annotations

Entry = Mapping[str, Any]
_NO_DEPTH_MM = 1e-3  # nearer to the camera's plane a point has no place in the picture; chosen
_IMAGE_KEYS = ("id", "file_name", "width", "height", "cam_idx", "frame_idx")


@dataclass(frozen=True)
class Edition:
    """How one set writes them.

    Attributes:
        name: of the set.
        points: names of the K joints.
        filed: entries of an image under which joints and labels of its frame are filed.
        camera: entries of an image under which its camera is filed.
        lens: names of a camera's rotation, translation, focal lengths and principal point.
        fps, kept_fps: of the videos, and how many are kept unless the request says otherwise.
        image: path below the root of an entry of "images".
        leaves: whether people leave the image: then points outside are not known, and whoever lacks
            one is left out.
    """

    name: str
    points: tuple[str, ...]
    filed: tuple[str, str]
    camera: tuple[str, ...]
    lens: tuple[str, str, str, str]
    fps: float
    kept_fps: float
    image: Callable[[Entry], str]
    leaves: bool


@dataclass(frozen=True)
class Paths:
    """Where one set of the four files lies; labels may be missing."""

    images: Path
    cameras: Path
    joints: Path
    labels: Path | None


@dataclass(frozen=True)
class _Camera:
    """camera = turn world + shift_mm; pixels = focal_px x / z + middle_px."""

    turn: np.ndarray
    shift_mm: np.ndarray
    focal_px: np.ndarray
    middle_px: np.ndarray

    def project(self, points_mm: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) of points (..., 3) in camera axes; NaN in the camera's own plane."""
        depth_mm = np.where(np.abs(points_mm[..., 2:]) < _NO_DEPTH_MM, np.nan, points_mm[..., 2:])
        return points_mm[..., :2] / depth_mm * self.focal_px + self.middle_px


class WorldSet:
    """The content of the four files."""

    def __init__(self, edition: Edition, paths: Paths) -> None:
        """Reads them.

        Raises:
            SetError: missing, damaged, or of another layout.
        """
        self.edition, self.paths = edition, paths
        self.images = read_json(paths.images, "images", "annotations")
        self.cameras, self.joints = read_json(paths.cameras), read_json(paths.joints)
        self.labels = None if paths.labels is None else FiledLabels(paths.labels)

    def videos(self, wanted: Callable[[Entry], bool]) -> list[list[Entry]]:
        """Images of each video in order of time, each with its person's box where given."""
        boxes = {entry.get("image_id"): entry.get("bbox") for entry in self.images["annotations"]}
        keys = (*self.edition.filed, "cam_idx")
        found: dict[tuple[int, ...], list[Entry]] = defaultdict(list)
        for image in self.images["images"]:
            need(image, (*_IMAGE_KEYS, *keys), self.paths.images)
            if wanted(image):
                frame = whole_number(image, "frame_idx", self.paths.images)
                name_below(image["file_name"], self.paths.images)
                found[tuple(image[key] for key in keys)].append(
                    image | {"bbox": boxes.get(image["id"]), "frame_idx": frame}
                )
        return [sorted(v, key=lambda image: image["frame_idx"]) for _, v in sorted(found.items())]

    def joints_of(self, image: Entry) -> Any:
        """The joints of an image's frame, or None."""
        return filed_under(self.joints, self._frame(image))

    def label_of(self, image: Entry, camera: _Camera) -> Smpl | None:
        """The SMPL label of an image's frame in the camera's axes, or None."""
        return None if self.labels is None else self.labels.of(self._frame(image), camera.turn)

    def camera_of(self, image: Entry) -> _Camera:
        """The image's camera.

        Raises:
            SetError: it is not there or of another layout.
        """
        path, entry = self.paths.cameras, self.cameras
        for key in self.edition.camera:
            need(entry, (str(image[key]),), path)
            entry = entry[str(image[key])]
        need(entry, self.edition.lens, path)
        shapes = ((3, 3), (3,), (2,), (2,))
        return _Camera(
            *(shaped(entry[k], shape, k, path) for k, shape in zip(self.edition.lens, shapes))
        )

    def _frame(self, image: Entry) -> tuple[str, ...]:
        return tuple(str(image[key]) for key in (*self.edition.filed, "frame_idx"))


def parts(
    request: Request, found: WorldSet, wanted: Callable[[Entry], bool], pictures: Pictures
) -> Iterator[Annotations]:
    """A part for each video with an image that is wanted.

    Raises:
        SetError: an image is missing, an entry is of another layout, no label is of a frame here.
    """
    with reading(found.paths.images):
        for images in found.videos(wanted):
            yield from _video(request, found, images, pictures)
    if found.labels is not None:
        found.labels.check_used()


def _video(
    request: Request, found: WorldSet, images: list[Entry], pictures: Pictures
) -> Iterator[Annotations]:
    edition = found.edition
    stride = stride_for(request.fps or edition.kept_fps, edition.fps, found.paths.images)
    seen = [(i, found.joints_of(i)) for i in images if i["frame_idx"] % stride == 0]
    labelled = [(image, joints) for image, joints in seen if joints is not None]
    request.skip("no joints for the image", len(seen) - len(labelled))
    if not labelled:
        return
    camera = found.camera_of(images[0])
    rows = _rows(request, found, labelled, camera)
    rows["frame"] = rows["frame"] // stride
    body = "none"
    if found.labels is not None:
        rows |= smpl_rows([found.label_of(image, camera) for image, _ in labelled])
        body = "smpl-neutral"
    rows = keep(rows, good_rows(request, rows, request.enough(len(edition.points))))
    rows = keep(rows, pictures.usable(list(rows["image"])))
    if len(rows["image"]):
        names = list(rows["image"])
        rows |= {"image": np.arange(len(names)), "sequence": runs(rows["frame"])}
        head = Head(edition.name, request.split, body, edition.fps / stride)
        yield annotations(head, names, rows)


def _rows(
    request: Request, found: WorldSet, labelled: list[tuple[Entry, Any]], camera: _Camera
) -> dict[str, np.ndarray]:
    edition, paths = found.edition, found.paths
    shape = (len(edition.points), 3)
    world_mm = np.stack([shaped(j, shape, "joints", paths.joints) for _, j in labelled])
    points_mm = world_mm @ camera.turn.T + camera.shift_mm
    points_px = camera.project(points_mm)
    first = labelled[0][0]
    known = inside(points_px, first["width"], first["height"]) if edition.leaves else 1.0
    names = named(edition.points, request.heads)
    boxes = boxes_of(among_49(names, with_confidence(points_px)))
    for row, (image, _) in enumerate(labelled):
        if image["bbox"]:
            boxes[row] = square(image["bbox"], paths.images)
    return {
        "image": np.array([edition.image(image) for image, _ in labelled], object),
        "frame": np.array([image["frame_idx"] for image, _ in labelled]),
        "keypoints_px": among_49(names, with_confidence(points_px, known)),
        "boxes_px": boxes,
        "joints_m": about_the_hips(among_49(names, with_confidence(points_mm / 1000))),
    }
