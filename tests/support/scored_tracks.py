"""How well tracks keep people apart, against exact truth: IDF1 and identity switches.

Source: Ristani et al. 2016, Performance Measures and a Data Set for Multi-Target, Multi-Camera
Tracking (IDF1); a switch as in CLEAR MOT (Bernardin and Stiefelhagen 2008).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from staf_backend.people import Track
from staf_backend.people.match import box_overlap

_LEAST_OVERLAP = 0.5
"""Intersection over union from which a box is somebody's: as usual for both measures."""


class Kept(NamedTuple):
    """Counts of one clip: boxes that are the right person's, false ones, missed ones; switches."""

    right: int
    false: int
    missed: int
    switches: int

    @property
    def idf1(self) -> float:
        """Share 0..1 of boxes that have the right identity over the whole clip."""
        return 2 * self.right / max(2 * self.right + self.false + self.missed, 1)


def score_tracks(tracks: Sequence[Track], truth_px: np.ndarray, judged: np.ndarray) -> Kept:
    """Tracks against what is true; squares are compared.

    Args:
        tracks: as found.
        truth_px: (P, T, 4) corners of P people's boxes.
        judged: (T,) bool, frames that count: those on which everybody can be seen.
    """
    people = sorted({track.person for track in tracks})
    count, frames = truth_px.shape[:2]
    on = np.zeros((count, len(people), frames), bool)
    given = np.zeros((len(people), frames), bool)
    for track in tracks:
        row = people.index(track.person)
        given[row, track.frames] = True
        for box, frame in zip(_corners(track.boxes_px), track.frames, strict=True):
            overlap = box_overlap(_square(truth_px[:, frame]), box[None])[:, 0]
            on[:, row, frame] = overlap >= _LEAST_OVERLAP
    on, given, frames = on[..., judged], given[:, judged], int(judged.sum())
    shared = on.sum(-1)
    rows, cols = linear_sum_assignment(-shared)
    right = int(shared[rows, cols].sum())
    missed, false = count * frames - right, int(given.sum()) - right
    return Kept(right, false, missed, sum(_switches(on[p]) for p in range(count)))


def _switches(on: np.ndarray) -> int:
    """How often the track (K, T) that lies on a person becomes another one."""
    switches, last = 0, -1
    for frame in range(on.shape[1]):
        here = np.flatnonzero(on[:, frame])
        if len(here) and last not in here:
            switches += last >= 0
            last = int(here[0])
    return switches


def _square(corners: np.ndarray) -> np.ndarray:
    middle, side = (corners[:, :2] + corners[:, 2:]) / 2, (corners[:, 2:] - corners[:, :2]).max(1)
    return _corners(np.column_stack([middle, side]))


def _corners(squares: np.ndarray) -> np.ndarray:
    half = squares[:, 2:] / 2
    return np.hstack([squares[:, :2] - half, squares[:, :2] + half])
