"""A hand's 21 points in each frame -> its finger angles, frame by frame.

The body's own hand is bent until it lies on the points in the picture, at any size and turned in
any way; the network's guess in space, which is the weaker, tells what the picture leaves open.  The
palm's rotation is solved along with the angles.

    palm as it lies in the picture, leaning either way ─► the better of two relaxed hands
      ─► each finger's shape, of all that are possible (`fingers_shapes`) ─► Gauss-Newton

The network's own palm in space is no start: where it sees a hand from its edge, it has the palm
turned over in one of four.
"""

from dataclasses import dataclass

import numpy as np

from staf_backend.fit.fingers_hand import ANGLES, TWIST, Hand
from staf_backend.fit.fingers_points import ORDER, UNKNOWNS, Points, bones_of, points_of
from staf_backend.fit.fingers_shapes import FINGERS, TOGETHER, Shapes, likeliest, shapes_of
from staf_backend.geometry import from_axis_angle, nearest_rotation

_TRIED_STEPS, _STEPS, _LARGEST_RAD = 4, 7, 0.6
"""Gauss-Newton steps of every start, and of the best with fingers of the likeliest shapes, and the
largest change in one.  Measured: see training/LOG.md; more change nothing."""
_PICTURE_M, _SPACE = 0.005, 1.2
"""Expected errors: of a point across the view, metres at the hand, and of a direction in space.
From 400 drawn hands: points 4 to 7 mm, directions 25 to 45 degrees, which lean all one way and so
count less."""
_OUTLIER = 2.0
"""Expected errors beyond which a point counts less.  Chosen by the same hands."""
_KNUCKLE_RAD, _FLEXION_RAD, _SPREAD_RAD, _THUMB_RAD, _TWIST_RAD = np.radians([45, 60, 7, 15, 8])
"""Deviation of angles from the relaxed hand's, before anything is seen.  Chosen by the same."""
_TOGETHER_RAD = np.radians(8.0)
"""Deviation of a finger's last joint from `TOGETHER` of the one before.  Chosen by the same."""
_LIMIT_RAD = np.radians(2.0)
"""Deviation of an angle beyond its limit.  Chosen: a soft wall, so that steps do not stick."""
_PALM_POINTS = [0, 1, 5, 9, 13, 17]
"""Places in `ORDER` of what is rigid: the wrist and the base of each finger."""
_FIRST_STEPS, _FIRST_RIDGE, _RIDGE = 2, 1.0, 1e-3
"""Against any change, in the first steps of the best and later.  Chosen: far below what is seen."""


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


def fit_frames(
    hand: Hand, points_px: np.ndarray, world_m: np.ndarray, times_s: np.ndarray | None = None
) -> FrameFit:
    """Angles of a hand in each of N frames.

    Args:
        hand: of the body.
        points_px: (N, 21, 2) image pixels.
        world_m: (N, 21, 3) axes of the camera (x right, y down, z away).
        times_s: (N,) of the frames, increasing; None: frames of different hands.
    """
    seen = _Seen(points_px[:, ORDER].astype(float), bones_of(world_m.astype(float)))
    state, shapes = _tried(hand, seen), shapes_of(hand)
    fingers = likeliest(shapes, _shape_costs(hand, shapes, state, seen), times_s)
    state.angles = np.concatenate([fingers, state.angles[:, fingers.shape[1] :]], 1)
    for number in range(_STEPS):
        _improve(hand, state, seen, _FIRST_RIDGE if number < _FIRST_STEPS else _RIDGE)
    angles = state.angles.clip(*hand.limits_rad)
    return FrameFit(angles, state.palm, _costs(hand, state, seen))


def _tried(hand: Hand, seen: _Seen) -> _State:
    """The better of two starts, a few steps on."""
    palms = _palms_in_picture(hand, seen)
    tries, count = palms.shape[:2]
    every = seen.of(np.tile(np.arange(count), tries))
    state = _begun(hand, every, palms.reshape(-1, 3, 3))
    for _ in range(_TRIED_STEPS):
        _improve(hand, state, every, _FIRST_RIDGE)
    costs = _costs(hand, state, every).sum(1).reshape(tries, count)
    return state.of(costs.argmin(0) * count + np.arange(count))


