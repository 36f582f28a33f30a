"""A hand's 21 points in each frame -> its finger angles, frame by frame.

The body's own hand is bent until it lies on the points in the picture, at any size and turned in
any way; the network's guess in space, which is the weaker, tells what the picture leaves open.  The
palm's rotation is solved along with the angles.
Gauss-Newton on all frames at once, from a relaxed, a flat and a closed hand, of which that is taken
which explains a frame best: from one start, seven in a hundred hands end in a worse place.
"""

from dataclasses import dataclass

import numpy as np

from staf_backend.fit.fingers_hand import ANGLES, TWIST, Hand
from staf_backend.fit.fingers_points import ORDER, UNKNOWNS, Points, bones_of, points_of
from staf_backend.geometry import from_axis_angle, nearest_rotation

_STEPS, _LARGEST_RAD = 12, 0.6
"""Gauss-Newton steps, and the largest change in one.  Chosen: nothing moves after ten."""
_PICTURE_M, _SPACE = 0.005, 1.2
"""Expected errors: of a point across the view, metres at the hand, and of a direction in space.
From 400 drawn hands: points 4 to 7 mm, directions 25 to 45 degrees, which lean all one way and so
count less."""
_OUTLIER = 2.0
"""Expected errors beyond which a point counts less.  Chosen by the same hands."""
_KNUCKLE_RAD, _FLEXION_RAD, _SPREAD_RAD, _THUMB_RAD, _TWIST_RAD = np.radians([45, 60, 7, 15, 8])
"""Deviation of angles from the relaxed hand's, before anything is seen.  Chosen by the same."""
_TOGETHER, _TOGETHER_RAD = 0.62, np.radians(8.0)
"""A finger's last joint bends by this share of the one before, and with what deviation: one tendon
bends both.  Chosen by the same."""
_LIMIT_RAD = np.radians(2.0)
"""Deviation of an angle beyond its limit.  Chosen: a soft wall, so that steps do not stick."""
_CLOSED, _FLAT_RAD = 0.75, 0.3
"""Starts: a share of the largest flexion, and how far from the least.  Chosen."""
_TRIED_STEPS = 5
"""Steps from every start, after which the best goes on alone.  Measured: see training/LOG.md."""
_FIRST_STEPS, _FIRST_RIDGE, _RIDGE = 4, 1.0, 1e-3
"""Against any change, in the first steps and later.  Chosen: far below what is seen."""


@dataclass(frozen=True)
class FrameFit:
    """Of N fitted hands.

    Attributes:
        angles: (N, 21) radians, within their limits.
        palm: (N, 3, 3) rotations of the palm, axes of the camera.
        costs: (N, 3) what is left of the errors: across the view, in space, and of habits and
            limits; squared expected errors.
    """

    angles: np.ndarray
    palm: np.ndarray
    costs: np.ndarray


@dataclass(frozen=True)
class _Seen:
    """The network's points (N, 21, 2) pixels in `ORDER`, and directions (N, 20, 3) in space."""

    points_px: np.ndarray
    bones: np.ndarray

    def of(self, rows: np.ndarray) -> "_Seen":
        return _Seen(self.points_px[rows], self.bones[rows])


@dataclass
class _State:
    """Unknowns: palm (N, 3, 3), angles (N, 21), pixels a metre (N,), and place (N, 2) pixels."""

    palm: np.ndarray
    angles: np.ndarray
    px_per_m: np.ndarray
    place_px: np.ndarray

    def of(self, rows: np.ndarray) -> "_State":
        parts = (self.palm, self.angles, self.px_per_m, self.place_px)
        return _State(*(part[rows] for part in parts))

    def move(self, step: np.ndarray) -> None:
        largest = np.abs(step[:, :UNKNOWNS]).max(1, keepdims=True)
        step = step * np.minimum(1, _LARGEST_RAD / largest.clip(1e-9))
        self.palm = self.palm @ from_axis_angle(step[:, :3])
        self.angles = self.angles + step[:, 3:UNKNOWNS]
        self.px_per_m = self.px_per_m * np.exp(step[:, UNKNOWNS])
        self.place_px = self.place_px + step[:, UNKNOWNS + 1 :] * self.px_per_m[:, None]


def fit_frames(hand: Hand, points_px: np.ndarray, world_m: np.ndarray) -> FrameFit:
    """Angles of a hand in each of N frames.

    Args:
        hand: of the body.
        points_px: (N, 21, 2) image pixels.
        world_m: (N, 21, 3) axes of the camera (x right, y down, z away).
    """
    starts = _starts(hand)
    count, tries = len(points_px), len(starts)
    seen = _Seen(points_px[:, ORDER].astype(float), bones_of(world_m.astype(float)))
    every = seen.of(np.tile(np.arange(count), tries))
    state = _begun(hand, every, np.repeat(starts, count, 0))
    for number in range(_TRIED_STEPS):
        _improve(hand, state, every, _FIRST_RIDGE if number < _FIRST_STEPS else _RIDGE)
    costs = _costs(hand, state, every).sum(1)
    state = state.of(costs.reshape(tries, count).argmin(0) * count + np.arange(count))
    for _ in range(_STEPS - _TRIED_STEPS):
        _improve(hand, state, seen, _RIDGE)
    angles = state.angles.clip(*hand.limits_rad)
    return FrameFit(angles, state.palm, _costs(hand, state, seen))


