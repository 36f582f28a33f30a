# SPDX-License-Identifier: GPL-3.0-or-later
"""Two-bone IK in closed form, for all keys at once.  T keys."""

from dataclasses import dataclass

import numpy as np

from .fading import keys_in
from .fitting import Fit
from .posing import Poses, heads_of
from .rotations import between, turns_by, unit, vectors_of

REACH = 0.9998
"""Of the leg: as far as an ankle may be from its hip.  Chosen: a knee of 2 degrees, which keeps its
side."""
_SETTLE_S = 0.15
"""How early hips begin to sink for a foot that is out of reach.  Chosen."""
_HINT = 0.02
"""Of the thigh: how much the shin's own front says where the knee goes.  Chosen: it decides where
the leg is straight, and is a degree where the knee bends by 90."""


@dataclass(frozen=True)
class Leg:
    """Places of a leg's bones in a fit."""

    thigh: int
    shin: int
    foot: int


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


def bend(fit: Fit, poses: Poses, leg: Leg, ankle: np.ndarray, limit_rad: np.ndarray) -> None:
    """Turn thigh and shin so that the ankle is where it shall be; changes `poses.turns`.

    The knee stays in the plane in which it bends.

    Args:
        fit: the rig.
        poses: its poses.
        leg: which leg.
        ankle: (T, 3)
        limit_rad: (T,) how far a bone may be turned; the ankle then stays short of its place.
    """
    upper, lower = _lengths(fit, leg)
    hip, knee, was = (heads_of(fit, poses, bone) for bone in (leg.thigh, leg.shin, leg.foot))
    moved = np.linalg.norm(ankle - was, axis=1) > 1e-5 * (upper + lower)
    if not moved.any():
        return
    hip, knee, was, ankle = (points[moved] for points in (hip, knee, was, ankle))
    old, new = unit(was - hip), unit(ankle - hip)
    least = abs(upper - lower) + 1e-4 * upper
    distance = np.clip(np.linalg.norm(ankle - hip, axis=1), least, REACH * (upper + lower))
    front = poses.turns[moved, leg.shin] @ np.array([0.0, -1.0, 0.0])
    aside = _across(knee - hip, old) + _HINT * upper * _across(front, old)
    aside = unit(_across((between(old, new) @ unit(aside)[..., None])[..., 0], new))
    cosine = (upper**2 + distance**2 - lower**2) / (2 * upper * distance)
    cosine = np.clip(cosine, -1, 1)[:, None]
    bent = hip + upper * (cosine * new + np.sqrt(1 - cosine**2) * aside)
    end = hip + distance[:, None] * new
    for bone, start, goal in (
        (leg.thigh, knee - hip, bent - hip),
        (leg.shin, was - knee, end - bent),
    ):
        vectors = vectors_of(between(start, goal))
        angle = np.linalg.norm(vectors, axis=-1)
        share = np.minimum(1, limit_rad[moved] / np.maximum(angle, 1e-9))
        poses.turns[moved, bone] = turns_by(share[:, None] * vectors) @ poses.turns[moved, bone]


def bend_of(fit: Fit, leg: Leg, distance: np.ndarray) -> np.ndarray:
    """(T,) radians by which the knee bends where the ankle is so far (T,) from the hip."""
    upper, lower = _lengths(fit, leg)
    cosine = (distance**2 - upper**2 - lower**2) / (2 * upper * lower)
    return np.arccos(np.clip(cosine, -1, 1))


def _lengths(fit: Fit, leg: Leg) -> tuple[float, float]:
    hip, knee, ankle = fit.heads[[leg.thigh, leg.shin, leg.foot]]
    return float(np.linalg.norm(knee - hip)), float(np.linalg.norm(ankle - knee))


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
