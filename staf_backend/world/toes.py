"""Toes that stay on the ground while the heel leaves it.

    heel  \\                     heel \\
           \\   rigid foot:             \\____  toes bent: the ball of the foot comes down,
            \\_ stands on its tip            toes lie flat, their point stays in its place

No landmark shows how far toes bend; but toes that touch the ground lie on it, so the foot's own
pitch tells.
"""

import dataclasses

import numpy as np

from staf_backend.geometry import from_axis_angle
from staf_backend.world.contacts import Contacts
from staf_backend.world.legs import Leg, legs_of, reach
from staf_backend.world.movement import Movement
from staf_backend.world.spans import faded

_MOST_RAD = np.radians(50)
"""Bend.  Chosen: at push-off toes bend by 30 to 60 degrees; shoes bend less."""
_LEVEL_RAD = np.radians(6)
"""A foot that points down by less lies flat.  Chosen: the noise of feet that stand."""
_FADE_S = 0.1
"""In which toes straighten once they have left the ground.  Chosen: a quarter of a swing."""
_NAMES = ("left_foot", "right_foot")


def bent(movement: Movement, contacts: Contacts) -> Movement:
    """The movement with toes that lie on the ground while they touch it.

    Args:
        movement: y up, feet on their places.
        contacts: of it.
    """
    for side, leg in enumerate(legs_of(movement.body.skeleton)):
        toe = 2 * side + 1
        if contacts.feet[:, toe].any():
            movement = _bent(movement, leg, side, contacts.feet[:, toe])
    return movement


def _bent(movement: Movement, leg: Leg, side: int, stands: np.ndarray) -> Movement:
    """One foot's toes bent, and the leg brought after, so that their point stays where it is."""
    angle = _pitch_rad(movement, leg)
    angle = (angle - _LEVEL_RAD).clip(0, _MOST_RAD - _LEVEL_RAD)
    fade = max(2.0, _FADE_S * movement.rate_hz)
    bend = faded(np.where(stands, angle, 0)[:, None], stands, fade)
    if not bend.any():
        return movement
    joint, rotations = movement.body.skeleton.index(_NAMES[side]), movement.rotations.copy()
    rotations[:, joint] = from_axis_angle(bend * [-1.0, 0.0, 0.0]) @ rotations[:, joint]
    curled = dataclasses.replace(movement, rotations=rotations)
    point = 2 * side + 1
    away = movement.posed.points_m[:, point] - curled.posed.points_m[:, point]
    rest = movement.body.rest_joints_m(movement.betas)
    (foot,), (ankle_m,) = (values.swapaxes(0, 1) for values in curled.joints(leg.ankle))
    skeleton = movement.body.skeleton
    moved = reach(rotations, rest, movement.root_m, skeleton, leg, ankle_m + away, foot)
    return dataclasses.replace(movement, rotations=moved)


def _pitch_rad(movement: Movement, leg: Leg) -> np.ndarray:
    """(T,) how far a foot points below the level; its z axis leads to the toes."""
    turned, _ = movement.joints(leg.ankle)
    return -np.arcsin(turned[:, 0, 1, 2].clip(-1, 1))
