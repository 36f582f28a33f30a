"""A person's hits as tracks: split where they were away, filled in where not seen, smoothed.

chain of tracklets ──split at gaps > 1 s, and cuts──► stretches ──fill in, smooth──► every frame
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from staf_backend.people.smooth import smooth
from staf_backend.people.track import SHORTEST_FRAMES, SHORTEST_S, Track, longest_gap_s
from staf_backend.people.tracklet import Tracklet

_MIDDLE_SIGMA_S, _SIZE_SIGMA_S = 0.06, 0.12
"""Widths of the Gaussian that smooths a box's middle and its side.  Chosen: people's sizes change
more slowly than their places."""
_TOGETHER = 2**16
"""Values filled in at a time.  Chosen: a few MB with all that is computed on the way."""


@dataclass(frozen=True)
class Stretch:
    """A person's hits without a long gap.

    Attributes:
        hits: (N,) of `hits.ROW`.
        missed: frames on which they were looked for in vain.
    """

    hits: np.ndarray
    missed: frozenset[int]


def split(chain: Sequence[Tracklet], times_s: np.ndarray) -> list[Stretch]:
    """The chain's hits, apart where a person was away for too long, and where there was a cut.

    Args:
        chain: tracklets of one person, one after another.
        times_s: (F,) of all frames.
    """
    hits = np.concatenate([tracklet.hits.rows() for tracklet in chain])
    missed = frozenset().union(*(t.missed for t in chain))
    # the frames between two tracklets were looked at in vain
    for before, after in pairwise(chain):
        missed |= frozenset(range(before.hits.last["frame"] + 1, after.hits.first["frame"]))
    shots = np.repeat([t.shot for t in chain], [len(t.hits) for t in chain])
    apart = (np.diff(hits["time_s"]) > longest_gap_s(times_s)) | (np.diff(shots) > 0)
    ends = [0, *(np.flatnonzero(apart) + 1).tolist(), len(hits)]
    return [Stretch(hits[a:b], missed) for a, b in pairwise(ends)]


def is_long_enough(frames: np.ndarray, times_s: np.ndarray, first: int = 0) -> bool:
    """Whether it makes a track, the last frame's own time on the screen included.

    Args:
        frames: (N,) rising numbers of those on which the person was seen.
        times_s: (F,) of all frames.
        first: number of the first frame.
    """
    a, b = (frames[[0, -1]] - first).tolist()
    shown_s = float(times_s[b] - times_s[a] + np.median(np.diff(times_s))) if b > a else 0.0
    return b - a + 1 >= SHORTEST_FRAMES and shown_s >= SHORTEST_S - 1e-6


@dataclass(frozen=True)
class Filled:
    """A stretch on every one of its frames (T); see `Track` for the fields."""

    frames: np.ndarray
    times_s: np.ndarray
    boxes_px: np.ndarray
    keypoints_px: np.ndarray
    observed: np.ndarray

    @classmethod
    def make(cls, stretch: Stretch, times_s: np.ndarray, first: int) -> "Filled":
        """Fill in and smooth a stretch; `times_s` (F,) are those of all frames from `first` on."""
        hits = stretch.hits
        frames = np.arange(hits["frame"][0], hits["frame"][-1] + 1)
        times = times_s[frames - first]
        corners = hits["box_px"]
        squares = np.column_stack(
            [(corners[:, :2] + corners[:, 2:]) / 2, (corners[:, 2:] - corners[:, :2]).max(1)]
        )
        known_s = hits["time_s"].copy()
        squares = interpolate(known_s, squares, times)
        keypoints = interpolate(known_s, hits["keypoints_px"], times)
        middle = smooth(times, squares[:, :2], _MIDDLE_SIGMA_S, 2)
        side = np.maximum(smooth(times, squares[:, 2:], _SIZE_SIGMA_S, 1), 1.0)
        return cls(frames, times, np.hstack([middle, side]), keypoints, _observed(frames, stretch))

    @property
    def weight(self) -> float:
        """Size times frames: how much of a main person this is."""
        return float(np.median(self.boxes_px[:, 2]) * self.observed.sum())

    def track(self, person: int, part: int) -> Track:
        """As a finished track."""
        return Track(
            person, part, self.frames, self.times_s, self.boxes_px, self.keypoints_px, self.observed
        )


def interpolate(known_s: np.ndarray, values: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """Values at all times: monotone cubic between the known ones, so nothing overshoots.

    Some columns at a time: the polynomials of all key points of a long clip would be large.

    Args:
        known_s: (N,) rising.
        values: (N, ...) at these times.
        times_s: (T,) rising, within the known ones.
    """
    from scipy.interpolate import PchipInterpolator

    if len(known_s) == len(times_s):
        return np.array(values)
    columns = values.reshape(len(values), -1)
    filled = np.empty((len(times_s), columns.shape[1]), values.dtype)
    together = max(1, _TOGETHER // len(times_s))
    for first in range(0, columns.shape[1], together):
        some = slice(first, first + together)
        filled[:, some] = PchipInterpolator(known_s, columns[:, some])(times_s)
    return filled.reshape(len(times_s), *values.shape[1:])


def _observed(frames: np.ndarray, stretch: Stretch) -> np.ndarray:
    """True on hits, and between two hits where they were not looked for in vain there."""
    seen = stretch.hits["frame"]
    missed = np.array(sorted(stretch.missed), int)
    between = np.searchsorted(seen, frames, side="right")
    # number of misses between each hit and the next one
    vain = np.searchsorted(missed, seen[1:]) - np.searchsorted(missed, seen[:-1])
    is_hit = np.isin(frames, seen)
    return is_hit | (vain[np.minimum(between, len(vain)) - 1] == 0 if len(vain) else is_hit)
