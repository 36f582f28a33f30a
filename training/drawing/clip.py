"""The main person of a clip as the network sees them: stretches of crops, read once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from staf_backend.people import Track
from staf_backend.staf import CROP_PX, cut, squares_around
from staf_backend.video import Video

LARGE = 3
"""The picture of a figure is so many times as wide as the network's crop.  Chosen: for the eye."""


@dataclass(frozen=True)
class Stretch:
    """Frames that one window after another may cross.

    Attributes:
        frames: (T,) numbers of the video's frames, rising.
        times_s: (T,) their times.
        boxes_px: (T, 3) centre x, centre y and side of the square around the person.
    """

    frames: np.ndarray
    times_s: np.ndarray
    boxes_px: np.ndarray

    def __len__(self) -> int:
        return len(self.frames)

    def window(self, frame: int, length: int) -> np.ndarray | None:
        """Numbers of the frames of the window about a frame; None where it does not fit."""
        row, half = int(np.searchsorted(self.frames, frame)), length // 2
        if row >= len(self) or self.frames[row] != frame:
            return None
        return self.frames[row - half : row + half + 1] if half <= row < len(self) - half else None


@dataclass
class Kept:
    """What a pass through the video keeps for figures of single frames.

    Attributes:
        wanted: frames whose crops are kept.
        pictured: the frame that is kept large as well.
        factor: side of the large picture over that of the person's box.
        crops: (224, 224, 3) uint8 by crop factor and frame.
        picture: (672, 672, 3) uint8 of `pictured`.
    """

    wanted: frozenset[int]
    pictured: int
    factor: float
    crops: dict[tuple[float, int], np.ndarray] = field(default_factory=dict)
    picture: np.ndarray | None = None

    @property
    def complete(self) -> bool:
        """Whether all wanted frames have been seen."""
        return self.wanted <= {frame for _, frame in self.crops}

    def see(
        self, frame: int, cuts: Mapping[float, np.ndarray], image: np.ndarray, box_px: np.ndarray
    ) -> None:
        """One frame of the pass."""
        if frame in self.wanted:
            self.crops |= {(factor, frame): crop for factor, crop in cuts.items()}
        if frame == self.pictured:
            self.picture = _large(image, squares_around(box_px[None], self.factor)[0])


def main_person(tracks: Sequence[Track], keep_cut: bool) -> list[Stretch]:
    """The main person at each time, by time.

    Args:
        tracks: the main person first.
        keep_cut: take who is seen after a cut for the same person, so that windows cross it.
    """
    chosen: list[Track] = []
    for track in tracks:
        if all(track.frames[-1] < t.frames[0] or t.frames[-1] < track.frames[0] for t in chosen):
            chosen.append(track)
    chosen.sort(key=lambda track: int(track.frames[0]))
    return [_stretch(chosen)] if keep_cut else [_stretch([track]) for track in chosen]


def crops(
    video: Video, stretch: Stretch, factors: Iterable[float], kept: Kept
) -> Iterator[dict[float, np.ndarray]]:
    """The crops (224, 224, 3) uint8 of a stretch by crop factor, frame after frame.

    Raises:
        VideoError: the footage is damaged.
    """
    squares = {factor: squares_around(stretch.boxes_px, factor) for factor in set(factors)}
    first, last = int(stretch.frames[0]), int(stretch.frames[-1]) + 1
    row = 0
    for frame, image in enumerate(video.frames(first, last), first):
        if frame == stretch.frames[row]:
            cuts = {factor: cut(image, square[row]) for factor, square in squares.items()}
            kept.see(frame, cuts, image, stretch.boxes_px[row])
            row += 1
            yield cuts


def _stretch(tracks: Sequence[Track]) -> Stretch:
    return Stretch(
        np.concatenate([track.frames for track in tracks]),
        np.concatenate([track.times_s for track in tracks]),
        np.concatenate([track.boxes_px for track in tracks]),
    )


def _large(image: np.ndarray, square_px: np.ndarray) -> np.ndarray:
    """The square of a picture at `LARGE` times the crop's size."""
    import cv2

    side = LARGE * CROP_PX
    scale = side / square_px[2]
    shift = side / 2 - scale * (np.asarray(square_px[:2]) - 0.5) - 0.5
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    return cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_LINEAR)
