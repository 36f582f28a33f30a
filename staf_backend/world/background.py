"""How far a camera has turned, from corners of the background that stay on their spots.

    key frame: corners outside people ──optical flow there and back──► the same corners now
                        │ rays                                             │ rays
                        └──────────── the rotation that most agree on ─────┘

A frame is compared with a key frame, not with the one before, so that errors do not add up.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from staf_backend.geometry import (
    Camera,
    from_quaternions,
    nearest_rotation,
    slerp,
    to_quaternions,
)
from staf_backend.video import Picture

LONG_SIDE_PX = 480
"""Of the small grey picture.  Chosen: a tenth of its pixel is 0.01 degrees, 1 mm at 5 m."""
_MEAN, _DEVIATION = 128.0, 50.0
"""Of a small picture's brightness, 0..255, so that optical flow sees no change of exposure."""
_CORNERS, _QUALITY, _DISTANCE_PX = 250, 0.005, 8
"""Of cv2.goodFeaturesToTrack.  Chosen: weak corners count too, close ones say the same."""
FEWEST = 25
"""Corners that a rotation must rest on.  Chosen: ten times what determines one."""
_WINDOW_PX, _LEVELS = (17, 17), 3
"""Of cv2.calcOpticalFlowPyrLK.  Chosen: finds 8 * 2^3 px away from the guess."""
_RETURN_PX = 0.7
"""A corner that is followed there and back must end this near.  Chosen: below the noise of film."""
AGREE_PX = 2.0
"""Corners this near to where a rotation puts them agree with it.  Chosen: a few cm of a hand's
sway at a few metres, far below what a camera that travels does."""
_PAIRS = 96
"""Rotations tried, each from two corners.  Chosen: with a third of the corners right, one of
nine pairs is, so not one in 96 has odds of 1e-5."""
_ROUNDS = 6
"""Of reweighting.  Chosen: nothing moves after."""
_FIXED_PX = 0.5
"""A corner that moved by less did not move.  Chosen: the noise of optical flow."""
_BORDER_PX = 4
"""Chosen: flow at the very border is unreliable."""
_LEAST_SPREAD = 0.25
"""Of the picture's width that agreeing corners must span (four deviations).  Chosen."""


@dataclass(frozen=True, eq=False)
class Lens:
    """A camera as the small picture has it.

    Attributes:
        focal_px: in pixels of the small picture.
        middle_px: (2,) its principal point, pixel middles at whole numbers as cv2 counts.
        size_px: width, height.
    """

    focal_px: float
    middle_px: np.ndarray
    size_px: tuple[int, int]

    @classmethod
    def of(cls, camera: Camera) -> "Lens":
        """The lens of a camera whose pictures are made small."""
        sides = camera.width_px, camera.height_px
        factor = min(1.0, LONG_SIDE_PX / max(sides))
        width, height = (max(8, round(side * factor)) for side in sides)
        middle = camera.principal_point_px * factor - 0.5
        return cls(camera.focal_px * factor, middle, (width, height))

    def grey(self, picture: Picture) -> np.ndarray:
        """A picture small, grey, of one brightness and contrast: uint8."""
        import cv2

        grey = picture.grey(*self.size_px)
        mean, deviation = (values.item() for values in cv2.meanStdDev(grey))
        gain = _DEVIATION / max(deviation, 4.0)  # what is all black stays dark
        return cv2.convertScaleAbs(grey, None, gain, _MEAN - gain * mean)

    def rays(self, points_px: np.ndarray) -> np.ndarray:
        """Unit rays (N, 3), camera axes, of points (N, 2) of the small picture."""
        return unit_rays((points_px - self.middle_px) / self.focal_px)

    def points(self, rays: np.ndarray) -> np.ndarray:
        """Where rays (N, 3) meet the small picture (N, 2); NaN behind the camera."""
        ahead = np.where(rays[:, 2:] > 0.05, rays[:, 2:], np.nan)
        return rays[:, :2] / ahead * self.focal_px + self.middle_px

    def inside(self, points_px: np.ndarray) -> np.ndarray:
        """(N,) whether points lie in the small picture, a little away from its border."""
        far = np.array(self.size_px) - 1 - _BORDER_PX
        return np.all((points_px >= _BORDER_PX) & (points_px <= far), axis=1)


