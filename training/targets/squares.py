"""Made-up people on crops: the squares that are cut, and what of a person is true on them.

A crop shows nothing of where in the picture it was cut, and the same pose looks turned when it is
seen from the side.  So 3D joints and the rotation of joint 0 are those of a camera that is turned
straight at the crop's centre (`crop_turns`).  Keypoints are where the joints fall in the crop as it
was cut, by the true perspective.

Squares are (..., 3): centre x, y and side; picture coordinates are any in which a point p in camera
axes falls on focal · (p.x, p.y) / p.z.
"""

import numpy as np

from staf_backend.geometry import rotation_between
from training.joints import HIPS
from training.targets.samples import CROP_SCALE, Targets

_PART_OFF = np.array([0.15, 0.5])
"""How far across and down a crop of a part may lie off the person's middle, over the share of the
side that is cut away; chosen: heads or feet are lost, seldom a side."""


def tracked_squares(
    centre: np.ndarray, side: np.ndarray, error: np.ndarray, part: np.ndarray, off: np.ndarray
) -> np.ndarray:
    """Squares (..., 3) to cut around people, as far off as a tracker's.

    Args:
        centre: (..., 2) of the person.
        side: (..., 1) of the person's box as the tracker sees it.
        error: (..., 2) of the box's centre, over that side.
        part: (..., 1) share of the side that the crop keeps: below 1 it holds a part of the person.
        off: (..., 2) -1..1, where that part lies.
    """
    centre = centre + error * side
    centre = centre + off * _PART_OFF * side * (1 - part)
    return np.concatenate([centre, side * part * CROP_SCALE], -1)


def on_crops(points: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Picture coordinates (..., K, 2) as places on crops (..., 3), which span -1..1."""
    return (points - squares[..., None, :2]) / (squares[..., None, 2:] / 2)


def crop_turns(squares: np.ndarray, focal: float) -> np.ndarray:
    """Rotations (..., 3, 3) that turn the camera straight at the centres of squares (..., 3).

    The shortest turn that takes the viewing ray of the crop's centre to the z axis.
    """
    ray = np.concatenate([squares[..., :2] / focal, np.ones_like(squares[..., :1])], -1)
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    return rotation_between(ray, np.array([0.0, 0.0, 1.0]))


def exact_targets(
    joints_m: np.ndarray,
    seen: np.ndarray,
    rotations: np.ndarray,
    betas: np.ndarray,
    turns: np.ndarray,
    *,
    betas_known: bool = True,
) -> Targets:
    """Targets of people of whom all is known, float32.

    Args:
        joints_m: (..., 49, 3) in any axes about any origin.
        seen: (..., 49, 2) the same on the crops (`on_crops`).
        rotations: (..., 24, 3, 3) parent-relative, joint 0 in those axes.
        betas: (..., 10).
        turns: (..., 3, 3) from those axes to the crops' cameras.
        betas_known: False where the betas are another body's: they are then left out.
    """
    axes = joints_m.shape[:-2]
    about = joints_m - joints_m[..., list(HIPS), :].mean(-2, keepdims=True)
    sure = np.ones((*joints_m.shape[:-1], 1))
    local = rotations.copy()
    local[..., 0, :, :] = turns @ local[..., 0, :, :]
    fields = Targets(
        keypoints=np.concatenate([seen, sure], -1),
        joints_m=np.concatenate([about @ turns.swapaxes(-1, -2), sure], -1),
        rotations=local,
        betas=betas * betas_known,
        has_pose=np.ones(axes),
        has_betas=np.full(axes, float(betas_known)),
    )
    return fields.map(lambda field: field.astype(np.float32))
