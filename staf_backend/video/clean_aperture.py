"""The clean aperture that a QuickTime or MP4 file may ask for: a crop that is told, not applied.

clap: width, height, and the offsets of its centre, each a fraction of two int32
(ISO/IEC 14496-12, 12.1.4)
"""

import logging
import struct
from pathlib import Path

from staf_backend.video.container import box_places

_log = logging.getLogger(__name__)

_MOST_BYTES = 16_000_000
"""Of an index.  Chosen: hours of footage have a tenth of it."""
_BOX = struct.Struct(">I4s8i")


def warn_if_cropped(path: Path, width_px: int, height_px: int) -> None:
    """Say that the edges of the stored picture, which players hide, are looked at as well."""
    for kind, at, length in box_places(path):
        if kind != b"moov":
            continue
        with path.open("rb") as file:
            file.seek(at)
            index = file.read(min(length, _MOST_BYTES))
        place = index.find(b"clap") - 4
        if place < 0 or place + _BOX.size > len(index):
            return
        size, _, *values = _BOX.unpack_from(index, place)
        if size != _BOX.size or min(values[1], values[3]) <= 0:
            return
        shown = round(values[0] / values[1]), round(values[2] / values[3])
        if shown != (width_px, height_px):
            message = (
                "%s asks for a crop to %dx%d px, which is not applied: the whole %dx%d are used"
            )
            _log.warning(message, path.name, *shown, width_px, height_px)
        return