class Key(NamedTuple):
    """A frame that others are compared with: its small picture, its corners (N, 2) and their rays
    (N, 3), and its turn (3, 3) from the axes of the stretch's first frame to its own."""

    grey: np.ndarray
    points_px: np.ndarray
    rays: np.ndarray
    turn: np.ndarray


class Seen(NamedTuple):
    """What a frame says: its turn (3, 3) as a `Key`'s, how many corners of the key were found, the
    share 0..1 of them that agree, their median way (px of the small picture) since the key frame,
    and the share that did not move at all."""

    turn: np.ndarray
    found: int
    agree: float
    moved_px: float
    fixed: float


def new_key(lens: Lens, grey: np.ndarray, boxes_px: np.ndarray, turn: np.ndarray) -> Key | None:
    """A key frame, or None where the background shows too few corners.

    Args:
        lens: of the camera.
        grey: the small picture.
        boxes_px: (P, 4) x0, y0, x1, y1 of people, in the small picture.
        turn: (3, 3) the frame's.
    """
    points = new_corners(grey, boxes_px, np.zeros((0, 2)), _CORNERS)
    if len(points) < FEWEST:
        return None
    return Key(grey, points, lens.rays(points), turn)


def new_corners(
    grey: np.ndarray, boxes_px: np.ndarray, known_px: np.ndarray, most: int
) -> np.ndarray:
    """Corners (N, 2) outside people and away from those that are known, 4-byte floats.

    Args:
        grey: the small picture.
        boxes_px: (P, 4) x0, y0, x1, y1 of people, in the small picture.
        known_px: (M, 2) corners that are followed already.
        most: how many.
    """
    import cv2

    mask = np.full(grey.shape, 255, np.uint8)
    for x0, y0, x1, y1 in boxes_px.astype(int):
        mask[max(y0, 0) : max(y1 + 1, 0), max(x0, 0) : max(x1 + 1, 0)] = 0
    for x, y in np.round(known_px).astype(int):
        cv2.circle(mask, (int(x), int(y)), _DISTANCE_PX, 0, -1)
    found = cv2.goodFeaturesToTrack(grey, most, _QUALITY, _DISTANCE_PX, mask=mask)
    return np.zeros((0, 2), np.float32) if found is None else found[:, 0].astype(np.float32)


def look(
    lens: Lens, key: Key, grey: np.ndarray, boxes_px: np.ndarray, guess: np.ndarray
) -> Seen | None:
    """How a frame is turned, by its corners of a key frame; None where they do not tell.

    Args:
        lens: of the camera.
        key: a frame of the same stretch.
        grey: the small picture.
        boxes_px: (P, 4) people in it.
        guess: (3, 3) the turn it may have; the corners are looked for there.
    """
    expected = lens.points(key.rays @ (guess @ key.turn.T).T)
    rows = np.flatnonzero(lens.inside(expected))
    if len(rows) < FEWEST:
        return None
    now, good = follow(key.grey, grey, key.points_px[rows], expected[rows])
    good &= lens.inside(now) & ~within(now, boxes_px)
    rows, now = rows[good], now[good]
    if len(rows) < FEWEST:
        return None
    step, agree = agreed_rotation(key.rays[rows], lens.rays(now), AGREE_PX / lens.focal_px)
    if agree.sum() < FEWEST or 4 * now[agree].std(0).max() < _LEAST_SPREAD * lens.size_px[0]:
        return None
    moved = np.linalg.norm(now - key.points_px[rows], axis=1)
    shares = float(agree.mean()), float(np.median(moved[agree])), float((moved < _FIXED_PX).mean())
    return Seen(step @ key.turn, len(rows), *shares)


