"""Prepared data sets on disk: one folder, memory-mapped, whatever format a set came in.

    index.json              format number, name, split, body, fps, root, rows, bytes of every file
    FIELD.safetensors       one array each, `ROW_FIELDS` (the leading axis is the row)
    images.safetensors      the images' names as UTF-8, and where each begins
    report.json             what was kept and what was skipped, and why

A row is one person in one frame.  Sets are written part by part and read through memory maps, so
neither takes memory that grows with the set.  A set appears under its name only when complete.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from staf_backend import StafError
from staf_backend.files import read_json_file, shown
from staf_backend.staf import BETAS, JOINTS
from training.datasets.store_arrays import ArrayWriter, map_array
from training.datasets.store_folder import INDEX_BYTES, half_made, made_whole, occupied
from training.joints import COUNT, JOINTS_49

FORMAT = 1
"""Number of this layout; sets of another are refused."""
_OFF_UNIT = 1e-3  # most that a quaternion's length may differ from 1: labels are float32
INDEX_FILE, REPORT_FILE, UNPACKED = "index.json", "report.json", "images"
GENDERS = ("neutral", "male", "female")
"""What the numbers of `gender` mean."""

ROW_FIELDS: dict[str, tuple[str, tuple[int, ...]]] = {
    "image": ("<i4", ()),
    "boxes_px": ("<f4", (3,)),
    "keypoints_px": ("<f4", (COUNT, 3)),
    "joints_m": ("<f4", (COUNT, 4)),
    "quaternions_wxyz": ("<f4", (JOINTS, 4)),
    "betas": ("<f4", (BETAS,)),
    "has_pose": ("<f4", ()),
    "has_betas": ("<f4", ()),
    "gender": ("|i1", ()),
    "sequence": ("<i4", ()),
    "frame": ("<i4", ()),
    "valid": ("|b1", ()),
}
"""Type and shape of every array of a set, without its leading axis."""


class SetError(StafError):
    """A data set, as downloaded or as prepared, is missing, damaged or of another layout."""

    kind = "data-set"
    exit_code = 6


@dataclass(frozen=True)
class Annotations:
    """N labelled people in frames, sorted by sequence, then frame.

    Attributes:
        name: of the set ("coco").
        split: "train", "val", "test".
        body: whose `betas` these are: "smpl-neutral", "smpl-gendered" (see `gender`), "none".
        fps: of `frame`; 1 for photographs, each of which is its own sequence.
        images: paths below the set's root; "videos/a.avi#12" is frame 12 (from 0) of a video.
        image: (N,) index into `images`.
        boxes_px: (N, 3) centre x, y and side of the square about the person, not enlarged.
        keypoints_px: (N, 49, 3) x, y, confidence; confidence 0: unknown.
        joints_m: (N, 49, 4) camera axes (x right, y down, z away), about the middle of the hips,
            and confidence.
        quaternions_wxyz: (N, 24, 4) parent-relative, joint 0 in camera axes; identity if unknown.
        betas: (N, 10).
        has_pose, has_betas: (N,) 1 where known.
        gender: (N,) index into `GENDERS`.
        sequence: (N,) frames of one person in one video share a number; readers start a new one
            where frames are missing.
        frame: (N,) time in 1 / fps.
        valid: (N,) frames that scores count.
    """

    name: str
    split: str
    body: str
    fps: float
    images: Sequence[str]
    image: np.ndarray
    boxes_px: np.ndarray
    keypoints_px: np.ndarray
    joints_m: np.ndarray
    quaternions_wxyz: np.ndarray
    betas: np.ndarray
    has_pose: np.ndarray
    has_betas: np.ndarray
    gender: np.ndarray
    sequence: np.ndarray
    frame: np.ndarray
    valid: np.ndarray

    def __post_init__(self) -> None:
        for name, (dtype, shape) in ROW_FIELDS.items():
            array = getattr(self, name)
            expected = (len(self.image), *shape)
            if array.shape != expected:
                raise ValueError(f"{name} must be {expected}, got {array.shape}")
            if array.dtype != np.dtype(dtype):
                raise ValueError(f"{name} must be {np.dtype(dtype)}, got {array.dtype}")
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                row = np.argwhere(~np.isfinite(array))[0][0]
                raise ValueError(f"{name} is not finite in row {row}")
        _check_order(self.sequence, self.frame)
        _check_values(self)

    def __len__(self) -> int:
        return len(self.image)

    def image_of(self, row: int) -> str:
        """Name of the image that a row is in."""
        return self.images[int(self.image[row])]


def _check_order(sequence: np.ndarray, frame: np.ndarray) -> None:
    steps, times = np.diff(sequence.astype(np.int64)), np.diff(frame.astype(np.int64))
    if (steps < 0).any():
        raise ValueError("sequence must not decrease")
    if ((steps == 0) & (times <= 0)).any():
        raise ValueError("frame must increase within a sequence")


def _check_values(labels: Annotations) -> None:
    if not labels.fps > 0:
        raise ValueError(f"fps must be positive, got {labels.fps}")
    if len(labels) == 0:
        return
    if labels.image.min() < 0 or labels.image.max() >= len(labels.images):
        raise ValueError(f"image must index the {len(labels.images)} images")
    if (labels.boxes_px[:, 2] <= 0).any():
        raise ValueError(f"boxes_px: no side in row {int(labels.boxes_px[:, 2].argmin())}")
    if not ((labels.gender >= 0) & (labels.gender < len(GENDERS))).all():
        raise ValueError("gender must be 0, 1 or 2")
    for name in ("has_pose", "has_betas"):
        if not np.isin(getattr(labels, name), (0, 1)).all():
            raise ValueError(f"{name} must be 0 or 1")
    length = np.linalg.norm(labels.quaternions_wxyz, axis=-1)
    if np.abs(length - 1).max() > _OFF_UNIT:
        raise ValueError("quaternions_wxyz must have unit length")


@dataclass(frozen=True)
class PreparedSet(Annotations):
    """A set on disk: `Annotations` whose arrays are memory maps, opened without being read.

    Attributes:
        folder: where the set lies.
        root: what `images` are relative to.
    """

    folder: Path = field(default=Path())
    root: Path = field(default=Path())

    def __post_init__(self) -> None:
        """Nothing: the content was checked when it was written, the sizes when it was opened."""

    def report(self) -> dict[str, Any]:
        """What was kept and skipped when the set was prepared."""
        return _read_json(self.folder / REPORT_FILE)


def write_set(
    folder: Path,
    annotations: Annotations | Iterable[Annotations],
    report: Mapping[str, Any],
    *,
    root: Path | None = None,
) -> None:
    """Write a set; it replaces one of the same name only once it is complete.

    Args:
        folder: to be made.  An older set there is replaced, any other content refused.
        annotations: the set, or its parts: each numbers its own images and sequences from 0.
        report: JSON content, written after the last part was taken.
        root: what the images are relative to; the set's own folder by default.

    Raises:
        SetError: the folder holds something else, the parts disagree, or the disk is full.
    """
    check_free(folder)
    parts = [annotations] if isinstance(annotations, Annotations) else annotations
    try:
        with made_whole(folder) as new:
            index = _write_parts(new, parts)
            index["root"] = "." if root is None else str(Path(root).resolve())
            _write_json(new / REPORT_FILE, dict(report))
            _write_json(new / INDEX_FILE, index)
    except OSError as error:
        reason = error.strerror or str(error)
        raise SetError(
            f"{folder} cannot be written: {reason}.", "Make room, then again."
        ) from error


def check_free(folder: Path) -> None:
    """Refuse a folder that holds something else than a prepared set, or something beside it.

    Raises:
        SetError: it does, or cannot be looked at.
    """
    try:
        taken = occupied(folder, INDEX_FILE, (REPORT_FILE, UNPACKED))
    except OSError as error:
        raise SetError(f"{folder} cannot be read: {error.strerror}.", "Check the path.") from error
    if taken:
        message = f"{folder} is not empty and no prepared set, holds more, or is where you are."
        raise SetError(message, "Give another folder.")


def _write_parts(folder: Path, parts: Iterable[Annotations]) -> dict[str, Any]:
    """Append all parts to the fields' files; gives the index."""
    first: Annotations | None = None
    offsets = {"image": 0, "sequence": 0}
    fields = {n: ArrayWriter(folder, n, dtype, shape) for n, (dtype, shape) in ROW_FIELDS.items()}
    text = ArrayWriter(folder, "image_text", "|u1", ())
    ends = ArrayWriter(folder, "image_ends", "<i8", ())
    every = [*fields.values(), text, ends]
    try:
        for part in parts:
            first = first or part
            if _head(part) != _head(first):
                raise SetError(f"Parts disagree: {_head(part)} after {_head(first)}.")
            for name, writer in fields.items():
                rows = getattr(part, name)
                writer.append(rows + np.int32(offsets[name]) if name in offsets else rows)
            names = [name.encode() for name in part.images]
            ends.append(np.cumsum([len(name) for name in names], dtype=np.int64) + text.count)
            text.append(np.frombuffer(b"".join(names), np.uint8))
            offsets["image"] += len(part.images)
            offsets["sequence"] += int(part.sequence[-1]) + 1 if len(part) else 0
    finally:
        for writer in every:
            writer.close()
    if first is None or fields["image"].count == 0:
        advice = "Look at the counts of what was skipped, and at --root."
        raise SetError("Nothing is left of the set: every row was skipped.", advice)
    files = {writer.path.name: writer.path.stat().st_size for writer in every}
    return {
        "format": FORMAT,
        **_head(first),
        "rows": fields["image"].count,
        "sequences": offsets["sequence"],
        "joint_names": list(JOINTS_49),
        "files": files,
    }


