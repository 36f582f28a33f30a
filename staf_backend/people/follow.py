"""Drive a video through the detector and the tracker: from frames to finished tracks.

    frames ──► camera step ──► look at the last of a batch ──► all as expected?
                                yes: the tracker takes the batch with this one look
                                no:  the frames between are looked at as well, before anything
                                     was decided on them

Detection costs most, so the batch is as long as the motion allows (`pace`).
"""

import logging
from collections.abc import Callable, Iterator

from staf_backend.people.camera_motion import CameraMotion
from staf_backend.people.detect import PersonDetector
from staf_backend.people.hits import Frame
from staf_backend.people.join import finish
from staf_backend.people.pace import Pace, is_as_expected
from staf_backend.people.search import FrameSearch, window_search
from staf_backend.people.track import Track
from staf_backend.people.tracker import Tracker
from staf_backend.video.video import Video

_log = logging.getLogger(__name__)


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
    tracker = Tracker(window_search(detector))
    pace = Pace(every, video.fps)
    search = FrameSearch(detector)
    looked = 0
    for batch in _batches(video, span, tracker, pace):
        looked += _follow(batch, search, tracker, pace)
        if progress is not None:
            progress(batch[-1].index + 1 - span.start, len(span))
    _log.info("looked for people on %d of %d frames", looked, len(span))
    return finish(tracker)


def _batches(video: Video, span: range, tracker: Tracker, pace: Pace) -> Iterator[list[Frame]]:
    """The frames of the span, in lists as long as the pace says."""
    camera = CameraMotion()
    batch: list[Frame] = []
    for index, image in enumerate(video.frames(span.start, span.stop), span.start):
        step = camera.step(image, tracker.boxes_px())
        batch.append(Frame(index, float(video.times_s[index]), image, step))
        if len(batch) >= pace.stride or index == span.stop - 1:
            yield batch
            batch = []


def _follow(batch: list[Frame], search: FrameSearch, tracker: Tracker, pace: Pace) -> int:
    """Detect on the last frame, on the others too unless it is as expected; returns how often."""
    ahead = search.detect(batch[-1], tracker.knows_somebody())
    steps = [frame.step for frame in batch]
    expected = is_as_expected(tracker.active, batch[-1].time_s, steps, ahead)
    each = pace.automatic and not expected
    for frame in batch[:-1]:
        found = search.detect(frame, tracker.knows_somebody()) if each else None
        tracker.update(frame, found)
    tracker.update(batch[-1], ahead)
    pace.note(expected)
    return len(batch) if each else 1
