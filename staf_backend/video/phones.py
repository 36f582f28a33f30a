"""Main cameras of phones by the model that a file names, as far as somebody published them.

Millimetres are the 35 mm equivalent of a still picture of 4:3.  Video is cut from it: first to the
video's own shape, at the full width, and then by what steadying it needs.
"""

import re
from typing import NamedTuple

STEADIED = 1.1
"""Factor by which steadied video looks narrower than the sensor's width.  Chosen: between none and
1.175, measured on an iPhone 7 (49.6 against 42.2 cm of a tape; Photography Stack Exchange, 2017,
"Does iPhone video use a crop that changes the effective focal length")."""


class Phone(NamedTuple):
    """make: as the file names it; models: pattern of the whole model, small letters; focal_mm; and
    who says so."""

    make: str
    models: str
    focal_mm: float
    source: str


_KEMENDO = "A. Kemendo, Smartphone Camera Focal Length Reference (Medium, 2017)"
_MALIK = "Om Malik, How iPhone's camera has evolved (om.co, 2025)"
_APPLE = "Apple, technical specifications of the model"
_PRESS = "maker's specification, as printed by The Christian Post (2017)"
_AUTHORITY = "R. Triggs, Android Authority (2022)"

PHONES = (
    Phone("apple", r"iphone 5|iphone 5c", 33, _KEMENDO),
    Phone("apple", r"iphone 5s|iphone 6s?( plus)?", 29, f"{_KEMENDO}; {_MALIK}"),
    Phone("apple", r"iphone (7|8)( plus)?|iphone x", 28, f"{_KEMENDO}; {_MALIK}"),
    Phone("apple", r"iphone xs( max)?|iphone xr", 26, _MALIK),
    Phone("apple", r"iphone 1[123]( mini| pro| pro max)?", 26, f"{_MALIK}; {_APPLE}"),
    Phone("apple", r"iphone 1[456]( plus)?", 26, _APPLE),
    Phone("apple", r"iphone 1[456] pro( max)?", 24, f"{_MALIK}; {_APPLE}"),
    Phone("google", r"pixel( xl)?", 28, _KEMENDO),
    Phone("motorola", r"nexus 6", 28, _KEMENDO),
    Phone("samsung", r"sm-g93[05].*", 26, f"Galaxy S7: {_KEMENDO}"),
    Phone("samsung", r"sm-g920.*", 27, f"Galaxy S6: {_KEMENDO}"),
    Phone("samsung", r"sm-g900.*", 31, f"Galaxy S5: {_KEMENDO}"),
    Phone("samsung", r"sm-g95[05].*", 26, f"Galaxy S8: {_PRESS}"),
    Phone("samsung", r"sm-s908.*", 23, f"Galaxy S22 Ultra: {_AUTHORITY}"),
)
"""Which phone has which main camera.  A phone that is not here is not guessed."""


def focal_mm_of(make: str, model: str) -> float | None:
    """35 mm equivalent of a phone's main camera in still pictures; None for one not known.

    Args:
        make, model: as the file names them.
    """
    make, model = make.strip().lower(), model.strip().lower()
    for phone in PHONES:
        if phone.make in make and re.fullmatch(phone.models, model):
            return phone.focal_mm
    return None
