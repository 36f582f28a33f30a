"""Landmarks of every tracked person, in one pass through a video."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from staf_backend.landmarks.crop import crop_image, steady_squares
from staf_backend.landmarks.names import COUNT
from staf_backend.landmarks.network import LandmarkNetwork, Landmarks
from staf_backend.landmarks.second_look import agreement, in_front, is_own, meet, painted
from staf_backend.people.track import Track
from staf_backend.runtime.workers import Job, Workers
from staf_backend.video import Picture, Video

_LEAST_PERSON = 0.5
"""Probability below which a crop shows nobody.  Chosen: likelier nobody than somebody."""
_FRAMES_A_THREAD = 2
"""That are looked at or wait for it.  Chosen: one of each."""


def landmarks_of(
    video: Video,
    tracks: Sequence[Track],
    network: LandmarkNetwork,
    progress: Callable[[int, int], None] | None = None,
    watch: Callable[[int, Picture], None] | None = None,
    others: Sequence[Track] = (),
    threads: int = 1,
) -> list[Landmarks]:
    """Landmarks of every track, in one pass through the video.

    Args:
        video: the footage.
        tracks: whom to look at; all of a frame's people go through the network together.
        network: finds landmarks in crops.
        progress: called with frames done and frames in all.
        watch: shown the number and the picture of every frame.
        others: people whose landmarks nobody wants; they are read where they may hide the wanted.
        threads: processors to use; they change no result.

    Returns:
        one per track, of the track's frames; NaN and no visibility where the network sees nobody,
        and for what would lie outside the picture.
    """
    everybody = [*tracks, *others]
    squares = [steady_squares(t.times_s, t.keypoints_px, t.boxes_px) for t in everybody]
    found = [_empty(len(track)) for track in tracks]
    first = min(int(track.frames[0]) for track in tracks)
    last = max(int(track.frames[-1]) for track in tracks) + 1
    with Workers(threads) as workers:
        reader = _Reader(everybody, len(tracks), squares, network, workers)
        with closing(video.in_advance(first, last, workers, reader.cut)) as cuts:
            readings = (reader.begin(index, cut, watch) for index, cut in enumerate(cuts, first))
            ahead = 0 if threads == 1 else _FRAMES_A_THREAD * threads
            for done, reading in enumerate(_begun_early(readings, ahead), 1):
                _keep_all(found, reading)
                if progress:
                    progress(done, last - first)
    return found


class _Cut(NamedTuple):
    """A frame's picture, who is to be read on it (see `_Reading`), where (N, 4), and the crops."""

    picture: Picture
    here: list[tuple[int, int]]
    squares_px: np.ndarray
    crops: np.ndarray


class _Reading(NamedTuple):
    """A frame that is looked at.

    Attributes:
        here: who is read, as numbers of tracks, and rows in them.
        look: at all of them; None where nobody is.
        shape: (H, W, 3) of the picture.
    """

    here: list[tuple[int, int]]
    look: Job[Landmarks] | None
    shape: tuple[int, ...]


@dataclass(frozen=True)
class _Reader:
    """Who is to be read, the wanted ones first, their squares (T, 4), and by what."""

    everybody: Sequence[Track]
    wanted: int
    squares_px: Sequence[np.ndarray]
    network: LandmarkNetwork
    workers: Workers

    def cut(self, index: int, picture: Picture) -> _Cut:
        """Cut out who is to be read on a frame."""
        here = _to_read(self.everybody, index, self.wanted)
        if not here:
            return _Cut(picture, here, np.empty((0, 4)), np.empty(0, np.uint8))
        squares = np.array([self.squares_px[i][row] for i, row in here])
        image = picture.rgb()
        crops = np.stack([crop_image(image, square) for square in squares])
        return _Cut(picture, here, squares, crops)

    def begin(
        self, index: int, cut: _Cut, watch: Callable[[int, Picture], None] | None
    ) -> _Reading:
        """Have a frame looked at."""
        if watch:
            watch(index, cut.picture)
        if not cut.here:
            return _Reading(cut.here, None, cut.picture.shape)
        keypoints = np.array([self.everybody[i].keypoints_px[row] for i, row in cut.here])
        look = partial(_look, cut.crops, cut.squares_px, keypoints, self.network)
        return _Reading(cut.here, self.workers.job(look), cut.picture.shape)


