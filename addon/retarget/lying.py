# SPDX-License-Identifier: GPL-3.0-or-later
"""Feet that stand lie on the ground.  T keys, in the rig's unit."""

import numpy as np

from .fading import fade, runs
from .rotations import between, turns_by, unit, vectors_of
from .soles import Foot, active_keys, sole_of


def level(foot: Foot, turns: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """Turn a foot so that it lies still on the ground while heel and toe both stand; in place.

    Returns:
        how far (T,), radians.
    """
    count = len(turns)
    both = active_keys(foot, "heel", count) & active_keys(foot, "toe", count)
    if not both.any():
        return np.zeros(count)
    if len(foot.bones) > 1:
        _hold_toes(foot, turns, both, times_s)
    along = _along(foot, turns)
    vectors = np.zeros((count, 3))
    for run in runs(both):
        wanted = _lying(np.broadcast_to(along[run].mean(0), along[run].shape), foot.rise[run])
        vectors[run] = vectors_of(between(along[run], wanted))
    vectors = fade(vectors, both, times_s)[0]
    _turn(foot, turns, vectors)
    return np.linalg.norm(vectors, axis=1)


def _hold_toes(foot: Foot, turns: np.ndarray, both: np.ndarray, times_s: np.ndarray) -> None:
    """Keep toes as they lie while heel and toe stand, so that the sole stays as long; in place."""
    bone, toes = foot.bones
    bent = vectors_of(turns[:, bone].swapaxes(-1, -2) @ turns[:, toes])
    change = np.zeros_like(bent)
    for run in runs(both):
        change[run] = bent[run].mean(0) - bent[run]
    change = fade(change, both, times_s)[0]
    turns[:, toes] = turns[:, bone] @ turns_by(bent + change)


def _along(foot: Foot, turns: np.ndarray) -> np.ndarray:
    """(T, 3) from heel to toe."""
    sole = sole_of(turns, foot)
    return sole["toe"] - sole["heel"]


def tip(foot: Foot, turns: np.ndarray, room_rad: np.ndarray, times_s: np.ndarray) -> None:
    """Turn a foot up that stands on its heel with the toe in the ground, or the other way round, as
    far as there is room (T,); in place.  The motion's own foot is in the ground there."""
    count = len(turns)
    heel, toe = active_keys(foot, "heel", count), active_keys(foot, "toe", count)
    along = _along(foot, turns)
    wrong = np.where(along[:, 2] < foot.rise, heel, toe)
    lying = np.where(wrong[:, None], _lying(along, foot.rise), along)
    vectors = fade(vectors_of(between(along, lying)), heel | toe, times_s)[0]
    share = np.minimum(1, room_rad / np.maximum(np.linalg.norm(vectors, axis=1), 1e-9))
    _turn(foot, turns, share[:, None] * vectors)


def _lying(along: np.ndarray, rise: np.ndarray) -> np.ndarray:
    """Soles (T, 3) from heel to toe, as long and to the same side, that rise by so much (T,)."""
    length = np.linalg.norm(along, axis=1)
    flat = unit(along * [1, 1, 0]) * np.sqrt(np.maximum(length**2 - rise**2, 0))[:, None]
    return flat + rise[:, None] * [0.0, 0.0, 1.0]


def _turn(foot: Foot, turns: np.ndarray, vectors: np.ndarray) -> None:
    for bone in foot.bones:
        turns[:, bone] = turns_by(vectors) @ turns[:, bone]
