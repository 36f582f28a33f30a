# SPDX-License-Identifier: GPL-3.0-or-later
"""What a motion file may hold at most: nothing that a person, a camera or a name can ever be.

The software that writes the file refuses the same when it reads one; a test compares the tables.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..user_error import UserError

KINDS = {
    **dict.fromkeys(("format", "frames", "parents"), "iu"),
    **dict.fromkeys(("times_s", "rotations_wxyz", "root_m", "betas", "rest_joints_m"), "fiu"),
    **dict.fromkeys(("keypoints_px", "camera_rotations_wxyz", "camera_positions_m"), "fiu"),
    **dict.fromkeys(("contact_probability", "raw_rotations_wxyz", "raw_root_m"), "fiu"),
    **dict.fromkeys(("observed", "hand_seen"), "b"),
    **dict.fromkeys(("kind", "header", "joint_names", "keypoint_names", "contact_names"), "U"),
}
"""NumPy's letters for the types that a member may have, by its name."""
LARGEST = {
    "times_s": 1e8,
    "frames": 1e11,
    **dict.fromkeys(("rotations_wxyz", "raw_rotations_wxyz", "camera_rotations_wxyz"), 2.0),
    **dict.fromkeys(("root_m", "raw_root_m", "camera_positions_m", "position_m", "floor_m"), 1e6),
    "rest_joints_m": 1e3,
    "betas": 1e3,
    **dict.fromkeys(("keypoints_px", "principal_point_px", "focal_px"), 1e9),
    **dict.fromkeys(("width_px", "height_px"), 1e6),
    "rotation_wxyz": 2.0,
    "rotation_deg": 360.0,
    "contact_probability": 2.0,
    "source_fps": 1e6,
    "person": 1e6,
    **dict.fromkeys(("start_s", "end_s"), 1e8),
    "quality": 1e12,
}
"""Absolute values of numbers by their names, in their units.  Chosen, each far beyond all that is
real: 3 years at 1000 frames a second, 1000 km, giants of 1 km, shapes hundreds of times the oddest,
pixels of a picture a million wide and of points far outside it."""
MOST_JOINTS = 1000
"""Chosen: 20 times the largest body."""
MOST_SHAPES = 1000
"""Numbers of a body's shape.  Chosen: official bodies have up to 400."""
MOST_NAMES = 10_000
"""Of key points.  Chosen: as many as a body has vertices."""
_LONGEST_NAME_BYTES = 255
"""What file systems and Blender take."""


class BeyondRangeError(UserError):
    """A number that no motion has, or too many of something."""


def check_members(members: Mapping[str, np.ndarray]) -> None:
    """Refuse arrays that no motion has.

    Raises:
        BeyondRangeError: a number beyond `LARGEST`, too many of something, or a name that is none.
    """
    for name, array in members.items():
        if name in LARGEST and array.size and array.dtype.kind in "fiu":
            for end in (float(array.min()), float(array.max())):
                _check_number(name, end)
    for name, most in (("joint_names", MOST_JOINTS), ("keypoint_names", MOST_NAMES)):
        _check_names(name, members.get(name), most)
    if not 0 < np.size(members.get("betas", 1.0)) <= MOST_SHAPES:
        raise BeyondRangeError(f"betas must hold 1 to {MOST_SHAPES} numbers.")


def check_header(header: Any) -> None:
    """Refuse words of a header that no motion has; names are looked at where a clip is made.

    Raises:
        BeyondRangeError: as for `check_members`.
        TypeError: it is no object.
    """
    if not isinstance(header, dict):
        raise TypeError("its header is no object")
    for name in ("gender", "estimator", "version", "configuration"):
        if not _is_printable(header.get(name, "")):
            raise BeyondRangeError(f"{name} must be printable words of at most 255 bytes.")
    spans = header.get("contacts")
    said = (header, header.get("camera"), *(spans if isinstance(spans, list) else ()))
    for values in said:
        for name, value in values.items() if isinstance(values, dict) else ():
            for one in value if isinstance(value, list) else (value,):
                _check_number(name, one)
    quality = header.get("quality")
    for word, value in quality.items() if isinstance(quality, dict) else ():
        if len(word) > _LONGEST_NAME_BYTES:
            raise BeyondRangeError("quality must hold short words.")
        _check_number("quality", value)


def _check_number(name: str, value: Any) -> None:
    """What is no number is left to the types; NaN and infinity to those who have better words."""
    if name not in LARGEST or type(value) not in (int, float):
        return
    if abs(value) > LARGEST[name] and (type(value) is int or math.isfinite(value)):
        most = LARGEST[name]
        raise BeyondRangeError(f"{name} must be within {-most:g} and {most:g}.")


def _check_names(name: str, names: np.ndarray | None, most: int) -> None:
    if names is None or not names.size:
        return
    if names.ndim != 1 or names.size > most:
        raise BeyondRangeError(f"{name} must hold 1 to {most} names.")
    if not all(_is_printable(str(one)) for one in names):
        raise BeyondRangeError(f"{name} must hold printable names of at most 255 bytes.")


def _is_printable(text: Any) -> bool:
    """What is no text is left to the types."""
    if not isinstance(text, str):
        return True
    return text.isprintable() and len(text.encode()) <= _LONGEST_NAME_BYTES
