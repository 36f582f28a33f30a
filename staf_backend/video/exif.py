"""What matters here of EXIF: orientation, 35 mm equivalent focal length, and who made the camera.

EXIF is a TIFF inside an APP1 segment of a JPEG or an eXIf chunk of a PNG:

    "II" or "MM", 42, offset of directory 0 -> entries of 12 bytes: tag, type, count, value
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

_MAKE, _MODEL, _ORIENTATION = 0x010F, 0x0110, 0x0112
_EXIF_DIRECTORY, _FOCAL_35MM = 0x8769, 0xA405
_TEXT, _SHORT, _LONG = 2, 3, 4
"""Tags and types of the EXIF standard (CIPA DC-008)."""
_MOST_ENTRIES = 512
"""Looked at in a directory.  Chosen: the standard has 130 tags."""
_MOST_LETTERS = 64
"""Of a maker's or a model's name.  Chosen."""


class Exif(NamedTuple):
    """Orientation 1..8, 35 mm equivalent focal length (None when absent), make and model."""

    orientation: int = 1
    focal_35mm: float | None = None
    make: str = ""
    model: str = ""


def read_exif(tiff: bytes) -> Exif:
    """What the EXIF data of a picture say.

    Args:
        tiff: the data.  Broken data, and none, read as nothing.
    """
    try:
        main = dict(_entries(tiff, 4))
        inner = dict(_entries(tiff, main[-_EXIF_DIRECTORY])) if -_EXIF_DIRECTORY in main else {}
    except struct.error:
        return Exif()
    tags = main | inner
    names = (_text(tiff, tags.get(tag, 0)) for tag in (_MAKE, _MODEL))
    return Exif(tags.get(_ORIENTATION, 1), tags.get(_FOCAL_35MM) or None, *names)


def _entries(tiff: bytes, pointer: int) -> Iterator[tuple[int, int]]:
    """Tag and value of the integers in the directory whose offset stands at `pointer`.

    The value of a text is where it stands.  The tag of the EXIF directory is followed by its
    negative, with where its offset stands.
    """
    order = ">" if tiff[:2] == b"MM" else "<"
    (offset,) = struct.unpack_from(order + "I", tiff, pointer)
    (count,) = struct.unpack_from(order + "H", tiff, offset)
    count = min(count, _MOST_ENTRIES)
    for entry in range(offset + 2, offset + 2 + 12 * count, 12):
        tag, kind, letters = struct.unpack_from(order + "HHI", tiff, entry)
        if kind == _TEXT and tag in (_MAKE, _MODEL):
            inline = letters <= 4
            yield tag, entry + 8 if inline else struct.unpack_from(order + "I", tiff, entry + 8)[0]
        if kind not in (_SHORT, _LONG):
            continue
        (value,) = struct.unpack_from(order + ("H" if kind == _SHORT else "I"), tiff, entry + 8)
        yield tag, value
        if tag == _EXIF_DIRECTORY:
            yield -tag, entry + 8


def _text(tiff: bytes, place: int) -> str:
    """The letters at a place, up to the first zero; none at place 0."""
    letters = tiff[place : place + _MOST_LETTERS] if place else b""
    return letters.split(b"\0")[0].decode("ascii", "ignore")
