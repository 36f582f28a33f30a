"""MPI-INF-3DHP (Mehta et al. 2017): the official files, and the JSON edition made from them.

    S1/Seq1/annot.mat                          annot2, annot3: a cell for each of 14 cameras
    S1/Seq1/imageSequence/video_0.avi
    S1/Seq1/camera.calibration                 read with --labels only, NeuralAnnot's SMPL
    mpi_inf_3dhp_test_set/TS1/annot_data.mat   HDF5: annot2, univ_annot3 (N, 1, 17, .), valid_frame
    mpi_inf_3dhp_test_set/TS1/imageSequence/img_000001.jpg
    MPI-INF-3DHP_1k.json                       see the JSON edition

Trained on eight subjects by the eight cameras at chest height; scored on TS1 to TS6 against the
universal skeleton, in the frames marked valid.  Millimetres in camera axes.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from training.datasets import mpi_inf_3dhp_json
from training.datasets.formats.files import reading, shaped
from training.datasets.formats.native import read_native
from training.datasets.formats.skeletool import read_turns
from training.datasets.formats.smpl_labels import FiledLabels, Smpl, smpl_rows
from training.datasets.head_points import named
from training.datasets.pictures import Pictures, frames_to_keep, image_size, stride_for, video_facts
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
    one_of,
    runs,
    with_confidence,
)
from training.datasets.store import Annotations, SetError

POINTS: tuple[str, ...] = (
    *("", "", "", "spine", "pelvis", "neck", "face", "top", "", "left_shoulder", "left_elbow"),
    *("left_wrist", "", "", "right_shoulder", "right_elbow", "right_wrist", "", "left_hip"),
    *("left_knee", "left_ankle", "", "", "right_hip", "right_knee", "right_ankle", "", ""),
)
"""The twenty-eight of the training set."""
SUBJECTS, SEQUENCES, CAMERAS = range(1, 9), (1, 2), (0, 1, 2, 4, 5, 6, 7, 8)
"""Cameras at chest height, as VIBE takes them."""
TEST_SUBJECTS = range(1, 7)
KEPT_FPS = 25.0
"""Kept of 25 or 50 filmed: VIBE's."""
FEWEST = 17
"""Known points of a person: all that are among the 49."""


def parts(request: Request) -> Iterator[Annotations]:
    """A part for each video.

    Raises:
        SetError: missing, damaged, of another layout, or video and labels disagree.
    """
    if request.split == "train":
        yield from _training(request)
        return
    if request.labels:
        raise SetError("MPI-INF-3DHP's test set has no SMPL labels.", "Leave out --labels.")
    pictures = Pictures(request)
    folder = one_of(request.root, "mpi_inf_3dhp_test_set", "TS1")
    folder = request.root if folder.name == "TS1" else folder
    for subject in TEST_SUBJECTS:
        with reading(folder / f"TS{subject}/annot_data.mat"):
            yield from _test_video(request, folder / f"TS{subject}", pictures)


def _training(request: Request) -> Iterator[Annotations]:
    if (request.root / mpi_inf_3dhp_json.FILE).is_file():
        yield from mpi_inf_3dhp_json.parts(request, CAMERAS)
        return
    labels = FiledLabels(request.labels) if request.labels else None
    for subject in SUBJECTS:
        for sequence in SEQUENCES:
            with reading(request.root / f"S{subject}/Seq{sequence}/annot.mat"):
                yield from _sequence(request, subject, sequence, labels)
    if labels:
        labels.check_used()


def _sequence(
    request: Request, subject: int, sequence: int, labels: FiledLabels | None
) -> Iterator[Annotations]:
    below = f"S{subject}/Seq{sequence}"
    path = request.root / below / "annot.mat"
    turns = _turns(path.with_name("camera.calibration")) if labels else {}
    content = read_native("mat_cells", path, keys=["annot2", "annot3"])
    for camera in CAMERAS:
        points_px = _cell(content, f"annot2.{camera}", 2, path)
        points_mm = _cell(content, f"annot3.{camera}", 3, path)
        if len(points_px) != len(points_mm):
            raise SetError(
                f"{path}: camera {camera} has {len(points_px)} frames in the image and "
                f"{len(points_mm)} in space.",
                "Fetch it again.",
            )
        video = f"{below}/imageSequence/video_{camera}.avi"
        filed = (str(subject), str(sequence))
        label = _Label(labels, filed, turns[camera]) if labels else None
        yield from _video(request, video, points_px, points_mm, label)


class _Label(NamedTuple):
    """The SMPL labels of one video: of a sequence, turned into a camera's axes."""

    labels: FiledLabels
    filed: tuple[str, str]
    turn: np.ndarray

    def of(self, frame: int) -> Smpl | None:
        """That of a frame, from 0."""
        return self.labels.of((*self.filed, str(frame + 1)), self.turn)