def _head(part: Annotations) -> dict[str, Any]:
    return {"name": part.name, "split": part.split, "body": part.body, "fps": float(part.fps)}


def open_set(folder: Path, root: Path | None = None) -> PreparedSet:
    """Open a prepared set; costs the same however large it is.

    Args:
        folder: as given to `write_set`.
        root: where the images are now, if they have moved.

    Raises:
        SetError: missing, half-written, damaged, or of a newer or older format.
    """
    again = "Prepare it again with: python -m training.prepare"
    if not (folder / INDEX_FILE).is_file():
        half = half_made(folder).exists()
        state = "was not finished" if half else "is no prepared set (index.json is missing)"
        raise SetError(f"{folder} {state}.", again)
    index = _read_json(folder / INDEX_FILE)
    if index.get("format") != FORMAT:
        made = index.get("format")
        advice = "Update this software." if isinstance(made, int) and made > FORMAT else again
        raise SetError(f"{folder} has format {made}; this software reads {FORMAT}.", advice)
    try:
        _check_index(folder, index)
        arrays = {name: map_array(folder, name, dtype) for name, (dtype, _) in ROW_FIELDS.items()}
        _check_lengths(arrays, index["rows"])
        images = ImageNames(
            map_array(folder, "image_text", "|u1"), map_array(folder, "image_ends", "<i8")
        )
        where = Path(root) if root else folder / index["root"]
        head = (index["name"], index["split"], index["body"], index["fps"])
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, OSError) as error:
        raise SetError(f"{folder} is damaged: {shown(str(error))}.", again) from error
    return PreparedSet(*head, images, **arrays, folder=folder, root=where)


