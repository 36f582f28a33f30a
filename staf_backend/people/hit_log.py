"""Where and when one person was seen: rows that stay small, since a clip may be long."""

import numpy as np

ROW = np.dtype(
    [
        ("frame", np.int64),
        ("time_s", np.float64),
        ("box_px", np.float64, 4),
        ("keypoints_px", np.float32, (17, 3)),
        ("score", np.float64),
    ]
)
"""One sighting: box x0, y0, x1, y1 and COCO's key points x, y, score, in pixels."""
_BLOCK = 512


class HitLog:
    """Sightings in the order of their frames, kept in blocks that are never copied."""

    def __init__(self) -> None:
        self._blocks: list[np.ndarray] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(
        self,
        frame: int,
        time_s: float,
        box_px: np.ndarray,
        keypoints_px: np.ndarray,
        score: float,
    ) -> None:
        """One more; see `ROW`."""
        place = self._count % _BLOCK
        if place == 0:
            self._blocks.append(np.empty(_BLOCK, ROW))
        self._blocks[-1][place] = (frame, time_s, box_px, keypoints_px, score)
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
        return self._blocks[-1][(self._count - 1) % _BLOCK]
