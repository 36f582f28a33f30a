# SPDX-License-Identifier: GPL-3.0-or-later
"""Feet stay on their places.  T keys, in the motion's frame, in the rig's unit.

    spans in which heel and toe stand ─► the way that the hips travel over them
                                      ─► their places ─► how far each foot is off them
    hips take what both feet share (`hips`), two-bone IK of each leg the rest, fading in and out

Legs of other proportions swing otherwise: that is what is made up for.  How far a foot turns and
swings is the motion's own; a step is as long as these legs make it, and the way with it.
"""

import numpy as np

from .fading import fade, runs
from .fitting import Fit
from .hips import shared_by_hips
from .legs import bend, lowered
from .performance import Stand
from .posing import Poses, heads_of
from .rotations import between, turns_by, unit, vectors_of
from .soles import Foot, active_keys, floor_of, foot_of, part_of, places_of, points_of

SWINGING_DEG = 2.5
"""How far a limb in the air may be turned to keep its sole above the floor.  Chosen: unseen."""


def keep_feet(fit: Fit, poses: Poses, stands: tuple[Stand, ...], times_s: np.ndarray) -> Poses:
    """The same poses with planted feet where they were planted.

    Args:
        fit: the rig.
        poses: its poses.
        stands: what stands when; without any, nothing changes.
        times_s: (T,)
    """
    if not stands:
        return poses
    turns = poses.turns.copy()
    feet = [foot_of(fit, side, stands, len(times_s)) for side in "LR"]
    for foot in feet:
        _level(foot, turns, times_s)
        _tip(foot, turns, times_s)
    poses = Poses(turns, poses.hips + _travel(fit, Poses(turns, poses.hips), feet, times_s))
    off = [_shifts(fit, poses, foot) for foot in feet]
    shared, shifts, here = shared_by_hips(fit, poses, [f.leg for f in feet], off, times_s)
    hips = poses.hips + shared
    ankles = []
    for foot, shift, weight in zip(feet, shifts, here, strict=True):
        moved = heads_of(fit, Poses(turns, hips), foot.leg.foot)
        moved = moved + weight[:, None] * (shift - shared)
        ankles.append(_above_floor(fit, turns, foot, moved, stands))
    hips = hips - lowered(fit, Poses(turns, hips), [f.leg for f in feet], ankles, times_s)
    for foot, ankle, weight in zip(feet, ankles, here, strict=True):
        limit_rad = np.radians(SWINGING_DEG) / np.maximum(1 - weight**4, 1e-6)
        bend(fit, Poses(turns, hips), foot.leg, ankle, limit_rad)
    return Poses(turns, hips)


def _travel(fit: Fit, poses: Poses, feet: list[Foot], times_s: np.ndarray) -> np.ndarray:
    """(T, 3) along the floor: how far the hips have to go so that what stands does not move."""
    steps, number = np.zeros((len(times_s) - 1, 3)), np.zeros(len(times_s) - 1)
    for foot in feet:
        points = points_of(fit, poses, foot)
        for stand in foot.stands:
            span = slice(stand.first, stand.last)
            steps[span] -= np.diff(points[part_of(stand)][stand.first : stand.last + 1], axis=0)
            number[span] += 1
    seconds = np.diff(times_s)
    speed = steps / np.maximum(number, 1)[:, None] / seconds[:, None] * [1, 1, 0]
    speed = fade(speed, number > 0, times_s[:-1])[0]
    return np.concatenate([np.zeros((1, 3)), np.cumsum(speed * seconds[:, None], 0)])


def _level(foot: Foot, turns: np.ndarray, times_s: np.ndarray) -> None:
    """Turn a foot so that it lies still on the ground while heel and toe both stand; in place."""
    count = len(turns)
    both = active_keys(foot, "heel", count) & active_keys(foot, "toe", count)
    if not both.any():
        return
    along = turns[:, foot.leg.foot] @ (foot.toe - foot.heel)
    vectors = np.zeros((count, 3))
    for run in runs(both):
        wanted = _lying(np.broadcast_to(along[run].mean(0), along[run].shape), foot.rise[run])
        vectors[run] = vectors_of(between(along[run], wanted))
    _turn(foot, turns, fade(vectors, both, times_s)[0])


def _tip(foot: Foot, turns: np.ndarray, times_s: np.ndarray) -> None:
    """Turn a foot up that stands on its heel with the toe in the ground, or the other way round."""
    count = len(turns)
    heel, toe = active_keys(foot, "heel", count), active_keys(foot, "toe", count)
    along = turns[:, foot.leg.foot] @ (foot.toe - foot.heel)
    wrong = np.where(along[:, 2] < foot.rise, heel, toe)
    lying = np.where(wrong[:, None], _lying(along, foot.rise), along)
    _turn(foot, turns, fade(vectors_of(between(along, lying)), heel | toe, times_s)[0])


def _lying(along: np.ndarray, rise: np.ndarray) -> np.ndarray:
    """Soles (T, 3) from heel to toe, as long and to the same side, that rise by so much (T,)."""
    length = np.linalg.norm(along, axis=1)
    flat = unit(along * [1, 1, 0]) * np.sqrt(np.maximum(length**2 - rise**2, 0))[:, None]
    return flat + rise[:, None] * [0.0, 0.0, 1.0]


def _turn(foot: Foot, turns: np.ndarray, vectors: np.ndarray) -> None:
    for bone in foot.bones:
        turns[:, bone] = turns_by(vectors) @ turns[:, bone]


def _shifts(fit: Fit, poses: Poses, foot: Foot) -> tuple[np.ndarray, np.ndarray]:
    """How far (T, 3) a foot is off its places, and where (T,) it has any."""
    count = len(poses.hips)
    points = points_of(fit, poses, foot)
    total, number = np.zeros((count, 3)), np.zeros(count)
    for stand, place in places_of(fit, foot, points).items():
        span = slice(stand.first, stand.last + 1)
        total[span] += place - points[part_of(stand)][span]
        number[span] += 1
    return total / np.maximum(number, 1)[:, None], number > 0


def _above_floor(
    fit: Fit, turns: np.ndarray, foot: Foot, ankle: np.ndarray, stands: tuple[Stand, ...]
) -> np.ndarray:
    """Ankles (T, 3), raised where a sole would go through the floor.

    Between two floors, in a jump from a box, the lower one counts.
    """
    ordered = sorted(stands, key=lambda one: one.first)
    starts = np.array([stand.first for stand in ordered])
    floors = np.array([floor_of(fit, stand) for stand in ordered])
    after = np.searchsorted(starts, np.arange(len(turns)), side="right")
    floor = np.minimum(floors[np.maximum(after - 1, 0)], floors[np.minimum(after, len(starts) - 1)])
    for stand in foot.stands:  # whatever the other foot stands on
        span = slice(stand.first, stand.last + 1)
        toe_up = foot.rise[span] if part_of(stand) == "heel" else -foot.rise[span]
        floor[span] = np.minimum(floor[span], floor_of(fit, stand) + np.minimum(toe_up, 0))
    turn = turns[:, foot.leg.foot]
    low = np.minimum((turn @ foot.heel)[:, 2], (turn @ foot.toe)[:, 2]) + ankle[:, 2]
    return ankle + np.maximum(floor - low, 0)[:, None] * [0.0, 0.0, 1.0]
