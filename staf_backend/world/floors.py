"""The levels of ground that people stand on, found from where their feet stood.

A clip may have several: somebody jumps from a roof, or climbs.  A level is where much of the
standing happens; a foothold between levels belongs to none, and is left where it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from staf_backend.motion import PARTS
from staf_backend.world.contacts import Contacts
from staf_backend.world.movement import FEET, Movement

_AGREE_M, _AGREE_SHARE = 0.045, 0.04
"""Heights about a level that agree on it, in metres and of the camera's height above it, whichever
is more: who seems farther by 4 % stands lower by 4 % of that.  Measured: on level ground nine of
ten footholds of drawn scenes are within 35 mm; those of a walk over uneven ground (CMU subject 03)
spread over 200.  Two metres below a camera (walk_two's second person) they spread over 150."""
_NEAR_M, _NEAR_SHARE = 0.08, 0.075
"""Heights about a level that belong to it, once others agree on it; the same.  Measured: on level
ground before a level camera the farthest are 57 mm off, before one that looks down 7.4 % (two of 35
drawn scenes); a kerb is higher."""
_APART_M = 0.35
"""Between two levels.  Chosen: two steps of stairs; nearer ones are one level, badly measured."""
_LEAST_SHARE = 0.12
"""Of the standing that a further level needs.  Chosen."""
_AGREED_SHARE = 0.66
"""Of the standing that must agree on the levels; else there is no floor.  Measured: 0.8 and more
on level ground, 0.5 on uneven ground; stairs have a tenth on each step."""
_EVEN_SHARE = 0.9
"""Of the standing that agrees where the ground is even, each foot by itself.  Measured: all of it
in walks on level ground whose feet are estimated at two heights, 0.47 and 0.80 on uneven ground."""
_LEANS_M, _LEANS_SHARE = 0.12, 0.07
"""Between the heights of the two feet where each stands at one: so far the estimate leans, in
metres and of the camera's height above them, whichever is more.  Measured: an exact walk seen by a
camera that is tilted both ways is estimated with 0.09; a step of stairs is higher."""
_FLOOR_SHARE = 0.2
"""Of all standing that the floor of the clip needs.  Chosen: less is a hole in it."""
_TOGETHER = 0.5
"""Of a foothold of a heel, or a toe, in which the foot's other end stands, too, from which both
tell one height.  Chosen."""
_STEP_M, _STEP_S = 0.03, 0.15
"""How far the lower foot of a runner comes down to the ground between two others, at least, and how
long is between two steps.  Chosen: feet in flight are 5 to 10 cm high, a sprinter has five steps a
second."""
_SAME_M = 0.2
"""Between the levels that two people give of one floor, whose sizes are guesses.  Chosen: 10 % of
the height of a camera that somebody holds."""


@dataclass(frozen=True)
class Foothold:
    """A stretch of time in which a point of a foot stood.

    Attributes:
        point: of `motion.PARTS`, of which `movement.FEET` are the first.
        first, last: frames, the second one excluded.
        height_m: of the ground there.
        seconds: how long.
    """

    point: int
    first: int
    last: int
    height_m: float
    seconds: float


@dataclass(frozen=True)
class Floors:
    """The levels that one person stood on.

    Attributes:
        own_m: as this person's size and distance tell them.
        shared_m: of the same levels, one for all people of the clip.
    """

    own_m: tuple[float, ...]
    shared_m: tuple[float, ...]

    @property
    def reached(self) -> "Floors":
        """The same once the person stands on them."""
        return Floors(self.shared_m, self.shared_m)

    def level_at(self, height_m: float) -> int | None:
        """The level that a foothold at this height belongs to."""
        away = [abs(height_m - own) for own in self.own_m]
        nearest = int(np.argmin(away)) if away else -1
        return nearest if away and away[nearest] < _near_m(self.own_m[nearest]) else None


def footholds(movement: Movement, contacts: Contacts, parts: int = len(FEET)) -> list[Foothold]:
    """Where parts touched, by default heels and toes; of a movement whose y axis is up.

    Args:
        movement: whose.
        contacts: of it.
        parts: how many of `motion.PARTS`.
    """
    low_m = movement.posed.points_m[..., 1] - movement.rest_heights_m
    return [
        Foothold(point, a, b, float(np.median(low_m[a:b, point])), (b - a) / movement.rate_hz)
        for point in range(parts)
        for a, b in contacts.spans(point)
    ]


def heights_stood_on(holds: Sequence[Foothold], floors: Floors) -> list[float | None]:
    """The shared height of the ground under each foothold; None where it belongs to no level.

    Heel and toe of one foot that stand together are on one level.

    Args:
        holds: where one person stood.
        floors: of that person.
    """
    levels = [floors.level_at(hold.height_m) for hold in holds]
    at = np.full((len(PARTS), max((hold.last for hold in holds), default=0)), -1)
    for hold, level in zip(holds, levels, strict=True):
        if level is not None:
            at[hold.point, hold.first : hold.last] = level
    for number, hold in enumerate(holds):
        if levels[number] is None and hold.point < len(FEET):
            levels[number] = _first_known(at[hold.point ^ 1, hold.first : hold.last])
    return [None if level is None else floors.shared_m[level] for level in levels]


def _first_known(levels: np.ndarray) -> int | None:
    known = levels[levels >= 0]
    return int(known[0]) if len(known) else None


def levels_of(holds: Sequence[Foothold], known_m: Sequence[float] = ()) -> tuple[float, ...]:
    """Heights of one person's levels, the one of most standing first; none if they disagree.

    Args:
        holds: where the person stood.
        known_m: levels of others, of which the shortest stay is enough.
    """
    heights, seconds = _stood_at(holds)
    free, levels = np.ones(len(holds), bool), list[float]()
    held = np.zeros(len(holds), bool)
    while free.any():
        mass = np.where(free, _agreeing_s(heights, seconds * free), 0)
        best = int(mass.argmax())
        chosen = _agree(heights, heights[best]) & free
        known = any(abs(heights[best] - level) < _SAME_M for level in known_m)
        if levels and not known and mass[best] < _LEAST_SHARE * seconds.sum():
            free &= ~chosen
            continue
        levels.append(_middle(heights[chosen], seconds[chosen]))
        held |= chosen | _agree(heights, levels[-1])
        free &= np.abs(heights - levels[-1]) > _APART_M
    if seconds[held].sum() >= _AGREED_SHARE * seconds.sum():
        return tuple(levels)
    return _between_feet(holds)


def _between_feet(holds: Sequence[Foothold]) -> tuple[float, ...]:
    """The level midway between those of the two feet, of an estimate that leans; else none."""
    if not is_even(holds):
        return ()
    sides = [[hold for hold in holds if hold.point // 2 == side] for side in (0, 1)]
    if not all(sides):
        return ()
    left, right = (_middle(*_stood_at(side)) for side in sides)
    middle = (left + right) / 2
    leans_m = max(_LEANS_M, _LEANS_SHARE * abs(middle))
    return (middle,) if abs(left - right) < leans_m else ()


def is_even(holds: Sequence[Foothold]) -> bool:
    """Whether each foot, by itself, stands at one height: then the ground is even, and if the two
    differ, the estimate leans.

    Args:
        holds: where one person stood.
    """
    agreed = total = 0.0
    for side in (0, 1):
        own = [hold for hold in holds if hold.point // 2 == side]
        heights, seconds = _stood_at(own)
        agreed += _agreeing_s(heights, seconds).max(initial=0.0)
        total += seconds.sum()
    return agreed >= _EVEN_SHARE * total


def _stood_at(holds: Sequence[Foothold]) -> tuple[np.ndarray, np.ndarray]:
    """Heights of the ground (N,) and seconds (N,) of footholds.

    A heel and a toe that stand together are on one height: a foot that is estimated tilted puts one
    too high and the other too low.
    """
    heights = np.array([hold.height_m for hold in holds])
    seconds = np.array([hold.seconds for hold in holds])
    feet = [(number, hold) for number, hold in enumerate(holds) if hold.point < len(FEET)]
    at = np.full((len(FEET), max((hold.last for _, hold in feet), default=0)), np.nan)
    for _, hold in feet:
        at[hold.point, hold.first : hold.last] = hold.height_m
    for number, hold in feet:
        other = at[hold.point ^ 1, hold.first : hold.last]
        both = np.isfinite(other)
        if both.mean() >= _TOGETHER:
            heights[number] = (heights[number] + other[both].mean()) / 2
    return heights, seconds


def shared_floors(people: Sequence[Sequence[Foothold]]) -> list[Floors]:
    """The levels of all people of a clip; who stands most says where the shared ones are.

    Args:
        people: the footholds of each.
    """
    order = sorted(range(len(people)), key=lambda i: -_standing_s(people[i]))
    shared: list[float] = []
    found: dict[int, Floors] = {}
    for _ in range(2):  # who comes first may have stood for a moment on a level of the others
        for i in order:
            own = levels_of(people[i], shared)
            found[i] = Floors(own, tuple(_shared(level, shared) for level in own))
    return [found[i] for i in range(len(people))]


def _shared(level_m: float, shared: list[float]) -> float:
    """The shared level that one person's is; a new one where there is none."""
    nearest = min(shared, key=lambda other: abs(other - level_m), default=None)
    if nearest is not None and abs(nearest - level_m) < _SAME_M:
        return nearest
    shared.append(level_m)
    return level_m


def main_level_m(people: Sequence[Sequence[Foothold]], floors: Sequence[Floors]) -> float | None:
    """The floor of the clip: the lowest shared level with a fair share of all standing; on uneven
    ground the middle height of all that stands, and none where nothing does."""
    seconds: dict[float, float] = {}
    for holds, own in zip(people, floors, strict=True):
        for hold in holds:
            level = own.level_at(hold.height_m)
            if level is not None:
                at = own.shared_m[level]
                seconds[at] = seconds.get(at, 0.0) + hold.seconds
    total = sum(seconds.values())
    lowest = min((at for at, s in seconds.items() if s >= _FLOOR_SHARE * total), default=None)
    every = [hold for holds in people for hold in holds]
    if lowest is None and every:
        return _middle(*np.array([(hold.height_m, hold.seconds) for hold in every]).T)
    return lowest


def stepped_on_m(movement: Movement) -> float | None:
    """Height of the ground that feet only step on, as in a run: where the lower one comes down to,
    time after time; None where it does not come down to one height.

    Args:
        movement: y up, whose feet do not stand.
    """
    from scipy.signal import find_peaks

    low = movement.posed.points_m[:, : len(FEET), 1] - movement.rest_heights_m[: len(FEET)]
    low = np.where(np.repeat(movement.feet_seen, 2, axis=1), low, np.inf).min(1)
    if not np.isfinite(low).all():
        return None
    apart = max(1, round(_STEP_S * movement.rate_hz))
    heights = low[find_peaks(-low, prominence=_STEP_M, distance=apart)[0]]
    if len(heights) < 2:
        return None
    level = float(np.median(heights))
    return level if _agree(heights, level).all() else None


def _agree(heights_m: np.ndarray, level_m: float) -> np.ndarray:
    """(N,) whether heights, of which the camera is at 0, agree on a level."""
    return np.abs(heights_m - level_m) < _agreed_m(level_m)


def _agreeing_s(heights_m: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """(N,) the seconds that stand on the level of each height, which is sorted for it: pairs of all
    footholds would not fit in memory after an hour's walk."""
    order = np.argsort(heights_m)
    sorted_m, before = heights_m[order], np.concatenate([[0.0], np.cumsum(seconds[order])])
    first = np.searchsorted(sorted_m, heights_m - _agreed_m(heights_m), side="right")
    last = np.searchsorted(sorted_m, heights_m + _agreed_m(heights_m), side="left")
    return before[last] - before[first]


def _agreed_m(level_m: np.ndarray | float) -> np.ndarray:
    """How far from a level a height agrees on it."""
    return np.maximum(_AGREE_M, _AGREE_SHARE * np.abs(level_m))


def _near_m(level_m: float) -> float:
    """How far off a level that is so far from the camera's height a foothold may stand."""
    return max(_NEAR_M, _NEAR_SHARE * abs(level_m))


def _standing_s(holds: Sequence[Foothold]) -> float:
    return sum(hold.seconds for hold in holds)


def _middle(values: np.ndarray, weights: np.ndarray) -> float:
    """The weighted median."""
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])
