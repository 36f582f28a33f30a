"""How likely the two sides of arms, legs and trunk are taken for each other: a small network over
two seconds to both sides.

    landmarks, depths, visibility and the detector's key points of a frame ─► 96 numbers ─► five
    convolutions of 5 frames, 1 to 16 apart, each added to what it read ─► arms, legs, trunk

It was taught by what the product reads of drawn people, and by captured motion with measured
errors (`training/sides`), in both of which sides were exchanged further: from one passing of the
legs to the next, for a moment, throughout.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from staf_backend.assets import asset_path
from staf_backend.landmarks.names import COCO_MIRROR, MIRROR, NAMES, indices
from staf_backend.landmarks.network import Landmarks
from staf_backend.runtime.dilated import DilatedNetwork, dilated_of, margin

SPACING = (1, 2, 4, 8, 16)
"""Frames between what a convolution reads, one after the other."""
MARGIN = margin(SPACING)
"""Frames to both sides that the network sees."""
RATE_HZ = 30.0
"""Frames a second that it was taught with; of faster clips it sees every second one, and so on."""
_BODY = np.concatenate(
    [
        indices("shoulder", "hip", "elbow", "wrist", "index", "knee", "ankle"),
        indices("heel", "foot_index", "eye", "ear"),
        [NAMES.index("nose")],
    ]
)
"""Landmarks that it sees."""
_HIPS_AND_SHOULDERS = indices("shoulder", "hip")
_FEWEST_SURE, _UNUSUAL, _SPEED_SHARE = 0.1, 4.0, 1 / 3
"""Score of the detector's key points that count; number beyond which one is cut; of speeds in
torso lengths a second.  Chosen."""
_BLOCK = 500
"""Frames asked at once, so that memory does not grow with the clip.  Chosen."""


@dataclass(frozen=True, eq=False)
class Read:
    """What is read of one person over T frames.

    Attributes:
        points_px: (T, 33, 2) landmarks.
        depth_m: (T, 33) of them, away from the camera.
        visibility: (T, 33).
        keypoints_px: (T, 17, 3) of the detector.
        times_s: (T,).
        scale: (T,) logarithm of pixels a metre about its median.
        torso_px, torso_m: length of the torso.
    """

    points_px: np.ndarray
    depth_m: np.ndarray
    visibility: np.ndarray
    keypoints_px: np.ndarray
    times_s: np.ndarray
    scale: np.ndarray
    torso_px: float
    torso_m: float


def mirrored(read: Read) -> Read:
    """The same seen in a mirror."""
    points, keypoints = (np.array(a) for a in (read.points_px, read.keypoints_px))
    points[..., 0] *= -1
    keypoints[..., 0] *= -1
    return Read(
        points[:, MIRROR],
        read.depth_m[:, MIRROR],
        read.visibility[:, MIRROR],
        keypoints[:, COCO_MIRROR],
        read.times_s,
        read.scale,
        read.torso_px,
        read.torso_m,
    )


def features(read: Read) -> np.ndarray:
    """(T, F) what the network sees; lengths are of the torso, about its middle."""
    middle = np.nan_to_num(_mean_of_known(read.points_px[:, _HIPS_AND_SHOULDERS]))
    flat = (read.points_px[:, _BODY] - middle[:, None]) / read.torso_px
    seen = np.isfinite(flat).all(-1)
    depth = np.where(seen, read.depth_m[:, _BODY] / read.torso_m, 0)
    visibility = np.where(seen, read.visibility[:, _BODY], 0)
    score = read.keypoints_px[..., 2]
    sure = (score > _FEWEST_SURE)[..., None]
    points = np.where(sure, (read.keypoints_px[..., :2] - middle[:, None]) / read.torso_px, 0)
    columns = [flat, depth, visibility, points, score, _speed(middle, read), read.scale]
    rows = [np.nan_to_num(column).reshape(len(middle), -1) for column in columns]
    return np.concatenate(rows, 1).clip(-_UNUSUAL, _UNUSUAL).astype(np.float32)


def _mean_of_known(points: np.ndarray) -> np.ndarray:
    """(T, D) mean of the points (T, K, D) that are known; NaN where none is."""
    known = np.isfinite(points)
    count = known.sum(1)
    total = np.where(known, points, 0).sum(1)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


def _speed(middle: np.ndarray, read: Read) -> np.ndarray:
    """(T, 2) of the middle of the torso, which jumps where it is unknown."""
    if len(middle) < 2:
        return np.zeros_like(middle)
    way, time = (np.gradient(values, axis=0) for values in (middle, read.times_s))
    return _SPEED_SHARE * way / np.maximum(time, 1e-3)[:, None] / read.torso_px


def exchanged_logits(
    landmarks: Landmarks,
    keypoints_px: np.ndarray,
    times_s: np.ndarray,
    scale: np.ndarray,
    torso: tuple[float, float],
) -> np.ndarray:
    """(T, 3) logits that the sides of arms, legs and trunk are exchanged in each frame.

    Args:
        landmarks: of T consecutive frames.
        keypoints_px: (T, 17, 3) the detector's key points of the same frames.
        times_s: (T,) of the frames.
        scale: (T,) logarithm of pixels a metre about its median; NaN where unknown.
        torso: its length in pixels and in metres.

    Raises:
        AssetError: the network is missing or damaged.
    """
    found = np.empty((len(times_s), 3), np.float32)
    step = max(1, round(_rate_hz(times_s) / RATE_HZ))
    for phase in range(min(step, len(times_s))):
        rows = np.arange(phase, len(times_s), step)
        for first in range(0, len(rows), _BLOCK):
            last = min(first + _BLOCK, len(rows))
            begin = max(first - MARGIN - 1, 0)  # one more: speeds at an end know one neighbour
            there = rows[begin : last + MARGIN + 1]
            read = Read(
                landmarks.points_px[there],
                landmarks.world_m[there, :, 2],
                landmarks.visibility[there],
                keypoints_px[there],
                times_s[there],
                scale[there],
                *torso,
            )
            wanted = np.arange(first - MARGIN, last + MARGIN).clip(0, len(rows) - 1) - begin
            looks = [features(one)[wanted] for one in (read, mirrored(read))]
            found[rows[first:last]] = np.mean([sides_network()(look) for look in looks], 0)
    return found


def _rate_hz(times_s: np.ndarray) -> float:
    """Frames a second; `RATE_HZ` of a single frame."""
    return 1 / max(float(np.median(np.diff(times_s))), 1e-3) if len(times_s) > 1 else RATE_HZ


@cache
def sides_network() -> DilatedNetwork:
    """The one that is shipped.

    Raises:
        AssetError: it is missing or damaged.
    """
    with np.load(asset_path("sides.npz"), allow_pickle=False) as file:
        return sides_network_of(file)


def sides_network_of(arrays: Mapping[str, np.ndarray]) -> DilatedNetwork:
    """From the arrays of its file, see `dilated_of`: logits (N, 3) that the sides of arms,
    legs and trunk are exchanged, of `features` (N + 2 `MARGIN`, F)."""
    return dilated_of(arrays, SPACING)