def _begun_early(readings: Iterator[_Reading], ahead: int) -> Iterator[_Reading]:
    """The same in order; so many more have begun when one is handed out."""
    waiting: deque[_Reading] = deque()
    for reading in readings:
        waiting.append(reading)
        if len(waiting) > ahead:
            yield waiting.popleft()
    yield from waiting


def _keep_all(found: Sequence[Landmarks], reading: _Reading) -> None:
    """Store what was seen of the wanted ones."""
    if reading.look is None:
        return
    seen = reading.look.result()
    outside = _outside(seen.points_px, reading.shape)
    for n, (i, row) in enumerate(reading.here):
        if i < len(found):
            _keep(found[i], row, seen, n, outside[n])


def _to_read(everybody: Sequence[Track], index: int, wanted: int) -> list[tuple[int, int]]:
    """Who is read on a frame, and the row of their track: the wanted, and whom they meet.

    Args:
        everybody: the wanted ones first.
        index: number of the frame.
        wanted: how many are wanted.
    """
    rows = [(i, index - int(t.frames[0])) for i, t in enumerate(everybody)]
    here = [(i, row) for i, row in rows if 0 <= row < len(everybody[i])]
    main = [everybody[i].keypoints_px[row] for i, row in here if i < wanted]
    return [
        (i, row)
        for i, row in here
        if i < wanted or any(meet(everybody[i].keypoints_px[row], one) for one in main)
    ]


def _look(
    crops: np.ndarray, squares_px: np.ndarray, keypoints_px: np.ndarray, network: LandmarkNetwork
) -> Landmarks:
    """Landmarks of N people of a frame in their crops; whom others hide is looked at twice.

    Who is nearer to somebody else's key points even then counts as not there.
    """
    seen, masks = network.with_masks(crops, squares_px)
    if len(crops) == 1:
        return seen
    agreed = agreement(seen, keypoints_px)
    for n, others in enumerate(in_front(agreed, keypoints_px)):
        crop = painted(crops[n], squares_px[n], masks[others], squares_px[others])
        if crop is not None:
            _replace(seen, n, network(crop[None], squares_px[n : n + 1]))
    seen.person[~is_own(agreement(seen, keypoints_px))] = 0
    return seen


def _replace(seen: Landmarks, n: int, again: Landmarks) -> None:
    """Person n's landmarks by those of another look at them alone."""
    for name in ("points_px", "world_m", "visibility", "person"):
        getattr(seen, name)[n] = getattr(again, name)[0]


def _empty(frames: int) -> Landmarks:
    """Nothing seen; 4-byte floats, since a clip may be long."""
    shapes = ((COUNT, 2), (COUNT, 3), (COUNT,), ())
    arrays = [np.full((frames, *shape), np.nan, np.float32) for shape in shapes]
    return Landmarks(*arrays)


def _outside(points_px: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Which points (N, 33, 2) lie beside a picture of the shape (H, W, 3): they are invented."""
    limit = np.array(shape[1::-1])
    return np.any((points_px < 0) | (points_px > limit), axis=-1)


def _keep(track: Landmarks, row: int, seen: Landmarks, n: int, outside: np.ndarray) -> None:
    """Store crop n's landmarks as the track's frame `row`, unless no person is in the crop.

    Landmarks `outside` (33,) the picture count as not found.
    """
    track.person[row] = seen.person[n]
    present = seen.person[n] >= _LEAST_PERSON
    track.visibility[row] = seen.visibility[n] if present else 0
    if present:
        track.points_px[row] = seen.points_px[n]
        track.world_m[row] = seen.world_m[n]
        track.points_px[row, outside] = track.world_m[row, outside] = np.nan
        track.visibility[row, outside] = 0
