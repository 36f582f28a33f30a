"""Landmarks of every tracked person, in one pass through a video."""

from collections.abc import Callable, Sequence

import numpy as np

from staf_backend.landmarks.crop import crop_image, steady_squares
from staf_backend.landmarks.names import COUNT
from staf_backend.landmarks.network import LandmarkNetwork, Landmarks
from staf_backend.landmarks.second_look import agreement, in_front, is_own, meet, painted
from staf_backend.people.track import Track
from staf_backend.video.video import Video

_LEAST_PERSON = 0.5
"""Probability below which a crop shows nobody.  Chosen: likelier nobody than somebody."""


def landmarks_of(
    video: Video,
    tracks: Sequence[Track],
    network: LandmarkNetwork,
    progress: Callable[[int, int], None] | None = None,
    watch: Callable[[int, np.ndarray], None] | None = None,
    others: Sequence[Track] = (),
) -> list[Landmarks]:
    """Landmarks of every track, in one pass through the video.

    Args:
        video: the footage.
        tracks: whom to look at; all of a frame's people go through the network together.
        network: finds landmarks in crops.
        progress: called with frames done and frames in all.
        watch: shown the number and the (H, W, 3) picture of every frame.
        others: people whose landmarks nobody wants; they are read where they may hide the wanted.

    Returns:
        one per track, of the track's frames; NaN and no visibility where the network sees nobody,
        and for what would lie outside the picture.
    """
    everybody = [*tracks, *others]
    squares = [steady_squares(t.times_s, t.keypoints_px, t.boxes_px) for t in everybody]
    found = [_empty(len(track)) for track in tracks]
    first = min(int(track.frames[0]) for track in tracks)
    last = max(int(track.frames[-1]) for track in tracks) + 1
    for index, image in enumerate(video.frames(first, last), first):
        if watch:
            watch(index, image)
        here = _to_read(everybody, index, len(tracks))
        if here:
            some = np.array([squares[i][row] for i, row in here])
            keypoints = np.array([everybody[i].keypoints_px[row] for i, row in here])
            seen = _look(image, some, keypoints, network)
            outside = _outside(seen.points_px, image.shape)
            for n, (i, row) in enumerate(here):
                if i < len(tracks):
                    _keep(found[i], row, seen, n, outside[n])
        if progress:
            progress(index + 1 - first, last - first)
    return found


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
    image: np.ndarray, squares_px: np.ndarray, keypoints_px: np.ndarray, network: LandmarkNetwork
) -> Landmarks:
    """Landmarks of N people of a frame; whom others hide is looked at twice.

    Who is nearer to somebody else's key points even then counts as not there.
    """
    crops = np.stack([crop_image(image, square) for square in squares_px])
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
