"""What all readers share: what is asked of them, rows filled in by name, boxes, roots, counts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from training.datasets.head_points import HEADS
from training.datasets.store import ROW_FIELDS, Annotations, SetError
from training.joints import COUNT, HIPS, JOINTS_49

SMALLEST_PX = 20.0
"""Side of the smallest person's box that is kept; chosen: a crop of less shows no limbs."""


@dataclass(frozen=True)
class Request:
    """What to read and which rows to keep.

    Attributes:
        root: folder of the downloaded set.
        split: "train", "val" or "test".
        labels: file or folder of SMPL labels made by others (EFT, NeuralAnnot), or None.
        bodies: folder with the user's SMPL files, for 3DPW's joints, or None.
        scratch: folder of the set being made, for images that must be unpacked.
        fps: frames a second to keep of a video; all by default.
        min_keypoints: fewest known points of a person; the set's own rule by default.
        min_side_px: smallest person (side of the box).
        heads: whose naming of head points of Human3.6M and MPI-INF-3DHP: "paper" (STAF's second
            stage and its scores, VIBE's) or "spin" (first stage).
        allow_missing: go on without images that are not there.
        tally: counts of what was kept and what was skipped and why; filled while reading.
    """

    root: Path
    split: str
    labels: Path | None = None
    bodies: Path | None = None
    scratch: Path = Path()
    fps: float | None = None
    min_keypoints: int | None = None
    min_side_px: float = SMALLEST_PX
    heads: str = "paper"
    allow_missing: bool = False
    tally: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        if self.heads not in HEADS:
            raise ValueError(f"heads must be one of {HEADS}, got {self.heads!r}")
        if self.fps is not None and not self.fps > 0:
            raise ValueError(f"fps must be positive, got {self.fps}")
        if not _is_folder(self.root):
            raise SetError(f"{self.root} is not a folder.", "Give the downloaded set with --root.")

    def skip(self, reason: str, count: int = 1) -> None:
        """Count rows that are left out."""
        self.tally[f"skipped: {reason}"] += int(count)

    def enough(self, default: int) -> int:
        """Fewest known points of a person."""
        return default if self.min_keypoints is None else self.min_keypoints


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name too long to be one
        return False


class Head(NamedTuple):
    """What all rows of a set share; see `Annotations`."""

    name: str
    split: str
    body: str = "none"
    fps: float = 1.0


def annotations(head: Head, images: Sequence[str], given: Mapping[str, Any]) -> Annotations:
    """Rows with the given fields; the others say that nothing is known.

    Args:
        images: their names.
        given: fields of `Annotations`; "image" (N,) and "boxes_px" must be there.  Without
            "sequence" every row is its own (photographs).
    """
    count = len(given["image"])
    arrays = {
        name: np.asarray(given[name]).astype(dtype)
        if name in given
        else np.zeros((count, *shape), dtype)
        for name, (dtype, shape) in ROW_FIELDS.items()
    }
    if "quaternions_wxyz" not in given:
        arrays["quaternions_wxyz"][..., 0] = 1
    if "valid" not in given:
        arrays["valid"][:] = True
    if "sequence" not in given:
        arrays["sequence"] = np.arange(count, dtype=np.int32)
    return Annotations(*head, tuple(images), **arrays)


def among_49(names: Sequence[str], values: np.ndarray) -> np.ndarray:
    """Values (N, K, C) of the set's points into their places among the 49: (N, 49, C).

    Args:
        names: of the K points; one that is not among `JOINTS_49` is left out ("" for instance).
    """
    if values.shape[1] != len(names):
        raise ValueError(f"{values.shape[1]} points, but {len(names)} names")
    out = np.zeros((len(values), COUNT, values.shape[2]), np.float32)
    for index, name in enumerate(names):
        if name in JOINTS_49:
            out[:, JOINTS_49.index(name)] = values[:, index]
    return out


