"""Squares of a frame -> 21 points of a hand each, by MediaPipe's hand networks.

Left hands are looked at in a mirror, so that both sides are read alike and a mirrored picture gives
the mirrored hand.  World points are metres about the hand's middle, turned from the crop's axes to
the camera's (x right, y down, z away).

Source: MediaPipe's hand_landmark_full and hand_recrop; decoding as in its graphs.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from staf_backend.landmarks.hands_regions import POINTS, crop_hands, from_look, to_image, turns
from staf_backend.runtime import run

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_HAND_PX, _LOOK_PX = 224, 256
"""Sides of the crops that the two networks read."""


@dataclass(frozen=True)
class Looks:
    """What N crops show.

    Attributes:
        points_px: (N, 21, 2) image pixels.
        world_m: (N, 21, 3) metres, camera axes.
        presence: (N,) probability that there is a hand.
        right_side: (N,) probability that it is the hand of the side that was asked for.
        squares_px: (N, 4) where was looked.
    """

    points_px: np.ndarray
    world_m: np.ndarray
    presence: np.ndarray
    right_side: np.ndarray
    squares_px: np.ndarray


class HandNetworks:
    """The re-crop and the landmark network, for batches of hands of one frame.

    Args:
        recrop: `hand_recrop.onnx`.
        hand: `hand_landmark_full.onnx`.
    """

    def __init__(self, recrop: "InferenceSession", hand: "InferenceSession") -> None:
        self._recrop, self._hand = recrop, hand

    def find(self, image: np.ndarray, squares_px: np.ndarray, left: np.ndarray) -> np.ndarray:
        """Better squares (N, 4) than those from the pose.

        Args:
            image: (H, W, 3) uint8 RGB.
            squares_px: (N, 4) see `hands_regions.from_pose`.
            left: (N,) whether it is a left hand's.
        """
        crops = crop_hands(image, squares_px, left, _LOOK_PX)
        points = run(self._recrop, image=_input(crops))["points"].astype(float)
        points[left, :, 0] = _LOOK_PX - points[left, :, 0]
        return from_look(to_image(points, squares_px, _LOOK_PX))

    def look(
        self, image: np.ndarray, squares_px: np.ndarray, left: np.ndarray, *, other: bool = False
    ) -> Looks:
        """The hands in squares (N, 4); arguments as for `find`.

        Args:
            image, squares_px, left: as for `find`.
            other: mirror the other hands: right ones look like left ones.
        """
        flipped = ~left if other else left
        crops = crop_hands(image, squares_px, flipped, _HAND_PX)
        found = run(self._hand, image=_input(crops))
        points = found["landmarks"][:, :POINTS, :2].astype(float)
        world = found["world"].astype(float)
        points[flipped, :, 0] = _HAND_PX - points[flipped, :, 0]
        world[flipped, :, 0] *= -1
        world[..., :2] = world[..., :2] @ turns(squares_px).swapaxes(-1, -2)
        presence, right = (found[name][:, 0].astype(float) for name in ("presence", "handedness"))
        points_px = to_image(points, squares_px, _HAND_PX)
        return Looks(points_px, world, presence, 1 - right if other else right, squares_px)


def log_odds(probability: np.ndarray) -> np.ndarray:
    """Natural logarithm of the odds."""
    sound = probability.clip(1e-6, 1 - 1e-6)
    return np.log(sound) - np.log1p(-sound)


def _input(crops: np.ndarray) -> np.ndarray:
    image = np.empty((len(crops), 3, *crops.shape[1:3]), np.float32)
    np.multiply(crops.transpose(0, 3, 1, 2), np.float32(1 / 255), out=image, dtype=np.float32)
    return image
