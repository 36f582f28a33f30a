"""What a user needs to see to choose a person: when they are seen, where, and a picture."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from staf_backend.people.track import Track, people
from staf_backend.video import Video

_THUMBNAIL_PX = 160
"""Greatest height.  Chosen: several fit beside each other on a screen."""
_MARGIN = 0.55
"""Half of the picture's side over the person's box.  Chosen: a twentieth of room on each side."""


@dataclass(frozen=True)
class TrackSummary:
    """What a user needs to see to choose a person.

    Attributes:
        person: number from 1.
        frames: how many frames the person's tracks cover.
        coverage: share 0..1 of the searched frames on which the person was really seen.
        start_s, end_s: time of the first and of the last of these frames.
        box_px: (3,) mean centre x, y and side.
        thumbnail: (h, w, 3) uint8 RGB picture of the person, at most 160 pixels high.
    """

    person: int
    frames: int
    coverage: float
    start_s: float
    end_s: float
    box_px: np.ndarray
    thumbnail: np.ndarray


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
    low = np.clip(np.floor([x - _MARGIN * side, y - _MARGIN * side]), 0, limit - 1).astype(int)
    high = np.clip(np.ceil([x + _MARGIN * side, y + _MARGIN * side]), low + 1, limit).astype(int)
    part = image[low[1] : high[1], low[0] : high[0]]
    factor = min(1.0, _THUMBNAIL_PX / part.shape[0])
    size = [max(1, round(n * factor)) for n in part.shape[1::-1]]
    return cv2.resize(part, size, interpolation=cv2.INTER_AREA)
