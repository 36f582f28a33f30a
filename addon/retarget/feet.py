# SPDX-License-Identifier: GPL-3.0-or-later
"""Feet stay on their places.  T keys, in the motion's frame, in the rig's unit.

    spans in which heel and toe stand ─► the way that the hips travel over them
                                      ─► their places ─► how far each foot is off them
    hips and places (`hips`) ─► two-bone IK of each leg that stands ─► what it turned fades out

Legs of other proportions swing otherwise: that is what is made up for.  How far a foot turns and
swings is the motion's own; a step is as long as these legs make it, and the way with it.
"""

import numpy as np

from .fading import fade
from .fitting import Fit
from .hips import Off, settled
from .legs import bend, lowered
from .lying import level, tip
from .performance import Stand
from .posing import Poses, heads_of
from .rotations import turns_by, vectors_of
from .soles import Foot, active_keys, floor_of, foot_of, part_of, places_of, points_of, sole_of

UNSEEN_DEG = 2.9
"""How far a limb is turned at most to keep a sole above the floor, and before a foot that stands
gives way.  Chosen: below the 3 degrees that a limb may point elsewhere than the motion's."""
_GIVES_M = 0.002
"""How far a foot that stands gives way at most where a limb had to turn further for it.  Chosen:
nobody sees it either."""


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
    turns, way = poses.turns.copy(), poses.hips
    feet = [foot_of(fit, side, stands, len(times_s)) for side in "LR"]
    for foot in feet:
        levelled_rad = level(foot, turns, times_s)
        tip(foot, turns, np.maximum(np.radians(UNSEEN_DEG) - levelled_rad, 0), times_s)
    poses = Poses(turns, way + _travel(fit, Poses(turns, way), feet, times_s))
    shared, shifts = settled(fit, poses, way, [_off(fit, poses, foot) for foot in feet], times_s)
    poses = Poses(turns, poses.hips + shared)
    legs = [foot.leg for foot in feet]
    ankles = [heads_of(fit, poses, leg.foot) + s for leg, s in zip(legs, shifts, strict=True)]
    poses = Poses(turns, poses.hips - lowered(fit, poses, legs, ankles, times_s))
    for foot, ankle in zip(feet, ankles, strict=True):
        was = poses.turns[:, foot.leg.limbs]
        _stand(fit, poses, foot, ankle, times_s)
        _swing(fit, poses, foot, _floor(fit, foot, stands, len(times_s)), was)
    return poses


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


def _off(fit: Fit, poses: Poses, foot: Foot) -> Off:
    """How far a foot is off its places."""
    count = len(poses.hips)
    points = points_of(fit, poses, foot)
    total, number = np.zeros((count, 3)), np.zeros(count)
    for stand, place in places_of(fit, foot, points).items():
        span = slice(stand.first, stand.last + 1)
        total[span] += place - points[part_of(stand)][span]
        number[span] += 1
    return Off(foot.leg, total / np.maximum(number, 1)[:, None], number > 0)


def _stand(fit: Fit, poses: Poses, foot: Foot, ankle: np.ndarray, times_s: np.ndarray) -> None:
    """Bring ankles (T, 3) to their places where the foot stands; in place.

    What this turns comes softly before and goes softly afterwards: no limb in the air turns
    further than the same one did on the ground.
    """
    limbs, active = foot.leg.limbs, _stands(foot, len(ankle))
    was = poses.turns[:, limbs]
    bend(fit, poses, foot.leg, ankle)
    turned = _given(fit, poses, foot, was)
    turned = fade(turned.reshape(-1, 6), active, times_s)[0].reshape(-1, 2, 3)
    poses.turns[:, limbs] = turns_by(turned) @ was


def _given(fit: Fit, poses: Poses, foot: Foot, was: np.ndarray) -> np.ndarray:
    """What limbs (T, 2, 3) are turned by: as little as nobody sees where the foot hardly moves."""
    limbs, ankle = foot.leg.limbs, heads_of(fit, poses, foot.leg.foot)
    turned = vectors_of(poses.turns[:, limbs] @ was.swapaxes(-1, -2))
    less = _unseen(turned) * turned - turned
    turns = poses.turns.copy()
    turns[:, limbs] = turns_by(turned + less) @ was
    moved = np.linalg.norm(heads_of(fit, Poses(turns, poses.hips), foot.leg.foot) - ankle, axis=-1)
    share = np.minimum(1, _GIVES_M * fit.scale / np.maximum(moved, 1e-9))
    return turned + share[:, None, None] * less


def _unseen(turned: np.ndarray) -> np.ndarray:
    """(T, 2, 1) the share of turns (T, 2, 3) that nobody sees."""
    angle = np.linalg.norm(turned, axis=-1, keepdims=True)
    return np.minimum(1, np.radians(UNSEEN_DEG) / np.maximum(angle, 1e-9))


def _swing(fit: Fit, poses: Poses, foot: Foot, floor: np.ndarray, was: np.ndarray) -> None:
    """Raise a foot in the air whose sole would go through the floor (T,); in place.

    Its limbs are turned from the motion's (T, 2, 3, 3) by as much as nobody sees.
    """
    ankle = heads_of(fit, poses, foot.leg.foot)
    low = np.min([part[:, 2] for part in sole_of(poses.turns, foot).values()], axis=0)
    rise = np.maximum(floor - ankle[:, 2] - low, 0)
    rise[_stands(foot, len(rise))] = 0
    bend(fit, poses, foot.leg, ankle + rise[:, None] * [0.0, 0.0, 1.0])
    raised, limbs = rise > 0, foot.leg.limbs
    turned = vectors_of(poses.turns[:, limbs] @ was.swapaxes(-1, -2))[raised]
    poses.turns[np.ix_(raised, limbs)] = turns_by(_unseen(turned) * turned) @ was[raised]


def _floor(fit: Fit, foot: Foot, stands: tuple[Stand, ...], count: int) -> np.ndarray:
    """(T,) the ground below a foot in the air: the lower one of those it comes from and goes to.

    Before it first stands, and after it last does, the lowest of all.
    """
    floors = [floor_of(fit, stand) for stand in foot.stands]
    lowest = min(floor_of(fit, stand) for stand in stands)
    known = sorted(zip((stand.first for stand in foot.stands), floors, strict=True))
    starts = [start for start, _ in known]
    around = np.array([lowest, *(height for _, height in known), lowest])
    after = np.searchsorted(starts, np.arange(count), side="right")
    return np.minimum(around[after], around[after + 1])


def _stands(foot: Foot, count: int) -> np.ndarray:
    """(T,) bool: whether any part of it does."""
    return active_keys(foot, "heel", count) | active_keys(foot, "toe", count)
