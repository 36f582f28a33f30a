"""A root that lets feet stand, for movements that cannot be fitted again.

The correction of the root's path is the least-squares answer to: feet that stand do not move, they
are as high as the ground, the person stays where the camera sees them (closely across the view,
loosely along it), and the path stays smooth.  Linear, and linear in the length of the clip.
"""

import dataclasses

import numpy as np

from staf_backend.fit import FLOOR_M, PLANT_M_S, BandedSystem, second_difference
from staf_backend.fit.settings import REFERENCE_HZ
from staf_backend.world.contacts import Contacts
from staf_backend.world.movement import FEET, Movement

_ALONG_M, _ACROSS_M = 0.15, 0.02
"""Deviations of a person's place along the view and across it (issue 14)."""
_LOOKS_HZ = 10.0
"""Independent looks at that place a second.  Chosen: it drifts over a tenth of a second."""
_ACCELERATION_M_S2 = 3.0
"""Deviation of the correction's acceleration (issue 14)."""


def locked(movement: Movement, contacts: Contacts, heights_m: np.ndarray) -> Movement:
    """The movement with a corrected root.

    Args:
        movement: y up.
        contacts: of it.
        heights_m: (T, 4) where heels and toes should be; NaN where they do not stand, or on
            nothing known.
    """
    if len(movement) < 3 or not contacts.feet.any():
        return movement
    system = BandedSystem.zeros(len(movement), 3)
    _stay(system, movement)
    _stand(system, movement, contacts, heights_m)
    coefficients = second_difference(movement.times_s)
    seconds = (movement.times_s[2:] - movement.times_s[:-2]) / 2
    weights = np.repeat((REFERENCE_HZ * seconds / _ACCELERATION_M_S2**2)[:, None], 3, axis=1)
    system.add_squares(coefficients, weights, np.zeros_like(weights))
    return dataclasses.replace(movement, root_m=movement.root_m + system.solve(1e-9))


def _stay(system: BandedSystem, movement: Movement) -> None:
    ray = movement.root_m - movement.eye_m
    ray = ray / np.maximum(np.linalg.norm(ray, axis=-1, keepdims=True), 1e-6)
    along = ray[:, :, None] * ray[:, None]
    information = (np.eye(3) - along) / _ACROSS_M**2 + along / _ALONG_M**2
    share = np.gradient(movement.times_s) * _LOOKS_HZ
    system.blocks += information * share[:, None, None]


def _stand(
    system: BandedSystem, movement: Movement, contacts: Contacts, heights_m: np.ndarray
) -> None:
    feet = movement.posed.points_m[:, : len(FEET)]
    sure = np.where(contacts.feet, contacts.probability[:, : len(FEET)].clip(0.5), 0)
    steps_s = np.diff(movement.times_s)[:, None]
    weights = np.minimum(sure[1:], sure[:-1]) * REFERENCE_HZ / (PLANT_M_S**2 * steps_s)
    moved = np.diff(feet, axis=0).reshape(len(feet) - 1, -1)
    rows = np.tile(np.eye(3), (len(feet), len(FEET), 1))
    system.add_steps(np.arange(3), rows, np.repeat(weights, 3, axis=1), moved)
    known = np.isfinite(heights_m)
    away = np.where(known, feet[..., 1] - heights_m, 0)
    weights = np.where(known, sure, 0) / FLOOR_M**2
    system.blocks[:, 1, 1] += weights.sum(1)
    system.gradient[:, 1] -= (weights * away).sum(1)
