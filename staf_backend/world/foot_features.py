"""What tells whether a foot stands: numbers about a person's feet, 30 times a second.

    movement ─► tracks at 30 Hz ─► features of the left foot, and of the right one in a mirror

Lengths are in legs (hip to ankle along the bones) and directions the person's own: forward, to the
side of the foot in question, up.  So nothing depends on anybody's size, place or heading.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from staf_backend.geometry import from_axis_angle
from staf_backend.world.legs import legs_of
from staf_backend.world.movement import FEET, Poses
from staf_backend.world.posed import rate_hz

RATE_HZ = 30.0
"""Of the grid, as the lifter's."""
FEATURES = 50
"""Numbers of a foot at a time."""
REACH = 70
"""Frames to both sides on which a frame's features depend: the sum of what is filtered below."""
_STEADY_S, _HEADING_S, _FLOOR_S = 0.03, 0.1, 0.3
"""Deviations of the smoothing of places, of the heading, and of the lowest foot.  Chosen: a frame,
three, and half a step."""
_LOWEST_S = 2.0
"""Over which the lowest foot about a time is looked for.  Chosen: a few steps."""
_SLOWEST = 0.05
"""Legs a second added to speeds before logarithms.  Chosen: what a standing foot seems to move."""
_HEIGHTS = (-0.3, 0.6)
"""Legs, to which heights above the lowest foot are cut.  Chosen: what is higher is no stance."""
_PELVIS = (-0.5, 1.5)
"""The same of the pelvis.  Chosen."""
_OTHER = np.array([2, 3, 0, 1])
"""Of each of `FEET`, the one on the other side."""
_MIRROR = np.array([1.0, -1.0, 1.0])
"""Forward, to the left, up: as in a mirror."""


@dataclass(frozen=True)
class FootTracks:
    """Where a person's feet and legs are, on a grid of `RATE_HZ`; axes y up, metres.

    Attributes:
        times_s: (N,) evenly from the movement's first time to its last.
        joints_m: (N, 7, 3) pelvis, then hip, knee and ankle of the left leg and the right one.
        points_m: (N, 4, 3) of `FEET`.
        eye_m: (N, 3) where the camera stands.
        rest_m: (4,) height of each point when the foot lies on the ground.
        leg_m: length of a leg.
    """

    times_s: np.ndarray
    joints_m: np.ndarray
    points_m: np.ndarray
    eye_m: np.ndarray
    rest_m: np.ndarray
    leg_m: float

    def __len__(self) -> int:
        return len(self.times_s)

    @property
    def rate_hz(self) -> float:
        """Of the grid: nearly `RATE_HZ`."""
        return 1 / float(self.times_s[1] - self.times_s[0]) if len(self) > 1 else RATE_HZ

    def part(self, rows: slice) -> "FootTracks":
        """Some of the times."""
        names = ("times_s", "joints_m", "points_m", "eye_m")
        return dataclasses.replace(self, **{name: getattr(self, name)[rows] for name in names})

    def turned(self, axis_angle: np.ndarray) -> "FootTracks":
        """Everything turned by a rotation vector (3,) about the origin."""
        turn, names = from_axis_angle(axis_angle), ("joints_m", "points_m", "eye_m")
        return dataclasses.replace(self, **{name: getattr(self, name) @ turn.T for name in names})


def foot_tracks(movement: Poses) -> FootTracks:
    """The tracks of a movement's feet and legs, smoothed by a frame, so that rates do not count."""
    legs = legs_of(movement.body.skeleton)
    times_s, posed = movement.times_s, movement.posed
    count = max(1, round((times_s[-1] - times_s[0]) * RATE_HZ) + 1)
    grid_s = np.linspace(times_s[0], times_s[-1], count)
    chosen = [0, *legs[0], *legs[1]]
    hip, knee, ankle = movement.body.rest_joints_m(movement.betas)[list(legs[0])]
    return FootTracks(
        grid_s,
        _on_grid(posed.joints_m, chosen, times_s, grid_s),
        _on_grid(posed.points_m, range(len(FEET)), times_s, grid_s),
        _between(movement.eye_m, times_s, grid_s),
        movement.rest_heights_m[: len(FEET)],
        float(np.linalg.norm(knee - hip) + np.linalg.norm(ankle - knee)),
    )