def _check_index(folder: Path, index: Mapping[str, Any]) -> None:
    if index["joint_names"] != list(JOINTS_49):
        raise ValueError("its joints are not the 49 of this software")
    for name, size in index["files"].items():
        path = folder / name
        found = path.stat().st_size if path.is_file() else None
        if found is None:
            raise ValueError(f"{name} is missing")
        if found != size:
            raise ValueError(f"{name} has {found} bytes of {size}")


def _check_lengths(arrays: Mapping[str, np.ndarray], rows: int) -> None:
    for name, (_, shape) in ROW_FIELDS.items():
        if arrays[name].shape != (rows, *shape):
            raise ValueError(f"{name} is {arrays[name].shape}, not {(rows, *shape)}")


class ImageNames(Sequence[str]):
    """The images' names, decoded one at a time from the map."""

    def __init__(self, text: np.ndarray, ends: np.ndarray) -> None:
        self._text, self._ends = text, ends

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        index = range(len(self))[index]  # IndexError, and negative numbers, as in a tuple
        start = int(self._ends[index - 1]) if index else 0
        return self._text[start : int(self._ends[index])].tobytes().decode()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = read_json_file(path, INDEX_BYTES)
    except (OSError, ValueError) as error:
        message = f"{path} cannot be read: {shown(str(error))}."
        raise SetError(message, "Prepare the set again.") from error
    if not isinstance(content, dict):
        raise SetError(f"{path} is not a prepared set's.", "Prepare the set again.")
    return content


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
