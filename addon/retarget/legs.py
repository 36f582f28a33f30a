# SPDX-License-Identifier: GPL-3.0-or-later
"""Two-bone IK in closed form, for all keys at once.  T keys."""

from dataclasses import dataclass

import numpy as np

from .fading import keys_in
from .fitting import Fit
from .posing import Poses, heads_of
from .rotations import between, unit

REACH = 0.9998
"""Of the leg: as far as an ankle may be from its hip.  Chosen: a knee of 2 degrees, which keeps its
side."""
_SETTLE_S = 0.15
"""How early hips begin to sink for a foot that is out of reach.  Chosen."""
_HINT = 0.02
"""Of the thigh: how much the shin's own front says where the knee goes.  Chosen: it decides where
the leg is straight, and is a degree where the knee bends by 90."""

_LEAST_BOW = 0.012
"""Of the leg: how far a knee is at least from the line between hip and ankle.  Chosen: a bend of 3
degrees; a straighter one counts as that."""


@dataclass(frozen=True)
class Leg:
    """Places of a leg's bones in a fit."""

    thigh: int
    shin: int
    foot: int

    @property
    def limbs(self) -> list[int]:
        """Thigh and shin."""
        return [self.thigh, self.shin]


def lowered(
    fit: Fit, poses: Poses, legs: list[Leg], ankles: list[np.ndarray], times_s: np.ndarray
) -> np.ndarray:
    """How far (T, 3) hips must come down for both ankles to be in reach.

    Args:
        fit: the rig.
        poses: its poses.
        legs: its legs.
        ankles: (T, 3) where each leg's ankle shall be.
        times_s: (T,)
    """
    needed = np.zeros(len(times_s))
    for leg, ankle in zip(legs, ankles, strict=True):
        reach = REACH * sum(_lengths(fit, leg))
        step = heads_of(fit, poses, leg.thigh) - ankle
        aside = np.linalg.norm(step[:, :2], axis=1)
        room = np.sqrt(np.maximum(reach**2 - aside**2, 0))
        far = np.linalg.norm(step, axis=1) > reach
        needed = np.maximum(needed, np.where(far & (step[:, 2] > 0), step[:, 2] - room, 0))
    return _settled(needed, times_s)[:, None] * [0.0, 0.0, 1.0]


def bend(fit: Fit, poses: Poses, leg: Leg, ankle: np.ndarray) -> None:
    """Turn thigh and shin so that the ankle is where it shall be; changes `poses.turns`.

    The knee stays in the plane in which it bends.

    Args:
        fit: the rig.
        poses: its poses.
        leg: which leg.
        ankle: (T, 3)
    """
    thigh, shin = _limbs(fit, poses, leg)
    off = ankle - heads_of(fit, poses, leg.foot)
    moved = np.linalg.norm(off, axis=1) > 1e-5 * sum(_lengths(fit, leg))
    if not moved.any():
        return
    limbs = thigh[moved], shin[moved]
    goals = _reached(*limbs, off[moved], poses.turns[moved, leg.shin])
    for bone, limb, goal in zip(leg.limbs, limbs, goals, strict=True):
        poses.turns[moved, bone] = between(limb, goal) @ poses.turns[moved, bone]


def turning(fit: Fit, poses: Poses, leg: Leg, off: np.ndarray) -> np.ndarray:
    """How far (T, 3, 3) limbs turn where an ankle goes to `off`: radians for the rig's unit.

    Rows: thigh and shin in the plane in which the knee bends, and both out of it.  A limb of
    length l that turns from u to v goes by l (v - u), across u + v: half way between the two poses,
    what holds for small turns holds for these.

        off = a (n x thigh) + b (n x shin) + c D n        n: across the plane, D: hip to ankle
    """
    thigh, shin = _limbs(fit, poses, leg)
    goals = _reached(thigh, shin, off, poses.turns[:, leg.shin])
    thigh, shin = (thigh + goals[0]) / 2, (shin + goals[1]) / 2
    distance = np.linalg.norm(thigh + shin, axis=-1, keepdims=True)
    along = (thigh + shin) / distance
    side = _aside(thigh, along, poses.turns[:, leg.shin])
    least = _LEAST_BOW * sum(_lengths(fit, leg))
    bow = np.maximum((thigh * side).sum(-1, keepdims=True), least)
    upper, lower = (((limb * along).sum(-1, keepdims=True) / bow) for limb in (thigh, shin))
    rows = (side - lower * along, side + upper * along, np.cross(along, side))
    return np.stack(rows, 1) / distance[:, None]


def _lengths(fit: Fit, leg: Leg) -> tuple[float, float]:
    hip, knee, ankle = fit.heads[[leg.thigh, leg.shin, leg.foot]]
    return float(np.linalg.norm(knee - hip)), float(np.linalg.norm(ankle - knee))


def _limbs(fit: Fit, poses: Poses, leg: Leg) -> tuple[np.ndarray, np.ndarray]:
    """Thigh and shin (T, 3)."""
    hip, knee, ankle = (heads_of(fit, poses, bone) for bone in (leg.thigh, leg.shin, leg.foot))
    return knee - hip, ankle - knee


def _reached(
    thigh: np.ndarray, shin: np.ndarray, off: np.ndarray, shin_turns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Thigh and shin (N, 3) whose end is so far (N, 3) from where it was, or as near as can be."""
    upper, lower = (np.linalg.norm(limb, axis=-1, keepdims=True) for limb in (thigh, shin))
    old, new = unit(thigh + shin), unit(thigh + shin + off)
    least = np.abs(upper - lower) + 1e-4 * upper
    distance = np.linalg.norm(thigh + shin + off, axis=-1, keepdims=True)
    distance = np.clip(distance, least, REACH * (upper + lower))
    aside = _aside(thigh, old, shin_turns)
    aside = unit(_across((between(old, new) @ aside[..., None])[..., 0], new))
    cosine = np.clip((upper**2 + distance**2 - lower**2) / (2 * upper * distance), -1, 1)
    bent = upper * (cosine * new + np.sqrt(1 - cosine**2) * aside)
    return bent, distance * new - bent


def _aside(thigh: np.ndarray, along: np.ndarray, shin_turns: np.ndarray) -> np.ndarray:
    """(N, 3) across hip to ankle, to where the knee goes."""
    front = shin_turns @ np.array([0.0, -1.0, 0.0])
    length = np.linalg.norm(thigh, axis=-1, keepdims=True)
    return unit(_across(thigh, along) + _HINT * length * _across(front, along))


def _across(vectors: np.ndarray, axes: np.ndarray) -> np.ndarray:
    return vectors - (vectors * axes).sum(-1, keepdims=True) * axes


def _settled(needed: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """At least what is needed (T,), coming and going softly."""
    if not needed.any():
        return needed
    half = keys_in(_SETTLE_S, times_s)
    windows = np.lib.stride_tricks.sliding_window_view
    most = windows(np.pad(needed, half, mode="edge"), 2 * half + 1).max(-1)
    return windows(np.pad(most, half, mode="edge"), 2 * half + 1).mean(-1)
