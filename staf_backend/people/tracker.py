"""Who is who from frame to frame: detections become tracklets, short but of one person only.

    every frame:     predict ──► match ──► look closer ──► begin and end
    where it stands: predict     match     look_closer     begin_and_end

A tracklet ends at a cut, or when its person was not seen for half a second; `join` then joins
tracklets of one person.
"""

import numpy as np

from staf_backend.people.appearance import AppearanceNetwork
from staf_backend.people.begin_and_end import is_over, newcomers
from staf_backend.people.camera_motion import chain
from staf_backend.people.detections import Detections
from staf_backend.people.hits import Frame, Hit, hits_of
from staf_backend.people.likeness import ClipScale
from staf_backend.people.look_closer import CloserLook, DetectInWindow
from staf_backend.people.match import is_unobstructed, match
from staf_backend.people.tracklet import Tracklet


class Tracker:
    """Feed every frame in order, with detections where the detector ran; then `join.finish`.

    Args:
        detect_in_window: looks for people in a part of an image more closely than the detector
            does; used where a sure person was not found.  None: not done.
        appearance: tells people apart where their ways do not.  None: by the colours of their
            clothes alone.

    Attributes:
        active: who is followed now.
        likeness: which cosines of appearances mean whom.
    """

    def __init__(
        self,
        detect_in_window: DetectInWindow | None = None,
        appearance: AppearanceNetwork | None = None,
    ) -> None:
        self.active: list[Tracklet] = []
        self.likeness = ClipScale(appearance.scale if appearance else None)
        self._appearance = appearance
        self._closer_look = CloserLook(detect_in_window, appearance, self.likeness)
        self._ended: list[Tracklet] = []
        self._camera_path: list[np.ndarray] = []
        self._frames: list[tuple[int, float]] = []
        self._shot = 0

    def boxes_px(self) -> np.ndarray:
        """(P, 4) where people are believed to be on the last frame."""
        return np.array([t.prediction.box_px for t in self.active]).reshape(-1, 4)

    def knows_somebody(self) -> bool:
        """Whether a sure person is being followed."""
        return any(tracklet.sure for tracklet in self.active)

    def update(self, frame: Frame, detections: Detections | None) -> None:
        """Take the next frame; `detections` is None where the detector did not run.

        Raises:
            ValueError: the frame does not follow the last one.
        """
        self._remember(frame)
        if frame.step.cut:
            self._shot += 1
            self._end(self.active)
        for tracklet in self.active:
            tracklet.prediction.carry(frame.step.similarity)
        if detections is not None:
            found = hits_of(frame, detections, self._appearance)
            strangers, known = self._find_known(frame, found)
            for hit in newcomers(frame, strangers, known, self._closer_look):
                self.active.append(Tracklet.start(self._shot, hit))
        self._end([t for t in self.active if is_over(t, frame.time_s)])

    def tracklets(self) -> list[Tracklet]:
        """All tracklets so far, by their first frame; call when the last frame was fed."""
        return sorted(
            [*self._ended, *self.active], key=lambda t: (int(t.hits.first["frame"]), -t.score)
        )

    def camera_path(self) -> tuple[int, np.ndarray]:
        """First frame number, and (F, 2, 3) similarities from it to every frame."""
        first = self._frames[0][0] if self._frames else 0
        return first, np.array(self._camera_path).reshape(-1, 2, 3)

    def times_s(self) -> np.ndarray:
        """(F,) times of the fed frames."""
        return np.array([time for _, time in self._frames])

    def _remember(self, frame: Frame) -> None:
        """The frame's number and time, and the camera's way to it from the first frame."""
        if self._frames and frame.index != self._frames[-1][0] + 1:
            raise ValueError(f"frame {frame.index} follows {self._frames[-1][0]}")
        self._frames.append((frame.index, frame.time_s))
        before = self._camera_path[-1] if self._camera_path else np.eye(2, 3)
        self._camera_path.append(chain(before, frame.step.similarity))

    def _find_known(self, frame: Frame, hits: list[Hit]) -> tuple[list[Hit], list[Hit]]:
        """Match, and look closer; returns hits of strangers and those of the people followed."""
        pairs = match(self.active, hits, frame.time_s, self.likeness.scale)
        seen = {row: hits[col] for row, col in pairs}
        for row, tracklet in enumerate(self.active):
            others = [hit for other, hit in seen.items() if other != row]
            hit = self._closer_look.at_known(frame, tracklet, seen.get(row), others)
            if hit is None:
                tracklet.missed.add(frame.index)
            else:
                alone = is_unobstructed(hit, others)
                if alone:
                    self._learn_looks(tracklet, hit, [self.active[other] for other in seen])
                tracklet.add(hit, alone)
                seen[row] = hit
        matched = {col for _, col in pairs}
        strangers = [hit for col, hit in enumerate(hits) if col not in matched]
        return strangers, list(seen.values())

    def _learn_looks(self, tracklet: Tracklet, hit: Hit, seen: list[Tracklet]) -> None:
        """Note how alike somebody whom nobody hides is to themselves and to others seen."""
        if self._appearance is None or self._appearance.scale or not tracklet.sure:
            return
        if hit.look and tracklet.gallery and tracklet.gallery.wants(hit.time_s):
            look = hit.look.vector
            others = [t for t in seen if t is not tracklet and t.sure and t.gallery]
            cosines = [other.gallery.cosine(look) for other in others]
            self.likeness.note(tracklet.gallery.cosine(look), cosines)

    def _end(self, over: list[Tracklet]) -> None:
        self._ended += over
        self.active = [t for t in self.active if not any(t is other for other in over)]
