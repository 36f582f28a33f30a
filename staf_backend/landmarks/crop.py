"""Which part of a frame the landmark network sees of a person, and the crop itself.

A square is (centre x, centre y, side, angle): image pixels and radians.  Angle 0 is upright, a
positive one leans clockwise on the screen.  Pixel coordinates are continuous: the centre of pixel
(row i, column j) is (j + 0.5, i + 0.5), and an image covers [0, width] x [0, height].

Source of the rule that makes a square from key points: MediaPipe's pose detector, whose alignment
points are the hip centre and the radius of the person's circle.
"""

import numpy as np

from staf_backend.people.keypoints import HIPS, SHOULDERS
from staf_backend.people.smooth import smooth

CROP_SIDE_PX = 256
"""Of a crop, as the network reads it (model card of BlazePose GHUM)."""

_SCALE = 2.2
"""Square's side over the person's radius about the hips.  Chosen: a tenth of room around them."""
_REACH = 1.15
"""Of the farthest key point.  Chosen: a hand reaches beyond the wrist, a head beyond the nose."""
_SEEN_SCORE = 0.2
"""Above which a key point bounds the person.  Chosen: those below may lie anywhere."""
_STEADY_SIGMA_S = 0.05
"""Width of the Gaussian in time.  Chosen: longer than a frame, shorter than a swift move."""


def squares_from_keypoints(keypoints_px: np.ndarray, boxes_px: np.ndarray) -> np.ndarray:
    """Squares (T, 4) that hold a person, turned so that the torso is upright in them.

    Args:
        keypoints_px: (T, 17, 3) x, y, score in COCO order.
        boxes_px: (T, 3) centre x, y and side of the person's box.
    """
    points, scores = keypoints_px[..., :2], keypoints_px[..., 2]
    hips = points[:, HIPS].mean(1)
    up = points[:, SHOULDERS].mean(1) - hips
    reach = np.linalg.norm(points - hips[:, None], axis=-1)
    reach = _REACH * np.where(scores > _SEEN_SCORE, reach, 0).max(1)
    radius = np.maximum(reach, boxes_px[:, 2] / 2)
    return np.column_stack([hips, _SCALE * radius, np.arctan2(up[:, 0], -up[:, 1])])


def steady_squares(
    times_s: np.ndarray, keypoints_px: np.ndarray, boxes_px: np.ndarray
) -> np.ndarray:
    """`squares_from_keypoints` of one track, steadied in time without lag: (T, 4).

    A crop that shakes with the detector's noise makes the landmarks shake.

    Args:
        times_s: (T,) of the frames.
        keypoints_px, boxes_px: as for `squares_from_keypoints`.
    """
    squares = squares_from_keypoints(keypoints_px, boxes_px)
    squares[:, 2] = np.log(squares[:, 2])
    squares[:, 3] = np.unwrap(squares[:, 3])
    squares = smooth(times_s, squares, _STEADY_SIGMA_S, 1)
    squares[:, 2] = np.exp(squares[:, 2])
    return squares


def to_image(points: np.ndarray, square_px: np.ndarray) -> np.ndarray:
    """Crop pixels (K, 2) -> image pixels (K, 2)."""
    return square_px[:2] + (points - CROP_SIDE_PX / 2) @ turn(square_px[3]).T * (
        square_px[2] / CROP_SIDE_PX
    )


def turn(angle_rad: float) -> np.ndarray:
    """Rotation (2, 2) from the axes of a crop to the axes of the image."""
    cosine, sine = np.cos(angle_rad), np.sin(angle_rad)
    return np.array([[cosine, -sine], [sine, cosine]])


def crop_image(image: np.ndarray, square_px: np.ndarray) -> np.ndarray:
    """Crop (256, 256, 3) uint8 of an RGB image (H, W, 3): bilinear, black outside the image."""
    import cv2

    matrix = np.empty((2, 3))
    matrix[:, :2] = turn(square_px[3]) * (square_px[2] / CROP_SIDE_PX)
    matrix[:, 2] = to_image(np.array([0.5, 0.5]), square_px) - 0.5  # cv2 counts from pixel centres
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, matrix, (CROP_SIDE_PX, CROP_SIDE_PX), flags=flags)
