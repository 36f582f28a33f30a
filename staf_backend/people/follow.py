"""Drive a video through the detector and the tracker: from frames to finished tracks.

    frames ──► camera step ──► look at the last of a batch ──► all as expected?
                                yes: the tracker takes the batch with this one look
                                no:  the frames between are looked at as well, before anything
                                     was decided on them

Detection costs most, so the batch is as long as the motion allows (`pace`).  Where there are more
processors than one, looks that will probably be needed next are taken meanwhile (`read_ahead`).
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate

from staf_backend.people.appearance import AppearanceNetwork
from staf_backend.people.camera_motion import CameraMotion
from staf_backend.people.detect import PersonDetector
from staf_backend.people.hits import Frame
from staf_backend.people.join import finish
from staf_backend.people.pace import Pace, is_as_expected
from staf_backend.people.read_ahead import Coming, ReadAhead, read_ahead
from staf_backend.people.search import FrameSearch, window_search
from staf_backend.people.track import Track
from staf_backend.people.tracker import Tracker
from staf_backend.runtime import Workers
from staf_backend.video import Video

_log = logging.getLogger(__name__)

_BATCHES_AHEAD = 2
"""Whose looks are begun before their turn.  Chosen: a look takes longer than all else of a batch,
so there is always one that waits."""


def find_people(
    video: Video,
    detector: PersonDetector,
    span: range | None = None,
    *,
    every: int | str = "auto",
    progress: Callable[[int, int], None] | None = None,
    threads: int = 1,
    appearance: AppearanceNetwork | None = None,
) -> list[Track]:
    """Everybody in a stretch of a video, the main person first.

    Args:
        video: the footage.
        detector: finds people in one frame.
        span: consecutive frame numbers, as from `Video.span`; None is the whole clip.
        every: run the detector on every n-th frame, or "auto": as often as the motion asks.
        progress: called with the number of frames done and of all frames.
        threads: processors to use; they change no result.
        appearance: tells people apart by more than the colours of their clothes.

    Raises:
        NobodyError: nobody was found, or nobody long enough.
        VideoError: the footage is damaged.
    """
    span = range(len(video.times_s)) if span is None else span
    if every != "auto" and not (isinstance(every, int) and every > 0):
        raise ValueError(f'every must be "auto" or a positive number, not {every!r}')
    tracker = Tracker(window_search(detector), appearance)
    pace = Pace(every, video.fps)
    search = FrameSearch(detector)
    looked = 0
    with Workers(threads) as workers, read_ahead(video, span, detector, workers) as ahead:
        for batch in _batches(ahead, video, span, tracker, pace):
            looked += _follow(batch, search, tracker, pace)
            if progress is not None:
                progress(batch.frames[-1].index + 1 - span.start, len(span))
    _log.info("looked for people on %d of %d frames", looked, len(span))
    return finish(tracker)


@dataclass(frozen=True)
class _Batch:
    """Frames to follow people through, with the pictures that were read ahead."""

    frames: list[Frame]
    pictures: list[Coming]
    ahead: ReadAhead


def _batches(
    ahead: ReadAhead, video: Video, span: range, tracker: Tracker, pace: Pace
) -> Iterator[_Batch]:
    """The frames of the span, in lists as long as the pace says."""
    camera, index = CameraMotion(), span.start
    while ahead.left:
        pictures = ahead.take(pace.stride)
        ahead.look(pictures[-1])
        ahead.expect(end - 1 for end in accumulate(pace.forecast(_BATCHES_AHEAD)))
        frames = []
        for coming in pictures:
            step = camera.step_to(coming.grey, coming.picture.shape, tracker.boxes_px())
            frames.append(Frame(index, float(video.times_s[index]), coming.picture, step))
            index += 1
        yield _Batch(frames, pictures, ahead)


def _follow(batch: _Batch, search: FrameSearch, tracker: Tracker, pace: Pace) -> int:
    """Detect on the last frame, on the others too unless it is as expected; returns how often."""
    looks, last = batch.ahead.look, batch.frames[-1]
    ahead = search.detect(last, tracker.knows_somebody(), looks(batch.pictures[-1]).result())
    steps = [frame.step for frame in batch.frames]
    expected = is_as_expected(tracker.active, last.time_s, steps, ahead)
    each = pace.automatic and not expected
    for picture in batch.pictures[:-1]:
        if each:
            looks(picture)
        else:
            batch.ahead.forget(picture)
    for frame, picture in zip(batch.frames[:-1], batch.pictures[:-1], strict=True):
        plain = looks(picture).result() if each else None
        found = search.detect(frame, tracker.knows_somebody(), plain) if each else None
        tracker.update(frame, found)
    tracker.update(last, ahead)
    pace.note(expected)
    return len(batch.frames) if each else 1