def _shape_costs(hand: Hand, shapes: Shapes, state: _State, seen: _Seen) -> np.ndarray:
    """(N, 4, S) what is left of the errors of each finger in each shape, of palms as they are.  In
    4-byte floats, which are enough to choose by."""
    own = slice(1, 1 + 4 * FINGERS)
    flat_m = (seen.points_px[:, own] - state.place_px[:, None]) / state.px_per_m[:, None, None]
    away = _squares(flat_m / _PICTURE_M, shapes.places_m / _PICTURE_M, state.palm[:, :2])
    off = _squares(seen.bones[:, : own.stop - 1] / _SPACE, shapes.bones / _SPACE, state.palm)
    relaxed, sure = (
        of[: 4 * FINGERS].reshape(FINGERS, 1, 4) for of in (hand.relaxed_rad, _habits()[1])
    )
    habit = ((shapes.angles - relaxed) ** 2 * sure).sum(-1) / 2
    return _robust(away) + _robust(off) + habit.astype(np.float32)


def _squares(seen: np.ndarray, of_shapes: np.ndarray, palm: np.ndarray) -> np.ndarray:
    """Squared distances (N, 4, S, 4) of what is seen (N, 16, D) of the fingers from that of shapes
    (4, S, 4, 3), turned by the first D rows of palms (N, D, 3)."""
    turned = palm.astype(np.float32) @ of_shapes.reshape(-1, 3).T.astype(np.float32)
    found = seen.swapaxes(1, 2).reshape(*turned.shape[:2], FINGERS, 1, 4).astype(np.float32)
    away = turned.reshape(*turned.shape[:2], *of_shapes.shape[:3])
    away -= found
    away *= away
    return away.sum(1)


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


def _palms_in_picture(hand: Hand, seen: _Seen) -> np.ndarray:
    """Palms (2, N, 3, 3) that look as they do in the picture, leaning towards and away: a plane at
    a distance is seen as shortened one way, by the cosine of how far it leans."""
    rest, points = _rest(hand).places_m[0, _PALM_POINTS], seen.points_px[:, _PALM_POINTS]
    rest, points = rest - rest.mean(0), points - points.mean(1, keepdims=True)
    axes = np.linalg.svd(rest)[2]
    axes[2] *= np.linalg.det(axes)
    seen_axes = np.einsum("ka,nki->nia", np.linalg.pinv(rest @ axes[:2].T).T, points)
    _, size, turn = np.linalg.svd(seen_axes)
    longest = size[:, 0].clip(1e-9)
    leans = np.sqrt((1 - (size[:, 1] / longest) ** 2).clip(0))[:, None] * turn[:, 1]
    palms = []
    for sign in (1, -1):
        ends = np.concatenate([seen_axes / longest[:, None, None], sign * leans[:, None]], axis=1)
        normal = np.cross(ends[..., 0], ends[..., 1])
        palms.append(nearest_rotation(np.concatenate([ends, normal[..., None]], 2) @ axes))
    return np.stack(palms)


def _rest(hand: Hand) -> Points:
    """The points of a relaxed hand in the body's axes."""
    return points_of(hand, np.eye(3)[None], hand.relaxed_rad[None])


def _costs(hand: Hand, state: _State, seen: _Seen) -> np.ndarray:
    """Costs (N, 3), see `FrameFit`."""
    points = points_of(hand, state.palm, state.angles)
    flat_m = (seen.points_px - state.place_px[:, None]) / state.px_per_m[:, None, None]
    away = ((flat_m - points.places_m[..., :2]) ** 2).sum(-1) / _PICTURE_M**2
    off = ((seen.bones - points.bones) ** 2).sum(-1) / _SPACE**2
    rows, sure = _habits()
    habit = (((state.angles - hand.relaxed_rad) @ rows.T) ** 2 * sure).sum(1) / 2
    beyond = (state.angles - state.angles.clip(*hand.limits_rad)) / _LIMIT_RAD
    costs = [_robust(away), _robust(off), habit + (beyond**2).sum(1) / 2]
    return np.stack(costs, 1)


def _robust(squares: np.ndarray) -> np.ndarray:
    """Sums over the last axis of squared errors, in expected ones, those that are larger counting
    less: of logarithms, as that of a product."""
    return _OUTLIER**2 / 2 * np.log((1 + squares / _OUTLIER**2).prod(-1))


def _begun(hand: Hand, seen: _Seen, palm: np.ndarray) -> _State:
    """Relaxed hands of these palms, as large and where the points are."""
    angles = np.tile(hand.relaxed_rad, (len(palm), 1))
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
        together[finger, 4 * finger + 2], together[finger, 4 * finger + 1] = 1.0, -TOGETHER
    rows = np.concatenate([np.eye(ANGLES), together])
    return rows, 1 / np.concatenate([deviation, np.full(4, _TOGETHER_RAD)]) ** 2
