"""The frames of a stretch of video in order, and plain looks at them that begin before their turn.

    video ──decode, shrink──► pictures that wait ──take──► a batch
                                   └── jobs: plain looks at those that will probably be asked for

What a plain look finds depends on the picture alone, so it changes nothing when it was taken.
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np

from staf_backend.people.camera_motion import small_grey
from staf_backend.people.detect import PersonDetector
from staf_backend.people.detections import Detections
from staf_backend.runtime import Job, Workers
from staf_backend.video import KeptPicture, Picture, Video

_MOST_BYTES = 64_000_000
"""Of RGB that waits for its batch.  Chosen: ten pictures of 1080p, two of 4K."""


@dataclass
class Coming:
    """A frame on its way to the tracker.

    Attributes:
        picture: of the frame; its RGB is made where it is looked at.
        grey: (h, w) uint8, see `camera_motion.small_grey`.
        look: the plain look at it, once somebody wants it.
    """

    picture: Picture
    grey: np.ndarray
    look: Job[Detections] | None = None


class ReadAhead:
    """Pictures in order; some of those that come next are looked at in advance."""

    def __init__(
        self, pictures: Iterator[Coming], left: int, detector: PersonDetector, workers: Workers
    ) -> None:
        """`left` is the number of pictures."""
        self._pictures, self.left = pictures, left
        self._detector, self._workers = detector, workers
        self._waiting: deque[Coming] = deque()

    def take(self, count: int) -> list[Coming]:
        """The next `count`, or as many as are left."""
        count = min(count, self.left)
        self._wait_for(count)
        self.left -= count
        return [self._waiting.popleft() for _ in range(count)]

    def look(self, picture: Coming) -> Job[Detections]:
        """The plain look at a picture, begun if it is not yet."""
        if picture.look is None:
            picture.look = self._workers.job(partial(self._detector.look, picture.picture))
        return picture.look

    def expect(self, places: Iterable[int]) -> None:
        """Look in advance at the pictures that come in so many places, 0 the next, and no others.

        Only where there is somebody to do it, and memory.
        """
        if self._workers.threads == 1:
            return
        wanted = {place for place in places if place < self.left}
        for place in sorted(wanted):
            if self._has_room(place + 1):
                self._wait_for(place + 1)
                self.look(self._waiting[place])
        for place, picture in enumerate(self._waiting):
            if place not in wanted:
                self.forget(picture)

    def forget(self, picture: Coming) -> None:
        """Nobody wants a look at this picture, unless it is begun already."""
        if picture.look is not None and self._workers.drop(picture.look):
            picture.look = None

    def _has_room(self, count: int) -> bool:
        return not self._waiting or count * math.prod(self._waiting[0].picture.shape) <= _MOST_BYTES

    def _wait_for(self, count: int) -> None:
        while len(self._waiting) < count:
            self._waiting.append(next(self._pictures))


@contextmanager
def read_ahead(
    video: Video, span: range, detector: PersonDetector, workers: Workers
) -> Iterator[ReadAhead]:
    """The frames `span` of a video, while the block lasts."""
    pictures = video.in_advance(span.start, span.stop, workers, _coming)
    with closing(pictures):
        yield ReadAhead(pictures, len(span), detector, workers)


def _coming(_index: int, picture: Picture) -> Coming:
    return Coming(KeptPicture(picture), small_grey(picture))
