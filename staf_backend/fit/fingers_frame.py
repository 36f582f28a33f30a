"""A hand's 21 points in each frame -> its finger angles, frame by frame.

The body's own hand is bent until it lies on the points in the picture, at any size and turned in
any way; the network's guess in space, which is the weaker, tells what the picture leaves open.  The
palm's rotation is solved along with the angles and then forgotten: the wrist is the body fit's.
Gauss-Newton on all frames at once.
"""

from dataclasses import dataclass

import numpy as np

from staf_backend.fit.fingers_hand import ANGLES, TWIST, Hand
from staf_backend.fit.fingers_points import ORDER, UNKNOWNS, Points, bones_of, points_of
from staf_backend.geometry import from_axis_angle, nearest_rotation

_STEPS, _LARGEST_RAD = 12, 0.6
"""Gauss-Newton steps, and the largest change in one.  Chosen: nothing moves after ten."""
_PICTURE_M, _SPACE = 0.005, 0.7
"""Expected errors: of a point across the view, metres at the hand, and of a direction in space.
From 400 drawn hands: points 4 to 7 mm, directions 25 to 45 degrees."""
_OUTLIER = 2.0
"""Expected errors beyond which a point counts less.  Chosen by the same hands."""
_KNUCKLE_RAD, _FLEXION_RAD, _SPREAD_RAD, _THUMB_RAD, _TWIST_RAD = np.radians([45, 60, 7, 15, 8])
"""Deviation of angles from the relaxed hand's, before anything is seen.  Chosen by the same."""
_TOGETHER, _TOGETHER_RAD = 0.62, np.radians(8.0)
"""A finger's last joint bends by this share of the one before, and with what deviation: one tendon
bends both.  Chosen by the same."""
_LIMIT_RAD = np.radians(2.0)
"""Deviation of an angle beyond its limit.  Chosen: a soft wall, so that steps do not stick."""
_FIRST_STEPS, _FIRST_RIDGE, _RIDGE = 4, 1.0, 1e-3
"""Against any change, in the first steps and later.  Chosen: far below what is seen."""


@dataclass(frozen=True)
class FrameFit:
    """Of N hands: angles (N, 21) radians, within their limits, and how far the hand lies from its
    points across the view (N,), root mean square, metres of the body's hand."""

    angles: np.ndarray
    error_m: np.ndarray


@dataclass
class _State:
    """Unknowns: palm (N, 3, 3), angles (N, 21), pixels a metre (N,), and place (N, 2) pixels."""

    palm: np.ndarray
    angles: np.ndarray
    px_per_m: np.ndarray
    place_px: np.ndarray

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
    seen_px = points_px[:, ORDER].astype(float)
    seen_bones = bones_of(world_m.astype(float))
    state = _begun(hand, seen_px, seen_bones)
    rows, sure = _habits()
    errors = np.zeros((len(seen_px), len(ORDER), 2))
    for number in range(_STEPS):
        points = points_of(hand, state.palm, state.angles)
        errors, system, right = _seen(state, points, seen_px, seen_bones)
        own = slice(3, UNKNOWNS)
        system[:, own, own] += (rows.T * sure) @ rows
        right[:, own] += ((hand.relaxed_rad - state.angles) @ rows.T * sure) @ rows
        beyond = state.angles - state.angles.clip(*hand.limits_rad)
        push = (beyond != 0) / _LIMIT_RAD**2
        diagonal = np.einsum("nii->ni", system)
        diagonal[:, own] += push
        right[:, own] -= push * beyond
        diagonal += _FIRST_RIDGE if number < _FIRST_STEPS else _RIDGE
        state.move(np.linalg.solve(system, right[..., None])[..., 0])
    error_m = np.sqrt((errors**2).sum(-1).mean(1))
    return FrameFit(state.angles.clip(*hand.limits_rad), error_m)


def _begun(hand: Hand, seen_px: np.ndarray, seen_bones: np.ndarray) -> _State:
    """A relaxed hand, its palm turned as in space, as large and where the points are."""
    angles = np.tile(hand.relaxed_rad, (len(seen_px), 1))
    still = np.tile(np.eye(3), (len(seen_px), 1, 1))
    palm_bones = [0, 4, 8, 12, 16]
    rest = points_of(hand, still, angles).bones[:, palm_bones]
    palm = nearest_rotation(np.einsum("nki,nkj->nij", seen_bones[:, palm_bones], rest))
    flat = points_of(hand, palm, angles).places_m[..., :2]
    middle, centre = flat.mean(1), seen_px.mean(1)
    spread = ((flat - middle[:, None]) ** 2).sum((1, 2))
    px_per_m = np.sqrt(((seen_px - centre[:, None]) ** 2).sum((1, 2)) / spread)
    return _State(palm, angles, px_per_m, centre - px_per_m[:, None] * middle)


def _seen(
    state: _State, points: Points, seen_px: np.ndarray, seen_bones: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Errors (N, 21, 2) in metres, and the normal equations (N, 27, 27), (N, 27) of all terms."""
    count = len(seen_px)
    flat_m = (seen_px - state.place_px[:, None]) / state.px_per_m[:, None, None]
    errors = flat_m - points.places_m[..., :2]
    by = np.zeros((*errors.shape, UNKNOWNS + 3))
    by[..., :UNKNOWNS] = points.places_by[:, :, :2]
    by[..., UNKNOWNS] = flat_m
    by[..., 0, UNKNOWNS + 1] = by[..., 1, UNKNOWNS + 2] = 1
    off = seen_bones - points.bones
    off_by = np.zeros((*off.shape, UNKNOWNS + 3))
    off_by[..., :UNKNOWNS] = points.bones_by
    system = np.zeros((count, UNKNOWNS + 3, UNKNOWNS + 3))
    right = np.zeros((count, UNKNOWNS + 3))
    for values, changes, deviation in ((errors, by, _PICTURE_M), (off, off_by, _SPACE)):
        size = np.linalg.norm(values / deviation, axis=-1, keepdims=True)
        weights = np.broadcast_to(1 / (1 + (size / _OUTLIER) ** 2) / deviation**2, values.shape)
        flat = changes.reshape(count, -1, UNKNOWNS + 3)
        weighted = flat * weights.reshape(count, -1, 1)
        system += weighted.swapaxes(1, 2) @ flat
        right += (weighted * values.reshape(count, -1, 1)).sum(1)
    return errors, system, right


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
