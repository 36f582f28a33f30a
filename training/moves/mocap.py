"""Motion capture for training: clips of SMPL rotations, where the feet stand, windows of them.

The file holds `<clip>/poses` (T, 72) axis-angle and `<clip>/trans_m` (T, 3), 30 frames a second,
y up; a clip's name begins with its subject ("05_12" is subject 05).
"""

import zlib
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from staf_backend import StafError
from staf_backend.files import Budget, open_file, shown
from staf_backend.geometry import SMPL, rotations, skeleton
from staf_backend.landmarks.windows import GRID_HZ, WINDOW
from training.moves.limbs import blended

FEET = ("left_heel", "left_foot_index", "right_heel", "right_foot_index")
"""The markers whose contact with the ground is labelled, in this order."""
HELD_OUT = ("03", "07", "10", "12", "35", "49", "85", "135")
"""Subjects of CMU's database that no network is trained on; chosen: unlike the others."""
_CARRIERS = list(SMPL.indices("left_ankle", "left_foot", "right_ankle", "right_foot"))
"""The joints that `FEET` move with: heels with the ankles, toes with the feet."""
_HEELS, _TOES = [0, 2], [1, 3]  # of `FEET`
_STILL_M_PER_S = 0.30  # a standing foot moves less: retargeting leaves it 0.1 to 0.2
_NEAR_FLOOR_M = 0.07  # above its own standing height; steps and cables are lower, swings higher
_FLOOR_QUANTILE = 0.1  # of the heights of slow frames; chosen: the lowest few are slips
_SHORTEST = 40  # frames; a shorter clip cannot fill a window at full speed
_BACKWARDS = 0.1  # share of windows that run backwards; chosen
_SPARE_BYTES = 1_000_000_000
"""What a file may unpack to, however small.  Chosen: twice CMU's database."""
_DAMAGE = (
    *(OSError, EOFError, ValueError, LookupError, AttributeError, TypeError, MemoryError),
    *(ArithmeticError, NotImplementedError, BadZipFile, zlib.error),
)
"""What reading a damaged archive may raise."""
_EVENER = 0.7  # power of a clip's length that is its odds; chosen


class MocapError(StafError):
    """The motion capture file is missing or not what the training reads."""

    kind = "mocap"
    exit_code = 6


@dataclass(frozen=True)
class Clip:
    """One captured motion at 30 frames a second, y up.

    Attributes:
        name: "subject_number".
        rotations: (T, 24, 3, 3) parent-relative, float32.
        pelvis_m: (T, 3) position of the pelvis joint, metres.
        contact: (T, 4) bool, which of `FEET` stands.
    """

    name: str
    rotations: np.ndarray
    pelvis_m: np.ndarray
    contact: np.ndarray

    def __post_init__(self) -> None:
        frames = len(self.rotations)
        for name, shape in (
            ("rotations", (frames, len(SMPL), 3, 3)),
            ("pelvis_m", (frames, 3)),
            ("contact", (frames, len(FEET))),
        ):
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} must be {shape}, got {getattr(self, name).shape}")

    @property
    def subject(self) -> str:
        """Who was captured."""
        return self.name.split("_")[0]


@dataclass(frozen=True)
class Moves:
    """N windows of motion: W frames, y up.

    Attributes:
        rotations: (N, W, 24, 3, 3) parent-relative; joint 0 in the world.
        pelvis_m: (N, W, 3).
        contact: (N, W, 4) bool.
        contact_known: (N,) bool; False where the contact means nothing.
    """

    rotations: np.ndarray
    pelvis_m: np.ndarray
    contact: np.ndarray
    contact_known: np.ndarray


def read_clips(path: Path, rest_joints_m: np.ndarray, rest_feet_m: np.ndarray) -> list[Clip]:
    """All clips long enough for a window.

    Args:
        path: the .npz file.
        rest_joints_m: (24, 3) joints of the body's rest pose.
        rest_feet_m: (4, 3) the markers `FEET` in the rest pose.

    Raises:
        MocapError: the file cannot be read, or lacks what it should hold.
    """
    advice = "See training/LOG.md for where the motion comes from."
    try:
        with open_file(path) as opened, np.load(opened, allow_pickle=False) as file:
            budget = Budget(path.stat().st_size, _SPARE_BYTES)
            for entry in file.zip.infolist():
                budget.spend(entry.file_size)
            arrays = {key: file[key].astype(np.float32) for key in file.files}
        names = sorted({key.split("/")[0] for key in arrays})
        clips = [
            _clip(
                name, arrays[f"{name}/poses"], arrays[f"{name}/trans_m"], rest_joints_m, rest_feet_m
            )
            for name in names
            if len(arrays[f"{name}/poses"]) >= _SHORTEST
        ]
    except _DAMAGE as error:
        message = f"{path} cannot be read as motion capture: {shown(str(error))}."
        raise MocapError(message, advice) from error
    if not clips:
        raise MocapError(f"{path} holds no clip of {_SHORTEST} frames or more.", advice)
    return clips


