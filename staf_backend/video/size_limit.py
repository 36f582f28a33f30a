"""How large a picture may be, so that no header can ask for all memory."""

from pathlib import Path

from staf_backend.video.error import VideoError

MOST_PIXELS = 142_606_336
"""In one picture: the most that a level of a video codec allows (ITU-T H.265, table A.8, 7.2)."""


def check_size(path: Path, width_px: int, height_px: int) -> None:
    """Refuse a picture before memory is taken for it.

    Raises:
        VideoError: it is larger than any video.
    """
    if width_px * height_px > MOST_PIXELS:
        message = f"{path} says that its pictures have {width_px}x{height_px} px: no video has."
        raise VideoError(message, "Make it smaller first.")
