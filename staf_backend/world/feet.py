"""Feet that stay where they stand: what is left of sliding goes into the legs.

Each heel and toe has one place for every stretch of time in which it stands.  Where both stand,
the foot is turned so that they keep their direction; then the ankle is moved so that they, or the
one that stands, are on their places.  Both changes fade beyond the ends of a span.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from staf_backend.files import long_copy
from staf_backend.geometry import from_axis_angle
from staf_backend.world.contacts import Contacts
from staf_backend.world.floors import Floors, footholds, heights_stood_on
from staf_backend.world.legs import SOFT_M, Leg, legs_of, reach
from staf_backend.world.movement import FEET, Movement
from staf_backend.world.spans import faded, nearest_known

_FADE_S = 0.12
"""Over which a correction fades.  Chosen: a third of a swinging step."""
_SUNK_M = (0.002, 0.15)
"""How far a foot that swings may be below the ground before it is lifted, and beyond which it is
not under the ground but somewhere else.  Chosen."""
_FARTHEST_M = 0.1
"""The root follows feet no farther: what is more is a wrong contact.  Chosen."""


def held(
    movement: Movement, contacts: Contacts, floors: Floors, upright_only: bool = False
) -> Movement:
    """The movement with feet on their places.

    Args:
        movement: y up, about.
        contacts: of it.
        floors: of this person, in the axes of the movement; the shared heights are used.
        upright_only: feet are held at the height of the ground, and may slide on it.
    """
    places = foot_places(movement, contacts, floors)
    ground = ground_under(movement, contacts, floors)
    steps = [_step(movement, side, places, contacts, upright_only) for side in (0, 1)]
    del places
    movement = _within_reach(movement, steps)
    movement = dataclasses.replace(movement, rotations=long_copy(movement.rotations))
    for step in steps:
        _move(movement, step.leg, step.ankle_m, step.foot)
    low = movement.points_m(*range(len(FEET)))[..., 1] - movement.rest_heights_m[: len(FEET)]
    for side, step in enumerate(steps):
        under = np.nan_to_num(ground[:, None] - low[:, 2 * side : 2 * side + 2]).max(1)
        _above_ground(movement, step.leg, step.stands, under)
    return movement


class _Step(NamedTuple):
    """Where a foot should be: leg, ankle_m (T, 3), foot (T, 3, 3) in the world, and stands (T,)."""

    leg: Leg
    ankle_m: np.ndarray
    foot: np.ndarray
    stands: np.ndarray


def foot_places(movement: Movement, contacts: Contacts, floors: Floors) -> np.ndarray:
    """(T, 4, 3) where each heel and toe should be while it stands; NaN while it does not."""
    feet, heights = movement.posed.points_m[:, : len(FEET)], movement.rest_heights_m
    places = np.full(feet.shape, np.nan)
    holds = footholds(movement, contacts)
    for hold, floor_m in zip(holds, heights_stood_on(holds, floors), strict=True):
        span, point = slice(hold.first, hold.last), hold.point
        weights = contacts.probability[span, point].clip(0.05)
        places[span, point] = np.average(feet[span, point], axis=0, weights=weights)
        if floor_m is not None:
            places[span, point, 1] = floor_m + heights[point]
    return places


def heights_of(places: np.ndarray, movement: Movement, floors: Floors) -> np.ndarray:
    """(T, 4) heights of heels and toes that stand on a known level; NaN of all others."""
    heights = places[..., 1]
    levels = np.array(floors.shared_m)
    low = heights - movement.rest_heights_m[: len(FEET)]
    known = (np.abs(low[..., None] - levels) < 1e-6).any(-1)
    return np.where(known, heights, np.nan)


def ground_under(movement: Movement, contacts: Contacts, floors: Floors) -> np.ndarray:
    """(T,) height of the ground about each time: that of the level stood on nearest in time."""
    ground = np.full(len(movement), np.nan)
    holds = footholds(movement, contacts)
    for hold, floor_m in zip(holds, heights_stood_on(holds, floors), strict=True):
        if floor_m is not None:
            ground[hold.first : hold.last] = floor_m
    known = np.isfinite(ground)
    return ground[nearest_known(known)] if known.any() else ground


def _step(
    movement: Movement, side: int, places: np.ndarray, contacts: Contacts, upright_only: bool
) -> _Step:
    """Where a foot should be so that its heel and toe are on their places (T, 4, 3)."""
    leg, pair = legs_of(movement.body.skeleton)[side], slice(2 * side, 2 * side + 2)
    turned, joints = movement.joints(leg.ankle)
    ankle, foot, stands = joints[:, 0], turned[:, 0], contacts.feet[:, pair]
    points, target = movement.posed.points_m[:, pair], places[:, pair]
    if upright_only:
        target = np.where([True, False, True], points, target)
    fade, both = max(2.0, _FADE_S * movement.rate_hz), stands[:, 0] & stands[:, 1]
    turn = from_axis_angle(faded(_turns(points, target, both), both, fade))
    points = ankle[:, None] + (points - ankle[:, None]) @ np.swapaxes(turn, -1, -2)
    missing = np.where(stands[..., None], target - points, 0).sum(1)
    shift = missing / np.maximum(stands.sum(1, keepdims=True), 1)
    any_ = stands[:, 0] | stands[:, 1]
    return _Step(leg, ankle + faded(shift, any_, fade), turn @ foot, any_)


def _within_reach(movement: Movement, steps: list[_Step]) -> Movement:
    """The root moved toward feet that the legs would else not reach: legs never stretch."""
    from scipy.ndimage import gaussian_filter1d, maximum_filter1d

    missing = np.zeros((len(movement), 3))
    for step in steps:
        hip, knee, ankle = movement.places_m(*step.leg).swapaxes(0, 1)
        length = np.linalg.norm(knee - hip, axis=-1) + np.linalg.norm(ankle - knee, axis=-1)
        way = step.ankle_m - hip
        distance = np.linalg.norm(way, axis=-1)
        over = np.where(step.stands, (distance - length + SOFT_M).clip(0, _FARTHEST_M), 0)
        pull = way / np.maximum(distance, 1e-6)[:, None] * over[:, None]
        farther = np.linalg.norm(pull, axis=-1) > np.linalg.norm(missing, axis=-1)
        missing = np.where(farther[:, None], pull, missing)
    if not missing.any():
        return movement
    reach_, width = max(3, round(2 * _FADE_S * movement.rate_hz)), _FADE_S * movement.rate_hz / 2
    size = np.linalg.norm(missing, axis=-1)
    even = gaussian_filter1d(maximum_filter1d(size, reach_), width)
    ways = gaussian_filter1d(missing, width, axis=0)
    ways = ways / np.maximum(np.linalg.norm(ways, axis=-1, keepdims=True), 1e-9)
    return dataclasses.replace(movement, root_m=movement.root_m + ways * even[:, None])


def _move(movement: Movement, leg: Leg, ankle_m: np.ndarray, foot: np.ndarray) -> None:
    """Bring a leg's ankle to (T, 3), its foot turned by (T, 3, 3): the rotations are changed."""
    rest, rotations = movement.body.rest_joints_m(movement.betas), movement.rotations
    skeleton = movement.body.skeleton
    reach(rotations, rest, movement.root_m, skeleton, leg, ankle_m, foot, out=rotations)


