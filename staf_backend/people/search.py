"""Where the detector looks: at whole frames, now and then finer, and at windows of a frame."""

from dataclasses import replace

import numpy as np

from staf_backend.people.detect import PersonDetector
from staf_backend.people.detections import Detections, merge
from staf_backend.people.hits import Frame
from staf_backend.people.look_closer import DetectInWindow
from staf_backend.people.tracklet import SURE_SCORE

_FINE_EVERY_S = 0.25
"""Chosen: a fine look costs four plain ones, and somebody small stays small for that long."""
_WINDOW_LONG_SIDE_PX = 256
"""Of a window as the detector sees it.  Chosen: one person fills most of it, so half of 512."""


class FrameSearch:
    """Detection in whole frames; while nobody is known, now and then twice as fine.

    The plain look finds people from about a tenth of the picture up.  Once somebody is known,
    closer looks keep even a small person, so the costly fine look is only needed to begin.
    """

    def __init__(self, detector: PersonDetector) -> None:
        self._plain = detector
        self._fine = replace(detector, long_side_px=2 * detector.long_side_px)
        self._next_fine_s = -np.inf

    def detect(self, frame: Frame, somebody_known: bool) -> Detections:
        """Everybody on a frame.

        Args:
            frame: the frame; times rise from call to call.
            somebody_known: whether a sure person is being followed.
        """
        found = self._plain.detect(frame.image)
        clear = len(found) > 0 and found.scores.max() >= SURE_SCORE
        has_detail = max(frame.image.shape) > self._plain.long_side_px
        if clear or somebody_known or not has_detail or frame.time_s < self._next_fine_s:
            return found
        self._next_fine_s = frame.time_s + _FINE_EVERY_S
        return merge(found, self._fine.detect(frame.image))


def window_search(detector: PersonDetector) -> DetectInWindow:
    """Detection in a part of the picture, seen larger."""
    near = replace(detector, long_side_px=_WINDOW_LONG_SIDE_PX)

    def detect(image: np.ndarray, window: np.ndarray) -> Detections:
        x0, y0, x1, y1 = window.tolist()
        found = near.detect(np.ascontiguousarray(image[y0:y1, x0:x1]))
        return found.moved(np.array([x0, y0]))

    return detect
