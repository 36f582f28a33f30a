"""Landmarks of every tracked person, in one pass through a video."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from staf_backend.files import STRETCH, give_back_pages, long_array, stretches
from staf_backend.landmarks.crop import crop_image, steady_squares
from staf_backend.landmarks.names import COUNT
from staf_backend.landmarks.network import LandmarkNetwork, Landmarks, Mask
from staf_backend.landmarks.outlines import Outlines
from staf_backend.landmarks.second_look import agreement, hides, in_front, is_own, meet, painted
from staf_backend.people import Track
from staf_backend.runtime import Job, Workers
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
    outlines: Outlines | None = None,
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
        outlines: keep what the network sees of the wanted ones; None: nobody does.

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
        reader = _Reader(everybody, len(tracks), squares, network, workers, outlines)
        with closing(video.in_advance(first, last, workers, reader.cut)) as cuts:
            readings = (reader.begin(index, cut, watch) for index, cut in enumerate(cuts, first))
            ahead = 0 if threads == 1 else _FRAMES_A_THREAD * threads
            for done, reading in enumerate(_begun_early(readings, ahead), 1):
                _keep_all(found, reading)
                if done % STRETCH == 0:
                    give_back_pages()
                if outlines and outlines.wants(reading.frame):
                    _keep_outlines(outlines, tracks, reading)
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
        frame: its number.
        here: who is read, as numbers of tracks, and rows in them.
        squares_px: (N, 4) their crops.
        look: at all of them, with their masks where outlines are kept; None where nobody is.
        shape: (H, W, 3) of the picture.
    """

    frame: int
    here: list[tuple[int, int]]
    squares_px: np.ndarray
    look: Job[tuple[Landmarks, list[Mask]]] | None
    shape: tuple[int, ...]


@dataclass(frozen=True)
class _Reader:
    """Who is to be read, the wanted ones first, their squares (T, 4), by what, and what is kept."""

    everybody: Sequence[Track]
    wanted: int
    squares_px: Sequence[np.ndarray]
    network: LandmarkNetwork
    workers: Workers
    outlines: Outlines | None

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
            return _Reading(index, cut.here, cut.squares_px, None, cut.picture.shape)
        keypoints = np.array([self.everybody[i].keypoints_px[row] for i, row in cut.here])
        masks = self.outlines is not None and self.outlines.wants(index)
        look = partial(_look, cut.crops, cut.squares_px, keypoints, self.network, masks)
        job = self.workers.job(look)
        return _Reading(index, cut.here, cut.squares_px, job, cut.picture.shape)


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
    seen, _ = reading.look.result()
    outside = _outside(seen.points_px, reading.shape)
    for n, (i, row) in enumerate(reading.here):
        if i < len(found):
            _keep(found[i], row, seen, n, outside[n])


def _keep_outlines(outlines: Outlines, tracks: Sequence[Track], reading: _Reading) -> None:
    """Keep the masks of the wanted ones who are seen."""
    if reading.look is None:
        return
    seen, masks = reading.look.result()
    for n, (i, _) in enumerate(reading.here):
        if i < len(tracks) and seen.person[n] >= _LEAST_PERSON:
            outlines.keep(tracks[i].person, reading.frame, masks[n].pixels, reading.squares_px[n])


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
    crops: np.ndarray,
    squares_px: np.ndarray,
    keypoints_px: np.ndarray,
    network: LandmarkNetwork,
    keep_masks: bool,
) -> tuple[Landmarks, list[Mask]]:
    """Landmarks and masks of a frame's people; whom others hide is looked at twice.

    Who is nearer to somebody else's key points even then counts as not there.
    """
    seen, masks = network.with_masks(crops, squares_px)
    if len(crops) == 1:
        return seen, masks if keep_masks else []
    agreed = agreement(seen, keypoints_px)
    looked_again: list[tuple[int, Mask]] = []
    for n, meeting in enumerate(in_front(agreed, keypoints_px)):
        own = seen.points_px[n], keypoints_px[n]
        others = [m for m in meeting if hides(masks[m].pixels, squares_px[m], *own)]
        theirs = [masks[m].pixels for m in others]
        crop = painted(crops[n], squares_px[n], theirs, squares_px[others])
        if crop is not None:
            again, their_masks = network.with_masks(crop[None], squares_px[n : n + 1])
            _replace(seen, n, again)
            looked_again.append((n, their_masks[0]))
    for n, mask in looked_again:  # only now: whoever is painted out is so as first seen
        masks[n] = mask
    seen.person[~is_own(agreement(seen, keypoints_px))] = 0
    return seen, masks if keep_masks else []


def _replace(seen: Landmarks, n: int, again: Landmarks) -> None:
    """Person n's landmarks by those of another look at them alone."""
    for name in ("points_px", "world_m", "visibility", "person"):
        getattr(seen, name)[n] = getattr(again, name)[0]


def _empty(frames: int) -> Landmarks:
    """Nothing seen; 4-byte floats, since a clip may be long."""
    arrays = [long_array((frames, *shape)) for shape in ((COUNT, 2), (COUNT, 3), (COUNT,), ())]
    for rows in stretches(frames):
        for array in arrays:
            array[rows] = np.nan
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
