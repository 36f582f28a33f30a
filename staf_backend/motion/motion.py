"""Motion: one person's movement.

Axes: y up, metres, seconds; the camera stands at the origin and looks along -z unless the motion
says otherwise.  T keys, J joints, B shape numbers, K key points.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from staf_backend import StafError, __version__
from staf_backend.geometry.arrays import keep_array, require, require_unit
from staf_backend.geometry.camera import Camera
from staf_backend.geometry.rotations import from_quaternions
from staf_backend.geometry.skeleton import SMPL, Skeleton, forward_kinematics

TEXT_FIELDS = ("name", "body", "gender", "source", "estimator", "version")


class MotionError(StafError):
    """A motion is not sound, or a motion file cannot be read."""

    kind = "motion"
    exit_code = 8


@dataclass(frozen=True, eq=False)
class Motion:
    """One person's movement: y up, metres, seconds.  Arrays are copied, checked and read-only.

    Raises:
        MotionError: a field has the wrong shape, is not finite, or breaks its rule; the message
            names the field.
    """

    times_s: np.ndarray
    """(T,) float64, strictly increasing, T >= 1."""
    frames: np.ndarray
    """(T,) int64 frame numbers in the video, strictly increasing."""
    rotations_wxyz: np.ndarray
    """(T, J, 4) float32 unit quaternions, parent-relative; joint 0 in the world."""
    root_m: np.ndarray
    """(T, 3) float64 world position of the pelvis joint (SMPL's trans is this minus J0)."""
    observed: np.ndarray
    """(T,) bool, False where the pose was filled in."""
    body: str
    """Name of the body that `betas` belong to."""
    betas: np.ndarray
    """(B,) float64, one shape for the clip; B is 10 for every body of ours."""
    rest_joints_m: np.ndarray
    """(J, 3) float64 joints of the shaped body in its T-pose."""
    camera: Camera
    gender: str = "neutral"
    skeleton: Skeleton = SMPL
    """J joints."""
    name: str = "motion"
    """Name of the clip."""
    source: str = ""
    """File name of the video."""
    source_fps: float = 0.0
    """The video's nominal rate; 0 where unknown."""
    person: int = 1
    estimator: str = ""
    """What made the poses: "landmarks" or "staf"."""
    version: str = __version__
    quality: Mapping[str, float] = field(default_factory=dict)
    keypoints_px: np.ndarray | None = None
    """(T, K, 3) x, y, confidence that the estimator reported, or None."""
    keypoint_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        try:
            self._check()
        except ValueError as error:
            raise MotionError(f"{error}.") from None

    def _check(self) -> None:
        _check_names(self)
        count, joints = np.size(self.times_s), len(self.skeleton)
        require(count > 0, "times_s", "at least one key")
        for name, kind, shape in (
            ("times_s", np.float64, (count,)),
            ("frames", np.int64, (count,)),
            ("rotations_wxyz", np.float32, (count, joints, 4)),
            ("root_m", np.float64, (count, 3)),
            ("observed", np.bool_, (count,)),
            ("betas", np.float64, (np.size(self.betas),)),
            ("rest_joints_m", np.float64, (joints, 3)),
        ):
            keep_array(self, name, kind, shape)
        if self.keypoints_px is not None:
            shape = (count, len(self.keypoint_names), 3)
            keep_array(self, "keypoints_px", np.float32, shape)
        for name in ("times_s", "frames"):
            require(bool((np.diff(getattr(self, name)) > 0).all()), name, "strictly increasing")
        require_unit(self.rotations_wxyz, "rotations_wxyz")


def joints_m(motion: Motion) -> np.ndarray:
    """Global joint positions (T, J, 3) in metres, float64: forward kinematics of all keys."""
    rotations = from_quaternions(motion.rotations_wxyz.astype(np.float64))
    return forward_kinematics(rotations, motion.rest_joints_m, motion.root_m, motion.skeleton)[1]


def _check_names(motion: Motion) -> None:
    for name in TEXT_FIELDS:
        require(isinstance(getattr(motion, name), str), name, "text")
    object.__setattr__(motion, "keypoint_names", tuple(motion.keypoint_names))
    require(motion.body != "", "body", "a name")
    whole = isinstance(motion.person, int | np.integer) and motion.person >= 0
    require(whole, "person", "a whole number")
    object.__setattr__(motion, "person", int(motion.person))
    sound = math.isfinite(motion.source_fps) and motion.source_fps >= 0
    require(sound, "source_fps", "a finite rate, 0 where unknown")
    for word, value in motion.quality.items():
        require(math.isfinite(value), f"quality[{word!r}]", "a finite number")
    numbers = {str(word): float(value) for word, value in motion.quality.items()}
    object.__setattr__(motion, "quality", numbers)
