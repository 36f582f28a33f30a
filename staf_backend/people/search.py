"""Where the detector looks: at whole frames, now and then coarser and finer, and at windows.

    coarse ────────► somebody who fills the picture ─┐
    plain ─────────► from about a tenth of it up ────┼──► `merge_coarse`, `merge` ──► everybody
    fine ──────────► smaller still ──────────────────┘

The network loses whoever is taller in its input than those it was trained on.
"""

from dataclasses import replace

import numpy as np

from staf_backend.people.detect import PersonDetector
from staf_backend.people.detections import Detections, merge
from staf_backend.people.hits import Frame
from staf_backend.people.keypoints import keypoint_similarity
from staf_backend.people.look_closer import CLEAR_SCORE, DetectInWindow
from staf_backend.people.tracklet import SURE_SCORE

_COARSENESS = 0.375
"""Of a coarse look's long side: 192 for 512.  Measured on people cut at chest, waist and hips: of
64 to 512 it is the surest (0.35 to 0.73; 256: 0.21 to 0.76; 512: less than 0.2)."""
_HALF_COARSENESS = 0.5
"""Of a second coarse look, 256 for 512, where the first finds nobody surely: people at the edge of
the picture, of whom a side is missing."""
_COARSE_EVERY_S = 0.25
"""Chosen: a coarse look costs a seventh of a plain one, and plain ones are an eighth of a second
apart while nothing surprises: hardly a tenth more in all."""
_FINE_EVERY_S = 0.25
"""Chosen: a fine look costs four plain ones, and somebody small stays small for that long."""
_WINDOW_LONG_SIDE_PX = 256
"""Of a window as the detector sees it.  Chosen: one person fills most of it, so half of 512."""
_TALL = 0.45
"""Share of the picture's long side from which a coarse find counts.  Measured: the plain look
(512) gives 0.7 to people of 0.4, and loses those of 0.7 (0.1, where 192 gives 0.5)."""
_BETTER = 0.1
"""By how much a coarse find must be surer than the plain one of the same person.  Chosen: more
than scores of one person vary from frame to frame."""
_SAME_OKS = 0.5
"""Key-point similarity of two finds of one person.  Chosen: as in `match`."""
_INSIDE = 0.7
"""Share of a box inside another's.  Chosen: a piece of somebody who is seen whole coarsely."""


class FrameSearch:
    """Detection in whole frames, at the scales that matter.

    Coarse looks are taken where the plain one is not sure of anybody, now and then besides, and on
    every frame while they find whom the plain look does not.  Fine looks are only needed to begin:
    once somebody is known, closer looks keep even a small person.
    """

    def __init__(self, detector: PersonDetector) -> None:
        self._plain = detector
        self._coarse = replace(detector, long_side_px=round(_COARSENESS * detector.long_side_px))
        half = round(_HALF_COARSENESS * detector.long_side_px)
        self._half = replace(detector, long_side_px=half)
        self._fine = replace(detector, long_side_px=2 * detector.long_side_px)
        self._next_coarse_s = self._next_fine_s = -np.inf

    def detect(
        self, frame: Frame, somebody_known: bool, plain: Detections | None = None
    ) -> Detections:
        """Everybody on a frame.

        Args:
            frame: the frame; times rise from call to call.
            somebody_known: whether a sure person is being followed.
            plain: what the detector finds there, where it has looked already.
        """
        found = self._plain.look(frame.picture) if plain is None else plain
        if not _anybody_sure(found) or frame.time_s >= self._next_coarse_s:
            found = self._with_coarse(frame, found)
        has_detail = max(frame.picture.shape) > self._plain.long_side_px
        due = has_detail and frame.time_s >= self._next_fine_s
        if _anybody_sure(found) or somebody_known or not due:
            return found
        self._next_fine_s = frame.time_s + _FINE_EVERY_S
        return merge(found, self._fine.look(frame.picture))

    def _with_coarse(self, frame: Frame, plain: Detections) -> Detections:
        """The plain look's finds, and whom only a coarse one finds."""
        long_side = max(frame.picture.shape)
        both = merge_coarse(plain, self._coarse.look(frame.picture), long_side)
        if not _anybody_sure(both):
            both = merge_coarse(both, self._half.look(frame.picture), long_side)
        told_more = both is not plain
        self._next_coarse_s = frame.time_s + (0 if told_more else _COARSE_EVERY_S)
        return both


def merge_coarse(plain: Detections, coarse: Detections, long_side_px: float) -> Detections:
    """The plain finds, those that a coarse look knows better replaced, and whom it alone found.

    Args:
        plain, coarse: of one image.
        long_side_px: of the image.

    Returns:
        `plain` itself where the coarse look adds nothing.
    """
    side = (coarse.boxes_px[:, 2:] - coarse.boxes_px[:, :2]).max(1, initial=0)
    tall = coarse.take((coarse.scores >= CLEAR_SCORE) & (side >= _TALL * long_side_px))
    same = keypoint_similarity(tall.keypoints_px, plain.keypoints_px) > _SAME_OKS
    worse = plain.scores[None] < tall.scores[:, None] - _BETTER
    news = tall.take(np.logical_not((same & ~worse).any(1)))
    if not len(news):
        return plain
    same = keypoint_similarity(news.keypoints_px, plain.keypoints_px) > _SAME_OKS
    pieces = _share_inside(plain.boxes_px, news.boxes_px) > _INSIDE
    pieces &= plain.scores[None] < SURE_SCORE
    return merge(plain.take(np.logical_not((same | pieces).any(0))), news)


def _anybody_sure(found: Detections) -> bool:
    return bool(found.scores.max(initial=0) >= SURE_SCORE)


def _share_inside(inner_px: np.ndarray, outer_px: np.ndarray) -> np.ndarray:
    """(Q, P) share of each inner box (P, 4) that lies in each outer one (Q, 4)."""
    low = np.maximum(outer_px[:, None, :2], inner_px[None, :, :2])
    high = np.minimum(outer_px[:, None, 2:], inner_px[None, :, 2:])
    area = np.maximum((inner_px[:, 2:] - inner_px[:, :2]).prod(-1), 1e-9)
    return np.clip(high - low, 0, None).prod(-1) / area


def window_search(detector: PersonDetector) -> DetectInWindow:
    """Detection in a part of the picture, seen larger."""
    near = replace(detector, long_side_px=_WINDOW_LONG_SIDE_PX)

    def detect(image: np.ndarray, window: np.ndarray) -> Detections:
        x0, y0, x1, y1 = window.tolist()
        found = near.detect(np.ascontiguousarray(image[y0:y1, x0:x1]))
        return found.moved(np.array([x0, y0]))

    return detect
