"""How long the lens was: what a file says of it, a phone's table, or a kind of lens the user names.

35 mm equivalent of a still of 4:3 ──► of the video cut from it, at full width ──► pixels
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from staf_backend.choices import Lens
from staf_backend.geometry import FocalSource
from staf_backend.video.phones import STEADIED, focal_mm_of

FILM_MM = (36.0, 24.0)
"""Of a full frame, which the equivalent compares diagonals with (CIPA DCG-001)."""
_STILL = (4, 3)
"""Sides of a phone's sensor and still picture, which its equivalent is given for."""
_SHORTEST_MM, _LONGEST_MM = 5.0, 2000.0
"""Lenses are sold between these; anything else in a file is an error.  Chosen."""
_WEBCAM_DEG = 78.0
"""Field of view along the diagonal of Logitech's C920, the usual webcam (its data sheet)."""
_LONG_MM = 70.0
"""The long end of a full frame's standard zoom, 24 to 70 mm.  Chosen."""
_PHONE_MM = 26.0
"""Main camera of most phones since 2018 (`phones.PHONES`)."""


@dataclass(frozen=True)
class Focal:
    """A focal length in pixels, and how it is known."""

    px: float
    source: FocalSource

    def __post_init__(self) -> None:
        if not (math.isfinite(self.px) and self.px > 0):
            raise ValueError(f"Focal.px must be positive, not {self.px}")


def focal_px(focal_35mm: float, width_px: int, height_px: int) -> float:
    """Focal length in pixels of a whole picture from its 35 mm equivalent in millimetres."""
    return focal_35mm * math.hypot(width_px, height_px) / math.hypot(*FILM_MM)


def video_focal_px(focal_35mm: float, width_px: int, height_px: int) -> float:
    """The same of a video that was cut from a still picture's 4:3, at its full width.

    Makers give the equivalent for still pictures (Apple: "similar to the EXIF entry for a photo
    captured using the device's format").  A video no wider than a still is one, as a whole.
    """
    long, short = max(width_px, height_px), min(width_px, height_px)
    return focal_px(focal_35mm, long, max(short, round(long * _STILL[1] / _STILL[0])))


def focal_of_lens(lens: Lens, width_px: int, height_px: int) -> float:
    """Focal length in pixels of a kind of lens.

    * phone: a main camera of 26 mm, filming steadied video;
    * webcam: 78 degrees along the diagonal;
    * 35mm: a 35 mm lens on a full frame, whose whole width is used;
    * tele: a 70 mm lens on it.
    """
    long_px, diagonal_px = max(width_px, height_px), math.hypot(width_px, height_px)
    return {
        "phone": STEADIED * video_focal_px(_PHONE_MM, width_px, height_px),
        "webcam": diagonal_px / 2 / math.tan(math.radians(_WEBCAM_DEG / 2)),
        "35mm": 35.0 * long_px / FILM_MM[0],
        "tele": _LONG_MM * long_px / FILM_MM[0],
    }[lens]


def focal_of_tags(tags: Mapping[str, str], width_px: int, height_px: int) -> Focal | None:
    """What a movie's metadata says: the lens itself, else the phone; None where it says nothing.

    Args:
        tags: of the file and its picture track.
        width_px, height_px: of the picture, with square pixels.
    """
    words = {name.lower(): str(value) for name, value in tags.items()}
    for name, text in words.items():
        short = name.replace("_", "")
        if short.endswith(("focallength.35mmequivalent", "focallengthin35mmformat")):
            focal_mm = _millimetres(text)
            if focal_mm is not None:
                return Focal(video_focal_px(focal_mm, width_px, height_px), "metadata")
    if "front" in _ending(words, "lens_model").lower():
        return None
    focal_mm = focal_mm_of(_ending(words, "make", "manufacturer"), _ending(words, "model"))
    if focal_mm is None:
        return None
    return Focal(STEADIED * video_focal_px(focal_mm, width_px, height_px), "phone")


def focal_of_still(
    focal_35mm: float | None, make: str, model: str, width_px: int, height_px: int
) -> Focal | None:
    """What a picture's EXIF says, likewise."""
    if focal_35mm is not None and _SHORTEST_MM <= focal_35mm <= _LONGEST_MM:
        return Focal(focal_px(focal_35mm, width_px, height_px), "metadata")
    focal_mm = focal_mm_of(make, model)
    return None if focal_mm is None else Focal(focal_px(focal_mm, width_px, height_px), "phone")


def _millimetres(text: str) -> float | None:
    """Of "26", "26.00mm" or "26 mm"; None of what no lens has."""
    found = re.fullmatch(r"\s*(\d{1,5}(?:\.\d{1,6})?)\s*(?:mm)?\s*", text.lower())
    focal_mm = float(found[1]) if found else 0.0
    return focal_mm if _SHORTEST_MM <= focal_mm <= _LONGEST_MM else None


def _ending(words: Mapping[str, str], *endings: str) -> str:
    """The value of the first name that ends in one of some words after a dot, or is one."""
    for name, value in words.items():
        if name.rsplit(".", 1)[-1] in endings:
            return value
    return ""
