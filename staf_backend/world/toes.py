"""Toes that stay on the ground while the heel leaves it.

    heel  \\                     heel \\
           \\   rigid foot:             \\____  toes bent: the ball of the foot comes down,
            \\_ stands on its tip            toes lie flat, their point stays in its place

No landmark shows how far toes bend; but toes that touch the ground lie on it, so the foot's own
pitch tells.  They bend no farther than the leg follows: one that is straight as it pushes off
stands on the foot's tip.
"""

import dataclasses

import numpy as np

from staf_backend.files import long_copy
from staf_backend.geometry import from_axis_angle
from staf_backend.world.contacts import Contacts
from staf_backend.world.legs import SOFT_M, Leg, legs_of, reach
from staf_backend.world.movement import Movement
from staf_backend.world.spans import faded

_MOST_RAD = np.radians(50)
"""Bend.  Chosen: at push-off toes bend by 30 to 60 degrees; shoes bend less."""
_LEVEL_RAD = np.radians(6)
"""A foot that points down by less lies flat.  Chosen: the noise of feet that stand."""
_FADE_S = 0.1
"""In which toes straighten once they have left the ground.  Chosen: a quarter of a swing."""
_NAMES = ("left_foot", "right_foot")
_TRIES, _ENOUGH = 5, 0.999
"""How often a bend is made less until the leg reaches, and the share that is enough.  Chosen."""


def bent(movement: Movement, contacts: Contacts) -> Movement:
    """The movement with toes that lie on the ground while they touch it.

    Args:
        movement: y up, feet on their places.
        contacts: of it.
    """
    legs = legs_of(movement.body.skeleton)
    bends = [_bend_rad(movement, leg, contacts.feet[:, 2 * k + 1]) for k, leg in enumerate(legs)]
    if not any(bend.any() for bend in bends):
        return movement
    movement = dataclasses.replace(movement, rotations=long_copy(movement.rotations))
    for side, (leg, bend) in enumerate(zip(legs, bends, strict=True)):
        if bend.any():
            _bend(movement, leg, side, bend)
    return movement


def _bend_rad(movement: Movement, leg: Leg, stands: np.ndarray) -> np.ndarray:
    """(T, 1) by which one foot's toes bend."""
    if not stands.any():
        return np.zeros((len(movement), 1))
    angle = (_pitch_rad(movement, leg) - _LEVEL_RAD).clip(0, _MOST_RAD - _LEVEL_RAD)
    fade = max(2.0, _FADE_S * movement.rate_hz)
    return faded(np.where(stands, angle, 0)[:, None], stands, fade)


def _bend(movement: Movement, leg: Leg, side: int, bend: np.ndarray) -> None:
    """Bend one foot's toes by (T, 1), and bring the leg after, so that their point stays where it
    is: the rotations are changed."""
    body, point, done = movement.body, 2 * side + 1, 0
    joint, rest = body.skeleton.index(_NAMES[side]), body.rest_joints_m(movement.betas)
    for part in movement.parts():
        stayed, rotations = part.posed.points_m[:, point], part.rotations
        straight, own = rotations[:, joint].copy(), bend[done : done + len(part)]
        turned, joints = part.joints(*leg)
        ankle_m, foot, away = joints[:, 2], turned[:, 2], np.zeros_like(stayed)
        for _ in range(_TRIES):
            rotations[:, joint] = from_axis_angle(own * [-1.0, 0.0, 0.0]) @ straight
            away = stayed - part.points_m(point)[:, 0]
            share = _within_reach(joints, away)
            if share.min() > _ENOUGH:
                break
            own = own * share[:, None]
        reach(rotations, rest, part.root_m, body.skeleton, leg, ankle_m + away, foot, out=rotations)
        done += len(part)


def _within_reach(joints_m: np.ndarray, away: np.ndarray) -> np.ndarray:
    """(T,) the largest share of a way (T, 3) that the ankle of a leg (T, 3, 3) can go."""
    hip, knee, ankle = joints_m.swapaxes(0, 1)
    way, bones = ankle - hip, ((knee - hip), (ankle - knee))
    straight = sum(np.linalg.norm(bone, axis=-1) for bone in bones) - SOFT_M
    spare = np.maximum(straight**2 - (way**2).sum(-1), 0)
    farther, far = (way * away).sum(-1), np.maximum((away**2).sum(-1), 1e-12)
    return ((np.sqrt(farther**2 + far * spare) - farther) / far).clip(0, 1)


def _pitch_rad(movement: Movement, leg: Leg) -> np.ndarray:
    """(T,) how far a foot points below the level; its z axis leads to the toes."""
    turned, _ = movement.joints(leg.ankle)
    return -np.arcsin(turned[:, 0, 1, 2].clip(-1, 1))
