"""Finished tracks: tracklets of one person joined, gaps filled, boxes smoothed, people numbered.

tracklets --join over gaps (place, size, clothes)--> chains --split at gaps > 0.5 s--> Tracks
"""

import logging
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from staf_backend.people.appearance import likeness
from staf_backend.people.detect import extent_px
from staf_backend.people.track import LONGEST_GAP_S, SHORTEST_FRAMES, SHORTEST_S, NobodyError, Track
from staf_backend.people.tracker import Tracker
from staf_backend.people.tracklet import Tracklet

_log = logging.getLogger(__name__)

_LONGEST_ABSENCE_S = 10.0
_LEAST_CLOTHES = 0.75
# share of the own size that somebody may move in a second of absence, beside half a size at once
_SPEED_PER_S = 2.5
# mean scores of people; the lower counts where nobody has the higher
_REAL_SCORE, _FAINT_SCORE = 0.3, 0.2
_MIDDLE_S, _SIDE_S = 0.06, 0.12


@dataclass(frozen=True)
class _Stretch:
    """A person's hits without a long gap, (N,) of `hit_log.ROW`, and the frames without success."""

    hits: np.ndarray
    missed: frozenset[int]


def finish(tracker: Tracker) -> list[Track]:
    """The tracks of all people, the main person first.

    Raises:
        NobodyError: nobody, or nobody for long enough.
    """
    tracklets = _real(tracker.tracklets())
    if not tracklets:
        advice = "Choose footage in which a person is larger, or better lit."
        raise NobodyError("Nobody was found.", advice)
    first, path = tracker.camera_path()
    times_s = tracker.times_s()
    people = []
    for chain in _join(tracklets, path, first):
        stretches = [s for s in _split(chain) if _is_long(s, times_s, first)]
        if stretches:
            people.append([_Filled.make(s, times_s, first) for s in stretches])
    if not people:
        message = f"People were seen, but never for longer than {SHORTEST_S:g} s."
        raise NobodyError(
            message, "Choose a longer stretch, or one in which the person stays in sight."
        )
    people.sort(key=lambda parts: -sum(p.weight for p in parts))
    return [
        part.track(number, at)
        for number, parts in enumerate(people, 1)
        for at, part in enumerate(parts, 1)
    ]


def _real(tracklets: list[Tracklet]) -> list[Tracklet]:
    """Who was seen surely enough on the whole; where nobody was, who was seen faintly."""
    means = [float(t.hits.rows()["score"].mean()) for t in tracklets]
    if tracklets and _FAINT_SCORE <= max(means) < _REAL_SCORE:
        _log.warning("people were seen only faintly: look at the result before you use it")
    least = _REAL_SCORE if max(means, default=0.0) >= _REAL_SCORE else _FAINT_SCORE
    return [t for t, mean in zip(tracklets, means, strict=True) if mean >= least]


def _join(tracklets: list[Tracklet], path: np.ndarray, first: int) -> list[list[Tracklet]]:
    """Chains of tracklets of one person each, the best pairs first."""
    pairs = sorted(
        (cost, i, j)
        for i, before in enumerate(tracklets)
        for j, after in _candidates(tracklets, i)
        if (cost := _cost(before, after, path, first)) is not None
    )
    following: dict[int, int] = {}
    taken: set[int] = set()
    for _, i, j in pairs:
        if i not in following and j not in taken:
            following[i] = j
            taken.add(j)
    return [_chain(i, following, tracklets) for i in range(len(tracklets)) if i not in taken]


def _candidates(tracklets: list[Tracklet], i: int):
    """Tracklets of the same shot that start after tracklet i ends, within ten seconds."""
    end = tracklets[i].hits.last
    for j in range(i + 1, len(tracklets)):
        start = tracklets[j].hits.first
        if start["time_s"] - end["time_s"] > _LONGEST_ABSENCE_S:
            return
        if start["frame"] > end["frame"] and tracklets[j].shot == tracklets[i].shot:
            yield j, tracklets[j]


def _cost(before: Tracklet, after: Tracklet, path: np.ndarray, first: int) -> float | None:
    """How unlikely it is that both are one person, 0..; None: impossible."""
    end, start = before.hits.last, after.hits.first
    gap_s = float(start["time_s"] - end["time_s"])
    clothes = float(likeness(before.clothes, after.clothes))
    sizes = [float(np.median(extent_px(t.hits.rows()["keypoints_px"]))) for t in (before, after)]
    ratio = max(sizes) / max(min(sizes), 1e-6)
    guess = _still(end, path, first) + 0.3 * -np.expm1(-gap_s / 0.3) * before.velocity_px_s
    away = float(np.linalg.norm(_still(start, path, first) - guess)) / max(sizes)
    reach = 0.5 + _SPEED_PER_S * gap_s
    if clothes < _LEAST_CLOTHES or ratio > 1.8 or away > reach:
        return None
    return (1 - clothes) + 0.5 * away / reach + 0.05 * gap_s


def _still(hit: np.void, path: np.ndarray, first: int) -> np.ndarray:
    """Middle (2,) of a hit where it would be on the first frame, had only the camera moved."""
    linear, shift = np.split(path[hit["frame"] - first], [2], axis=1)
    middle = (hit["box_px"][:2] + hit["box_px"][2:]) / 2
    return np.linalg.solve(linear, middle - shift[:, 0])


def _chain(i: int, following: dict[int, int], tracklets: list[Tracklet]) -> list[Tracklet]:
    chain = [tracklets[i]]
    while i in following:
        i = following[i]
        chain.append(tracklets[i])
    return chain


