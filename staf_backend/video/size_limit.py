"""How large a picture may be, so that no header can ask for all memory, and how many of them a file
may unpack to, so that a few bytes cannot ask for hours."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from staf_backend.video.error import VideoError

MOST_PIXELS = 142_606_336
"""In one picture: the most that a level of a video codec allows (ITU-T H.265, table A.8, 7.2)."""
_SPARE_PIXELS, _PIXELS_A_BYTE = 1_000_000_000, 250_000
"""That a file may unpack to, however small, and for each byte.  Chosen: five hundred pictures of
1080p; and more than a black picture of 4K takes, 8 million pixels in 40 bytes."""


def check_size(path: Path, width_px: int, height_px: int) -> None:
    """Refuse a picture before memory is taken for it.

    Raises:
        VideoError: it is larger than any video.
    """
    if width_px * height_px > MOST_PIXELS:
        message = f"{path} says that its pictures have {width_px}x{height_px} px: no video has."
        raise VideoError(message, "Make it smaller first.")


def check_unpacked(path: Path, pixels: int) -> None:
    """Refuse a file that unpacks to more pixels than footage of its size does.

    Raises:
        VideoError: it does.
    """
    if pixels > _SPARE_PIXELS + _PIXELS_A_BYTE * path.stat().st_size:
        message = f"{path} unpacks to far more pixels than footage of its size does."
        raise VideoError(message, "Make its pictures smaller first.")


def while_unpacked(path: Path, frames: Iterator[Any]) -> Iterator[Any]:
    """Decoded frames of a file, as far as `check_unpacked` allows."""
    pixels = 0
    for frame in frames:
        pixels += frame.width * frame.height
        check_unpacked(path, pixels)
        yield frame
