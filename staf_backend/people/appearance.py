"""What somebody looks like: a unit vector that is alike for one person, whatever they do.

    key points ─► box, the trunk upright in it ─► crop, stretched ─► network ─► (128,)

The network is MoveNet's first layers and a head of ours, trained on drawn people alone
(`training.appearance`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from staf_backend.people.keypoints import HIPS, SHOULDERS
from staf_backend.runtime.onnx_session import run

WIDTH_PX, HEIGHT_PX = 64, 128
"""Of a crop.  Chosen: the shape of people; at 128 x 256 re-identification gains little, and costs
four times as much."""
DIMENSIONS = 128
"""Of an appearance.  Chosen."""
_SEEN_SCORE, _FEWEST_SEEN = 0.2, 4
"""Above which a key point bounds the person; of fewer the surest six are taken.  Chosen."""
_WIDER, _TALLER, _NARROWEST = 1.25, 1.15, 0.22
"""Of the box about the key points, and least width over height.  Measured on other networks of the
kind: margins between 1.1 and 1.4 change little."""
_SUREST = 6


def box_about(keypoints_px: np.ndarray) -> np.ndarray:
    """Centre x, y, width, height and angle (5,) of a person's box, upright along the trunk.

    Args:
        keypoints_px: (17, 3) of the person.
    """
    points, scores = keypoints_px[:, :2].astype(float), keypoints_px[:, 2]
    up = points[SHOULDERS].mean(0) - points[HIPS].mean(0)
    angle = float(np.arctan2(up[0], -up[1]))
    seen = scores > _SEEN_SCORE
    if seen.sum() < _FEWEST_SEEN:
        seen = scores >= np.sort(scores)[-_SUREST]
    turned = turn(angle)
    upright = points[seen] @ turned
    low, high = upright.min(0), upright.max(0)
    width, height = high - low
    middle = turned @ ((low + high) / 2)
    height = max(_TALLER * height, 2.0)
    return np.array([*middle, max(_WIDER * width, _NARROWEST * height), height, angle])


def crop_person(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """A person's box as (128, 64, 3) uint8, of an RGB image (H, W, 3); its edge goes on outside."""
    import cv2

    part, (x, y, width, height, angle) = _part_about(image, box)
    coarse = max(1, int(height / HEIGHT_PX))  # averaged down first, so that nothing aliases
    size = [max(1, n // coarse) for n in part.shape[1::-1]]
    scale = np.array(size) / part.shape[1::-1]
    if coarse > 1:
        part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    matrix = np.empty((2, 3))
    matrix[:, :2] = turn(angle) * (width / WIDTH_PX, height / HEIGHT_PX)
    corner = np.array([0.5 / WIDTH_PX - 0.5, 0.5 / HEIGHT_PX - 0.5]) * (width, height)
    matrix[:, 2] = (x, y) + turn(angle) @ corner
    matrix *= scale[:, None]
    matrix[:, 2] -= 0.5  # cv2 counts from pixel centres
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    shape = (WIDTH_PX, HEIGHT_PX)
    return cv2.warpAffine(part, matrix, shape, flags=flags, borderMode=cv2.BORDER_REPLICATE)


@dataclass(frozen=True)
class AppearanceNetwork:
    """Tells what people look like, with an open session of appearance.onnx."""

    session: Any

    def __call__(self, image: np.ndarray, keypoints_px: np.ndarray) -> np.ndarray:
        """Unit vector (128,) of somebody in an RGB image (H, W, 3) uint8.

        Args:
            image: the picture.
            keypoints_px: (17, 3) of the person in it.
        """
        crop = crop_person(image, box_about(keypoints_px))
        blob = np.ascontiguousarray(crop.transpose(2, 0, 1)[None], np.float32)
        return run(self.session, image=blob)["appearance"][0]


def _part_about(image: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The part of an image that holds a box, and the box in it."""
    reach = np.hypot(box[2], box[3]) / 2 + 2
    limit = np.array(image.shape[1::-1])
    low = np.clip(np.floor(box[:2] - reach), 0, limit - 1).astype(int)
    high = np.clip(np.ceil(box[:2] + reach), low + 1, limit).astype(int)
    return image[low[1] : high[1], low[0] : high[0]], np.concatenate([box[:2] - low, box[2:]])


def turn(angle_rad: float) -> np.ndarray:
    """Rotation (2, 2) from the axes of a crop to those of the image."""
    cosine, sine = np.cos(angle_rad), np.sin(angle_rad)
    return np.array([[cosine, -sine], [sine, cosine]])
