"""Drawn people of whom left and right are known exactly: which landmarks are on the wrong side."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from staf_backend.landmarks import Landmarks
from staf_backend.landmarks.names import NAMES
from staf_backend.people import Track
from training.joints import JOINTS_49
from training.synthetic.recipe import Degradation, SyntheticRecipe
from training.synthetic.recording import plan, record
from training.synthetic.studio import SyntheticSequences

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
    """A folder of pictures, its frames a second, and where the joints (T, 49, 2) are in them."""

    folder: Path
    rate_hz: float
    joints_px: np.ndarray


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
        yield DrawnClip(clip, recording.rate_hz, joints)


def track_of(tracks: Sequence[Track], joints_px: np.ndarray) -> Track | None:
    """The track that follows the drawn person, whose joints (T, 49, 2) are; None: nobody does."""
    middle = (_middle(joints_px, "shoulder") + _middle(joints_px, "hip")) / 2
    length = np.linalg.norm(_middle(joints_px, "shoulder") - _middle(joints_px, "hip"), axis=-1)
    away = [
        np.median(np.linalg.norm(t.boxes_px[:, :2] - middle[t.frames], axis=-1)) for t in tracks
    ]
    nearest = int(np.argmin(away))
    return tracks[nearest] if away[nearest] < max(np.median(length), 1.0) else None


class Sides(NamedTuple):
    """Of each part of `PARTS`, (T,): whether its sides can be told apart, and are exchanged."""

    known: dict[str, np.ndarray]
    wrong: dict[str, np.ndarray]


def sides_of(landmarks: Landmarks, joints_px: np.ndarray) -> Sides:
    """Compare landmarks of T frames with the joints (T, 49, 2) of the same."""
    length = np.linalg.norm(_middle(joints_px, "shoulder") - _middle(joints_px, "hip"), axis=-1)
    known, wrong = {}, {}
    for part, names in PARTS.items():
        ours, truth = (
            np.stack([at(points, f"{side}_{name}") for name in names for side in ("left", "right")])
            for at, points in ((_landmark, landmarks.points_px), (_joint, joints_px))
        )
        other = truth.reshape(2, 2, *truth.shape[1:])[:, ::-1].reshape(truth.shape)
        apart = np.linalg.norm(truth - other, axis=-1).max(0) / max(float(np.median(length)), 1.0)
        farther = ((ours - truth) ** 2).sum((0, 2)) - ((ours - other) ** 2).sum((0, 2))
        known[part] = np.isfinite(farther) & (apart > _LEAST_APART)
        wrong[part] = known[part] & (farther > 0)
    return Sides(known, wrong)


def _landmark(points: np.ndarray, name: str) -> np.ndarray:
    return points[:, NAMES.index(name)]


def _joint(points: np.ndarray, name: str) -> np.ndarray:
    return points[:, JOINTS_49.index(f"op_{name}")]


def _middle(joints_px: np.ndarray, name: str) -> np.ndarray:
    return (_joint(joints_px, f"left_{name}") + _joint(joints_px, f"right_{name}")) / 2
