"""How large a picture may be, so that no header can ask for all memory, and how many of them a file
may unpack to, so that a few bytes cannot ask for hours."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from staf_backend.video.error import VideoError

MOST_PIXELS = 142_606_336
"""In one picture: the most that a level of a video codec allows (ITU-T H.265, table A.8, 7.2)."""
_MOST_DRAWN_PIXELS = 35_651_584
"""The same where a decoder may hold several canvases with transparency and 16 bits: of 8K (the same
table, 6.2)."""
_SPARE_PIXELS = 1_000_000_000
"""That a file may unpack to, however small.  Chosen: five hundred pictures of 1080p."""
_PREDICTED_A_BYTE, _DRAWN_A_BYTE = 250_000, 1000
"""Pixels that each byte may add.  Chosen: where pictures are predicted, more than a black one of 4K
takes, 8 million pixels in 40 bytes; where they are drawn, three times what PNG can pack."""
_PREDICTING = (
    "av1,libdav1d,cavs,dirac,flv,h261,h263,h263i,h263p,h264,hevc,mpeg1video,mpeg2video,mpegvideo,"
    "mpeg4,msmpeg4,msmpeg4v1,msmpeg4v2,rv10,rv20,rv30,rv40,rv60,snow,svq1,svq3,theora,vc1,vp3,vp4,"
    "vp5,vp6,vp6a,vp6f,vp7,vp8,libvpx,vp9,libvpx-vp9,vvc,wmv1,wmv2,wmv3"
)
"""FFmpeg's decoders of pictures that are predicted from others by motion."""
_WHOLE = "cfhd", "ffv1"
"""Those that draw each picture alone, as cameras do, beside those that say so."""


@dataclass(frozen=True)
class SizeLimit:
    """Of a file's pictures.

    Attributes:
        pixels: in one.
        pixels_a_byte: in all of them, for each byte of the file.
    """

    pixels: int = MOST_PIXELS
    pixels_a_byte: int = _DRAWN_A_BYTE

    @classmethod
    def of(cls, codec: Any) -> "SizeLimit":
        """Of a decoder, PyAV's."""
        if codec.name in _PREDICTING.split(","):
            return cls(pixels_a_byte=_PREDICTED_A_BYTE)
        return cls() if codec.intra_only or codec.name in _WHOLE else cls(_MOST_DRAWN_PIXELS)

    def check(self, path: Path, width_px: int, height_px: int) -> None:
        """Refuse a picture before memory is taken for it.

        Raises:
            VideoError: it is larger than any video.
        """
        if width_px * height_px > self.pixels:
            message = f"{path} says that its pictures have {width_px}x{height_px} px: no video has."
            raise VideoError(message, "Make it smaller first.")

    def check_unpacked(self, path: Path, pixels: int) -> None:
        """Refuse a file that unpacks to more pixels than footage of its size does.

        Raises:
            VideoError: it does.
        """
        if pixels > _SPARE_PIXELS + self.pixels_a_byte * path.stat().st_size:
            message = f"{path} unpacks to far more pixels than footage of its size does."
            raise VideoError(message, "Make its pictures smaller first.")

    def while_unpacked(self, path: Path, frames: Iterator[Any]) -> Iterator[Any]:
        """Decoded frames of a file, as far as `check_unpacked` allows."""
        pixels = 0
        for frame in frames:
            pixels += frame.width * frame.height
            self.check_unpacked(path, pixels)
            yield frame