def with_confidence(points: np.ndarray, known: np.ndarray | float = 1.0) -> np.ndarray:
    """Points (..., C) with a last column of confidence; unknown ones become zero."""
    confidence = np.broadcast_to(np.asarray(known, np.float32), points.shape[:-1])[..., None]
    return np.concatenate([np.where(confidence > 0, points, 0), confidence], -1).astype(np.float32)


def about_the_hips(joints_m: np.ndarray, root_m: np.ndarray | None = None) -> np.ndarray:
    """Joints (N, 49, 4) moved so that the middle of the hips is the origin.

    Args:
        root_m: (N, 3) the origin where the hips are not known.
    """
    hips = joints_m[:, HIPS]
    known = np.all(hips[..., 3:] > 0, axis=1)
    middle = hips[..., :3].mean(1)
    origin = np.where(known, middle, 0 if root_m is None else root_m)
    moved = joints_m[..., :3] - origin[:, None]
    return with_confidence(moved, joints_m[..., 3])


def boxes_of(keypoints_px: np.ndarray) -> np.ndarray:
    """Smallest upright squares (N, 3) about the known points (N, K, 3); side 0 without any."""
    known = keypoints_px[..., 2:] > 0
    low = np.where(known, keypoints_px[..., :2], np.inf).min(1)
    high = np.where(known, keypoints_px[..., :2], -np.inf).max(1)
    some = np.any(known, axis=(1, 2))[:, np.newaxis]
    low, high = np.where(some, low, 0), np.where(some, high, 0)
    side = (high - low).max(-1, keepdims=True)
    return np.concatenate([(low + high) / 2, side], -1).astype(np.float32)


def inside(points_px: np.ndarray, width: float, height: float) -> np.ndarray:
    """Which points (..., 2) lie on the image."""
    return np.all((points_px >= 0) & (points_px < (width, height)), axis=-1)


def keep(rows: Mapping[str, np.ndarray], mask: np.ndarray) -> dict[str, np.ndarray]:
    """The rows of a mask."""
    return {name: array[mask] for name, array in rows.items()}


def good_rows(request: Request, rows: Mapping[str, np.ndarray], fewest: int) -> np.ndarray:
    """Rows with enough known points, a person large enough, finite numbers; counts the others.

    Args:
        rows: with "keypoints_px" (N, 49, 3) and "boxes_px" (N, 3).
    """
    finite = np.ones(len(rows["image"]), bool)
    for array in rows.values():
        if array.dtype.kind == "f":
            finite &= np.isfinite(array.reshape(len(array), -1)).all(1)
    many = (rows["keypoints_px"][..., 2] > 0).sum(1) >= fewest
    large = rows["boxes_px"][:, 2] >= request.min_side_px
    request.skip("a number is missing", (~finite).sum())
    request.skip(f"fewer than {fewest} known points", (finite & ~many).sum())
    request.skip(f"smaller than {request.min_side_px:g} px", (finite & many & ~large).sum())
    return finite & many & large


def one_of(root: Path, *candidates: str) -> Path:
    """The first of these paths below the root that is there.

    Raises:
        SetError: none of them; names what was looked for.
    """
    for candidate in candidates:
        if (root / candidate).exists():
            return root / candidate
    raise SetError(
        f"{root} lacks {' or '.join(candidates)}.",
        "Is the download complete, and unpacked as its authors' archives unpack?",
    )


def runs(frames: np.ndarray, people: np.ndarray | None = None) -> np.ndarray:
    """Number (N,) of the run of consecutive frames of one person that each row belongs to.

    Windows of a sequence are then consecutive in time: what was skipped starts a new sequence.

    Args:
        frames: (N,) of a video, rising for each person.
        people: (N,) whose row it is; everything is one person's by default.
    """
    breaks = np.diff(frames, prepend=frames[:1] - 1) != 1
    if people is not None:
        breaks |= np.diff(people, prepend=people[:1]) != 0
    return np.cumsum(breaks)
