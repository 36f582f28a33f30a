"""Draw hands, read them with the hand networks, and keep what was seen beside the truth.

    python -m training.fingers.looks looks.npz --hands 8000 --seed 1

Each hand is looked at three times: where it is, a little beside, and in the other mirror.  One core
reads some 8 hands a second.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from staf_backend.assets import asset_path
from staf_backend.body import finger_joints
from staf_backend.files import write_arrays
from staf_backend.fit.fingers_points import ORDER
from staf_backend.landmarks import HandNetworks, Looks
from staf_backend.landmarks.hands_regions import from_hand, from_pose
from staf_backend.runtime import open_network
from training.command import command_line
from training.fingers.hands import SIDES, DrawnHand, draw_hand

SIZES_PX = (55.0, 140.0)
"""Lengths of hands, evenly in their logarithm.  Chosen: the network sees 224 pixels of any."""
_POSE_ERROR = 0.05
"""Of the pose's points, over the hand's length.  Chosen."""
_BESIDE, _TURNED_RAD, _LARGER_LOG = 0.04, 0.12, 0.08
"""Deviations of the second square from the first: share of its side, turn, logarithm of its side.
Chosen: as squares of neighbouring frames differ."""
_PRESENT, _RIGHT_SIDE, _NEAR = 0.5, 0.2, 0.35
"""What is kept: presence, probability of the side, and distance of knuckles over the hand's length.
Chosen: a little more than the gates let through."""


def arguments() -> argparse.ArgumentParser:
    """The options of this command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="the .npz file to write")
    parser.add_argument("--hands", type=int, default=8000, help="how many to draw (8000)")
    parser.add_argument("--seed", type=int, default=1, help="of the first hand (1)")
    return parser


def seen_hands(count: int, seed: int) -> Iterator[dict[str, np.ndarray]]:
    """What is seen of drawn hands that are there, three looks each: `number` of the hand, `left`,
    `angles` (21,), `points_px` (21, 2), `world_m` (21, 3), `presence` and `right_side`.

    Args:
        count: how many are drawn.
        seed: each hand has its own, from this on.
    """
    names = ("hand_recrop.onnx", "hand_landmark_full.onnx")
    networks = HandNetworks(*(open_network(asset_path(name), threads=1) for name in names))
    for number in range(count):
        rng = np.random.default_rng(seed + number)
        side = SIDES[number % 2]
        hand_px = float(np.exp(rng.uniform(*np.log(SIZES_PX))))
        drawn = draw_hand(rng, side, hand_px)
        points = drawn.pose_points(side) + rng.normal(0, _POSE_ERROR * hand_px, (3, 2))
        left = np.array([side == "left"])
        first = _looked(networks, drawn.image, points, left)
        if not _is_seen(first, drawn, side, hand_px):
            continue
        for looks in (first, *_further(rng, networks, drawn.image, first, left)):
            yield {
                "number": np.array(seed + number),
                "left": left[0],
                "angles": drawn.angles.astype(np.float32),
                "points_px": looks.points_px[0].astype(np.float32),
                "world_m": looks.world_m[0].astype(np.float32),
                "presence": looks.presence[0].astype(np.float32),
                "right_side": looks.right_side[0].astype(np.float32),
            }


def _looked(
    networks: HandNetworks, image: np.ndarray, points_px: np.ndarray, left: np.ndarray
) -> Looks:
    """Where the pose has the hand, and again where that look found it, as in a film."""
    squares = networks.find(image, from_pose(points_px[None]), left)
    first = networks.look(image, squares, left)
    return networks.look(image, from_hand(first.points_px), left)


def _further(
    rng: np.random.Generator,
    networks: HandNetworks,
    image: np.ndarray,
    first: Looks,
    left: np.ndarray,
) -> tuple[Looks, Looks]:
    """Looks a little beside where the first one found the hand, and in the other mirror."""
    square = from_hand(first.points_px)
    beside = square.copy()
    beside[:, :2] += rng.normal(0, _BESIDE * square[0, 2], 2)
    beside[:, 3] += rng.normal(0, _TURNED_RAD)
    beside[:, 2] *= np.exp(rng.normal(0, _LARGER_LOG))
    return networks.look(image, beside, left), networks.look(image, square, left, other=True)


def _is_seen(looks: Looks, drawn: DrawnHand, side: str, hand_px: float) -> bool:
    knuckles = drawn.joints_px[list(finger_joints(side)[:12:3])]
    away = np.linalg.norm(looks.points_px[0, ORDER[1:17:4]] - knuckles, axis=1).mean()
    return bool(
        looks.presence[0] > _PRESENT
        and looks.right_side[0] > _RIGHT_SIDE
        and away < _NEAR * hand_px
    )


def main() -> None:
    """Draw, read and write."""
    given = arguments().parse_args()
    rows = list(seen_hands(given.hands, given.seed))
    write_arrays(given.out, {name: np.stack([row[name] for row in rows]) for name in rows[0]})


if __name__ == "__main__":
    sys.exit(command_line(main))
