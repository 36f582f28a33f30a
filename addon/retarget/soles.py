# SPDX-License-Identifier: GPL-3.0-or-later
"""One foot: its sole, the ground below heel and toe, and where they stand.  T keys."""

from dataclasses import dataclass

import numpy as np

from .fitting import Fit
from .legs import Leg
from .performance import Stand
from .posing import Poses, heads_of

_HEEL = 0.25
"""How far the heel is behind the ankle, of ankle to toe.  Chosen: as in the open body."""
_FOOT = 0.3
"""Of the leg: the foot of a rig whose bones do not tell.  Chosen."""
_STEEPEST = 0.5
"""Of the sole: how much higher toe or heel may stand than the other.  Chosen: 30 degrees."""


@dataclass(frozen=True, eq=False)
class Foot:
    """What one foot is to do."""

    leg: Leg
    bones: tuple[int, ...]
    """The foot, and the toes where mapped."""
    heel: np.ndarray
    """(3,) sole at rest, from the ankle."""
    ball: np.ndarray
    """(3,) where toes begin to bend; the same as the toe where none are mapped."""
    toe: np.ndarray
    """(3,)"""
    stands: tuple[Stand, ...]
    rise: np.ndarray
    """(T,) how much higher the ground below the toe is than that below the heel."""


def foot_of(fit: Fit, side: str, stands: tuple[Stand, ...], count: int) -> Foot:
    """A rig's left or right foot, "L" or "R", with what it stands on of all that stands."""
    leg = Leg(*(fit.place(f"{side}_{joint}") for joint in ("Hip", "Knee", "Ankle")))
    toes = [p for p, joint in enumerate(fit.joints) if joint == f"{side}_Foot"]
    ankle = fit.heads[leg.foot]
    forward = (fit.tails[(toes or [leg.foot])[0]] - ankle) * [1, 1, 0]
    if np.linalg.norm(forward) < 0.2 * _FOOT * fit.leg:
        forward = np.array([0.0, -_FOOT * fit.leg, 0.0])
    down = np.array([0.0, 0.0, fit.ground - ankle[2]])
    word = {"L": "left", "R": "right"}[side]
    own = tuple(stand for stand in stands if stand.part.startswith(word))
    most = _STEEPEST * (1 + _HEEL) * float(np.linalg.norm(forward))
    rise = np.clip(_rise(fit, own, count), -most, most)
    toe = down + forward
    ball = fit.heads[toes[0]] - ankle if toes else toe
    return Foot(leg, (leg.foot, *toes), down - _HEEL * forward, ball, toe, own, rise)


def sole_of(turns: np.ndarray, foot: Foot) -> dict[str, np.ndarray]:
    """(T, 3) where heel and toe are, from the ankle, for turns (T, B, 3, 3) of the bones."""
    turn, toes = turns[:, foot.bones[0]], turns[:, foot.bones[-1]]
    toe = turn @ foot.ball + toes @ (foot.toe - foot.ball)
    return {"heel": turn @ foot.heel, "toe": toe}


def points_of(fit: Fit, poses: Poses, foot: Foot) -> dict[str, np.ndarray]:
    """(T, 3) where heel and toe are."""
    ankle, sole = heads_of(fit, poses, foot.leg.foot), sole_of(poses.turns, foot)
    return {part: ankle + step for part, step in sole.items()}


def places_of(fit: Fit, foot: Foot, points: dict[str, np.ndarray]) -> dict[Stand, np.ndarray]:
    """(3,) where each stand is: its mean, or as far from one that it meets as the sole is long."""
    found: dict[Stand, np.ndarray] = {}
    for stand in sorted(foot.stands, key=lambda one: one.first):
        part = part_of(stand)
        met = {other: _overlap(stand, other) for other in foot.stands if part_of(other) != part}
        met = {other: keys for other, keys in met.items() if keys.stop > keys.start}
        known = [other for other in met if other in found]
        if known:
            other = max(known, key=lambda one: met[one].stop)
            keys = met[other]
            place = found[other] + (points[part] - points[part_of(other)])[keys].mean(0)
        else:
            own = slice(stand.first, stand.last + 1)
            longest = max(met.values(), key=lambda keys: keys.stop - keys.start, default=own)
            place = points[part][longest].mean(0)
        found[stand] = np.array([place[0], place[1], floor_of(fit, stand)])
    return found


def active_keys(foot: Foot, part: str, count: int) -> np.ndarray:
    """(T,) bool: whether heel or toe stands."""
    out = np.zeros(count, bool)
    for stand in foot.stands:
        if stand.part.endswith(part):
            out[stand.first : stand.last + 1] = True
    return out


def floor_of(fit: Fit, stand: Stand) -> float:
    """Height of the ground there, in the rig's unit."""
    return fit.ground + fit.scale * stand.floor_m


def part_of(stand: Stand) -> str:
    """heel or toe."""
    return stand.part.rpartition("_")[2]


def _rise(fit: Fit, stands: tuple[Stand, ...], count: int) -> np.ndarray:
    """(T,) from heel to toe, around the keys on which both stand; level elsewhere."""
    out = np.zeros(count)
    for heel, toe in _pairs(stands):
        span = slice(min(heel.first, toe.first), max(heel.last, toe.last) + 1)
        out[span] = floor_of(fit, toe) - floor_of(fit, heel)
    for heel, toe in _pairs(stands):
        out[_overlap(heel, toe)] = floor_of(fit, toe) - floor_of(fit, heel)
    return out


def _pairs(stands: tuple[Stand, ...]) -> list[tuple[Stand, Stand]]:
    """Stands of heel and toe that share keys."""
    heels, toes = ([s for s in stands if part_of(s) == part] for part in ("heel", "toe"))
    pairs = [(heel, toe) for heel in heels for toe in toes]
    return [(h, t) for h, t in pairs if _overlap(h, t).start < _overlap(h, t).stop]


def _overlap(one: Stand, other: Stand) -> slice:
    return slice(max(one.first, other.first), min(one.last, other.last) + 1)
