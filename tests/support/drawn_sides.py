"""Drawn people of whom left and right are known exactly: which landmarks are on the wrong side."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from staf_backend.landmarks import Landmarks
from staf_backend.landmarks.names import NAMES
from staf_backend.people import Track
from training.joints import JOINTS_49
from training.synthetic import Degradation, SyntheticRecipe, SyntheticSequences, plan, record

PARTS = {"trunk": ("shoulder", "hip"), "arms": ("elbow", "wrist"), "legs": ("knee", "ankle")}
_LEAST_APART = 0.25
"""Of both sides in the picture, in lengths of the torso: of nearer ones nobody can tell."""
RECIPE = SyntheticRecipe(
    part="held-out",
    frames=(30, 45),
    pixels=224,
    cell_m=0.03,
    degradation=Degradation(motion_blur=0.0),
)


class DrawnClip(NamedTuple):
    """A folder of pictures, its frames a second, where the joints (T, 49, 2) are in them, and the
    joints (T, 49, 3) about the hips in the camera's axes."""

    folder: Path
    rate_hz: float
    joints_px: np.ndarray
    joints_m: np.ndarray


def drawn_clips(folder: Path, count: int, seed: int) -> Iterator[DrawnClip]:
    """Draw clips of one person each, now and then with somebody else or things before them.

    Raises:
        SyntheticError: nothing can draw here.
    """
    source = SyntheticSequences(RECIPE, count, seed)
    for index in range(count):
        take = source.take(index)
        recording, clip = plan(take), folder / str(index)
        clip.mkdir()
        record(source.studio, take, recording, clip)
        joints = recording.joints_px(take.targets, take.shot.squares)
        yield DrawnClip(clip, recording.rate_hz, joints, take.targets.joints_m[..., :3])


def track_of(tracks: Sequence[Track], joints_px: np.ndarray) -> Track | None:
    """The track that follows the drawn person, whose joints (T, 49, 2) are; None: nobody does."""
    middle = (_middle(_joint, joints_px, "shoulder") + _middle(_joint, joints_px, "hip")) / 2
    length = np.linalg.norm(
        _middle(_joint, joints_px, "shoulder") - _middle(_joint, joints_px, "hip"), axis=-1
    )
    away = [
        np.median(np.linalg.norm(t.boxes_px[:, :2] - middle[t.frames], axis=-1)) for t in tracks
    ]
    nearest = int(np.argmin(away))
    return tracks[nearest] if away[nearest] < max(np.median(length), 1.0) else None


class Sides(NamedTuple):
    """Of each part of `PARTS`, (T,): whether its sides can be told apart, are exchanged in the
    picture, and are exchanged in the picture and in depth taken together."""

    known: dict[str, np.ndarray]
    wrong: dict[str, np.ndarray]
    exchanged: dict[str, np.ndarray]


def sides_of(landmarks: Landmarks, joints_px: np.ndarray, joints_m: np.ndarray) -> Sides:
    """Compare landmarks of T frames with the joints (T, 49, 2) and (T, 49, 3) of the same."""
    length_px, length_m, read_m = (
        _torso(at, points)
        for at, points in (
            (_joint, joints_px),
            (_joint, joints_m),
            (_landmark, landmarks.world_m),
        )
    )
    sides = Sides({}, {}, {})
    for part, names in PARTS.items():
        farther_px, apart_px = _farther(names, landmarks.points_px, joints_px)
        depths = landmarks.world_m[..., 2:] / read_m, joints_m[..., 2:] / length_m
        farther_deep, _ = _farther(names, *depths)
        farther = farther_px / length_px**2
        known = np.isfinite(farther) & (apart_px / length_px > _LEAST_APART)
        sides.known[part] = known
        sides.wrong[part] = known & (farther > 0)
        sides.exchanged[part] = known & (farther + farther_deep > 0)
    return sides


def _farther(
    names: tuple[str, ...], read: np.ndarray, joints: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(T,) by how much the squared distance from the joints exceeds that from the other side's, and
    how far both sides are apart, of landmarks (T, 33, D) and joints (T, 49, D)."""
    ours, truth = (
        np.stack([at(points, f"{side}_{name}") for name in names for side in ("left", "right")])
        for at, points in ((_landmark, read), (_joint, joints))
    )
    other = truth.reshape(2, 2, *truth.shape[1:])[:, ::-1].reshape(truth.shape)
    apart = np.linalg.norm(truth - other, axis=-1).max(0)
    return ((ours - truth) ** 2).sum((0, 2)) - ((ours - other) ** 2).sum((0, 2)), apart


def _torso(at: Callable[[np.ndarray, str], np.ndarray], points: np.ndarray) -> float:
    """Median distance of the middles of shoulders and hips."""
    length = np.linalg.norm(_middle(at, points, "shoulder") - _middle(at, points, "hip"), axis=-1)
    return max(float(np.nanmedian(length)), 1e-3)


def _landmark(points: np.ndarray, name: str) -> np.ndarray:
    return points[:, NAMES.index(name)]


def _joint(points: np.ndarray, name: str) -> np.ndarray:
    return points[:, JOINTS_49.index(f"op_{name}")]


def _middle(
    at: Callable[[np.ndarray, str], np.ndarray], points: np.ndarray, name: str
) -> np.ndarray:
    return (at(points, f"left_{name}") + at(points, f"right_{name}")) / 2