def features(tracks: FootTracks) -> np.ndarray:
    """(N, 2, `FEATURES`) float32 of the left foot and of the right one.

    In order: places of own heel and toe and the other foot's against the pelvis (12), their
    velocities (12), the pelvis' (3), the way of the view (3), logarithms of speeds across the view
    (4) and along it (4), heights above the lowest foot in the two seconds about (4) and above the
    usual one (4), how straight both knees are (2), the pelvis' height (1), and how far the own toe
    is from the heel along the view (1).
    """
    axes, rate = _axes(tracks), tracks.rate_hz
    own = lambda vectors: np.einsum("tij,t...j->t...i", axes, vectors)
    pelvis, points, leg_m = tracks.joints_m[:, 0], tracks.points_m, tracks.leg_m
    velocity = _velocity(points, rate)
    ray = _unit(points - tracks.eye_m[:, None])
    along = (velocity * ray).sum(-1)
    across = np.linalg.norm(velocity - along[..., None] * ray, axis=-1)
    floor, usual, low = _lowest(tracks)
    feet = [
        *(np.log(np.abs(speed) / leg_m + _SLOWEST) for speed in (across, along)),
        *(5 * (low - level[:, None]).clip(*_HEIGHTS) for level in (floor, usual)),
    ]
    vectors = (own(points - pelvis[:, None]) / leg_m, np.arcsinh(2 * own(velocity) / leg_m))
    ways = (
        np.arcsinh(2 * own(_velocity(pelvis, rate)) / leg_m),
        own(_unit(_flat(pelvis - tracks.eye_m))),
    )
    knees, height = 2 * _straightness(tracks.joints_m), pelvis[:, 1] / leg_m - floor
    sides = []
    for side in (0, 1):
        order, mirror = (np.arange(4), np.ones(3)) if side == 0 else (_OTHER, _MIRROR)
        both = [side, 1 - side]
        length = (ray * (points[:, [1, 1, 3, 3]] - points[:, [0, 0, 2, 2]])).sum(-1)[:, 2 * side]
        numbers = [
            *((one * mirror)[:, order].reshape(len(tracks), -1) for one in vectors),
            *(one * mirror for one in ways),
            *(one[:, order] for one in feet),
            knees[:, both],
            *(height[:, None].clip(*_PELVIS), 4 * length[:, None] / leg_m),
        ]
        sides.append(np.concatenate(numbers, 1))
    return np.stack(sides, 1).astype(np.float32)


def _axes(tracks: FootTracks) -> np.ndarray:
    """(N, 3, 3) rows: forward, to the person's left, up."""
    from scipy.ndimage import gaussian_filter1d

    hips = _flat(tracks.joints_m[:, 1] - tracks.joints_m[:, 4]).astype(float)
    left = _unit(gaussian_filter1d(hips, _HEADING_S * tracks.rate_hz, axis=0))
    up = np.broadcast_to([0.0, 1.0, 0.0], left.shape)
    return np.stack([np.cross(left, up), left, up], 1)


def _lowest(tracks: FootTracks) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the lowest foot about each time, in legs: the lowest (N,), the usual (N,) height; and the
    heights of all points (N, 4)."""
    from scipy.ndimage import gaussian_filter1d, median_filter, minimum_filter1d

    low = (tracks.points_m[..., 1] - tracks.rest_m) / tracks.leg_m
    lowest, size = low.min(1).astype(float), 2 * round(_LOWEST_S * tracks.rate_hz / 2) + 1
    least = minimum_filter1d(lowest, size, mode="nearest")
    floor = gaussian_filter1d(least, _FLOOR_S * tracks.rate_hz)
    return floor, median_filter(lowest, size, mode="nearest"), low


def _straightness(joints_m: np.ndarray) -> np.ndarray:
    """(N, 2) cosines of the bends of the left and the right knee."""
    hips, knees, ankles = (joints_m[:, [k, k + 3]] for k in (1, 2, 3))
    return (_unit(knees - hips) * _unit(ankles - knees)).sum(-1)


def _on_grid(
    points_m: np.ndarray, chosen: Sequence[int], times_s: np.ndarray, grid_s: np.ndarray
) -> np.ndarray:
    """Some of points (T, P, 3) at other times, smoothed; one at a time: a clip may be long."""
    from scipy.ndimage import gaussian_filter1d

    width = _STEADY_S * rate_hz(times_s)
    found = np.empty((len(grid_s), len(chosen), 3), np.float32)
    for column, point in enumerate(chosen):
        steady = gaussian_filter1d(points_m[:, point], width, axis=0)
        found[:, column] = _between(steady, times_s, grid_s)
    return found


def _between(values: np.ndarray, times_s: np.ndarray, grid_s: np.ndarray) -> np.ndarray:
    """Values (T, 3) at other times, linearly."""
    columns = [np.interp(grid_s, times_s, column) for column in values.T]
    return np.stack(columns, -1).astype(np.float32)


def _velocity(points_m: np.ndarray, rate: float) -> np.ndarray:
    return np.gradient(points_m, axis=0) * rate if len(points_m) > 1 else 0 * points_m


def _flat(vectors: np.ndarray) -> np.ndarray:
    return vectors * [1.0, 0.0, 1.0]


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-6)
