"""Where a travelling camera was, up to one scale, from corners of what stands still.

    two key frames that see the same corners from two places ──► the first points, and the lens
        │ every further key frame, forward and then back: where does it see them?
        ├──► new points, and the newest cameras and points put right together
        └──► all put right together, then every frame in between: where does it see the points?

This is monocular visual odometry (Scaramuzza and Fraundorfer, 2011).  Rays alone do not tell how
long a way is: the unit is what the first two key frames are apart.
"""

import dataclasses
from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from staf_backend.geometry import nearest_rotation
from staf_backend.world.background import Lens, agreed_rotation, between, unit_rays
from staf_backend.world.bundle import (
    Bundle,
    Looks,
    Views,
    adjusted,
    lens_doubt,
    posed,
    residuals,
    triangulated,
)
from staf_backend.world.corners import Frame

_KEY_WAY, _KEY_SHARE, _KEY_FRAMES = 0.03, 0.7, 5
"""Another key frame follows where corners got on by so much (x/z, median), where fewer of them are
left, or after so many frames.  Chosen."""
_SHARED, _FARTHEST = 40, 45
"""Corners that the first two key frames share at least, and key frames between them at most.
Chosen."""
_APART_RAD = np.radians([0.8, 0.25])
"""By how much the first two key frames should see points elsewhere than a turn puts them, in the
median, and by how much they must.  Chosen: corners of the small picture are known to 0.1 degrees,
and a turn takes most of what a way does."""
_WIDE_RAD = np.radians(1.5)
"""Rays that meet at a smaller angle do not tell a point's depth.  Chosen."""
_FIRST_SHARE = 0.6
"""Of the shared corners that the first two key frames must explain.  Chosen."""
_OFF_PX = 2.0
"""How far off a corner may be seen.  Corners of drawn clips drift by 0.5 to 1.1 px in the median;
with 1 and 1.5 the one with the least texture was lost."""
_WINDOW, _HELD, _ROUNDS = 12, 2, 4
"""Key frames adjusted together, of which the oldest stay; and the rounds.  Chosen."""
_ALL, _AHEAD, _ALL_ROUNDS = 60, 40, 12
"""The same of the last adjustment, which goes over the film in windows: key frames in one, and by
how many the next is ahead.  Chosen: 20 shared ones hold the scale."""
_FEWEST, _AGREE = 15, 0.4
"""Points that a frame must see where they are, and their share of those it knows.  Chosen."""


@dataclass(frozen=True, eq=False)
class Journey:
    """A camera that travelled.

    Attributes:
        turns: (T, 3, 3) from some axes to each frame's camera's.
        places: (T, 3) in these axes, in no unit.
        known: (T,) bool, frames whose corners tell; others lie between, or stay where the next is.
        points: (P, 3) corners of the background, in the same axes and unit.
        longer: the focal length over the one that was assumed.
        lens_doubt: deviation of its logarithm that is left.
    """

    turns: np.ndarray
    places: np.ndarray
    known: np.ndarray
    points: np.ndarray
    longer: float
    lens_doubt: float

    def after(self, count: int) -> "Journey":
        """The same after some frames in which the camera rested where it begins."""
        if not count:
            return self
        turns, places = (
            np.concatenate([np.repeat(values[:1], count, axis=0), values])
            for values in (self.turns, self.places)
        )
        known = np.r_[np.repeat(self.known[:1], count), self.known]
        return dataclasses.replace(self, turns=turns, places=places, known=known)

    def filled(self) -> "Journey":
        """With cameras for frames that do not tell: between their neighbours, or as the nearest."""
        rows = np.flatnonzero(self.known)
        places = [
            np.interp(np.arange(len(self.known)), rows, self.places[rows, k]) for k in range(3)
        ]
        return dataclasses.replace(
            self, turns=between(self.turns, rows), places=np.stack(places, axis=-1)
        )


def journey(frames: Sequence[Frame], lens: Lens, doubt: float) -> Journey | None:
    """The journey of a camera; None where its corners do not tell of one.

    Args:
        frames: the corners seen on consecutive frames.
        lens: of the camera.
        doubt: deviation of the logarithm of its focal length; 0 where that is known.
    """
    return _Odometry(frames, lens, doubt).journey()


