"""What somebody looks like: a unit vector that is alike for one person, whatever they do.

    key points ─► box, the trunk upright in it ─► crop, stretched ─► network ─► (D,)

Our network is MoveNet's first layers and a head, trained on drawn people alone
(`training.appearance`); D is 128.  A user may bring another (`weights.appearance`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from staf_backend.assets import AssetError
from staf_backend.people.keypoints import HIPS, SHOULDERS
from staf_backend.people.likeness import CosineScale
from staf_backend.runtime import run

WIDTH_PX, HEIGHT_PX = 64, 128
"""Of a crop of ours.  Chosen: the shape of people; at 128 x 256 re-identification gains little, and
costs four times as much."""
DIMENSIONS = 128
"""Of an appearance by our network.  Chosen."""
_SEEN_SCORE, _FEWEST_SEEN = 0.2, 4
"""Above which a key point bounds the person; of fewer the surest six are taken.  Chosen."""
_WIDER, _TALLER, _NARROWEST = 1.25, 1.15, 0.22
"""Of the box about the key points, and least width over height.  Measured on other networks of the
kind: margins between 1.1 and 1.4 change little."""
_SUREST = 6
OWN_SCALE = CosineScale(0.35, 0.8)
"""Of our network: surely of different people, and of one.  Measured (training/LOG.md)."""


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


def crop_person(
    image: np.ndarray, box: np.ndarray, size_px: tuple[int, int] = (WIDTH_PX, HEIGHT_PX)
) -> np.ndarray:
    """A person's box as (height, width, 3) uint8, of an RGB image (H, W, 3).

    Args:
        image: its edge goes on outside.
        box: of `box_about`.
        size_px: width and height of the crop.
    """
    import cv2

    part, (x, y, width, height, angle) = _part_about(image, box)
    coarse = max(1, int(height / size_px[1]))  # averaged down first, so that nothing aliases
    size = [max(1, n // coarse) for n in part.shape[1::-1]]
    scale = np.array(size) / part.shape[1::-1]
    if coarse > 1:
        part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    matrix = np.empty((2, 3))
    matrix[:, :2] = turn(angle) * (np.array([width, height]) / size_px)
    corner = (0.5 / np.array(size_px) - 0.5) * (width, height)
    matrix[:, 2] = (x, y) + turn(angle) @ corner
    matrix *= scale[:, None]
    matrix[:, 2] -= 0.5  # cv2 counts from pixel centres
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(part, matrix, size_px, flags=flags, borderMode=cv2.BORDER_REPLICATE)


@dataclass(frozen=True)
class CropFormat:
    """How a network wants its crops: (value - mean) / deviation of values 0..255, by channel.

    `bgr`: blue comes first.  `mean` and `deviation` are in the order of red, green, blue.
    """

    width_px: int = WIDTH_PX
    height_px: int = HEIGHT_PX
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    deviation: tuple[float, float, float] = (1.0, 1.0, 1.0)
    bgr: bool = False

    def blob(self, crop: np.ndarray) -> np.ndarray:
        """(1, 3, H, W) float32 of an RGB crop (H, W, 3) uint8."""
        mean, deviation = (np.array(one, np.float32) for one in (self.mean, self.deviation))
        values = (crop.astype(np.float32) - mean) / deviation
        ordered = values[..., ::-1] if self.bgr else values
        return np.ascontiguousarray(ordered.transpose(2, 0, 1)[None])


@dataclass(frozen=True)
class AppearanceNetwork:
    """Tells what people look like, with an open session of appearance.onnx or of a user's network.

    Attributes:
        session: one input (1, 3, H, W) float32, one output (1, D) float32.
        crops: how it wants them.
        scale: which of its cosines mean whom; None: each clip tells.
    """

    session: Any
    crops: CropFormat = CropFormat()
    scale: CosineScale | None = OWN_SCALE

    def __call__(self, image: np.ndarray, keypoints_px: np.ndarray) -> np.ndarray:
        """Unit vector (D,) of somebody in an RGB image (H, W, 3) uint8.

        Args:
            image: the picture.
            keypoints_px: (17, 3) of the person in it.

        Raises:
            AssetError: the network's answer is no direction.
        """
        size_px = (self.crops.width_px, self.crops.height_px)
        return self.of_crop(crop_person(image, box_about(keypoints_px), size_px))

    def of_crop(self, crop: np.ndarray) -> np.ndarray:
        """Unit vector (D,) of a crop (H, W, 3) uint8 RGB; raises as the call does."""
        (wanted,) = self.session.get_inputs()
        (answer,) = run(self.session, **{wanted.name: self.crops.blob(crop)}).values()
        vector = answer[0]
        length = float(np.linalg.norm(vector))
        if not 0 < length < np.inf:
            advice = "Choose the one that came with this software: staf weights use staf-appearance"
            raise AssetError("The appearance network's answer is not a direction.", advice)
        return vector / length


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
