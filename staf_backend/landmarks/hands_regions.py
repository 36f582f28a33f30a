"""Where in a frame to look for a hand: from the pose, from a first look, from the frame before.

A square is (centre x, centre y, side, angle) as in `crop`; angle 0 has the fingers upwards.

Source of the rules: MediaPipe's graphs holistic_landmark and hand_landmark (read, not copied).
"""

import numpy as np

from staf_backend.landmarks.crop import turn

POINTS = 21
"""Of a hand: the wrist, then base, two joints and tip of thumb, index, middle, ring and little."""
WRIST, KNUCKLE = 0, 9
"""Ends of the palm: the wrist, and the knuckle of the middle finger."""
_PALM = [0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18]
"""Points that say where the hand will be: finger ends move too much.  Of the graph."""
_UP = 0.1
"""Of a square's side or height, towards the finger tips.  Of the graph."""
_POSE_SCALE = 2.7
"""Of a square from the pose, over twice the palm's length.  Of the graph."""
_PALM_SCALE = 2.0
"""Of a square over the box around the palm.  Of the graph."""
_NEAR, _ALIKE, _TURNED_RAD = 0.35, 1.6, np.radians(50)
"""How far the frame before's square may be from the new one to be kept: sides between centres,
ratio of sides, and turn.  From shared measurements on four clips."""
_POSE_TO_HAND = 0.58
"""Side of a square from a hand, over that of the pose's about the same hand.  Measured on three
clips: 0.56 to 0.61 in the median."""
_WITHIN, _LIKE, _LEANT_RAD = 0.15, 1.3, np.radians(25)
"""As `_NEAR` and so on, of the pose's square, within which the re-crop network need not be asked.
Measured on a juggler: nineteen in twenty of those that it lets be kept, and none of the others."""


def from_pose(points_px: np.ndarray) -> np.ndarray:
    """Squares (N, 4) from the pose's wrist, little and index finger (N, 3, 2)."""
    wrist, pinky, index = np.moveaxis(points_px, 1, 0)
    middle = (2 * index + pinky) / 3
    up = middle - wrist
    side = 2 * np.linalg.norm(up, axis=-1)
    return _square(middle, up, side, _POSE_SCALE * side)


def from_look(ends_px: np.ndarray) -> np.ndarray:
    """Squares (N, 4) from what the re-crop network says (N, 2, 2): the hand's middle, and a point
    half a side from it towards the wrist."""
    up = ends_px[:, 0] - ends_px[:, 1]
    side = 2 * np.linalg.norm(up, axis=-1)
    return _square(ends_px[:, 0], up, side, side)


def from_hand(points_px: np.ndarray) -> np.ndarray:
    """Squares (N, 4) for the next frame, from a hand's points (N, 21, 2)."""
    up = (points_px[:, 5] + points_px[:, 13]) / 4 + points_px[:, 9] / 2 - points_px[:, 0]
    squares = []
    for points, angle in zip(points_px, np.arctan2(up[:, 0], -up[:, 1]), strict=True):
        upright = points[_PALM] @ turn(angle)
        low, high = upright.min(0), upright.max(0)
        width, height = high - low
        middle = turn(angle) @ ((low + high) / 2 - [0, _UP * height])
        squares.append([*middle, _PALM_SCALE * max(width, height), angle])
    return np.array(squares).reshape(-1, 4)


def are_near(squares_px: np.ndarray, others_px: np.ndarray) -> np.ndarray:
    """(N,) whether squares from the frame before are still about those of this one."""
    away, ratio, turned = _differences(squares_px, others_px)
    return (away < _NEAR) & (np.abs(ratio) < np.log(_ALIKE)) & (turned < _TURNED_RAD)


def are_within(squares_px: np.ndarray, pose_px: np.ndarray) -> np.ndarray:
    """(N,) whether squares from the frame before lie well within those from this one's pose."""
    away, ratio, turned = _differences(squares_px, pose_px)
    alike = np.abs(ratio - np.log(_POSE_TO_HAND)) < np.log(_LIKE)
    return (away < _WITHIN) & alike & (turned < _LEANT_RAD)


def _differences(squares_px: np.ndarray, others_px: np.ndarray) -> tuple[np.ndarray, ...]:
    """(N,) distances over the others' sides, logarithms of ratios of sides, and turns, radians."""
    away = np.linalg.norm(squares_px[:, :2] - others_px[:, :2], axis=-1) / others_px[:, 2]
    ratio = np.log(squares_px[:, 2] / others_px[:, 2])
    turned = np.abs((squares_px[:, 3] - others_px[:, 3] + np.pi) % (2 * np.pi) - np.pi)
    return away, ratio, turned


def to_image(points: np.ndarray, squares_px: np.ndarray, side_px: int) -> np.ndarray:
    """Crop pixels (N, K, 2) -> image pixels (N, K, 2); crops have `side_px` a side."""
    turned = (points - side_px / 2) @ turns(squares_px).swapaxes(-1, -2)
    return squares_px[:, None, :2] + turned * (squares_px[:, 2] / side_px)[:, None, None]


def turns(squares_px: np.ndarray) -> np.ndarray:
    """(N, 2, 2) from the axes of crops to those of the image."""
    return np.array([turn(angle) for angle in squares_px[:, 3]]).reshape(-1, 2, 2)


def crop_hands(
    image: np.ndarray, squares_px: np.ndarray, flipped: np.ndarray, side_px: int
) -> np.ndarray:
    """Crops (N, side, side, 3) uint8 of an RGB image (H, W, 3): bilinear, black outside.

    Args:
        image: the frame.
        squares_px: (N, 4) where to cut.
        flipped: (N,) crops to mirror, so that a left hand looks like a right one.
        side_px: of a crop.
    """
    import cv2

    crops = np.empty((len(squares_px), side_px, side_px, 3), np.uint8)
    first = np.where(flipped[:, None, None], [side_px - 0.5, 0.5], [0.5, 0.5])
    corners = to_image(first, squares_px, side_px)[:, 0] - 0.5  # cv2 counts from pixel centres
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for n, (square, corner) in enumerate(zip(squares_px, corners, strict=True)):
        axes = turn(square[3]) * (square[2] / side_px)
        axes[:, 0] *= -1 if flipped[n] else 1
        matrix = np.column_stack([axes, corner])
        cv2.warpAffine(image, matrix, (side_px, side_px), dst=crops[n], flags=flags)
    return crops


def _square(middle: np.ndarray, up: np.ndarray, reach: np.ndarray, side: np.ndarray) -> np.ndarray:
    """Squares (N, 4) that stand along `up`, their middle moved that way by a share of `reach`."""
    direction = up / np.maximum(np.linalg.norm(up, axis=-1, keepdims=True), 1e-9)
    centre = middle + direction * (_UP * reach)[:, None]
    return np.column_stack([centre, side, np.arctan2(up[:, 0], -up[:, 1])])
