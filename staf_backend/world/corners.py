"""Corners of the background, followed from frame to frame for as long as they are seen."""

from typing import NamedTuple

import numpy as np

from staf_backend.world.background import Lens, follow, new_corners, within

_MOST, _FEWEST = 220, 150
"""Corners followed, and below which others are looked for.  Chosen."""


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

    def add(self, grey: np.ndarray, boxes_px: np.ndarray) -> None:
        """The next frame: its small picture, and people (P, 4) in it."""
        names, points = np.zeros(0, int), np.zeros((0, 2), np.float32)
        if self._before is not None and len(self.frames[-1].names):
            names, points = self._followed(self._before, grey, boxes_px)
        if len(names) < _FEWEST:
            fresh = new_corners(grey, boxes_px, points, _MOST - len(names))
            names = np.r_[names, np.arange(self._named, self._named + len(fresh))]
            points = np.concatenate([points, fresh])
            self._named += len(fresh)
        self.frames.append(Frame(names.astype(np.int32), points.astype(np.float32)))
        self._before = grey

    def drop(self, count: int) -> None:
        """Forget the last frames: they belong to other film."""
        del self.frames[len(self.frames) - count :]
        self._before = None

    def _followed(
        self, before: np.ndarray, grey: np.ndarray, boxes_px: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Names (N,) and places (N, 2) of the last frame's corners that are seen again."""
        names, points = self.frames[-1]
        guess = points
        if len(self.frames) > 1:
            earlier = self.frames[-2]
            _, now, then = np.intersect1d(names, earlier.names, return_indices=True)
            way = points[now] - earlier.points_px[then]
            if len(way):
                guess = points + np.median(way, axis=0)
                guess[now] = points[now] + way
        moved, good = follow(before, grey, points, guess)
        good &= self._lens.inside(moved) & ~within(moved, boxes_px)
        return names[good], moved[good]
