"""What the hand network's points usually mean: a small network learned from drawn hands.

    points, space, fitted hand ─► seen as a right hand, fingers up ─► two layers ─► change of angles
                                                                              └──► expected errors

The hand network errs alike on hands alike: it bends stretched fingers, opens fists, and takes one
finger for its neighbour.  What drawn hands with known fingers tell of it corrects the fitted
angles, and says how far each finger tip is to be believed.  `training/fingers` makes the numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from staf_backend.assets import asset_path
from staf_backend.fit.fingers_frame import FrameFit
from staf_backend.fit.fingers_hand import ANGLES, TWIST, Hand

FEATURES = 139
"""Numbers that describe what is seen of a hand: 21 points, 20 and one in space, and the fit's."""
_OUTSIDE = 4.0
"""Deviations at which an unusual number is cut.  Chosen: what was never drawn is not carried on."""
_LARGEST_RAD = 1.0
"""Of a change.  Chosen."""
SMALLEST_MM, _LARGEST_LOG = 2.0, 6.0
"""Added to errors before logarithms, and the largest of these.  Chosen: nobody sees less than 2 mm,
and no hand is larger than 0.4 m."""
_MIRROR = np.array([-1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Corrector:
    """The learned network: mean and deviation of the features (139,), and three layers."""

    mean: np.ndarray
    deviation: np.ndarray
    weights: tuple[np.ndarray, np.ndarray, np.ndarray]
    biases: tuple[np.ndarray, np.ndarray, np.ndarray]

    def __call__(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Changes of angles (N, 21) of a right hand, and expected errors of tips (N, 5), metres.

        Args:
            features: (N, 139) see `features_of`.
        """
        values = scaled(features, self.mean, self.deviation)
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            values = values @ weight.T + bias
            if number < 2:
                values = values.clip(0)
        error_mm = np.exp(values[:, ANGLES:].clip(0, _LARGEST_LOG)) - SMALLEST_MM
        return values[:, :ANGLES].clip(-_LARGEST_RAD, _LARGEST_RAD), error_mm.clip(0) / 1000


def corrected(
    hand: Hand, fitted: FrameFit, points_px: np.ndarray, world_m: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Angles (N, 21) of fitted hands, within their limits, and expected errors (N, 5) of the tips
    of index, middle, pinky and ring finger and thumb, metres.

    Args:
        hand: of the body.
        fitted: its hands in N frames.
        points_px, world_m: what they were fitted to.
    """
    change, error_m = corrector()(features_of(hand, fitted, points_px, world_m))
    angles = fitted.angles + as_right(change, hand.side)
    return angles.clip(*hand.limits_rad), error_m


def features_of(
    hand: Hand, fitted: FrameFit, points_px: np.ndarray, world_m: np.ndarray
) -> np.ndarray:
    """What is seen of N hands as (N, 139) numbers, alike for both sides and any turn in the view.

    Args:
        hand, fitted, points_px, world_m: as for `corrected`.
    """
    mirror = _MIRROR if hand.side == "left" else np.ones(3)
    points, world = points_px.astype(float) * mirror[:2], world_m.astype(float) * mirror
    up = (points[:, 5] + points[:, 13]) / 4 + points[:, 9] / 2 - points[:, 0]
    upright = _turns(np.arctan2(up[:, 0], -up[:, 1]))
    points = (points - points.mean(1, keepdims=True)) @ upright[:, :2, :2].swapaxes(1, 2)
    world = (world - world.mean(1, keepdims=True)) @ upright.swapaxes(1, 2)
    sizes = [np.sqrt((one**2).sum(-1).mean(1))[:, None] for one in (points, world)]
    palm = upright @ (mirror[:, None] * fitted.palm * mirror)
    count = len(points)
    parts = [
        points.reshape(count, -1) / sizes[0],
        world.reshape(count, -1) / sizes[1],
        np.log(sizes[1].clip(1e-6)),
        np.log1p(fitted.costs),
        palm.reshape(count, -1),
        as_right(fitted.angles - hand.relaxed_rad, hand.side),
    ]
    return np.concatenate(parts, 1)


def scaled(features: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Features (N, 139) in their deviations, cut where they are unusual."""
    return ((features - mean) / deviation).clip(-_OUTSIDE, _OUTSIDE)


def as_right(angles: np.ndarray, side: str) -> np.ndarray:
    """Angles (N, 21) of a hand as those of a right one, or back: only the thumb's twist differs."""
    signs = np.ones(ANGLES)
    signs[TWIST] = -1.0 if side == "left" else 1.0
    return angles * signs


@cache
def corrector() -> Corrector:
    """The one that is shipped.

    Raises:
        AssetError: it is missing or damaged.
    """
    with np.load(asset_path("finger_corrector.npz"), allow_pickle=False) as file:
        return corrector_of(file)


def corrector_of(arrays: Mapping[str, np.ndarray]) -> Corrector:
    """From the arrays of its file: `mean`, `deviation`, and `weight1` to `bias3`."""
    number = {name: np.asarray(arrays[name], float) for name in arrays}
    weights, biases = (
        tuple(number[f"{name}{layer}"] for layer in (1, 2, 3)) for name in ("weight", "bias")
    )
    return Corrector(number["mean"], number["deviation"], weights, biases)  # type: ignore[arg-type]


def _turns(angles: np.ndarray) -> np.ndarray:
    """(N, 3, 3) about the view, that bring what leads that far to the right of up to up."""
    cosine, sine = np.cos(angles), np.sin(angles)
    turns = np.tile(np.eye(3), (len(angles), 1, 1))
    turns[:, 0, 0] = turns[:, 1, 1] = cosine
    turns[:, 0, 1], turns[:, 1, 0] = sine, -sine
    return turns
