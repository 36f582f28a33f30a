"""One picture of a folder: a JPEG or PNG file, looked at before it is decoded."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from staf_backend.video.error import VideoError
from staf_backend.video.exif import Exif, read_exif
from staf_backend.video.size_limit import SizeLimit
from staf_backend.video.upright import Upright, from_exif

_MOST_BYTES = 1_000_000_000
"""Of a file.  Chosen: the largest picture that is read has 0.9 GB without compression."""
_MOST_PARTS = 100_000
"""Segments or chunks looked at.  Chosen: a PNG of that size in the usual pieces of 8 KB."""
_SIZES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""JPEG markers of the segment that tells the size (ITU-T T.81, table B.1)."""
_ALONE = {0x01, *range(0xD0, 0xD9)}
"""JPEG markers without a length."""
_SCAN = 0xDA
"""JPEG marker of the pixels' beginning."""


def read_picture(path: Path) -> tuple[np.ndarray, Upright, Exif]:
    """The picture as stored (H, W, 3) uint8 RGB, how to turn it, and what its EXIF data say.

    Raises:
        VideoError: it cannot be read, or is larger than any video.
    """
    import cv2

    data = _bytes(path)
    size, tiff = _header(data)
    if size is None or 0 in size or _is_cut(data):
        raise _unreadable(path)
    SizeLimit().check(path, *size)
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise _unreadable(path) from error
    if image is None:
        raise _unreadable(path)
    exif = read_exif(tiff)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB), from_exif(exif.orientation), exif


def _unreadable(path: Path) -> VideoError:
    return VideoError(f"{path} is no readable picture.", "Remove or replace it.")


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise VideoError(f"{path} is too large for a picture.", "Remove or replace it.")
        return path.read_bytes()
    except OSError as error:
        raise VideoError(f"{path} cannot be read: {error.strerror}.") from error


def _header(data: bytes) -> tuple[tuple[int, int] | None, bytes]:
    """Width and height, None where they are not told, and the EXIF data."""
    size, tiff = None, b""
    if data[:2] == b"\xff\xd8":
        for marker, part in _jpeg_segments(data):
            if marker in _SIZES and size is None and len(part) >= 5:
                size = int.from_bytes(part[3:5], "big"), int.from_bytes(part[1:3], "big")
            if marker == 0xE1 and part[:6] == b"Exif\0\0" and not tiff:
                tiff = bytes(part[6:])
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        for kind, part in _png_chunks(data):
            if kind == b"IHDR" and size is None and len(part) >= 8:
                size = int.from_bytes(part[:4], "big"), int.from_bytes(part[4:8], "big")
            if kind == b"eXIf" and not tiff:
                tiff = bytes(part)
    return size, tiff


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, memoryview]]:
    """Marker and content, up to the pixels; bytes between segments are passed over, as libjpeg
    does."""
    view, at = memoryview(data), 2
    for _ in range(_MOST_PARTS):
        at = data.find(b"\xff", at)
        while 0 <= at < len(data) and data[at] == 0xFF:
            at += 1
        if not 0 < at < len(data) or data[at] == _SCAN:
            return
        if data[at] == 0 or data[at] in _ALONE:
            at += 1
            continue
        length = max(int.from_bytes(data[at + 1 : at + 3], "big"), 2)
        yield data[at], view[at + 3 : at + 1 + length]
        at += 1 + length


def _is_cut(data: bytes) -> bool:
    """Whether a PNG has a part that ends after the file: OpenCV takes memory for all of it."""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        return False
    at = 8
    for _ in range(_MOST_PARTS):
        if at == len(data) or data[at + 4 : at + 8] == b"IEND":
            return False
        at += 12 + int.from_bytes(data[at : at + 4], "big")
        if at > len(data):
            return True
    return False


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Type and content."""
    view, at = memoryview(data), 8
    for _ in range(_MOST_PARTS):
        if at + 12 > len(data):
            return
        length = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], view[at + 8 : at + 8 + length]
        at += 12 + length