def _clip(
    name: str, poses: np.ndarray, trans_m: np.ndarray, rest_m: np.ndarray, feet_m: np.ndarray
) -> Clip:
    local = rotations.from_axis_angle(poses.reshape(len(poses), len(SMPL), 3))
    pelvis_m = trans_m + rest_m[0].astype(np.float32)
    return Clip(name, local, pelvis_m, contacts(feet(local, pelvis_m, rest_m, feet_m)))


def feet(
    local: np.ndarray, pelvis_m: np.ndarray, rest_joints_m: np.ndarray, rest_feet_m: np.ndarray
) -> np.ndarray:
    """Positions of `FEET` (..., 4, 3), metres: heels move with the ankles, toes with the feet."""
    turned, joints = skeleton.forward_kinematics(local, rest_joints_m, pelvis_m)
    offsets = (rest_feet_m - rest_joints_m[..., _CARRIERS, :]).astype(local.dtype)
    moved = turned[..., _CARRIERS, :, :] @ offsets[..., None]
    return joints[..., _CARRIERS, :] + moved[..., 0]


def contacts(feet_m: np.ndarray) -> np.ndarray:
    """Which feet stand (T, 4): slow, and no higher than where that marker is when it is slow."""
    speed = np.linalg.norm(np.gradient(feet_m, 1 / GRID_HZ, axis=0), axis=-1)
    slow = speed < _STILL_M_PER_S
    height = feet_m[..., 1]
    # heel and toe stand at different heights, the same on both feet; a low quantile of the slow
    # frames is the floor, whatever its height in this clip
    floor = np.zeros(len(FEET), height.dtype)
    for pair in (_HEELS, _TOES):
        standing = height[:, pair][_or_all(slow[:, pair])]
        floor[pair] = np.quantile(standing, _FLOOR_QUANTILE)
    return slow & (height < floor + _NEAR_FLOOR_M)


def _or_all(mask: np.ndarray) -> np.ndarray:
    return mask if mask.any() else np.ones_like(mask)


def split(clips: list[Clip], held_out: tuple[str, ...]) -> tuple[list[Clip], list[Clip]]:
    """Clips to train on and clips of the held-out subjects.

    Raises:
        MocapError: one of the two would be empty.
    """
    kept = [clip for clip in clips if clip.subject not in held_out]
    held = [clip for clip in clips if clip.subject in held_out]
    if not kept or not held:
        raise MocapError(f"Holding out subjects {', '.join(held_out)} leaves one side empty.")
    return kept, held


def clip_odds(lengths: np.ndarray) -> np.ndarray:
    """How often clips (N,) of so many frames are drawn, up to a factor.

    The longest clips hold much of the same: they get less than their share.
    """
    return lengths**_EVENER


class Sampler:
    """Draws windows from clips at varied speed, forwards and backwards."""

    def __init__(self, clips: list[Clip]) -> None:
        self._rotations = np.concatenate([clip.rotations for clip in clips])
        self._pelvis_m = np.concatenate([clip.pelvis_m for clip in clips])
        self._contact = np.concatenate([clip.contact for clip in clips])
        self._lengths = np.array([len(clip.rotations) for clip in clips])
        self._first = np.concatenate([[0], np.cumsum(self._lengths)[:-1]])
        self._odds = clip_odds(self._lengths) / clip_odds(self._lengths).sum()

    def draw(
        self, count: int, rng: np.random.Generator, speeds: tuple[float, float] = (0.35, 1.3)
    ) -> Moves:
        """Windows at a speed of the capture drawn from `speeds`, a tenth of them backwards."""
        clip = rng.choice(len(self._lengths), count, p=self._odds)
        room = self._lengths[clip] - 1.001
        speed = np.minimum(rng.uniform(*speeds, count), room / (WINDOW - 1))
        start = rng.random(count) * (room - speed * (WINDOW - 1))
        at = start[:, None] + speed[:, None] * np.arange(WINDOW)
        at = np.where(rng.random((count, 1)) < _BACKWARDS, at[:, ::-1], at)
        return self._at(at + self._first[clip][:, None])

    def every(self, stride: int) -> Moves:
        """All windows at the captured speed, `stride` frames apart."""
        at = [
            first + start + np.arange(WINDOW)
            for first, length in zip(self._first, self._lengths, strict=True)
            for start in range(0, length - WINDOW, stride)
        ]
        return self._at(np.array(at, float))

    def _at(self, at: np.ndarray) -> Moves:
        """Moves at fractional frames (N, W)."""
        low = np.minimum(np.floor(at).astype(int), len(self._pelvis_m) - 2)
        share = (at - low).astype(np.float32)[..., None]
        wide = share[..., None, None]
        mixed = blended(self._rotations[low], self._rotations[low + 1], wide)
        pelvis_m = self._pelvis_m[low] * (1 - share) + self._pelvis_m[low + 1] * share
        contact = self._contact[np.rint(at).astype(int)]
        return Moves(mixed, pelvis_m, contact, np.ones(len(at), bool))
