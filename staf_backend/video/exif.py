"""The two EXIF values that matter here: the orientation and the 35 mm equivalent focal length.

EXIF is a TIFF inside an APP1 segment of a JPEG or an eXIf chunk of a PNG:

    "II" or "MM", 42, offset of directory 0 -> entries of 12 bytes: tag, type, count, value
"""

import struct
from collections.abc import Iterator

_ORIENTATION, _EXIF_DIRECTORY, _FOCAL_35MM = 0x0112, 0x8769, 0xA405
_SHORT, _LONG = 3, 4


def read_exif(data: bytes) -> tuple[int, float | None]:
    """Orientation 1..8 and 35 mm equivalent focal length (None when absent) of a picture file.

    Args:
        data: the whole file, JPEG or PNG.  Anything else, and broken EXIF, reads as (1, None).
    """
    tiff = _tiff(data)
    try:
        tags = dict(_entries(tiff)) if tiff else {}
    except struct.error:
        return 1, None
    return tags.get(_ORIENTATION, 1), tags.get(_FOCAL_35MM) or None


def _tiff(data: bytes) -> bytes | None:
    if data[:2] == b"\xff\xd8":
        return _tiff_in_jpeg(data)
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return _tiff_in_png(data)
    return None


def _tiff_in_jpeg(data: bytes) -> bytes | None:
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
            return data[at + 10 : at + 2 + length]
        at += 2 + max(length, 2)
    return None


def _tiff_in_png(data: bytes) -> bytes | None:
    at = 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] == b"eXIf":
            return data[at + 8 : at + 8 + length]
        at += 12 + length
    return None


def _entries(tiff: bytes, pointer: int = 4, depth: int = 0) -> Iterator[tuple[int, int]]:
    """Tag and value of the integers in the directory whose offset stands at `pointer`."""
    order = ">" if tiff[:2] == b"MM" else "<"
    (offset,) = struct.unpack_from(order + "I", tiff, pointer)
    (count,) = struct.unpack_from(order + "H", tiff, offset)
    for entry in range(offset + 2, offset + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(order + "HH", tiff, entry)
        if kind not in (_SHORT, _LONG):
            continue
        (value,) = struct.unpack_from(order + ("H" if kind == _SHORT else "I"), tiff, entry + 8)
        yield tag, value
        if tag == _EXIF_DIRECTORY and depth == 0:
            yield from _entries(tiff, entry + 8, 1)
