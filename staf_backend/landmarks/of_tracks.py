"""Landmarks of every tracked person, in one pass through a video."""

from collections.abc import Callable, Sequence

import numpy as np

from staf_backend.landmarks.crop import crop_image, steady_squares
from staf_backend.landmarks.names import COUNT
from staf_backend.landmarks.network import LandmarkNetwork, Landmarks
from staf_backend.people.track import Track
from staf_backend.video.video import Video

_LEAST_PERSON = 0.5
"""Probability below which a crop shows nobody.  Chosen: likelier nobody than somebody."""


def landmarks_of(
    video: Video,
    tracks: Sequence[Track],
    network: LandmarkNetwork,
    progress: Callable[[int, int], None] | None = None,
) -> list[Landmarks]:
    """Landmarks of every track, in one pass through the video.

    Args:
        video: the footage.
        tracks: whom to look at; all of a frame's people go through the network together.
        network: finds landmarks in crops.
        progress: called with frames done and frames in all.

    Returns:
        one per track, of the track's frames; NaN and no visibility where the network sees nobody.
    """
    squares = [steady_squares(t.times_s, t.keypoints_px, t.boxes_px) for t in tracks]
    found = [_empty(len(track)) for track in tracks]
    first = min(int(track.frames[0]) for track in tracks)
    last = max(int(track.frames[-1]) for track in tracks) + 1
    for index, image in enumerate(video.frames(first, last), first):
        here = [(i, index - int(t.frames[0])) for i, t in enumerate(tracks)]
        here = [(i, row) for i, row in here if 0 <= row < len(tracks[i])]
        if here:
            some = np.array([squares[i][row] for i, row in here])
            seen = network(np.stack([crop_image(image, square) for square in some]), some)
            for n, (i, row) in enumerate(here):
                _keep(found[i], row, seen, n)
        if progress:
            progress(index + 1 - first, last - first)
    return found


def _empty(frames: int) -> Landmarks:
    """Nothing seen; 4-byte floats, since a clip may be long."""
    shapes = ((COUNT, 2), (COUNT, 3), (COUNT,), ())
    arrays = [np.full((frames, *shape), np.nan, np.float32) for shape in shapes]
    return Landmarks(*arrays)


def _keep(track: Landmarks, row: int, seen: Landmarks, n: int) -> None:
    """Store crop n's landmarks as the track's frame `row`, unless no person is in the crop."""
    track.person[row] = seen.person[n]
    present = seen.person[n] >= _LEAST_PERSON
    track.visibility[row] = seen.visibility[n] if present else 0
    if present:
        track.points_px[row] = seen.points_px[n]
        track.world_m[row] = seen.world_m[n]
