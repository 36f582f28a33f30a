# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hips take of how far both feet are off their places.  T keys.

A knee that is nearly straight bends by far more than its leg is shortened.  So hips take what the
straighter leg needs along itself, and the other leg bends for the rest; and each step goes along
the floor to where that is least: of shares h_t of the hips and ways g of the steps, those for which

    sum_t sum_feet  w_tf (s_tf + g - h_t)^T M_tf (s_tf + g - h_t),    M = 1 + (2 / sin bend)^2 d d^T

is least, s how far the foot is off, w how much that counts, d the direction from hip to ankle.  One
half of the knee's turn falls on each limb: a leg of length l turns by |s| / l where s is across it,
and its limbs by 2 |s| / (l sin bend) where s is along it.  Solved for h and g in turn.
"""

import numpy as np

from .fading import fade, keys_in, runs
from .fitting import Fit
from .legs import Leg, bend_of
from .posing import Poses, heads_of

_ROUNDS = 20
"""Of h and g.  Measured: a hundred change no limb by a tenth of a degree."""
_LEAST_SINE = 0.1
"""Of the bend.  Chosen: 6 degrees; a straighter knee counts as that one."""
_SLOW_S = 0.15
"""How slowly what a leg counts for changes.  Chosen: half a swing, so that knees do not jerk."""


def shared_by_hips(
    fit: Fit,
    poses: Poses,
    legs: list[Leg],
    off: list[tuple[np.ndarray, np.ndarray]],
    times_s: np.ndarray,
) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """Share out how far the feet are off.

    Args:
        fit: the rig.
        poses: its poses.
        legs: its legs.
        off: of each leg how far (T, 3) its foot is off, and where (T,) it stands.
        times_s: (T,)

    Returns:
        how far the hips go (T, 3), how far each foot is to go with them (T, 3), and how much that
        counts (T,).
    """
    here = [fade(shift, active, times_s)[1] for shift, active in off]
    metrics = [
        weight[:, None, None] * _metric(fit, poses, leg, times_s)
        for leg, weight in zip(legs, here, strict=True)
    ]
    inverse = np.linalg.inv(sum(metrics) + 1e-9 * np.eye(3))
    steps = [(shift.copy(), active) for shift, active in off]
    for _ in range(_ROUNDS):
        hips, _ = _least(steps, metrics, inverse, times_s)
        for (shift, active), metric in zip(steps, metrics, strict=True):
            _step(shift, runs(active), metric, hips)
    hips, shifts = _least(steps, metrics, inverse, times_s)
    share = np.minimum(np.sum(here, axis=0), 1)[:, None]
    return share * hips, shifts, here


def _least(
    steps: list[tuple[np.ndarray, np.ndarray]],
    metrics: list[np.ndarray],
    inverse: np.ndarray,
    times_s: np.ndarray,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """The hips' share (T, 3) for these ways of the steps, and how far each foot is off."""
    shifts = [fade(shift, active, times_s)[0] for shift, active in steps]
    needed = [m @ s[..., None] for m, s in zip(metrics, shifts, strict=True)]
    return (inverse @ np.sum(needed, axis=0))[..., 0], shifts


def _metric(fit: Fit, poses: Poses, leg: Leg, times_s: np.ndarray) -> np.ndarray:
    """(T, 3, 3) squares of turns of the limbs, by how far the foot is off."""
    along = heads_of(fit, poses, leg.foot) - heads_of(fit, poses, leg.thigh)
    distance = np.linalg.norm(along, axis=1)
    sine = np.maximum(np.sin(bend_of(fit, leg, distance)), _LEAST_SINE)
    factor = 4 / np.exp(_slow(np.log(sine), times_s)) ** 2
    direction = along / distance[:, None]
    return np.eye(3) + factor[:, None, None] * direction[:, :, None] * direction[:, None, :]


def _slow(values: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """(T,) averaged over `_SLOW_S` to each side."""
    half = keys_in(_SLOW_S, times_s)
    shares = np.hanning(2 * half + 3)[1:-1]
    return np.convolve(np.pad(values, half, mode="edge"), shares / shares.sum(), "valid")


def _step(shift: np.ndarray, spans: list[slice], metric: np.ndarray, hips: np.ndarray) -> None:
    """Move the places of one foot along the floor, all keys of a span together; in place."""
    for span in spans:
        wrong = (metric[span] @ (shift - hips)[span][..., None]).sum(0)[:2, 0]
        shift[span, :2] -= np.linalg.solve(metric[span].sum(0)[:2, :2], wrong)
