"""People in a picture: a box and 17 key points each (MoveNet MultiPose through ONNX Runtime).

    picture --resize, pad--> network --six heads at stride 4--> peaks --> boxes, key points

The network sees the picture in the top left corner of a black one whose sides are multiples of 32.
Coordinates are continuous: an image covers [0, W] x [0, H], the middle of its first pixel is
(0.5, 0.5).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from staf_backend.people.decode import decode
from staf_backend.people.detections import Detections, suppress_duplicates
from staf_backend.runtime import run
from staf_backend.video import Picture, ReadyPicture

_MULTIPLE_PX = 32
"""The network's input has sides that are multiples of this (model card of MoveNet MultiPose)."""
_MIN_SCORE = 0.1
"""Who is found less surely is dropped.  Chosen: following asks for more to begin with somebody, but
keeps whom it knows."""


@dataclass(frozen=True)
class PersonDetector:
    """Finds people with an open session of movenet_multipose.onnx.

    Attributes:
        session: onnxruntime.InferenceSession of the network.
        long_side_px: the picture's long side as the network sees it; 512 finds people from about
            a tenth of the picture up.
    """

    session: Any
    long_side_px: int = 512

    def __post_init__(self) -> None:
        if self.long_side_px < _MULTIPLE_PX:
            raise ValueError(f"long_side_px must be at least {_MULTIPLE_PX}")

    def detect(self, image: np.ndarray) -> Detections:
        """Every person in an upright (H, W, 3) uint8 RGB image."""
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"image must be (H, W, 3) uint8, not {image.shape} {image.dtype}")
        return self.look(ReadyPicture(image))

    def look(self, picture: Picture) -> Detections:
        """Every person in a picture.

        Raises:
            VideoError: its colours cannot be read.
        """
        blob, scale = letterbox(picture, self.long_side_px)
        heads = {name: output[0] for name, output in run(self.session, image=blob).items()}
        found = decode(heads, _MIN_SCORE)
        return suppress_duplicates(_to_image(found, scale, picture.shape))


def letterbox(picture: Picture, long_side_px: int) -> tuple[np.ndarray, np.ndarray]:
    """What the network gets, and how to come back.

    Args:
        picture: of (H, W, 3).
        long_side_px: of the resized picture, before padding.

    Returns:
        The network's input (1, 3, h, w) float32, 0..255, h and w multiples of 32; and the factor
        (2,) for x and y from its pixels to those of the image.
    """
    size = np.array(picture.shape[1::-1])
    resized = np.maximum(1, np.round(size * (long_side_px / size.max()))).astype(int)
    small = picture.sized(*resized.tolist())
    width, height = -(-resized // _MULTIPLE_PX) * _MULTIPLE_PX
    blob = np.zeros((1, 3, height, width), np.float32)
    blob[0, :, : resized[1], : resized[0]] = small.transpose(2, 0, 1)
    return blob, size / resized


def _to_image(found: Detections, scale: np.ndarray, shape: tuple[int, ...]) -> Detections:
    limit = np.array(shape[1::-1])
    boxes = np.clip(found.boxes_px * np.tile(scale, 2), 0, np.tile(limit, 2))
    keypoints = found.keypoints_px * np.append(scale, 1)
    return Detections(boxes, found.scores, keypoints)