def _split(chain: list[Tracklet]) -> list[_Stretch]:
    """The chain's hits, cut where a person was away for too long."""
    hits = np.concatenate([tracklet.hits.rows() for tracklet in chain])
    missed = frozenset().union(*(t.missed for t in chain))
    # the frames between two tracklets were looked at in vain
    for before, after in pairwise(chain):
        missed |= frozenset(range(before.hits.last["frame"] + 1, after.hits.first["frame"]))
    gaps = np.diff(hits["time_s"])
    ends = [0, *(np.flatnonzero(gaps > LONGEST_GAP_S) + 1).tolist(), len(hits)]
    return [_Stretch(hits[a:b], missed) for a, b in pairwise(ends)]


def _is_long(stretch: _Stretch, times_s: np.ndarray, first: int) -> bool:
    """At least 3 frames and 0.4 s, the last frame's own time on the screen included."""
    a, b = (stretch.hits["frame"][[0, -1]] - first).tolist()
    shown_s = float(times_s[b] - times_s[a] + np.median(np.diff(times_s))) if b > a else 0.0
    return b - a + 1 >= SHORTEST_FRAMES and shown_s >= SHORTEST_S - 1e-6


@dataclass(frozen=True)
class _Filled:
    """A stretch on every one of its frames."""

    frames: np.ndarray
    times_s: np.ndarray
    boxes_px: np.ndarray
    keypoints_px: np.ndarray
    observed: np.ndarray

    @classmethod
    def make(cls, stretch: _Stretch, times_s: np.ndarray, first: int) -> "_Filled":
        hits = stretch.hits
        frames = np.arange(hits["frame"][0], hits["frame"][-1] + 1)
        times = times_s[frames - first]
        corners = hits["box_px"]
        squares = np.column_stack(
            [(corners[:, :2] + corners[:, 2:]) / 2, (corners[:, 2:] - corners[:, :2]).max(1)]
        )
        known_s = hits["time_s"].copy()
        squares = _interpolate(known_s, squares, times)
        keypoints = _interpolate(known_s, hits["keypoints_px"], times)
        middle = smooth(times, squares[:, :2], _MIDDLE_S, 2)
        side = np.maximum(smooth(times, squares[:, 2:], _SIDE_S, 1), 1.0)
        return cls(frames, times, np.hstack([middle, side]), keypoints, _observed(frames, stretch))

    @property
    def weight(self) -> float:
        """Size times frames: how much of a main person this is."""
        return float(np.median(self.boxes_px[:, 2]) * self.observed.sum())

    def track(self, person: int, part: int) -> Track:
        return Track(
            person, part, self.frames, self.times_s, self.boxes_px, self.keypoints_px, self.observed
        )


def _interpolate(known_s: np.ndarray, values: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """Values at all times: monotone cubic between the known ones, so nothing overshoots.

    Column by column: the polynomials of all key points of a long clip would be large.
    """
    from scipy.interpolate import PchipInterpolator

    if len(known_s) == len(times_s):
        return np.array(values)
    filled = np.empty((len(times_s), *values.shape[1:]), values.dtype)
    for column in np.ndindex(values.shape[1:]):
        at = (slice(None), *column)
        filled[at] = PchipInterpolator(known_s, values[at])(times_s)
    return filled


def _observed(frames: np.ndarray, stretch: _Stretch) -> np.ndarray:
    """True on hits, and between two hits when he was not looked for in vain there."""
    seen = stretch.hits["frame"]
    missed = np.array(sorted(stretch.missed), int)
    between = np.searchsorted(seen, frames, side="right")
    # number of misses between each hit and the next one
    vain = np.searchsorted(missed, seen[1:]) - np.searchsorted(missed, seen[:-1])
    is_hit = np.isin(frames, seen)
    return is_hit | (vain[np.minimum(between, len(vain)) - 1] == 0 if len(vain) else is_hit)


def smooth(times_s: np.ndarray, values: np.ndarray, sigma_s: float, degree: int) -> np.ndarray:
    """Gaussian-weighted local polynomials (T, K): no lag, exact on polynomials, ends included.

    Args:
        times_s: (T,) rising, evenly spaced or not.
        values: (T, K).
        sigma_s: width of the Gaussian.
        degree: of the polynomials.
    """
    half = int(np.ceil(3 * sigma_s / np.median(np.diff(times_s)))) if len(times_s) > 1 else 0
    half = min(half, len(times_s) - 1)
    if half < 1:
        return values.astype(np.float64)
    blocks = [
        _smooth_block(
            times_s, values, np.arange(a, min(a + 1024, len(times_s))), half, sigma_s, degree
        )
        for a in range(0, len(times_s), 1024)
    ]
    return np.concatenate(blocks)


def _smooth_block(times_s, values, rows, half, sigma_s, degree) -> np.ndarray:
    """The fitted value at the times of `rows`, from the 2 half + 1 samples around each."""
    columns = rows[:, None] + np.arange(-half, half + 1)
    inside = (columns >= 0) & (columns < len(times_s))
    columns = np.clip(columns, 0, len(times_s) - 1)
    u = (times_s[columns] - times_s[rows, None]) / sigma_s
    weight = np.exp(-(u**2) / 2) * inside
    powers = u[..., None] ** np.arange(degree + 1)
    normal = np.einsum("rw,rwi,rwj->rij", weight, powers, powers)
    normal += 1e-9 * np.eye(degree + 1)
    right = np.einsum("rw,rwi,rwk->rik", weight, powers, values[columns])
    return np.linalg.solve(normal, right)[:, 0]
