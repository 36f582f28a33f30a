"""Decoded frames as RGB pictures of one shape: square pixels, the first frame's size.

A picture that changes its shape on the way (a phone turned while a browser recorded, a broadcast
that goes to wide screen) is fitted into the first one's with black bars, never squeezed.
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from staf_backend.video.size_limit import SizeLimit

_HD_HEIGHT_PX = 720
"""From which untagged footage is taken as BT.709, as players do."""
_UNTAGGED = (0, 2)
"""FFmpeg's AVCOL_SPC_RGB, which is what nothing reads as, and AVCOL_SPC_UNSPECIFIED."""
_BILINEAR, _AREA, _TRUE_COLOURS = 0x2, 0x20, 0x2000
"""libswscale's SWS_BILINEAR, SWS_AREA and SWS_FULL_CHR_H_INT.  Measured: without the last one, red,
green and blue of a picture made small are two steps of 255 too dark; with it none."""


@dataclass(frozen=True)
class Shape:
    """Of the first frame.

    Attributes:
        stored_px: width and height as decoded.
        coded_aspect: of a pixel, width over height, as the codec says; None where it does not.
        aspect: of a pixel, as the container says, or else the codec.
    """

    stored_px: tuple[int, int]
    coded_aspect: Fraction | None
    aspect: Fraction

    @property
    def square_px(self) -> tuple[int, int]:
        """Width and height with square pixels: anamorphic footage is widened."""
        return _square(*self.stored_px, self.aspect)

    def inner_px(self, frame: Any, context: Any) -> tuple[int, int]:
        """Width and height of a frame of another shape, as it fits into `square_px`.

        Args:
            frame: decoded.
            context: the decoder, which has just given the frame.
        """
        width, height = self.square_px
        own = _square(frame.width, frame.height, self._aspect_of(context))
        scale = min(width / own[0], height / own[1])
        inner = [max(1, min(most, round(side * scale))) for side, most in zip(own, (width, height))]
        return inner[0], inner[1]

    def differs(self, frame: Any, context: Any) -> bool:
        """Whether a frame has another shape than the first."""
        return (frame.width, frame.height) != self.stored_px or self._aspect_changed(context)

    def _aspect_changed(self, context: Any) -> bool:
        coded = context.sample_aspect_ratio
        return bool(coded) and coded != self.coded_aspect

    def _aspect_of(self, context: Any) -> Fraction:
        return _sane(context.sample_aspect_ratio) if self._aspect_changed(context) else self.aspect


def shape_of(path: Path, frame: Any, stream: Any) -> Shape:
    """Of the first decoded frame of a stream.

    Raises:
        VideoError: it is larger than any video.
    """
    aspect = _sane(stream.sample_aspect_ratio)
    shape = Shape((frame.width, frame.height), stream.codec_context.sample_aspect_ratio, aspect)
    SizeLimit().check(path, *shape.square_px)
    return shape


def _sane(aspect: Fraction | None) -> Fraction:
    return Fraction(aspect) if aspect and 0.1 < aspect < 10 else Fraction(1)


def _square(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    return max(1, round(width * aspect)), height


def centred(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """An image (h, w, 3) in the middle of a black one (height, width, 3)."""
    picture = np.zeros((height, width, 3), np.uint8)
    left, top = (width - image.shape[1]) // 2, (height - image.shape[0]) // 2
    picture[top : top + image.shape[0], left : left + image.shape[1]] = image
    return picture


def to_rgb(frame: Any, width: int, height: int, flags: int = _BILINEAR) -> np.ndarray:
    """(height, width, 3) uint8 RGB; untagged HD footage is taken as BT.709, as players do.

    Args:
        frame: decoded.
        width, height: of the result.
        flags: how, in libswscale's words.

    Raises:
        FFmpegError, ValueError: its colours cannot be read.
    """
    untagged = frame.colorspace in _UNTAGGED and frame.height >= _HD_HEIGHT_PX
    source = {"src_colorspace": "ITU709"} if untagged else {}
    # threads of its own would come on top of those that the caller has
    sized = {"interpolation": flags, "threads": 1, **source}
    plane = frame.reformat(width, height, "rgb24", **sized).planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(height, plane.line_size)
    return rows[:, : 3 * width].reshape(height, width, 3)  # no copy: rows lie apart


def to_sized(frame: Any, width: int, height: int) -> np.ndarray:
    """(height, width, 3) uint8 RGB, every pixel the mean of what it covers, or between others.

    Raises:
        FFmpegError, ValueError: its colours cannot be read.
    """
    shrinks = max(width, height) <= max(frame.width, frame.height)
    return to_rgb(frame, width, height, (_AREA if shrinks else _BILINEAR) | _TRUE_COLOURS)


def to_grey(frame: Any, width: int, height: int) -> np.ndarray:
    """(height, width) uint8, every pixel the mean brightness of what it covers.

    Raises:
        FFmpegError, ValueError: its colours cannot be read.
    """
    import cv2

    return cv2.cvtColor(to_rgb(frame, width, height, _AREA), cv2.COLOR_RGB2GRAY)