def follow(
    before: np.ndarray, now: np.ndarray, points: np.ndarray, expected: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, 2) in another picture, and (N,) whether the way back leads to them."""
    import cv2

    start = np.array(points, np.float32).reshape(-1, 1, 2)
    options = {"winSize": _WINDOW_PX, "maxLevel": _LEVELS, "flags": cv2.OPTFLOW_USE_INITIAL_FLOW}
    guess = np.array(expected, np.float32).reshape(-1, 1, 2)
    there, found, _ = cv2.calcOpticalFlowPyrLK(before, now, start, guess, **options)
    back, returned, _ = cv2.calcOpticalFlowPyrLK(now, before, there, start.copy(), **options)
    good = (found[:, 0] == 1) & (returned[:, 0] == 1)
    good &= np.abs(back - start).max((1, 2)) < _RETURN_PX
    return there[:, 0].astype(float), good


def within(points_px: np.ndarray, boxes_px: np.ndarray) -> np.ndarray:
    """(N,) whether a point lies in a box."""
    low, high = boxes_px[:, None, :2], boxes_px[:, None, 2:]
    return np.all((points_px >= low) & (points_px <= high), axis=-1).any(0)


def unit_rays(flat: np.ndarray) -> np.ndarray:
    """Unit rays (N, 3) of x/z, y/z (N, 2)."""
    rays = np.column_stack([flat, np.ones(len(flat))])
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)


def agreed_rotation(
    before: np.ndarray, now: np.ndarray, tolerance_rad: float
) -> tuple[np.ndarray, np.ndarray]:
    """The rotation that most of N pairs of unit rays (N, 3) agree on.

    RANSAC over pairs, then reweighted least squares (Geman-McClure).

    Args:
        before, now: rays in the axes of two cameras.
        tolerance_rad: pairs this near agree.

    Returns:
        (3, 3) now = R before, and (N,) who agrees.
    """
    pairs = np.random.default_rng(len(before)).integers(0, len(before), (_PAIRS, 2))
    tried = _triad(now[pairs]) @ _triad(before[pairs]).swapaxes(1, 2)
    off = np.linalg.norm(now - before @ tried.swapaxes(1, 2), axis=-1)
    rotation = tried[(off < tolerance_rad).sum(1).argmax()]
    for _ in range(_ROUNDS):
        off = np.linalg.norm(now - before @ rotation.T, axis=1)
        weights = (1 + (off / (0.5 * tolerance_rad)) ** 2) ** -2
        rotation = nearest_rotation((now * weights[:, None]).T @ before)
    off = np.linalg.norm(now - before @ rotation.T, axis=1)
    return rotation, off < tolerance_rad


def _triad(two: np.ndarray) -> np.ndarray:
    """Axes (M, 3, 3), as columns, that two rays each (M, 2, 3) span; the middle one is exact."""
    middle, across = two.sum(1), np.cross(two[:, 0], two[:, 1])
    middle /= np.maximum(np.linalg.norm(middle, axis=1, keepdims=True), 1e-12)
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-12)
    return np.stack([middle, across, np.cross(middle, across)], -1)


def between(turns: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Turns (T, 3, 3), those of rows that are not known between the known ones' or as the nearest.

    Args:
        turns: (T, 3, 3).
        known: (N,) rows, rising.
    """
    if not len(known):
        return turns
    rows = np.arange(len(turns)).clip(known[0], known[-1])
    after = np.searchsorted(known, rows).clip(1 if len(known) > 1 else 0)
    low, high = known[np.maximum(after - 1, 0)], known[after]
    share = ((rows - low) / np.maximum(high - low, 1))[:, None]
    quaternions = to_quaternions(turns)
    mixed = from_quaternions(slerp(quaternions[low], quaternions[high], share))
    return np.where(np.isin(np.arange(len(turns)), known)[:, None, None], turns, mixed)
