# SPDX-License-Identifier: GPL-3.0-or-later
"""The way of the hips over feet that stand, and where those stand.  T keys; lengths in legs.

Legs that point exactly as the motion's end beside the places on which their feet shall stand.  Of
ways h_t of the hips, and shifts g of the places along the floor (one for each time that a foot
stands), those are found for which limbs turn least:

    sum_t,foot  w_tf |J_tf (s_tf + g - h_t)|^2  +  sum_t |a (h'' - m'')_t|^2

s is how far the foot is off, J how far its thigh and shin turn for that (`legs.turning`): a leg
that is nearly straight turns by 9 degrees for a centimetre along itself, by half a degree for one
across.  w weighs the limbs that turn furthest more and more from round to round, so that it is the
largest turn that counts (iteratively reweighted least squares, Lawson 1961).  m is the motion's own
way, made larger: hips that jerk are seen as well as limbs that point elsewhere.
"""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from .equations import HIPS, PLACES, Equations, smooth_way, solved
from .fading import runs
from .fitting import Fit
from .legs import Leg, turning
from .posing import Poses

_ROUNDS, _DAMPING = 8, 0.15
"""Of the weights.  Chosen together: they then come three quarters of their way.  Measured: nearer
to its end hips accelerate more, and no limb turns a twentieth of a degree less."""
_TURN_RAD = np.radians(2.0)
"""Turns above it weigh more and more.  Chosen: below the 3 degrees that a limb may be off."""
_POWER = 10.0
"""In which large turns count.  Measured: in 6 a limb of 35 solved motions is 3.1 degrees off."""
_STIFF = 1e6
"""Of what must be equal.  Chosen: far above the rest."""

_both = partial(zip, strict=True)
"""Left and right of each."""


@dataclass(frozen=True, eq=False)
class Off:
    """How far a foot is off its places."""

    leg: Leg
    shift: np.ndarray
    """(T, 3)"""
    active: np.ndarray
    """(T,) bool, where it stands."""


def settled(
    fit: Fit, poses: Poses, way: np.ndarray, feet: list[Off], times_s: np.ndarray
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Where hips go and where feet stand.

    Args:
        fit: the rig.
        poses: its poses, with legs as in the motion.
        way: (T, 3) of the hips in the motion, made larger.
        feet: left and right.
        times_s: (T,)

    Returns:
        how far the hips go (T, 3), and how far each foot is off its places then (T, 3): nothing
        where it does not stand.
    """
    free = ~np.any([foot.active for foot in feet], axis=0)
    smooth = smooth_way((poses.hips - way) / fit.leg, free, times_s)
    feet = [replace(foot, shift=foot.shift / fit.leg) for foot in feet]
    off = [_off(foot, np.zeros((len(times_s), 3))) for foot in feet]
    weights = [np.ones((len(times_s), 3)) for _ in feet]
    metrics, placed = [], feet
    for _ in range(_ROUNDS):
        turn = [fit.leg * turning(fit, poses, f.leg, fit.leg * o) for f, o in _both(feet, off)]
        metrics = [_metric(t, w, f.active) for t, w, f in _both(turn, weights, feet)]
        found = solved(_with_feet(smooth, metrics, feet))
        placed = [_placed(foot, found[:, part]) for foot, part in _both(feet, PLACES)]
        off = [_off(foot, found[:, HIPS]) for foot in placed]
        weights = [_reweighted(w, t, o) for w, t, o in _both(weights, turn, off)]
    hips = solved(_with_feet(smooth, metrics, placed, held=True))[:, HIPS]
    return fit.leg * hips, [fit.leg * _off(foot, hips) for foot in placed]


def _off(foot: Off, hips: np.ndarray) -> np.ndarray:
    return np.where(foot.active[:, None], foot.shift - hips, 0)


def _placed(foot: Off, moves: np.ndarray) -> Off:
    """A foot whose places have moved along the floor by (T, 2), all keys of a run together."""
    shift = foot.shift.copy()
    for run in runs(foot.active):
        shift[run, :2] += moves[run].mean(0)
    return replace(foot, shift=shift)


def _reweighted(weights: np.ndarray, turn: np.ndarray, off: np.ndarray) -> np.ndarray:
    """(T, 3) of thigh, shin and the turn that both share."""
    turned = (turn @ off[..., None])[..., 0]
    limbs = np.hypot(turned[:, :2], turned[:, 2:])
    wanted = (1 + (np.column_stack([limbs, limbs.max(1)]) / _TURN_RAD) ** 2) ** (_POWER / 2 - 1)
    return weights ** (1 - _DAMPING) * wanted**_DAMPING


def _metric(turn: np.ndarray, weights: np.ndarray, active: np.ndarray) -> np.ndarray:
    """(T, 3, 3) squares of the turns, by how far the foot is off."""
    return turn.swapaxes(-1, -2) @ ((weights * active[:, None])[..., None] * turn)


def _with_feet(
    smooth: Equations, metrics: list[np.ndarray], feet: list[Off], held: bool = False
) -> Equations:
    """The feet's part added: places that are held do not move."""
    diagonal, near, right = smooth.diagonal.copy(), smooth.near.copy(), smooth.right.copy()
    for metric, foot, part in _both(metrics, feet, PLACES):
        pull = (metric @ foot.shift[..., None])[..., 0]
        diagonal[:, HIPS, HIPS] += metric
        right[:, HIPS] += pull
        if held:
            diagonal[:, part, part] += np.eye(2)
            continue
        diagonal[:, HIPS, part] -= metric[:, :, :2]
        diagonal[:, part, HIPS] -= metric[:, :2]
        diagonal[:, part, part] += metric[:, :2, :2]
        right[:, part] -= pull[:, :2]
        same = (foot.active[:-1] & foot.active[1:])[:, None, None] * _STIFF * np.eye(2)
        diagonal[:-1, part, part] += same
        diagonal[1:, part, part] += same
        near[:-1, part, part] -= same
    return Equations(diagonal, near, smooth.far, right)