def _improve(hand: Hand, state: _State, seen: _Seen, ridge: float) -> None:
    """A step of Gauss-Newton."""
    points = points_of(hand, state.palm, state.angles)
    system, right = _seen(state, points, seen)
    own, (rows, sure) = slice(3, UNKNOWNS), _habits()
    system[:, own, own] += (rows.T * sure) @ rows
    right[:, own] += ((hand.relaxed_rad - state.angles) @ rows.T * sure) @ rows
    beyond = state.angles - state.angles.clip(*hand.limits_rad)
    push = (beyond != 0) / _LIMIT_RAD**2
    diagonal = np.einsum("nii->ni", system)
    diagonal[:, own] += push
    right[:, own] -= push * beyond
    diagonal += ridge
    state.move(np.linalg.solve(system, right[..., None])[..., 0])


def _starts(hand: Hand) -> np.ndarray:
    """(3, 21) angles of a relaxed, a flat and a closed hand."""
    starts = np.tile(hand.relaxed_rad, (3, 1))
    fingers = starts[:, :16].reshape(3, 4, 4)  # a view: the thumb stays
    least, most = (limits[:16].reshape(4, 4) for limits in hand.limits_rad)
    fingers[1, :, :3], fingers[2, :, :3] = least[:, :3] + _FLAT_RAD, _CLOSED * most[:, :3]
    return starts


def _costs(hand: Hand, state: _State, seen: _Seen) -> np.ndarray:
    """Costs (N, 3), see `FrameFit`."""
    points = points_of(hand, state.palm, state.angles)
    flat_m = (seen.points_px - state.place_px[:, None]) / state.px_per_m[:, None, None]
    away = np.linalg.norm(flat_m - points.places_m[..., :2], axis=-1)
    off = np.linalg.norm(seen.bones - points.bones, axis=-1)
    robust = lambda size: (_OUTLIER**2 * np.log1p((size / _OUTLIER) ** 2)).sum(1) / 2
    rows, sure = _habits()
    habit = (((state.angles - hand.relaxed_rad) @ rows.T) ** 2 * sure).sum(1) / 2
    beyond = (state.angles - state.angles.clip(*hand.limits_rad)) / _LIMIT_RAD
    costs = [robust(away / _PICTURE_M), robust(off / _SPACE), habit + (beyond**2).sum(1) / 2]
    return np.stack(costs, 1)


def _begun(hand: Hand, seen: _Seen, angles: np.ndarray) -> _State:
    """Hands of these angles, palms turned as in space, as large and where the points are."""
    still = np.tile(np.eye(3), (len(seen.points_px), 1, 1))
    palm_bones = [0, 4, 8, 12, 16]
    rest = points_of(hand, still, angles).bones[:, palm_bones]
    palm = nearest_rotation(np.einsum("nki,nkj->nij", seen.bones[:, palm_bones], rest))
    flat = points_of(hand, palm, angles).places_m[..., :2]
    middle, centre = flat.mean(1), seen.points_px.mean(1)
    spread = ((flat - middle[:, None]) ** 2).sum((1, 2))
    px_per_m = np.sqrt(((seen.points_px - centre[:, None]) ** 2).sum((1, 2)) / spread)
    return _State(palm, angles, px_per_m, centre - px_per_m[:, None] * middle)


def _seen(state: _State, points: Points, seen: _Seen) -> tuple[np.ndarray, np.ndarray]:
    """The normal equations (N, 27, 27) and (N, 27) of points and directions."""
    flat_m = (seen.points_px - state.place_px[:, None]) / state.px_per_m[:, None, None]
    errors, off = flat_m - points.places_m[..., :2], seen.bones - points.bones
    by = np.zeros((*errors.shape, UNKNOWNS + 3), points.places_by.dtype)
    by[..., :UNKNOWNS] = points.places_by[:, :, :2]
    by[..., UNKNOWNS] = flat_m
    by[..., 0, UNKNOWNS + 1] = by[..., 1, UNKNOWNS + 2] = 1
    count, every = len(flat_m), UNKNOWNS + 3
    system, right = np.zeros((count, every, every)), np.zeros((count, every))
    for values, changes, deviation in ((errors, by, _PICTURE_M), (off, points.bones_by, _SPACE)):
        own = changes.shape[-1]
        size = np.linalg.norm(values / deviation, axis=-1, keepdims=True)
        weights = 1 / np.sqrt(1 + (size / _OUTLIER) ** 2) / deviation
        flat = changes * weights[..., None].astype(changes.dtype)
        flat = flat.reshape(count, -1, own)
        system[:, :own, :own] += flat.swapaxes(1, 2) @ flat
        right[:, :own] += ((weights * values).reshape(count, 1, -1) @ flat)[:, 0]
    return system, right


def _habits() -> tuple[np.ndarray, np.ndarray]:
    """Rows (25, 21) of what hands do by themselves, about a relaxed one, and weights (25,)."""
    by_finger = np.full((5, 4), _FLEXION_RAD)
    by_finger[:, 0], by_finger[:, 3], by_finger[4] = _KNUCKLE_RAD, _SPREAD_RAD, _THUMB_RAD
    deviation = np.append(by_finger.ravel()[:TWIST], _TWIST_RAD)
    together = np.zeros((4, ANGLES))
    for finger in range(4):
        together[finger, 4 * finger + 2], together[finger, 4 * finger + 1] = 1.0, -_TOGETHER
    rows = np.concatenate([np.eye(ANGLES), together])
    return rows, 1 / np.concatenate([deviation, np.full(4, _TOGETHER_RAD)]) ** 2
