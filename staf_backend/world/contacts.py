"""What touches the ground, and when.

Of heels and toes a small network judges half a second to both sides (`foot_contacts`).  A hand, a
knee or the seat touches where it moves slowly across the view and is low: a logistic of its speed
and of its height above the ground at that time, which is the middle height of the lowest slow feet
about that time, so a jump from a wall to the ground changes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from staf_backend.motion import PARTS
from staf_backend.world.foot_contacts import feet_standing
from staf_backend.world.movement import FEET, Poses
from staf_backend.world.spans import nearest_known, spans

_SPEED_WEIGHT, _HEIGHT_WEIGHT, _SQUARE_WEIGHT, _BIAS = -3.2, -10.2, -2.4, -5.8
"""Of log(speed in m/s + 0.05), of the height in metres, of its square, and of 1: a logistic fitted
to twenty drawn scenes of people the lifter never saw, each left out in turn (issue 14)."""
_LEAST_SPEED_M_S = 0.05
_HEIGHTS_M = (-0.1, 0.3)
"""Heights are cut to these, as in what the logistic was fitted to."""
_SURE, _LIKELY, _COMING, _LEAVING = 0.35, 0.3, 0.05, 0.2
"""A span is sure somewhere, likely throughout, and begins and ends while it only may be: feet come
to rest late in an estimate and leave early, where they walk along the view most of all.  Chosen on
drawn scenes: higher ones slide more (3.1 mm a contact frame in the median where the first three are
a half, 0.5 so; in the picture 0.4 where the last is 0.3, 0.2 so), lower ones find contacts that are
not there (F1 0.84 at 0.3, 0.2 and 0.02, 0.86 so); the last below 0.2 tears feet off the ground."""
_HIGHEST_M = {"hand": 0.25, "knee": 0.2, "seat": 0.6}
"""Above the ground under the feet, up to which a part touches something.
Chosen: a chair is 0.45 m high; what is still and higher hangs in the air."""
_TOLD = 0.95
"""Probability of a contact that somebody names, at least.  Chosen."""
_ROUNDED_S = 1e-3
"""Times that a person names are rounded to this."""
_EAGER = 0.5
"""Share of these that is enough where feet shall be held also in doubt.  Chosen."""
_SHORTEST_S, _GAP_S = 0.1, 0.07
"""Of a contact, and of a gap in one.  Chosen: shorter ones are noise of the landmarks."""
_STEADY_S = 0.03
"""Deviation of the smoothing before speeds are taken.  Chosen: a frame at 30 Hz."""
_GROUND_S = 2.0
"""Over which the ground about a time is looked for.  Chosen: a few steps."""
_LOW_M, _SLOW_M_S = 0.06, 0.4
"""A foot that may tell the ground: so near the lower one, and as slow.  Chosen."""
_CARRIED_M = 0.15
"""The trunk of whom the feet carry is higher than the feet by this.  Chosen: a crouch is."""
_STEP_M = 0.25
"""A foot that is higher above the other is raised, however still.  Chosen: a high stair."""
_TRUNK = ("pelvis", "spine1", "spine2", "spine3", "neck", "head")


@dataclass(frozen=True)
class Contacts:
    """When each part of the body touches the ground.

    Attributes:
        probability: (T, 9) of `movement.PARTS`.
        touching: (T, 9) bool: in a span of contact.
    """

    probability: np.ndarray
    touching: np.ndarray

    @property
    def feet(self) -> np.ndarray:
        """(T, 4) bool: heels and toes alone."""
        return self.touching[:, : len(FEET)]

    def spans(self, part: int) -> list[tuple[int, int]]:
        """The spans of one part."""
        return spans(self.touching[:, part])


def find_contacts(movement: Poses, eager: bool = False) -> Contacts:
    """Contacts of a movement whose y axis is up, about.

    Args:
        movement: whose.
        eager: take also what is less than likely.
    """
    usable, feet = _usable(movement), slice(len(FEET))
    low_m = movement.posed.points_m[..., 1] - movement.rest_heights_m
    across = _speed_across(movement)
    ground = _ground(low_m[:, feet], across[:, feet], usable[:, feet], movement.rate_hz)
    probability = np.zeros(usable.shape)
    probability[:, feet] = feet_standing(movement) * usable[:, feet]
    if ground is not None:
        others = slice(len(FEET), None)
        above_m = low_m[:, others] - ground[:, None]
        near = above_m < [_HIGHEST_M[part.split("_")[-1]] for part in PARTS[others]]
        probability[:, others] = _logistic(across[:, others], above_m) * near
    touching = _hysteresis(probability, movement.rate_hz, eager)
    return Contacts(probability, touching)


def told_contacts(
    found: Contacts, stands: Sequence[tuple[int, float, float]], times_s: np.ndarray
) -> Contacts:
    """Contacts as somebody says they are.

    Args:
        found: of the movement.
        stands: parts, numbers in `PARTS`, with first and last second; nothing else touches.
        times_s: (T,) of the movement.
    """
    touching = np.zeros(found.touching.shape, bool)
    for part, first_s, last_s in stands:
        inside = (times_s >= first_s - _ROUNDED_S) & (times_s <= last_s + _ROUNDED_S)
        touching[inside, part] = True
    sure, unsure = found.probability.clip(min=_TOLD), found.probability.clip(max=1 - _TOLD)
    return Contacts(np.where(touching, sure, unsure), touching)


def speeds(points_m: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """Velocities (T, N, 3), m/s, of points (T, N, 3), smoothed without lag."""
    from scipy.ndimage import gaussian_filter1d

    if len(times_s) < 2:
        return np.zeros_like(points_m)
    rate = 1 / float(np.median(np.diff(times_s)))
    steady = gaussian_filter1d(points_m, _STEADY_S * rate, axis=0)
    return np.gradient(steady, times_s, axis=0)


def _speed_across(movement: Poses) -> np.ndarray:
    """(T, 9) speed across the view, m/s: along it, depth is too uncertain."""
    points = movement.posed.points_m
    speed = np.empty(points.shape[:2])
    for part in range(points.shape[1]):  # one at a time: a clip may be long
        one = points[:, part : part + 1]
        velocity = speeds(one, movement.times_s)
        ray = one - movement.eye_m[:, None]
        ray = ray / np.maximum(np.linalg.norm(ray, axis=-1, keepdims=True), 1e-6)
        along = np.einsum("tpc,tpc->tp", velocity, ray)
        across = velocity - along[..., None] * ray
        speed[:, part] = np.linalg.norm(across, axis=-1)[:, 0]
    return speed


def _usable(movement: Poses) -> np.ndarray:
    """(T, 9) whether a part may carry: its foot is seen and not raised, and the trunk is above."""
    joints = movement.posed.joints_m[..., 1]
    known = [name for name in _TRUNK if name in movement.body.skeleton]
    trunk = joints[:, [movement.body.skeleton.index(name) for name in known]].min(1)
    feet = movement.posed.points_m[:, : len(FEET), 1].min(1)
    usable = np.ones((len(movement), len(PARTS)), bool)
    usable[:, : len(FEET)] = np.repeat(movement.feet_seen, 2, axis=1)
    usable[:, : len(FEET)] &= (trunk > feet + _CARRIED_M)[:, None]
    heights = movement.posed.points_m[:, : len(FEET), 1]
    usable[:, : len(FEET)] &= heights < feet[:, None] + _STEP_M
    return usable


def _ground(
    low_m: np.ndarray, across: np.ndarray, usable: np.ndarray, rate_hz: float
) -> np.ndarray | None:
    """(T,) height of the ground about each time; None where no foot ever stands."""
    from scipy.ndimage import median_filter

    allowed = np.where(usable, low_m, np.inf)
    lowest = allowed.min(1, keepdims=True)
    telling = usable & (allowed < lowest + _LOW_M) & (across < _SLOW_M_S)
    known = telling.any(1)
    if not known.any():
        return None
    slowest = np.where(telling, across, np.inf).argmin(1)
    height = np.take_along_axis(low_m, slowest[:, None], 1)[:, 0]
    height = height[nearest_known(known)]
    size = max(1, 2 * round(_GROUND_S * rate_hz / 2) + 1)
    return median_filter(height, size, mode="nearest")


def _logistic(across: np.ndarray, height_m: np.ndarray) -> np.ndarray:
    height = height_m.clip(*_HEIGHTS_M)
    score = _SPEED_WEIGHT * np.log(across + _LEAST_SPEED_M_S) + _BIAS
    score = score + _HEIGHT_WEIGHT * height + _SQUARE_WEIGHT * height**2
    return 1 / (1 + np.exp(-score))


def _hysteresis(probability: np.ndarray, rate_hz: float, eager: bool) -> np.ndarray:
    """(T, 9) bool: spans that are likely throughout and sure somewhere, from where they come to
    where they have left."""
    share = _EAGER if eager else 1.0
    least, bridge = max(2, round(_SHORTEST_S * rate_hz)), round(_GAP_S * rate_hz)
    touching = np.zeros(probability.shape, bool)
    for part in range(probability.shape[1]):
        own, ended = probability[:, part], 0
        likely = spans(own > share * _LIKELY, bridge=bridge)
        ends = [*(first for first, _ in likely[1:]), len(own)]
        for (first, last), next_ in zip(likely, ends, strict=False):
            begin = first - _coming(own[ended:first], share * _COMING)
            ended = last + _leaving(own[last:next_], share * _LEAVING)
            if own[first:last].max() > share * _SURE:
                touching[begin:ended, part] = ended - begin >= least
    return touching


def _coming(before: np.ndarray, least: float) -> int:
    """Frames at the end of (N,), a part's probabilities before it likely touches, in which it comes
    to rest: after the lowest of all, and after all that are as low as `least`."""
    if not len(before):
        return 0
    away = np.flatnonzero((before <= least) | (before == before.min()))
    return len(before) - 1 - int(away[-1])


def _leaving(after: np.ndarray, least: float) -> int:
    """Frames at the beginning of (N,), a part's probabilities after it likely touched, in which it
    leaves: ever less likely, and more than `least`."""
    stays = (after > least) & (np.diff(after, prepend=np.inf) <= 0)
    return len(after) if stays.all() else int(stays.argmin())
