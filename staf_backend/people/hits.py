"""Where and when people were seen: `Frame` --> `Hit` --> `HitLog`, one for each person."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from staf_backend.people.appearance import AppearanceNetwork
from staf_backend.people.camera_motion import STILL, Step
from staf_backend.people.clothes import clothes_histograms
from staf_backend.people.detections import Detections
from staf_backend.people.keypoints import COUNT
from staf_backend.video import Picture


@dataclass(frozen=True)
class Frame:
    """One frame of the video: number, time, picture, and the camera's step to it."""

    index: int
    time_s: float
    picture: Picture
    step: Step = STILL

    @property
    def image(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""
        return self.picture.rgb()


@dataclass(frozen=True)
class Look:
    """Somebody on a frame, whose appearance is read when it is first asked for."""

    frame: Frame
    keypoints_px: np.ndarray
    network: AppearanceNetwork

    @cached_property
    def vector(self) -> np.ndarray:
        """(D,) of unit length."""
        return self.network(self.frame.image, self.keypoints_px)


@dataclass(frozen=True, slots=True)
class Hit:
    """One person on one frame.

    Attributes:
        frame, time_s: the frame's number and time.
        box_px: (4,) x0, y0, x1, y1.
        keypoints_px: (17, 3) x, y and a score 0..1.
        score: 0..1, how surely it is a person.
        clothes: (2, 216) colour histograms.
        look: for what clothes do not tell; None where there is no network.
    """

    frame: int
    time_s: float
    box_px: np.ndarray
    keypoints_px: np.ndarray
    score: float
    clothes: np.ndarray
    look: Look | None = None


def hits_of(
    frame: Frame, found: Detections, appearance: AppearanceNetwork | None = None
) -> list[Hit]:
    """The people found on a frame, with the colours of their clothes, and their looks."""
    return [
        Hit(
            frame.index,
            frame.time_s,
            box,
            keypoints,
            float(score),
            clothes_histograms(frame.image, keypoints),
            Look(frame, keypoints, appearance) if appearance else None,
        )
        for box, keypoints, score in zip(
            found.boxes_px, found.keypoints_px, found.scores, strict=True
        )
    ]


ROW = np.dtype(
    [
        ("frame", np.int64),
        ("time_s", np.float64),
        ("box_px", np.float64, 4),
        ("keypoints_px", np.float32, (COUNT, 3)),
        ("score", np.float64),
    ]
)
"""One hit: box x0, y0, x1, y1 and COCO's key points x, y, score, in pixels."""
_BLOCK_ROWS = 512
"""Chosen: about 130 kB, a quarter of a minute of one person."""


class HitLog:
    """Hits in the order of their frames, kept in blocks that are never copied."""

    def __init__(self) -> None:
        self._blocks: list[np.ndarray] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, hit: Hit) -> None:
        """One more; its clothes are not kept."""
        row = self._count % _BLOCK_ROWS
        if row == 0:
            self._blocks.append(np.empty(_BLOCK_ROWS, ROW))
        self._blocks[-1][row] = (hit.frame, hit.time_s, hit.box_px, hit.keypoints_px, hit.score)
        self._count += 1

    def rows(self) -> np.ndarray:
        """(N,) of `ROW`, a copy."""
        return np.concatenate(self._blocks or [np.empty(0, ROW)])[: self._count]

    @property
    def first(self) -> np.void:
        """The first row."""
        return self._blocks[0][0]

    @property
    def last(self) -> np.void:
        """The last row."""
        return self._blocks[-1][(self._count - 1) % _BLOCK_ROWS]