def _turns(points: np.ndarray, target: np.ndarray, both: np.ndarray) -> np.ndarray:
    """Rotation vectors (T, 3) that take heel-to-toe (T, 2, 3) to its direction on the places."""
    vectors = np.zeros((len(points), 3))
    now, then = (p[both, 1] - p[both, 0] for p in (points, target))
    axis = np.cross(now, then)
    length = np.linalg.norm(axis, axis=-1, keepdims=True)
    angle = np.arctan2(length[:, 0], (now * then).sum(-1))
    vectors[both] = axis / np.maximum(length, 1e-12) * angle[:, None]
    return vectors


def _above_ground(movement: Movement, leg: Leg, stands: np.ndarray, under: np.ndarray) -> None:
    """Lift a foot that swings, and is so far under the ground (T,): the rotations are changed."""
    from scipy.ndimage import gaussian_filter1d

    sunk = ~stands & (under > _SUNK_M[0]) & (under < _SUNK_M[1])
    if not sunk.any():
        return
    turned, joints = movement.joints(leg.ankle)
    lift = np.zeros((len(movement), 3))
    lift[:, 1] = gaussian_filter1d(np.where(sunk, under, 0), 1.0)
    lift[stands] = 0
    _move(movement, leg, joints[:, 0] + lift, turned[:, 0])
