"""Human3.6M (Ionescu et al. 2014): the official archives, and the JSON edition made from them.

    S1/MyPoseFeatures/D3_Positions_mono/Directions 1.54138969.cdf   mm, camera axes
    S1/MyPoseFeatures/D2_Positions/Directions 1.54138969.cdf        px
    S1/Videos/Directions 1.54138969.mp4
    annotations/Human36M_subject1_{data,camera,joint_3d}.json       see the JSON edition

Trained on subjects 1, 5, 6, 7, 8 from all cameras; scored on 9 and 11 from the front camera.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from training.datasets import human36m_json
from training.datasets.formats.files import reading, shaped
from training.datasets.formats.native import read_native
from training.datasets.head_points import named
from training.datasets.pictures import frames_to_keep, stride_for, video_facts
from training.datasets.rows import (
    Head,
    Request,
    about_the_hips,
    among_49,
    annotations,
    boxes_of,
    good_rows,
    keep,
    one_of,
    runs,
    with_confidence,
)
from training.datasets.store import Annotations, SetError

SUBJECTS = {"train": (1, 5, 6, 7, 8), "val": (9, 11), "test": (9, 11)}
FRONT_CAMERA = "60457274"
"""The only one that is scored (protocol 2; paper)."""
FPS, KEPT_FPS = 50.0, 25.0
"""As filmed, and as many as are kept: VIBE's."""
POINTS: tuple[str, ...] = (
    *("pelvis", "right_hip", "right_knee", "right_ankle", "", "", "left_hip", "left_knee"),
    *("left_ankle", "", "", "", "spine", "neck", "face", "top", "", "left_shoulder"),
    *("left_elbow", "left_wrist", "", "", "", "", "", "right_shoulder", "right_elbow"),
    *("right_wrist", "", "", "", ""),
)
"""The thirty-two of the archives; many repeat another or are never moved."""
FEWEST = 17
"""Known points of a person: all that are among the 49."""


def parts(request: Request) -> Iterator[Annotations]:
    """A part for each video, whichever edition lies below the root.

    Raises:
        SetError: missing, damaged, of another layout, or video and labels disagree.
    """
    subjects = SUBJECTS[request.split]
    if (request.root / "annotations").is_dir():
        yield from human36m_json.parts(request, subjects)
        return
    if request.labels:
        raise SetError(
            "NeuralAnnot's labels need Human3.6M's JSON edition (annotations/*.json).",
            "Leave out --labels for the official archives.",
        )
    for subject in subjects:
        poses = one_of(
            request.root,
            f"S{subject}/MyPoseFeatures/D3_Positions_mono",
            f"S{subject}/Poses_D3_Positions_mono",
        )
        for path in sorted(poses.glob("*.cdf")):
            if _wanted(path, request.split):
                with reading(path):
                    yield from _video(request, subject, path)


def _wanted(path: Path, split: str) -> bool:
    """ "_ALL" files are calibration; scores are of the front camera."""
    match = re.fullmatch(r"(?!_ALL)[\w ]+\.(\d{8})", path.stem)
    return match is not None and (split == "train" or match[1] == FRONT_CAMERA)


def _video(request: Request, subject: int, path: Path) -> Iterator[Annotations]:
    planar = Path(str(path).replace("D3_Positions_mono", "D2_Positions"))
    points_mm = _poses(path, 3)
    points_px = _poses(planar, 2)
    if len(points_mm) != len(points_px):
        raise SetError(
            f"{path} has {len(points_mm)} frames, {planar} has {len(points_px)}.",
            "Fetch both archives again.",
        )
    video = request.root / f"S{subject}/Videos/{path.stem}.mp4"
    pictured = video_facts(video)[0]
    count = frames_to_keep(request, len(points_mm), pictured, video)
    stride = stride_for(request.fps or KEPT_FPS, FPS, video)
    index = np.arange(0, count, stride)
    names = named(POINTS, request.heads)
    keypoints = among_49(names, with_confidence(points_px[index]))
    rows = {
        "image": index,
        "frame": index // stride,
        "keypoints_px": keypoints,
        "boxes_px": boxes_of(keypoints),
        "joints_m": about_the_hips(among_49(names, with_confidence(points_mm[index] / 1000))),
    }
    rows = keep(rows, good_rows(request, rows, request.enough(FEWEST)))
    name = video.relative_to(request.root).as_posix()
    if len(rows["image"]):
        rows["sequence"] = runs(rows["frame"])
        images = [f"{name}#{number}" for number in rows["image"]]
        rows["image"] = np.arange(len(images))
        yield annotations(Head("h36m", request.split, fps=FPS / stride), images, rows)


def _poses(path: Path, axes: int) -> np.ndarray:
    """Points (T, 32, axes) of a file, whose one variable is (1, T, 32 axes) or (T, 32 axes)."""
    values = read_native("cdf", path, variable="Pose")["Pose"]
    values = values[0] if values.ndim == 3 and len(values) else values
    if values.ndim != 2 or values.shape[1] != len(POINTS) * axes:
        raise SetError(
            f"{path}: Pose is {values.shape}, not (T, {len(POINTS) * axes}).",
            "Is it D3_Positions_mono and D2_Positions?",
        )
    values = shaped(values, values.shape, "Pose", path, missing=True)
    return values.reshape(len(values), len(POINTS), axes)