def _turns(path: Path) -> dict[int, np.ndarray]:
    turns = read_turns(path)
    for camera in CAMERAS:
        if camera not in turns:
            raise SetError(f"{path} lacks camera {camera}.", "Fetch it again.")
    return turns


def _cell(content: dict[str, np.ndarray], cell: str, axes: int, path: Path) -> np.ndarray:
    """Points (T, 28, axes) of a camera."""
    values, wide = content.get(cell, np.zeros((0, 0))), len(POINTS) * axes
    if values.ndim != 2 or values.shape[1] != wide:
        raise SetError(
            f"{path}: camera {cell.split('.')[1]} holds {values.shape}, not (T, {wide}).",
            "Is it MPI-INF-3DHP's annot.mat?",
        )
    values = shaped(values, values.shape, cell, path, missing=True)
    return values.reshape(len(values), len(POINTS), axes)


def _video(
    request: Request,
    video: str,
    points_px: np.ndarray,
    points_mm: np.ndarray,
    label: _Label | None,
) -> Iterator[Annotations]:
    path = request.root / video
    pictured, fps, size = video_facts(path)
    count = frames_to_keep(request, len(points_px), pictured, path)
    wanted = request.fps or KEPT_FPS
    stride = stride_for(wanted, fps, path)
    index = np.arange(0, count, stride)
    names = named(POINTS, request.heads)
    rows = _rows(names, points_px[index], points_mm[index], size)
    rows |= {"image": index, "frame": index // stride}
    if label is not None:
        rows |= smpl_rows([label.of(number) for number in index.tolist()])
    # whoever leaves the image is not framed by a box about the points (SPIN drops them, too)
    rows = keep(rows, good_rows(request, rows, request.enough(FEWEST)))
    if len(rows["image"]):
        images = [f"{video}#{number}" for number in rows["image"]]
        rows |= {"image": np.arange(len(images)), "sequence": runs(rows["frame"])}
        body = "none" if label is None else "smpl-neutral"
        yield annotations(Head("mpi-inf-3dhp", "train", body, wanted), images, rows)


def _rows(
    names: tuple[str, ...], points_px: np.ndarray, points_mm: np.ndarray, size: tuple[int, int]
) -> dict[str, np.ndarray]:
    """Key points of the image's inside, boxes about all points, joints in metres."""
    known = with_confidence(points_px, inside(points_px, *size).astype(np.float32))
    return {
        "keypoints_px": among_49(names, known),
        "boxes_px": boxes_of(among_49(names, with_confidence(points_px))),
        "joints_m": about_the_hips(among_49(names, with_confidence(points_mm / 1000))),
    }


def _test_video(request: Request, folder: Path, pictures: Pictures) -> Iterator[Annotations]:
    path = folder / "annot_data.mat"
    content = read_native("hdf", path, keys=["annot2", "univ_annot3", "valid_frame"])
    valid = content["valid_frame"].reshape(-1) > 0
    points_px = _test_points(content["annot2"], len(valid), 2, path)
    points_mm = _test_points(content["univ_annot3"], len(valid), 3, path)
    below = folder.relative_to(request.root).as_posix()
    images = [f"{below}/imageSequence/img_{n + 1:06d}.jpg" for n in range(len(valid))]
    usable = pictures.usable(images)
    if not usable.any():
        raise SetError(f"{folder}/imageSequence holds no whole image.", "Finish the download.")
    size = image_size(request.root / images[int(np.argmax(usable))])
    rows = _rows(named(mpi_inf_3dhp_json.POINTS, request.heads), points_px, points_mm, size)
    rows |= {"image": np.arange(len(valid)), "frame": np.arange(len(valid)), "valid": valid}
    rows |= {"sequence": np.zeros(len(valid))}
    # every frame stays, so that windows see the video whole; `valid` says what is scored
    keeps = usable & (rows["boxes_px"][:, 2] > 0)
    request.skip("no box", (usable & ~keeps).sum())
    head = Head("mpi-inf-3dhp", request.split, fps=KEPT_FPS)
    yield annotations(head, images, keep(rows, keeps))


def _test_points(values: np.ndarray, count: int, axes: int, path: Path) -> np.ndarray:
    shape = (count, 1, len(mpi_inf_3dhp_json.POINTS), axes)
    if values.shape != shape:
        raise SetError(
            f"{path}: points are {values.shape}, not {shape}.",
            "Labels and valid_frame disagree: fetch it again.",
        )
    return shaped(values[:, 0], (count, *shape[2:]), "a point", path)
