"""Pinhole cameras: pixels, viewing rays, metres; and the one turn from camera axes to ours.

Camera axes are those of computer vision: x right, y down, z away from the camera.  A motion's axes
are y up, in metres.  With the camera at the origin and level, motion = diag(1, -1, -1) camera: the
camera then looks along -z with y up, which is how glTF and Blender define a camera too.
"""

import math

import numpy as np

from staf_backend.geometry.rotations import skew

TO_Y_UP = np.diag([1.0, -1.0, -1.0])
"""(3, 3) camera axes -> y up, for a level camera at the origin.  Its own inverse."""


def assumed_focal_px(width_px: int, height_px: int) -> float:
    """Focal length, in pixels, to assume when nothing is known: the image's diagonal.

    It is a field of view of 53 degrees along the diagonal, between a phone's main camera (about 70)
    and a video camera at a distance (about 40); CLIFF (Li et al., ECCV 2022) uses it too.
    """
    return math.hypot(width_px, height_px)


def rays(points_px: np.ndarray, focal_px: float, size_px: tuple[int, int]) -> np.ndarray:
    """Pixels (..., 2) -> viewing rays (x/z, y/z) (..., 2), principal point at the centre."""
    return (points_px - np.array(size_px) / 2) / focal_px


def project(points_m: np.ndarray, focal_px: float, size_px: tuple[int, int]) -> np.ndarray:
    """Points (..., 3) in camera axes, metres -> pixels (..., 2), principal point at the centre."""
    return points_m[..., :2] / points_m[..., 2:] * focal_px + np.array(size_px) / 2


def levelling(up: np.ndarray) -> np.ndarray:
    """Rotation (3, 3) from camera axes to y up that takes `up` to (0, 1, 0).

    Heading is kept: the camera still looks along -z as seen from above.

    Args:
        up: (3,) against gravity, camera axes; (0, -1, 0) is a level camera, which gives TO_Y_UP.
    """
    y = TO_Y_UP @ up / np.linalg.norm(up)
    if y[1] < -1 + 1e-9:  # upside down: no shortest turn, so about the view
        return np.diag([-1.0, -1.0, 1.0]) @ TO_Y_UP
    cross = skew(np.cross(y, [0.0, 1.0, 0.0]))
    turn = np.eye(3) + cross + cross @ cross / (1 + y[1])
    return turn @ TO_Y_UP
