"""The two EXIF values that matter here: the orientation and the 35 mm equivalent focal length.

EXIF is a TIFF inside an APP1 segment of a JPEG or an eXIf chunk of a PNG:

    "II" or "MM", 42, offset of directory 0 -> entries of 12 bytes: tag, type, count, value
"""

import struct
from collections.abc import Iterator

_ORIENTATION, _EXIF_DIRECTORY, _FOCAL_35MM = 0x0112, 0x8769, 0xA405
_SHORT, _LONG = 3, 4
"""Tags and types of the EXIF standard (CIPA DC-008)."""
_MOST_ENTRIES = 512
"""Looked at in a directory.  Chosen: the standard has 130 tags."""


def read_exif(tiff: bytes) -> tuple[int, float | None]:
    """Orientation 1..8 and 35 mm equivalent focal length (None when absent).

    Args:
        tiff: the EXIF data of a picture.  Broken data, and none, read as (1, None).
    """
    try:
        main = dict(_entries(tiff, 4))
        inner = dict(_entries(tiff, main[-_EXIF_DIRECTORY])) if -_EXIF_DIRECTORY in main else {}
    except struct.error:
        return 1, None
    tags = main | inner
    return tags.get(_ORIENTATION, 1), tags.get(_FOCAL_35MM) or None


def _entries(tiff: bytes, pointer: int) -> Iterator[tuple[int, int]]:
    """Tag and value of the integers in the directory whose offset stands at `pointer`.

    The tag of the EXIF directory is followed by its negative, with where its offset stands.
    """
    order = ">" if tiff[:2] == b"MM" else "<"
    (offset,) = struct.unpack_from(order + "I", tiff, pointer)
    (count,) = struct.unpack_from(order + "H", tiff, offset)
    count = min(count, _MOST_ENTRIES)
    for entry in range(offset + 2, offset + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(order + "HH", tiff, entry)
        if kind not in (_SHORT, _LONG):
            continue
        (value,) = struct.unpack_from(order + ("H" if kind == _SHORT else "I"), tiff, entry + 8)
        yield tag, value
        if tag == _EXIF_DIRECTORY:
            yield -tag, entry + 8
