"""What STAF's encoder sees of a frame, and where its camera puts the person.  numpy, cv2 for cuts.

The network looks at an upright square around a person through a camera of its own (`FOCAL_PX` in
`staf.config`), in the image a focal length of 5000 b / 224 pixels with the principal point in the
square's centre, b the square's side.  Here this becomes a place in the real camera.  Squares are
(centre x, centre y, side) in image pixels; pixel coordinates are continuous, an image covers
[0, width] x [0, height].
"""

from dataclasses import dataclass

import numpy as np

from staf_backend.geometry import Camera, rotation_between
from staf_backend.staf.config import CROP_PX, FOCAL_PX

CROP_FACTOR = 1.1
"""Side of the square over the side of the person's box, as in the authors' demo.  It enters here
and nowhere else: crops and cameras are both computed from the square that was cut."""

_STEPS = 5
"""Of the least squares for the pelvis.  Measured on made people: the last moves it by less than a
nanometre."""
_NEAREST_M = 0.1
"""Depth that a joint counts with at least, so that none at the camera outweighs the others.
Chosen: nobody is filmed from nearer."""


@dataclass(frozen=True)
class Placement:
    """Where people stand in the real camera: x right, y down, z away.

    `root_rotations` (T, 3, 3) joint 0; `root_m` (T, 3) pelvis joint, metres, NaN where `valid`
    (T,) is False: there the network's camera makes no sense (scale not positive).
    """

    root_rotations: np.ndarray
    root_m: np.ndarray
    valid: np.ndarray

    def __post_init__(self) -> None:
        frames = len(self.valid)
        if self.root_m.shape != (frames, 3) or self.root_rotations.shape != (frames, 3, 3):
            raise ValueError("root_m must be (T, 3) and root_rotations (T, 3, 3)")


def squares_around(boxes_px: np.ndarray, factor: float = CROP_FACTOR) -> np.ndarray:
    """Squares (T, 3) to cut around boxes (T, 3), both centre x, centre y, side.

    Raises:
        ValueError: boxes of another shape, or a side that is not positive and finite.
    """
    boxes_px = np.asarray(boxes_px, float)
    if boxes_px.ndim != 2 or boxes_px.shape[1] != 3:
        raise ValueError(f"boxes_px must be (T, 3), not {boxes_px.shape}")
    if not (np.isfinite(boxes_px).all() and (boxes_px[:, 2] > 0).all()):
        raise ValueError("boxes_px must be finite, with positive sides")
    return boxes_px * [1, 1, factor]


def cut(image: np.ndarray, square_px: np.ndarray) -> np.ndarray:
    """Crop (224, 224, 3) uint8 of an RGB image (H, W, 3): bilinear, black outside the image."""
    import cv2

    scale = CROP_PX / square_px[2]
    # The authors put the square's centre on the centre of pixel 112; cv2 counts from pixel centres
    shift = CROP_PX / 2 - scale * (np.asarray(square_px[:2]) - 0.5)
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    return cv2.warpAffine(image, matrix, (CROP_PX, CROP_PX), flags=cv2.INTER_LINEAR)


def to_image(points: np.ndarray, squares_px: np.ndarray) -> np.ndarray:
    """Crop coordinates -1..1 (T, K, 2) to image pixels (T, K, 2)."""
    return squares_px[:, None, :2] + points * squares_px[:, None, 2:] / 2


def place(
    joints_m: np.ndarray,
    root_rotations: np.ndarray,
    camera: np.ndarray,
    squares_px: np.ndarray,
    filmed_by: Camera,
    *,
    shown_m: np.ndarray | None = None,
) -> Placement:
    """Stands people where the real camera sees their joints where the network sees them.

    The network knows the crop only, so its idea of "facing the camera" is facing along the ray to
    the square: bodies are turned by the angle of that ray.  Then the pelvis is solved for in full
    perspective, by least squares over the joints.

    Args:
        joints_m: (T, J, 3) joints in SMPL's space, posed, root rotation included.
        root_rotations: (T, 3, 3) rotation of joint 0 as the network gives it.
        camera: (T, 3) the network's camera.
        squares_px: (T, 3) what was cut.
        filmed_by: the real camera.
        shown_m: (T, J, 3) joints of the body that is to stand there, where it is not the
            network's own (one shape for a whole track).

    Returns:
        Rotations and places; a place is NaN where the camera's scale is not positive.
    """
    valid = np.isfinite(camera).all(1) & (camera[:, 0] > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        seen_px = to_image(_crop_points(joints_m, camera), squares_px)
    rays = filmed_by.rays(seen_px)
    turns = _turns(filmed_by.rays(squares_px[:, :2]))
    shown_m = joints_m if shown_m is None else shown_m
    bodies = (shown_m - shown_m[:, :1]) @ turns.swapaxes(1, 2)
    root_m = np.full((len(camera), 3), np.nan)
    root_m[valid] = _pelvis_m(bodies[valid], rays[valid])
    return Placement(turns @ root_rotations, root_m, valid)


def _crop_points(points_m: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """Where the network's camera sees points (T, K, 3): (T, K, 2), the crop spans -1..1."""
    depth_m = 2 * FOCAL_PX / (CROP_PX * camera[:, :1] + 1e-9) + points_m[..., 2]
    return FOCAL_PX / (CROP_PX / 2) * (points_m[..., :2] + camera[:, None, 1:]) / depth_m[..., None]


def _turns(rays: np.ndarray) -> np.ndarray:
    """Shortest rotations (T, 3, 3) that take the optical axis to rays (x/z, y/z) (T, 2)."""
    directions = np.concatenate([rays, np.ones((len(rays), 1))], 1)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return rotation_between(np.array([0.0, 0.0, 1.0]), directions)


def _pelvis_m(bodies_m: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """Places p (T, 3) such that bodies (T, J, 3) + p are seen along rays (T, J, 2).

    (X + px) / (Z + pz) = rx is linear in p once multiplied by the depth, which gives a start; the
    depth weights of that form are then divided out, step by step, to least squares in the image.
    """
    weight = np.ones(rays.shape[:2])
    place_m = np.zeros((len(rays), 3))
    ones, zeros = np.ones_like(weight), np.zeros_like(weight)
    for _ in range(_STEPS):
        rows = (
            np.stack(
                [
                    np.stack([ones, zeros, -rays[..., 0]], -1),
                    np.stack([zeros, ones, -rays[..., 1]], -1),
                ],
                2,
            )
            * weight[..., None, None]
        )
        wanted = (rays * bodies_m[..., 2:] - bodies_m[..., :2]) * weight[..., None]
        count = 2 * bodies_m.shape[1]
        rows, wanted = rows.reshape(-1, count, 3), wanted.reshape(-1, count, 1)
        columns = rows.swapaxes(1, 2)
        place_m = np.linalg.solve(columns @ rows, columns @ wanted)[..., 0]
        weight = 1 / np.maximum(bodies_m[..., 2] + place_m[:, None, 2], _NEAREST_M)
    return place_m
