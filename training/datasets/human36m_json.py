"""Human3.6M's JSON edition, with NeuralAnnot's SMPL labels (Moon et al. 2022).

annotations/Human36M_subject1_data.json       images and people, as COCO
annotations/Human36M_subject1_camera.json     {camera: {"R", "t" (mm), "f", "c"}}
annotations/Human36M_subject1_joint_3d.json   {action: {subaction: {frame: 17 x 3 (mm, world)}}}
annotations/Human36M_subject1_SMPL_NeuralAnnot.json   the same with pose, shape; also --labels
images/s_01_act_02_subact_01_ca_01/s_01_act_02_subact_01_ca_01_000001.jpg
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from staf_backend import rotations

from ..store import Annotations
from .coco import square
from .files import need, read_json, shaped
from .head_points import named
from .pictures import Pictures, stride_for
from .rows import (
    Head,
    Request,
    about_the_hips,
    annotations,
    boxes_of,
    good_rows,
    keep,
    one_of,
    place,
    runs,
    with_confidence,
)
from .smpl_labels import Smpl, neural_annot, smpl_rows

POINTS: tuple[str, ...] = (
    *("pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle"),
    *("spine", "neck", "face", "top", "left_shoulder", "left_elbow", "left_wrist"),
    *("right_shoulder", "right_elbow", "right_wrist"),
)
_FRONT_CAMERA = 4
_FPS, _KEPT_FPS = 50.0, 25.0
_IMAGE_KEYS = ("id", "file_name", "action_idx", "subaction_idx", "cam_idx", "frame_idx")


def parts(request: Request, subjects: tuple[int, ...]) -> Iterator[Annotations]:
    """A part for each video of the subjects.

    Raises:
        SetError: missing, damaged, or of another layout.
    """
    one_of(request.root, "images")
    pictures = Pictures(request)
    for subject in subjects:
        source = _Subject(request, subject)
        for video in source.videos():
            yield from _video(request, source, video, pictures)


class _Subject:
    """One subject's files."""

    def __init__(self, request: Request, subject: int) -> None:
        folder = request.root / "annotations"
        path = folder / f"Human36M_subject{subject}"
        self.data_path, self.joint_path = Path(f"{path}_data.json"), Path(f"{path}_joint_3d.json")
        self.camera_path = Path(f"{path}_camera.json")
        self.data = read_json(self.data_path, "images", "annotations")
        self.joints, self.cameras = read_json(self.joint_path), read_json(self.camera_path)
        self.smpl_path = (request.labels or folder) / f"{path.name}_SMPL_NeuralAnnot.json"
        asked = request.labels is not None
        self.smpl = read_json(self.smpl_path) if asked or self.smpl_path.is_file() else None
        self._front_only = request.split != "train"

    def videos(self) -> list[list[dict[str, Any]]]:
        """Images of each video in order of time, each with its person's box where given."""
        boxes = {entry.get("image_id"): entry.get("bbox") for entry in self.data["annotations"]}
        found: dict[tuple[int, int, int], list[dict[str, Any]]] = defaultdict(list)
        for image in self.data["images"]:
            need(image, _IMAGE_KEYS, self.data_path)
            if not self._front_only or image["cam_idx"] == _FRONT_CAMERA:
                key = (image["action_idx"], image["subaction_idx"], image["cam_idx"])
                found[key].append(image | {"bbox": boxes.get(image["id"])})
        return [sorted(v, key=lambda image: image["frame_idx"]) for _, v in sorted(found.items())]

    def camera(self, number: int) -> dict[str, np.ndarray]:
        """R (3, 3), t in mm (3,), f and c in px (2,): camera = R world + t."""
        need(self.cameras, (str(number),), self.camera_path)
        entry = self.cameras[str(number)]
        shapes = {"R": (3, 3), "t": (3,), "f": (2,), "c": (2,)}
        need(entry, shapes, self.camera_path)
        return {k: shaped(entry[k], shape, k, self.camera_path) for k, shape in shapes.items()}


def _entry(content: Any, image: dict[str, Any]) -> Any:
    """What stands under action, subaction and frame, or None."""
    for key in ("action_idx", "subaction_idx", "frame_idx"):
        content = content.get(str(image[key])) if isinstance(content, dict) else None
    return content


def _video(
    request: Request, source: _Subject, images: list[dict[str, Any]], pictures: Pictures
) -> Iterator[Annotations]:
    stride = stride_for(request.fps or _KEPT_FPS, _FPS, source.data_path)
    found = [(i, _entry(source.joints, i)) for i in images if i["frame_idx"] % stride == 0]
    labelled = [(image, joints) for image, joints in found if joints is not None]
    request.skip("no joints for the image", len(found) - len(labelled))
    if not labelled:
        return
    camera = source.camera(images[0]["cam_idx"])
    rows = _rows(request, labelled, camera, source.joint_path, source.data_path)
    rows["frame"] = rows["frame"] // stride
    body = "none"
    if source.smpl is not None:
        rows |= smpl_rows([_smpl(source, image, camera["R"]) for image, _ in labelled])
        body = "smpl-neutral"
    rows = keep(rows, good_rows(request, rows, request.enough(len(POINTS))))
    rows = keep(rows, pictures.usable(list(rows["image"])))
    if len(rows["image"]):
        names = list(rows["image"])
        rows |= {"image": np.arange(len(names)), "sequence": runs(rows["frame"])}
        yield annotations(Head("h36m", request.split, body, _FPS / stride), names, rows)


def _rows(
    request: Request,
    labelled: list[tuple[dict[str, Any], Any]],
    camera: dict[str, np.ndarray],
    joint_path: Path,
    data_path: Path,
) -> dict[str, np.ndarray]:
    world_mm = np.stack([shaped(j, (17, 3), "joints", joint_path) for _, j in labelled])
    points_mm = world_mm @ camera["R"].T + camera["t"]
    points_px = points_mm[..., :2] / points_mm[..., 2:] * camera["f"] + camera["c"]
    names = named(POINTS, request.heads)
    keypoints = place(names, with_confidence(points_px))
    boxes = boxes_of(keypoints)
    for row, (image, _) in enumerate(labelled):
        if image["bbox"]:
            boxes[row] = square(image["bbox"], data_path)
    return {
        "image": np.array([f"images/{image['file_name']}" for image, _ in labelled], object),
        "frame": np.array([image["frame_idx"] for image, _ in labelled]),
        "keypoints_px": keypoints,
        "boxes_px": boxes,
        "joints_m": about_the_hips(place(names, with_confidence(points_mm / 1000))),
    }


def _smpl(source: _Subject, image: dict[str, Any], turn: np.ndarray) -> Smpl | None:
    """The label with its root turned from the world's axes into the camera's."""
    entry = _entry(source.smpl, image)
    if entry is None:
        return None
    label = neural_annot(entry, source.smpl_path)
    quaternions = np.array(label.quaternions_wxyz)
    root = turn @ rotations.from_quaternions(quaternions[0])
    quaternions[0] = rotations.to_quaternions(rotations.nearest(root))
    return label._replace(quaternions_wxyz=quaternions)
