"""Which way each finger is bent, where one picture has two explanations.

A finger that is seen shortened points towards the camera or away from it, and both may lie on the
network's points.  So all shapes of a finger are compared at once, and over time the ones in which
it hardly moves are taken: the hand turns, and what was open in one frame is plain in another.

    costs (T, 4, shapes) ─► least sum of costs and of moves (Viterbi 1967) ─► shape of each frame

The thumb is left as it was fitted: its shapes are seldom two.
"""

from dataclasses import dataclass

import numpy as np

from staf_backend.fit.fingers_hand import Hand
from staf_backend.fit.fingers_points import points_of

FINGERS, _OWN = 4, 16
"""Fingers without the thumb, and their angles: the first of a hand's."""
_KNUCKLES, _MIDDLES, _SPREADS_DEG = 8, 7, (-8.0, 1.0, 12.0)
"""How many flexions of the first and of the second joint are tried, and which spreads.  Chosen: 15
and 19 degrees apart, which Gauss-Newton closes."""
TOGETHER = 0.62
"""A finger's last joint bends by this share of the one before: one tendon bends both.  From 400
drawn hands."""
_SPEED = 6.0
"""Deviation of a flexion's speed, rad/s.  Chosen on 32 drawn films: 3 and 12 do worse."""
_ALIKE_S = 0.2
"""Frames within this time err alike and count together as one, as in `hands_sides`."""
_LONGEST_STEP_S = 0.1
"""Of the clock.  Chosen, as in `fingers_time`."""


@dataclass(frozen=True, eq=False)
class Shapes:
    """S shapes of the four fingers of a hand.

    Attributes:
        angles: (4, S, 4) radians: three flexions and the spread; the spread changes fastest.
        places_m: (4, S, 4, 3) the network's points of the finger, from the wrist, in the palm.
        bones: (4, S, 4, 3) unit directions that lead to them.
    """

    angles: np.ndarray
    places_m: np.ndarray
    bones: np.ndarray


def shapes_of(hand: Hand) -> Shapes:
    """All that are compared.

    Args:
        hand: whose limits and bones.
    """
    low, high = (limits[:_OWN].reshape(FINGERS, 4) for limits in hand.limits_rad)
    relaxed = hand.relaxed_rad[:_OWN].reshape(FINGERS, 4)
    knuckle, middle, spread = np.meshgrid(
        np.linspace(0, 1, _KNUCKLES),
        np.linspace(0, 1, _MIDDLES),
        np.radians(_SPREADS_DEG),
        indexing="ij",
    )
    shares = np.stack([knuckle.ravel(), middle.ravel()], -1)
    bent = low[:, None, :2] + shares * (high - low)[:, None, :2]
    last = relaxed[:, None, 2] + TOGETHER * (bent[..., 1] - relaxed[:, None, 1])
    last = last.clip(low[:, None, 2], high[:, None, 2])
    aside = np.tile(spread.ravel(), (FINGERS, 1))
    angles = np.concatenate([bent, last[..., None], aside[..., None]], -1)
    count = angles.shape[1]
    whole = np.tile(hand.relaxed_rad, (count, 1))
    whole[:, :_OWN] = angles.swapaxes(0, 1).reshape(count, _OWN)
    points = points_of(hand, np.tile(np.eye(3), (count, 1, 1)), whole)
    by_finger = lambda of: of.reshape(count, FINGERS, 4, 3).swapaxes(0, 1)
    places = by_finger(points.places_m[:, 1 : 1 + _OWN])
    return Shapes(angles, places, by_finger(points.bones[:, :_OWN]))


def likeliest(shapes: Shapes, costs: np.ndarray, times_s: np.ndarray | None) -> np.ndarray:
    """Angles (N, 16) of the four fingers, of the shapes that cost least.

    Args:
        shapes: of the hand.
        costs: (N, 4, S) of each in each frame, as negative log likelihoods.
        times_s: (N,) of the frames, increasing; None: frames have nothing to do with each other.
    """
    count = len(costs)
    by_spread = costs.reshape(count, FINGERS, -1, len(_SPREADS_DEG))
    spread, least = by_spread.argmin(3), by_spread.min(3)
    bent = shapes.angles[:, :: len(_SPREADS_DEG), :2]
    chosen = least.argmin(2) if times_s is None else _path(bent, least, times_s)
    aside = np.take_along_axis(spread, chosen[..., None], 2)[..., 0]
    place = chosen * len(_SPREADS_DEG) + aside
    return shapes.angles[np.arange(FINGERS), place].reshape(count, _OWN)


def _path(bent: np.ndarray, costs: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """(N, 4) which of B shapes (4, B, 2) each finger has in each frame, of costs (N, 4, B)."""
    moved = ((bent[:, :, None] - bent[:, None]) ** 2).sum(-1) / 2
    steps_s = np.diff(times_s).clip(1e-3, _LONGEST_STEP_S)
    shares = np.minimum(1, np.concatenate([steps_s[:1], steps_s]) / _ALIKE_S)
    sums, before = costs[0] * (shares[0] if len(shares) else 1), []
    for row, step_s in enumerate(steps_s, 1):
        ways = sums[:, None] + moved / (_SPEED * step_s) ** 2
        before.append(ways.argmin(2))
        sums = ways.min(2) + costs[row] * shares[row]
    path = [sums.argmin(1)]
    for came in reversed(before):
        path.append(np.take_along_axis(came, path[-1][:, None], 1)[:, 0])
    return np.stack(path[::-1])
