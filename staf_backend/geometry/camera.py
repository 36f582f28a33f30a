"""The pinhole camera: pixels, viewing rays, metres; and the one turn from its axes to ours.

Camera axes are those of computer vision: x right, y down, z away from the camera.  A motion's axes
are y up, in metres.  With the camera at the origin and level, motion = diag(1, -1, -1) camera: the
camera then looks along -z with y up, which is how glTF and Blender define a camera too.
"""

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from staf_backend.geometry.arrays import keep_array, require, require_positive, require_unit
from staf_backend.geometry.rotations import from_quaternions

TO_Y_UP = np.diag([1.0, -1.0, -1.0])
"""(3, 3) camera axes -> y up, for a level camera at the origin.  Its own inverse."""

CameraMotion = Literal["still", "rotating", "moving", "unsure"]
"""How a camera behaved: it stood still, turned on the spot, travelled, or nobody can tell."""

FocalSource = Literal["given", "metadata", "phone", "lens", "walk", "travel", "assumed", "unknown"]
"""How a focal length is known: the user gave it; the file says it; a table has it of the phone that
the file names; the user named a kind of lens; it was assumed, and corrected by how somebody walks,
or by how the background moves past a camera that travels; it was assumed; or an older file does not
tell."""
_GUESSED = ("walk", "travel", "assumed")
_ASSUMED_DIAGONALS = 0.8
"""Between a phone's main camera (0.65 to 0.8) and longer lenses (1.0 and more).  Measured on drawn
walks toward the camera (issue 14): a diagonal errs by 13.6 % of the path on a phone and 1.6 % on a
longer lens, 0.8 of it by 5.7 and 5.6 %."""


def assumed_focal_px(width_px: int, height_px: int) -> float:
    """Focal length, in pixels, to assume when nothing is known: 0.8 of the image's diagonal."""
    return _ASSUMED_DIAGONALS * math.hypot(width_px, height_px)


@dataclass(frozen=True, eq=False)
class Camera:
    """The pinhole camera that saw a motion, in the motion's axes.

    Like glTF's camera it looks along its own -z with y up; by default it stands at the origin
    with no rotation.  Pixels are those of the upright image: x right, y down, (0, 0) the outer
    corner of the first pixel.

    Raises:
        ValueError: a field has the wrong shape, is not finite, or breaks its rule.
    """

    focal_px: float
    width_px: int
    height_px: int
    focal_assumed: bool = True
    """True where the focal length is a guess, False where it was measured or read."""
    principal_point_px: np.ndarray = None  # type: ignore[assignment]  # the image's middle
    """(2,) x, y."""
    rotation_wxyz: np.ndarray = field(default_factory=lambda: np.array([1.0, 0.0, 0.0, 0.0]))
    """(4,) turns camera axes into the motion's."""
    position_m: np.ndarray = field(default_factory=lambda: np.zeros(3))
    """(3,)"""
    rotation_deg: int = 0
    """Clockwise turn that made the stored frames upright: 0, 90, 180 or 270."""
    focal_source: FocalSource = "unknown"
    """How the focal length is known."""
    motion: CameraMotion = "still"
    """How it behaved; where a `CameraPath` is known, the pose above is that of the first key."""

    def __post_init__(self) -> None:
        if self.principal_point_px is None:
            middle = np.array([self.width_px / 2, self.height_px / 2])
            object.__setattr__(self, "principal_point_px", middle)
        keep_array(self, "principal_point_px", np.float64, (2,))
        keep_array(self, "rotation_wxyz", np.float64, (4,))
        keep_array(self, "position_m", np.float64, (3,))
        require(self.width_px > 0 and self.height_px > 0, "width_px and height_px", "positive")
        require_positive(self.focal_px, "focal_px")
        require(self.rotation_deg in (0, 90, 180, 270), "rotation_deg", "0, 90, 180 or 270")
        sources = get_args(FocalSource)
        told = self.focal_source in sources
        require(told, "camera.focal_source", f"one of {', '.join(sources)}")
        guessed = self.focal_source in _GUESSED
        agreed = self.focal_source == "unknown" or guessed == self.focal_assumed
        require(agreed, "camera.focal_assumed", f"as its source, {self.focal_source}, says")
        words = get_args(CameraMotion)
        require(self.motion in words, "camera.motion", f"one of {', '.join(words)}")
        require_unit(self.rotation_wxyz, "camera.rotation_wxyz")

    def to_camera_axes(self, points_m: np.ndarray) -> np.ndarray:
        """Points (..., 3) in the motion's axes -> camera axes: x right, y down, z away; metres."""
        return _seen_from(points_m, self.position_m, from_quaternions(self.rotation_wxyz))

    def project(self, points_m: np.ndarray) -> np.ndarray:
        """Points (..., 3) in camera axes (x right, y down, z away), metres -> pixels (..., 2)."""
        return points_m[..., :2] / points_m[..., 2:] * self.focal_px + self.principal_point_px

    def rays(self, points_px: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) -> viewing rays (x/z, y/z) (..., 2) in camera axes."""
        return (points_px - self.principal_point_px) / self.focal_px


@dataclass(frozen=True, eq=False)
class CameraPath:
    """Where a camera stood and how it was turned at each of T keys, in the motion's axes.

    Raises:
        ValueError: a field has the wrong shape, is not finite, or breaks its rule.
    """

    rotations_wxyz: np.ndarray
    """(T, 4) float64, turn camera axes (x right, y up, looking along -z) into the motion's."""
    positions_m: np.ndarray
    """(T, 3) float64"""

    def __post_init__(self) -> None:
        count = len(np.atleast_1d(self.rotations_wxyz))
        keep_array(self, "rotations_wxyz", np.float64, (count, 4))
        keep_array(self, "positions_m", np.float64, (count, 3))
        require_unit(self.rotations_wxyz, "camera_rotations_wxyz")

    def __len__(self) -> int:
        return len(self.rotations_wxyz)

    def __getitem__(self, rows: slice | np.ndarray) -> "CameraPath":
        """Some of its keys."""
        return CameraPath(self.rotations_wxyz[rows], self.positions_m[rows])

    def to_camera_axes(self, points_m: np.ndarray) -> np.ndarray:
        """Points (T, N, 3) in the motion's axes, each key's -> the axes of that key's camera.

        Returns:
            (T, N, 3) x right, y down, z away; metres.
        """
        matrices = from_quaternions(self.rotations_wxyz)
        return _seen_from(points_m, self.positions_m[:, None], matrices)


def _seen_from(points_m: np.ndarray, place_m: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """Points (..., 3) -> x right, y down, z away of cameras with these places and turns."""
    return (points_m - place_m) @ matrices @ TO_Y_UP.T