class _Odometry:
    def __init__(self, frames: Sequence[Frame], lens: Lens, doubt: float) -> None:
        self.names = [frame.names for frame in frames]
        self.flat = [(frame.points_px - lens.middle_px) / lens.focal_px for frame in frames]
        self.scale = _OFF_PX / lens.focal_px
        self.doubt, self.longer, self.left_doubt = doubt, 1.0, doubt
        self.keys = _key_frames(self.names, self.flat)
        self.views: dict[int, Views] = {}
        self.placed: list[int] = []
        count = 1 + max((int(names.max()) for names in self.names if len(names)), default=-1)
        self.points = np.full((count, 3), np.nan)

    def journey(self) -> Journey | None:
        first = self._first_two()
        if first is None:
            return None
        low, high = first
        for key in (key for key in self.keys if low < key < high):
            self._place(key, low)
        self._adjust_all()
        self._extend([key for key in self.keys if key > high], high)
        self._extend([key for key in self.keys[::-1] if key < low], low)
        self._adjust_all()
        return self._every_frame()

    def _shared(self, one: int, other: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Names (N,) that two frames share, and their rays (N, 2) on each."""
        names, a, b = _in_both(self.names[one], self.names[other])
        return names, self.flat[one][a], self.flat[other][b]

    def _first_two(self) -> tuple[int, int] | None:
        """Two key frames that see the same points from two places, placed; None where none do."""
        for apart_rad in _APART_RAD:
            for begin, one in enumerate(self.keys):
                for other in self.keys[begin + 1 : begin + _FARTHEST]:
                    names, flat_one, flat_other = self._shared(one, other)
                    if len(names) < _SHARED:
                        break
                    if _parallax(flat_one, flat_other) > apart_rad and self._pair(one, other):
                        return one, other
        return None

    def _pair(self, one: int, other: int) -> bool:
        """Whether two key frames see the same points from two places; they are placed then."""
        names, flat_one, flat_other = self._shared(one, other)
        pair = _relative(flat_one, flat_other, 0.75 * self.scale)
        if pair is None:
            return False
        self.views[one], self.views[other] = Views(np.eye(3)[None], np.zeros((1, 3))), pair
        self.placed = [one, other]
        if self._new_points([one, other], names) >= _FIRST_SHARE * len(names):
            return True
        self.points[names] = np.nan
        self.views, self.placed = {}, []
        return False

    def _extend(self, keys: list[int], begin: int) -> None:
        """Key after key, until one cannot be placed."""
        latest = begin
        for key in keys:
            if not self._place(key, latest):
                return
            placed = self.placed[-_WINDOW:] if key > begin else self.placed[:_WINDOW][::-1]
            self._new_points(placed)
            self._adjust(placed, _ROUNDS, _HELD)
            latest = key

    def _place(self, frame: int, near: int) -> bool:
        """Whether a frame sees enough points where they are; it is placed then."""
        view = self._seen_from(frame, near)
        if view is not None:
            self.views[frame] = view
            insort(self.placed, frame)
        return view is not None

    def _seen_from(self, frame: int, near: int) -> Views | None:
        """Where a frame was filmed from, near a placed one; None where its points do not tell."""
        points = self.points[self.names[frame]]
        known = np.isfinite(points[:, 0])
        enough = max(_FEWEST, _AGREE * known.sum())
        if known.sum() < enough:
            return None
        flat, most, best = self.flat[frame][known], -1, None
        for guess in self._guesses(frame, near):
            view, off = posed(guess, points[known], flat, self.scale)
            agree = int((off < 2 * self.scale).sum())
            if agree > most:
                most, best = agree, view
            if agree >= 2 * enough:
                break
        return best if most >= enough else None

    def _guesses(self, frame: int, near: int) -> Iterator[Views]:
        """Where a frame may have been filmed from: on the way on, turned as most corners say; where
        the nearest placed one was, turned so; and as that was."""
        here = self.views[near]
        _, flat_near, flat_frame = self._shared(near, frame)
        turned = here.turns
        if len(flat_near) >= _FEWEST:
            step, _ = agreed_rotation(unit_rays(flat_near), unit_rays(flat_frame), 4 * self.scale)
            turned = step @ turned
        at = bisect_left(self.placed, near)
        behind = self.placed[at - 1 : at] if frame > near else self.placed[at + 1 : at + 2]
        for before in behind:
            way = here.places - self.views[before].places
            yield Views(turned, here.places + (frame - near) / (near - before) * way)
        yield Views(turned, here.places)
        yield here

    def _looks(self, keys: Sequence[int], wanted: np.ndarray) -> Looks:
        """Looks of key frames at points; numbered as in `keys` and `wanted` (sorted)."""
        parts = []
        for number, key in enumerate(keys):
            rows = np.isin(self.names[key], wanted)
            named = np.searchsorted(wanted, self.names[key][rows])
            parts.append((np.full(len(named), number), named, self.flat[key][rows]))
        return Looks(*(np.concatenate(values) for values in zip(*parts, strict=True)))

    def _of(self, keys: Sequence[int]) -> Views:
        turns = np.concatenate([self.views[key].turns for key in keys])
        return Views(turns, np.concatenate([self.views[key].places for key in keys]))

    def _new_points(self, keys: Sequence[int], names: np.ndarray | None = None) -> int:
        """Points that are seen well from some placed key frames; how many there are."""
        if names is None:
            all_names = np.concatenate([self.names[key] for key in keys])
            every, often = np.unique(all_names, return_counts=True)
            names = every[(often >= 3) & np.isnan(self.points[every, 0])]
        if not len(names):
            return 0
        looks, views = self._looks(keys, names), self._of(keys)
        points = triangulated(views, looks, len(names))
        wrong = _wrong(views, points, looks, 2 * self.scale)
        good = (wrong == 0) & (_widest(views, points, looks) > _WIDE_RAD)
        self.points[names[good]] = points[good]
        return int(good.sum())

    def _adjust_all(self) -> None:
        """All key frames, window by window; the lens with the first of them."""
        keys = self.placed
        for begin in range(0, max(1, len(keys) - (_ALL - _AHEAD)), _AHEAD):
            some, held = keys[begin : begin + _ALL], _ALL - _AHEAD if begin else 1
            self._adjust(some, _ALL_ROUNDS, held, 0.0 if begin else self.doubt)

    def _adjust(self, keys: Sequence[int], rounds: int, held: int, doubt: float = 0.0) -> None:
        """Key frames, the first of them held, the points they see, and the lens where it is in
        doubt, put right together."""
        wanted = np.unique(np.concatenate([self.names[key] for key in keys]))
        wanted = wanted[np.isfinite(self.points[wanted, 0])]
        looks, free = self._looks(keys, wanted), np.arange(len(keys)) >= held
        bundle = Bundle(self._of(keys), self.points[wanted])
        bundle = adjusted(bundle, looks, free, self.scale, rounds, doubt)
        if doubt > 0:
            self.left_doubt = lens_doubt(bundle, looks, free, self.scale, doubt)
        views, points, longer = bundle
        for number, key in enumerate(keys):
            one = slice(number, number + 1)
            self.views[key] = Views(views.turns[one], views.places[one])
        looks = looks._replace(flat=looks.flat / longer)
        points[_wrong(views, points, looks, 3 * self.scale) > _AGREE] = np.nan
        self.points[wanted] = points
        self.flat = [flat / longer for flat in self.flat] if longer != 1 else self.flat
        self.longer *= longer

    def _every_frame(self) -> Journey:
        count, keys = len(self.names), np.array(self.placed)
        turns, places = np.tile(np.eye(3), (count, 1, 1)), np.zeros((count, 3))
        known = np.zeros(count, bool)
        for frame in range(keys[0], keys[-1] + 1):
            at = int(np.searchsorted(keys, frame))
            near = min(keys[max(at - 1, 0) : at + 1].tolist(), key=lambda key: abs(key - frame))
            view = self.views[near] if near == frame else self._seen_from(frame, near)
            if view is not None:
                turns[frame], places[frame], known[frame] = view.turns[0], view.places[0], True
        seen = self.points[np.isfinite(self.points[:, 0])]
        return Journey(turns, places, known, seen, self.longer, self.left_doubt)


def _in_both(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Names (N,) in both of two lists without doubles, and where they stand in each."""
    return np.intersect1d(one, other, assume_unique=True, return_indices=True)


def _key_frames(names: Sequence[np.ndarray], flat: Sequence[np.ndarray]) -> list[int]:
    """Numbers of frames with corners that differ enough from one another, the first and the last
    among them."""
    told = [frame for frame, seen in enumerate(names) if len(seen)]
    keys = told[:1]
    for frame in told[1:]:
        last = keys[-1]
        _, before, now = _in_both(names[last], names[frame])
        way = np.linalg.norm(flat[frame][now] - flat[last][before], axis=1)
        far = not len(now) or np.median(way) > _KEY_WAY
        few = len(now) < _KEY_SHARE * len(names[last])
        if far or few or frame - last >= _KEY_FRAMES or frame == told[-1]:
            keys.append(frame)
    return keys


def _parallax(one: np.ndarray, other: np.ndarray) -> float:
    """Median angle, radians, by which two views of N points (N, 2) differ beyond a turn."""
    before, now = unit_rays(one), unit_rays(other)
    turn = nearest_rotation(now.T @ before)
    return float(np.median(np.linalg.norm(now - before @ turn.T, axis=1)))


def _relative(one: np.ndarray, other: np.ndarray, tolerance: float) -> Views | None:
    """The second of two cameras (the first at the origin) that see the same N points at (N, 2)."""
    import cv2

    essential, good = cv2.findEssentialMat(
        one, other, np.eye(3), method=cv2.RANSAC, prob=0.999, threshold=tolerance
    )
    if essential is None or essential.shape != (3, 3) or good.sum() < _FIRST_SHARE * len(one):
        return None
    _, turn, way, _ = cv2.recoverPose(essential, one, other, np.eye(3), mask=good.copy())
    return Views(turn[None], -(turn.T @ way)[:, 0][None])


def _wrong(views: Views, points: np.ndarray, looks: Looks, tolerance: float) -> np.ndarray:
    """(P,) share of the looks at each point that do not see it where it is."""
    off, seen = residuals(Bundle(views, points), looks)
    wrong = (np.linalg.norm(off, axis=1) > tolerance) | ~seen
    often = np.bincount(looks.points, minlength=len(points))
    return np.bincount(looks.points, wrong, len(points)) / np.maximum(often, 1)


def _widest(views: Views, points: np.ndarray, looks: Looks) -> np.ndarray:
    """(P,) about the widest angle, radians, between the rays to each point."""
    away = points[looks.points] - views.places[looks.views]
    away /= np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9)
    first = np.zeros(len(points), int)
    first[looks.points[::-1]] = np.arange(len(away))[::-1]
    widest = np.zeros(len(points))
    np.maximum.at(widest, looks.points, np.linalg.norm(away - away[first[looks.points]], axis=1))
    return widest
