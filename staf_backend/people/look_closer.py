"""Look closer: an enlarged part of the picture, where somebody is seen badly or not at all."""

from collections.abc import Callable, Sequence

import numpy as np

from staf_backend.people.appearance import AppearanceNetwork
from staf_backend.people.detections import Detections
from staf_backend.people.hits import Frame, Hit, hits_of
from staf_backend.people.likeness import ClipScale
from staf_backend.people.match import is_same_person, match
from staf_backend.people.tracklet import SURE_SCORE, Tracklet

CLEAR_SCORE = 0.25
"""Of a hit that may begin a person, or counts on a closer look.  Chosen: between the detector's
least and a sure person's."""
_WEAK_SHARE = 0.7
"""A hit below this share of a person's usual score deserves a closer look.  Chosen: ordinary hits
vary by less."""
_SAME_STRANGER_OKS = 0.2
"""Key-point similarity of a stranger seen badly and seen closer.  Chosen: low, bad key points lie
far off."""
_HALF_WINDOW = 0.85
"""Half of the window's side over the box's longer one.  Chosen: the person fills about 60 %."""
_SMALLEST_PX = 16
"""Of a window's side, and least of its half.  Chosen: nobody can be seen on less."""

DetectInWindow = Callable[[np.ndarray, np.ndarray], Detections]
"""Takes an image and a window (4,) x0, y0, x1, y1 in whole pixels; finds who is in it."""


class CloserLook:
    """Second looks at parts of a frame.

    Args:
        detect: looks in a window, more closely than the detector does in the whole frame.  None:
            there are no second looks.
        appearance: tells what they look like.
        likeness: which cosines of appearances mean whom.
    """

    def __init__(
        self,
        detect: DetectInWindow | None,
        appearance: AppearanceNetwork | None,
        likeness: ClipScale,
    ) -> None:
        self._detect = detect
        self._appearance = appearance
        self._likeness = likeness

    def at_known(
        self, frame: Frame, tracklet: Tracklet, hit: Hit | None, others: Sequence[Hit]
    ) -> Hit | None:
        """The hit, or that of a closer look where a clear person was not found or only badly.

        Args:
            frame: the frame.
            tracklet: the person.
            hit: as whom they were matched, if they were.
            others: everybody else who was matched.
        """
        unclear = tracklet.score < SURE_SCORE
        if unclear or (hit and hit.score >= _WEAK_SHARE * tracklet.score):
            return hit
        closer = self._around(frame, tracklet.prediction.at(frame.time_s)[1], others)
        both = [hit] if hit else []
        pairs = match([tracklet], closer, frame.time_s, self._likeness.scale)
        both += [closer[col] for _, col in pairs]
        return max(both, key=lambda h: h.score, default=None)

    def at_strangers(self, frame: Frame, weak: Sequence[Hit], taken: Sequence[Hit]) -> list[Hit]:
        """The clearest of strangers seen badly, as seen closer; nobody if they were none."""
        if not weak:
            return []
        clearest = max(weak, key=lambda hit: hit.score)
        closer = self._around(frame, clearest.box_px, taken)
        return [hit for hit in closer if is_same_person(hit, [clearest], _SAME_STRANGER_OKS)]

    def _around(self, frame: Frame, box_px: np.ndarray, taken: Sequence[Hit]) -> list[Hit]:
        """Who is clear in the part around a box, and not taken yet."""
        window = _window(box_px, frame.picture.shape)
        if self._detect is None or window is None:
            return []
        hits = hits_of(frame, self._detect(frame.image, window), self._appearance)
        return [h for h in hits if h.score >= CLEAR_SCORE and not is_same_person(h, taken)]


def _window(box_px: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """Square window (4,) around a box, within the picture; None where too little is left."""
    middle = (box_px[:2] + box_px[2:]) / 2
    half = max(float(_SMALLEST_PX), _HALF_WINDOW * (box_px[2:] - box_px[:2]).max())
    limit = np.array(shape[1::-1])
    low = np.clip(np.floor(middle - half), 0, limit).astype(int)
    high = np.clip(np.ceil(middle + half), 0, limit).astype(int)
    return None if (high - low).min() < _SMALLEST_PX else np.concatenate([low, high])
