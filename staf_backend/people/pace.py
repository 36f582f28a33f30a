"""How often the detector runs: seldom while everybody is where expected, else on every frame.

Somebody who moves swiftly is always where expected on the next frame, and never four frames on: so
what will come is forecast from how strides of that very length turned out.
"""

from collections.abc import Sequence

import numpy as np

from staf_backend.people.camera_motion import Step, chain, move
from staf_backend.people.detections import Detections
from staf_backend.people.keypoints import extent_px
from staf_backend.people.tracklet import SURE_SCORE, Tracklet

_LONGEST_STRIDE, _LONGEST_STRIDE_S = 4, 0.134
"""Frames and seconds from look to look.  Chosen: four frames at 30 a second."""
_TOLERANCE = 0.08
"""Mean distance of key points from where expected, as a share of the size.  Chosen: a
forearm's width, so that filling in between is true to it."""
_APART = 0.25
"""Nobody else may be this near, as a share of the size, where frames go without a look.  Chosen:
three tolerances, so that none is taken for the other."""
_NEWEST_SHARE = 0.4
"""Of a stride's last outcome in what is forecast of it.  Chosen: of shares from 0.2 to 1 the one
that begins the fewest looks in vain on footage of two who cross (7 of 200; by the last outcome of
any stride 22)."""


class Pace:
    """How many frames ahead the next look is.

    Args:
        every: a look on every n-th frame, or "auto": as often as the motion asks.
        fps: of the video.
    """

    def __init__(self, every: int | str, fps: float) -> None:
        self.automatic = every == "auto"
        most = min(_LONGEST_STRIDE, int(_LONGEST_STRIDE_S * fps))
        self._most = max(1, most) if self.automatic else int(every)
        self.stride = 1 if self.automatic else self._most
        self._calm: dict[int, float] = {}

    def note(self, expected: bool) -> None:
        """Longer strides one by one while all is as expected; else back to every frame."""
        before = self._calm.get(self.stride, float(expected))
        self._calm[self.stride] = before + _NEWEST_SHARE * (expected - before)
        self.stride = self._after(self.stride, expected)

    def forecast(self, count: int) -> list[int]:
        """The next `count` strides, if each turns out as the latest of its length mostly did.

        One that was never tried is taken for as expected.
        """
        strides, stride = [], self.stride
        for _ in range(count):
            stride = self._after(stride, self._calm.get(stride, 1.0) >= 0.5)
            strides.append(stride)
        return strides

    def _after(self, stride: int, expected: bool) -> int:
        if not self.automatic:
            return stride
        return min(stride + 1, self._most) if expected else 1


def is_as_expected(
    tracklets: Sequence[Tracklet], time_s: float, steps: Sequence[Step], found: Detections
) -> bool:
    """Whether detections, some frames ahead, show just the people and places expected.

    Args:
        tracklets: who is followed, at the last updated frame.
        time_s: of the detections.
        steps: the camera's, from the last updated frame up to theirs.
        found: the detections.
    """
    promising = any(not t.sure and t.score >= SURE_SCORE for t in tracklets)
    if promising or any(step.cut for step in steps):
        return False
    clear = found.take(found.scores >= SURE_SCORE)
    sure = [t for t in tracklets if t.sure]
    if not sure:
        return not len(clear)
    way = np.eye(2, 3)
    for step in steps:
        way = chain(way, step.similarity)
    predicted = np.array([t.prediction.at(time_s)[0] for t in sure])
    predicted[..., :2] = move(way, predicted[..., :2])
    return _all_expected(predicted, found, len(clear))


def _all_expected(predicted: np.ndarray, found: Detections, clear: int) -> bool:
    """Each sure person is where predicted, apart from the others, and nobody else is clear.

    Args:
        predicted: (P, 17, 3) key points.
        found: the detections, the surest first.
        clear: how many of them are clear.
    """
    if not len(found):
        return False
    gap = np.linalg.norm(predicted[:, None, :, :2] - found.keypoints_px[None, ..., :2], axis=-1)
    weight = predicted[:, None, :, 2] * found.keypoints_px[None, ..., 2] + 1e-6
    off = (gap * weight).sum(-1) / weight.sum(-1) / np.maximum(extent_px(predicted), 1)[:, None]
    nearest = off.argmin(1)
    second = np.sort(off, 1)[:, 1:2]
    if off.min(1).max() > _TOLERANCE or np.any(second < _APART):
        return False
    return set(range(clear)) <= set(nearest.tolist())
