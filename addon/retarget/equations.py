# SPDX-License-Identifier: GPL-3.0-or-later
"""Equations of the hips' way: seven unknowns for each of T keys; lengths in legs.

0 1 2   how far the hips go        3 4, 5 6   how far the left and the right foot's place do
"""

from dataclasses import dataclass

import numpy as np

from .blocks import solve_blocks

HIPS, PLACES = slice(0, 3), (slice(3, 5), slice(5, 7))
_LOOSE = 1e-6
"""Of what nothing else tells.  Chosen: far below the rest."""
_ACCELERATION_RAD = 0.02
"""The turn that an acceleration of a leg's length a second squared is worth.  Measured: hips then
accelerate by 1.5 times as much as the motion's at most; at 0.013 by twice as much."""
_BACK_S = 0.5
"""How soon hips are back on the motion's own way where nothing stands.  Chosen: half a stride."""


@dataclass(frozen=True, eq=False)
class Equations:
    """Normal equations of the unknowns of each key."""

    diagonal: np.ndarray
    """(T, 7, 7)"""
    near: np.ndarray
    """(T, 7, 7) to the next key; the last counts for nothing."""
    far: np.ndarray
    """(T, 7, 7) to the one after that."""
    right: np.ndarray
    """(T, 7)"""


def smooth_way(beside: np.ndarray, free: np.ndarray, times_s: np.ndarray) -> Equations:
    """Hips that accelerate as on the motion's way.

    Args:
        beside: (T, 3) how far they are from it.
        free: (T,) bool, where nothing stands: there they go back to its speed and height.
        times_s: (T,)
    """
    count = len(times_s)
    near, far = np.zeros((2, count, 7, 7))
    diagonal = np.tile(_LOOSE * np.eye(7), (count, 1, 1))
    equations = Equations(diagonal, near, far, np.zeros((count, 7)))
    steps = np.diff(times_s)
    before, after = steps[:-1], steps[1:]
    bends = np.stack([1 / before, -1 / before - 1 / after, 1 / after], 1)
    bends *= 2 * _ACCELERATION_RAD / (before + after)[:, None]
    slides = np.stack([-1 / steps, 1 / steps], 1) * (_ACCELERATION_RAD / _BACK_S)
    slides *= (free[:-1] & free[1:])[:, None]
    for axis in range(3):
        _add(equations, bends, beside, axis)
        _add(equations, slides, beside, axis)
    _add(equations, free[:, None] * _ACCELERATION_RAD / _BACK_S**2, beside, 2)
    return equations


def _add(equations: Equations, rows: np.ndarray, beside: np.ndarray, axis: int) -> None:
    """Squares of rows (N, k) over keys n to n + k - 1 of hips that are beside their way."""
    count, width = rows.shape
    parts = (equations.diagonal, equations.near, equations.far)
    value = sum(rows[:, k] * beside[k : k + count, axis] for k in range(width))
    for k in range(width):
        equations.right[k : k + count, axis] -= rows[:, k] * value
        for other in range(k, width):
            parts[other - k][k : k + count, axis, axis] += rows[:, k] * rows[:, other]


def solved(equations: Equations) -> np.ndarray:
    """(T, 7), two keys to a block."""
    count, size = equations.right.shape
    pairs = (count + 1) // 2
    extra = ((0, 2 * pairs - count), (0, 0), (0, 0))
    diagonal, near, far = (
        np.pad(part, extra).reshape(pairs, 2, size, size)
        for part in (equations.diagonal, equations.near, equations.far)
    )
    if count % 2:
        diagonal[-1, 1] = np.eye(size)
    blocks = np.zeros((2, pairs, 2, size, 2, size))
    for place in range(2):
        blocks[0][:, place, :, place] = diagonal[:, place]
        blocks[1][:, place, :, place] = far[:, place]
    blocks[0][:, 0, :, 1], blocks[0][:, 1, :, 0] = near[:, 0], near[:, 0].swapaxes(-1, -2)
    blocks[1][:, 1, :, 0] = near[:, 1]
    here, upper = blocks.reshape(2, pairs, 2 * size, 2 * size)
    right = np.pad(equations.right, extra[:2]).reshape(pairs, 2 * size)
    return solve_blocks(here, upper[:-1], right).reshape(2 * pairs, size)[:count]
