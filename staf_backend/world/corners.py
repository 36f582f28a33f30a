"""Corners of the background, followed from frame to frame for as long as they are seen."""

from typing import NamedTuple

import numpy as np

from staf_backend.world.background import Lens, follow, new_corners, within

_MOST, _FEWEST = 220, 150
"""Corners followed, and below which others are looked for.  Chosen."""
_BLIND_SHARE, _MOST_BLIND = 0.1, 6
"""Of the corners, below which a frame shows none of them, and how many such frames in a row corners
are kept over.  Chosen: a flash, a damaged picture."""


class Frame(NamedTuple):
    """The corners seen on a frame: their numbers (N,), and where (N, 2) of the small picture."""

    names: np.ndarray
    points_px: np.ndarray


class Corners:
    """Feed frames in order with `add`.

    Attributes:
        frames: what was seen on each.
    """

    def __init__(self, lens: Lens) -> None:
        self.frames: list[Frame] = []
        self._lens, self._named = lens, 0
        self._before: np.ndarray | None = None
        self._latest: list[Frame] = []
        self._blind = 0

    def add(self, grey: np.ndarray, boxes_px: np.ndarray) -> None:
        """The next frame: its small picture, and people (P, 4) in it."""
        last = self._latest[-1:]
        nothing = Frame(np.zeros(0, np.int32), np.zeros((0, 2), np.float32))
        names, points = nothing
        if self._before is not None and last:
            names, points = self._followed(self._before, grey, boxes_px)
            if len(names) < _BLIND_SHARE * len(last[0].names) and self._blind < _MOST_BLIND:
                self._blind += 1
                self.frames.append(nothing)
                return
        if len(names) < _FEWEST:
            fresh = new_corners(grey, boxes_px, points, _MOST - len(names))
            names = np.r_[names, np.arange(self._named, self._named + len(fresh))]
            points = np.concatenate([points, fresh])
            self._named += len(fresh)
        frame = Frame(names.astype(np.int32), points.astype(np.float32))
        self.frames.append(frame)
        self._before, self._blind = grey, 0
        self._latest = [*last, frame] if len(names) else []

    def drop(self, count: int) -> None:
        """Forget the last frames: they belong to other film."""
        del self.frames[len(self.frames) - count :]
        self._before, self._blind, self._latest = None, 0, []

    def _followed(
        self, before: np.ndarray, grey: np.ndarray, boxes_px: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Names (N,) and places (N, 2) of the last frame's corners that are seen again."""
        names, points = self._latest[-1]
        guess = points
        if len(self._latest) > 1 and not self._blind:
            earlier = self._latest[0]
            _, now, then = np.intersect1d(names, earlier.names, return_indices=True)
            way = points[now] - earlier.points_px[then]
            if len(way):
                guess = points + np.median(way, axis=0)
                guess[now] = points[now] + way
        moved, good = follow(before, grey, points, guess)
        good &= self._lens.inside(moved) & ~within(moved, boxes_px)
        return names[good], moved[good]
