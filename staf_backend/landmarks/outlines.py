"""What of the picture is a person, a few times a second: the landmark network's own masks, kept."""

from dataclasses import dataclass

import numpy as np

from staf_backend.landmarks.crop import CROP_SIDE_PX, turn

CELLS = 64
"""Along an outline's side: four pixels of the crop each.  Chosen: a cell is about 3 cm."""
_RATE_HZ = 4.0
"""Of outlines that are kept.  Chosen: often enough to find the second in which a body is off."""
_MASK = 0.5
"""Share of a person in a cell from which it is theirs.  Chosen: likelier than not."""


@dataclass(frozen=True)
class Outline:
    """Cells of a crop that show a person.

    Attributes:
        packed: (512,) uint8 of `CELLS` x `CELLS` bits.
        square_px: (4,) where the crop lies, see `crop`.
    """

    packed: np.ndarray
    square_px: np.ndarray

    @property
    def cells(self) -> np.ndarray:
        """(CELLS, CELLS) bool."""
        return np.unpackbits(self.packed).reshape(CELLS, CELLS).astype(bool)

    def to_cells(self, points_px: np.ndarray) -> np.ndarray:
        """Image pixels (N, 2) as rows of columns and rows of cells, fractions of cells kept."""
        about = (points_px - self.square_px[:2]) @ turn(self.square_px[3])
        return (about / self.square_px[2] + 0.5) * CELLS


class Outlines:
    """Outlines of everybody in a shot, by person and frame.

    Args:
        fps: the footage's frames a second.
    """

    def __init__(self, fps: float = 30.0) -> None:
        self._stride = max(1, round(fps / _RATE_HZ))
        self._kept: dict[tuple[int, int], Outline] = {}

    def wants(self, frame: int) -> bool:
        """Whether those of a frame are kept."""
        return frame % self._stride == 0

    def keep(self, person: int, frame: int, mask: np.ndarray, square_px: np.ndarray) -> None:
        """One person's mask (256, 256), 0..1, and where its crop lies."""
        side = CROP_SIDE_PX // CELLS
        share = mask.reshape(CELLS, side, CELLS, side).mean((1, 3))
        self._kept[person, frame] = Outline(np.packbits(share > _MASK), square_px)

    def of(self, person: int, frame: int) -> Outline | None:
        """What was kept, if it was."""
        return self._kept.get((person, frame))
