"""How a stored picture is turned to stand upright, from a display matrix or from EXIF.

Cameras store what the sensor saw and note how the device was held.  Both notes are one of the
eight turns and mirrorings of a rectangle, written here as "swap the axes, then flip":

    stored (x right, y down) --swap--> (y, x) --flip_x--> --flip_y--> upright
"""

import struct
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Upright:
    """Swap of the axes first, then the flips along the new x and the new y."""

    swap: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @property
    def mirrored(self) -> bool:
        """Whether left and right are exchanged: an odd number of swaps and flips."""
        return self.swap ^ self.flip_x ^ self.flip_y

    @property
    def clockwise_deg(self) -> int:
        """Clockwise turn (0, 90, 180, 270); a mirrored picture is mirrored in x after it."""
        flip_x = self.flip_x ^ self.mirrored
        return {(0, 0): 0, (1, 1): 90, (0, 1): 180, (1, 0): 270}[(self.swap, flip_x)]

    def size(self, width_px: int, height_px: int) -> tuple[int, int]:
        """Width and height after turning a picture of the given width and height."""
        return (height_px, width_px) if self.swap else (width_px, height_px)

    def apply(self, image: np.ndarray) -> np.ndarray:
        """The stored picture (H, W, 3), or (H, W), turned upright."""
        import cv2

        if self.swap:
            image = cv2.transpose(image)
        if self.flip_x or self.flip_y:
            image = cv2.flip(image, {(1, 0): 1, (0, 1): 0, (1, 1): -1}[(self.flip_x, self.flip_y)])
        return image


def from_display_matrix(data: bytes) -> Upright:
    """The turn of a display matrix: nine int32, row by row, as in an MP4 track header.

    A stored point (x, y) is shown at (a x + c y, b x + d y), with a, b, c, d the matrix's entries
    0, 1, 3, 4 (ISO/IEC 14496-12, 8.3.2).  Other angles than quarter turns go to the nearest one.
    """
    values = struct.unpack("=9i", data[:36])
    a, b, c, d = values[0], values[1], values[3], values[4]
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Upright(False, a < 0, d < 0)
    return Upright(True, c < 0, b < 0)


def from_exif(orientation: int) -> Upright:
    """The turn of an EXIF orientation 1..8; anything else is taken as upright, as viewers do."""
    table = {
        2: Upright(flip_x=True),
        3: Upright(flip_x=True, flip_y=True),
        4: Upright(flip_y=True),
        5: Upright(swap=True),
        6: Upright(swap=True, flip_x=True),
        7: Upright(swap=True, flip_x=True, flip_y=True),
        8: Upright(swap=True, flip_y=True),
    }
    return table.get(orientation, Upright())
