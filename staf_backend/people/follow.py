"""Drive a video through the detector and the tracker: from frames to finished tracks.

The detector is the dear part, so it runs on every n-th frame while everybody is where expected;
when a look n frames ahead surprises, the frames between are looked at as well, before anything
was decided on them.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from staf_backend.people.camera_motion import CameraMotion
from staf_backend.people.detect import Detections, PersonDetector, merge
from staf_backend.people.join import finish
from staf_backend.people.track import Track, TrackSummary, people
from staf_backend.people.tracker import Tracker
from staf_backend.people.tracklet import SURE_SCORE, Frame
from staf_backend.video.video import Video

_log = logging.getLogger(__name__)

_LONGEST_STRIDE, _LONGEST_STRIDE_S = 4, 0.134
_TOLERANCE = 0.08
_CLOSER_LONG_SIDE_PX = 256
_THUMBNAIL_PX = 160
_FINE_EVERY_S = 0.25


def find_people(
    video: Video,
    detector: PersonDetector,
    span: range | None = None,
    *,
    every: int | str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> list[Track]:
    """Everybody in a stretch of a video, the main person first.

    Args:
        video: the footage.
        detector: finds people in one frame.
        span: consecutive frame numbers, as from `Video.span`; None is the whole clip.
        every: run the detector on every n-th frame, or "auto": as often as the motion asks.
        progress: called with the number of frames done and of all frames.

    Raises:
        NobodyError: nobody was found, or nobody long enough.
        VideoError: the footage is damaged.
    """
    span = range(len(video.times_s)) if span is None else span
    if every != "auto" and not (isinstance(every, int) and every > 0):
        raise ValueError(f'every must be "auto" or a positive number, not {every!r}')
    tracker = Tracker(_closer(detector))
    pace = _Pace(video, every)
    search = _Search(detector)
    looked = 0
    for batch in _batches(video, span, tracker, pace):
        looked += _look(batch, search, tracker, pace)
        if progress is not None:
            progress(batch[-1].index + 1 - span.start, len(span))
    _log.info("looked for people on %d of %d frames", looked, len(span))
    return finish(tracker)


class _Pace:
    """How many frames ahead the next look is."""

    def __init__(self, video: Video, every: int | str) -> None:
        self.automatic = every == "auto"
        most = min(_LONGEST_STRIDE, int(_LONGEST_STRIDE_S * video.fps))
        self._most = max(1, most) if self.automatic else int(every)
        self.stride = 1 if self.automatic else self._most

    def note(self, calm: bool) -> None:
        """Longer strides one by one while calm; back to every frame at a surprise."""
        if self.automatic:
            self.stride = min(self.stride + 1, self._most) if calm else 1


def _batches(video: Video, span: range, tracker: Tracker, pace: _Pace) -> Iterator[list[Frame]]:
    """The frames of the span, in lists as long as the pace says."""
    camera = CameraMotion()
    batch: list[Frame] = []
    for index, image in enumerate(video.frames(span.start, span.stop), span.start):
        step = camera.step(image, tracker.boxes_px())
        batch.append(Frame(index, float(video.times_s[index]), image, step))
        if len(batch) >= pace.stride or index == span.stop - 1:
            yield batch
            batch = []


class _Search:
    """Detection in whole frames; while nobody is known, now and then twice as fine.

    The plain look finds people from about a tenth of the picture up.  Once somebody is known,
    closer looks keep even a small person, so the dear fine look is only needed to begin.
    """

    def __init__(self, detector: PersonDetector) -> None:
        self._plain = detector
        self._fine = replace(detector, long_side_px=2 * detector.long_side_px)
        self._next_fine_s = -np.inf

    def detect(self, frame: Frame, tracker: Tracker) -> Detections:
        found = self._plain.detect(frame.image)
        clear = len(found) > 0 and found.scores.max() >= SURE_SCORE
        small_enough = max(frame.image.shape) > self._plain.long_side_px
        if clear or tracker.knows_somebody() or not small_enough:
            return found
        if frame.time_s < self._next_fine_s:
            return found
        self._next_fine_s = frame.time_s + _FINE_EVERY_S
        return merge(found, self._fine.detect(frame.image), self._plain.same_oks)


def _look(batch: list[Frame], search: _Search, tracker: Tracker, pace: _Pace) -> int:
    """Detect on the last frame, and on the others too if it surprises; returns how often."""
    ahead = search.detect(batch[-1], tracker)
    steps = [frame.step for frame in batch]
    calm = tracker.calm(batch[-1].time_s, steps, ahead, _TOLERANCE)
    each = pace.automatic and not calm
    for frame in batch[:-1]:
        tracker.update(frame, search.detect(frame, tracker) if each else None)
    tracker.update(batch[-1], ahead)
    pace.note(calm)
    return len(batch) if each else 1


def _closer(detector: PersonDetector) -> Callable[[np.ndarray, np.ndarray], Detections]:
    """Detection in a part of the picture, seen larger."""
    near = replace(detector, long_side_px=_CLOSER_LONG_SIDE_PX)

    def look(image: np.ndarray, window: np.ndarray) -> Detections:
        x0, y0, x1, y1 = window.tolist()
        found = near.detect(np.ascontiguousarray(image[y0:y1, x0:x1]))
        shift = np.array([x0, y0])
        keypoints = found.keypoints_px + np.append(shift, 0)
        return Detections(found.boxes_px + np.tile(shift, 2), found.scores, keypoints)

    return look


def summarise(
    video: Video, tracks: Sequence[Track], span: range | None = None
) -> list[TrackSummary]:
    """One summary per person, by rising number; reads one frame of the video for each.

    Args:
        video, span: what `find_people` searched.
        tracks: what it returned.
    """
    searched = len(video.times_s) if span is None else len(span)
    return [_summary(video, number, parts, searched) for number, parts in people(tracks).items()]


def _summary(video: Video, person: int, parts: list[Track], searched: int) -> TrackSummary:
    boxes = np.concatenate([part.boxes_px for part in parts])
    seen = sum(int(part.observed.sum()) for part in parts)
    return TrackSummary(
        person=person,
        frames=len(boxes),
        coverage=seen / searched,
        start_s=float(parts[0].times_s[0]),
        end_s=float(parts[-1].times_s[-1]),
        box_px=boxes.mean(0),
        thumbnail=_thumbnail(video, parts),
    )


def _thumbnail(video: Video, parts: list[Track]) -> np.ndarray:
    """The person on the frame where the key points are surest."""
    import cv2

    best = max(parts, key=lambda part: part.keypoints_px[..., 2].mean(1).max())
    row = int(np.argmax(best.keypoints_px[..., 2].mean(1) * best.observed))
    image = next(video.frames(int(best.frames[row]), int(best.frames[row]) + 1))
    x, y, side = best.boxes_px[row]
    limit = np.array(image.shape[1::-1])
    low = np.clip(np.floor([x - 0.55 * side, y - 0.55 * side]), 0, limit - 1).astype(int)
    high = np.clip(np.ceil([x + 0.55 * side, y + 0.55 * side]), low + 1, limit).astype(int)
    part = image[low[1] : high[1], low[0] : high[0]]
    factor = min(1.0, _THUMBNAIL_PX / part.shape[0])
    size = [max(1, round(n * factor)) for n in part.shape[1::-1]]
    return cv2.resize(part, size, interpolation=cv2.INTER_AREA)
