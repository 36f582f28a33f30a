"""A picture of a video, of which only what is asked for is made: all in RGB, or small in grey.

    decoded frame ──swscale──► RGB as large as it is          what crops are taken from
                  └─swscale──► small ──► RGB                  what people are looked for in
                                    └──► grey                 what tells how the camera moves

RGB takes twice the memory of a decoded frame, and most steps do not need it of every frame; what is
made small of a decoded frame takes a seventh of the time of what is made small of RGB.
"""

from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from staf_backend.video.error import VideoError
from staf_backend.video.fit import to_grey, to_rgb, to_sized
from staf_backend.video.upright import Upright


class Picture(ABC):
    """An upright picture with square pixels.

    Attributes:
        shape: (H, W, 3) of its RGB.
    """

    shape: tuple[int, int, int]

    @abstractmethod
    def rgb(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB; rows may lie apart in memory.

        Raises:
            VideoError: its colours cannot be read.
        """

    @abstractmethod
    def sized(self, width: int, height: int) -> np.ndarray:
        """(height, width, 3) uint8 RGB, every pixel the mean of what it covers, or between others
        where the picture is smaller.

        Raises:
            VideoError: its colours cannot be read.
        """

    @abstractmethod
    def grey(self, width: int, height: int) -> np.ndarray:
        """(height, width) uint8, every pixel the mean of what it covers.

        Raises:
            VideoError: its colours cannot be read.
        """


class DecodedPicture(Picture):
    """A decoder's frame; nothing that is made of it is kept."""

    def __init__(
        self, path: Path, frame: Any, square_px: tuple[int, int], upright: Upright
    ) -> None:
        """`frame` is shown in `square_px` (width, height) and then turned; `path` is for errors."""
        self._path, self._frame, self._square_px = path, frame, square_px
        self._upright = upright
        width, height = upright.size(*square_px)
        self.shape = (height, width, 3)

    def rgb(self) -> np.ndarray:
        """See `Picture`."""
        return self._made(to_rgb, *self._square_px)

    def sized(self, width: int, height: int) -> np.ndarray:
        """See `Picture`."""
        return self._made(to_sized, *self._upright.size(width, height))

    def grey(self, width: int, height: int) -> np.ndarray:
        """See `Picture`."""
        return self._made(to_grey, *self._upright.size(width, height))

    def _made(self, make: Any, width: int, height: int) -> np.ndarray:
        from av.error import FFmpegError

        try:
            return self._upright.apply(make(self._frame, width, height))
        except (FFmpegError, ValueError) as error:
            message = f"{self._path} has colours of a kind that cannot be read here."
            raise VideoError(message, "Convert it to H.264.") from error


class ReadyPicture(Picture):
    """One that is there in RGB: from a file of its own, or fitted into another shape."""

    def __init__(self, rgb: np.ndarray) -> None:
        """`rgb` is (H, W, 3) uint8."""
        self._rgb = rgb
        self.shape = (rgb.shape[0], rgb.shape[1], 3)

    def rgb(self) -> np.ndarray:
        """See `Picture`."""
        return self._rgb

    def sized(self, width: int, height: int) -> np.ndarray:
        """See `Picture`."""
        import cv2

        shrinks = max(width, height) <= max(self.shape)
        kind = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return cv2.resize(self._rgb, (width, height), interpolation=kind)

    def grey(self, width: int, height: int) -> np.ndarray:
        """See `Picture`."""
        import cv2

        small = self._rgb
        while small.shape[1] >= 2 * width and small.shape[0] >= 2 * height:
            half = (small.shape[1] // 2, small.shape[0] // 2)  # twice as fast as in one step
            small = cv2.resize(small, half, interpolation=cv2.INTER_AREA)
        small = cv2.resize(small, (width, height), interpolation=cv2.INTER_AREA)
        return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)


class KeptPicture(Picture):
    """Another whose RGB is made once, when it is first asked for, and kept."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        self.shape = picture.shape

    def rgb(self) -> np.ndarray:
        """See `Picture`."""
        return self._rgb

    def sized(self, width: int, height: int) -> np.ndarray:
        """See `Picture`."""
        return self._picture.sized(width, height)

    def grey(self, width: int, height: int) -> np.ndarray:
        """See `Picture`."""
        return self._picture.grey(width, height)

    @cached_property
    def _rgb(self) -> np.ndarray:
        return self._picture.rgb()
