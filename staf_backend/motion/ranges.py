"""What a motion file may hold at most: nothing that a person, a camera or a name can ever be.

Only files are held to this, before anything is made of them.  The add-on's reader has the same
table; a test compares them.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from staf_backend.files import shown
from staf_backend.geometry import require

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
LONGEST_NAME_BYTES = 255
"""What file systems and Blender take."""
_BODY_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,99}", re.ASCII)
"""It becomes the name of a file, and a word of a command line."""


def check_members(members: Mapping[str, np.ndarray]) -> None:
    """Refuse arrays that no motion has.

    Raises:
        ValueError: a number beyond `LARGEST`, too many of something, or a name that is none.
    """
    for name, array in members.items():
        if name in LARGEST and array.dtype.kind in "fiu":
            _check_range(name, array)
    for name, most in (("joint_names", MOST_JOINTS), ("keypoint_names", MOST_NAMES)):
        _check_names(name, members.get(name), most)
    shapes = np.size(members.get("betas", 1.0))
    require(0 < shapes <= MOST_SHAPES, "betas", f"1 to {MOST_SHAPES} numbers")


def check_header(header: Any) -> None:
    """Refuse words of a header that no motion has.

    Raises:
        ValueError: as for `check_members`.
    """
    require(isinstance(header, dict), "header", "an object")
    for name in ("name", "source"):
        require(_is_plain(header.get(name, "")), name, "a plain name of at most 255 bytes")
    for name in ("gender", "estimator", "version", "configuration"):
        plain = _is_plain(header.get(name, ""), control=False)
        require(plain, name, "printable words of at most 255 bytes")
    body = header.get("body", "")
    named = not isinstance(body, str) or body == "" or bool(_BODY_NAME.fullmatch(body))
    require(named, "body", "the plain name of a body")
    for name in ("source_fps", "person"):
        _check_number(name, header.get(name))
    for values in _objects(header.get("camera"), *_listed(header.get("contacts"))):
        for name, value in values.items():
            _check_number(name, value)
    for word, value in _pairs(header.get("quality")):
        require(len(word) <= LONGEST_NAME_BYTES, f"quality {shown(word)}", "a short word")
        _check_number("quality", value)


def _check_range(name: str, array: np.ndarray) -> None:
    """NaN and infinity are left to `Motion`, which has better words for them."""
    most = LARGEST[name]
    ends = [float(array.min()), float(array.max())] if array.size else []
    beyond = any(math.isfinite(end) and abs(end) > most for end in ends)
    require(not beyond, name, f"within {-most:g} and {most:g}")


def _check_number(name: str, value: Any) -> None:
    """A number, or a list of numbers; what is neither is left to the types."""
    for one in _listed(value) if isinstance(value, list) else (value,):
        if name in LARGEST and type(one) in (int, float):
            most = LARGEST[name]
            require(abs(one) <= most, name, f"within {-most:g} and {most:g}")


def _check_names(name: str, names: np.ndarray | None, most: int) -> None:
    if names is None:
        return
    require(names.ndim == 1 and names.size <= most, name, f"a list of at most {most} names")
    for one in names:
        require(_is_plain(str(one), control=False), name, "printable names of at most 255 bytes")


def _is_plain(name: Any, *, control: bool = True) -> bool:
    """Whether it can only ever be a name, never a path; what is no text is left to `Motion`."""
    if not isinstance(name, str):
        return True
    short = len(name.encode("utf-8", "surrogatepass")) <= LONGEST_NAME_BYTES
    if not control:
        return short and name.isprintable()
    return short and name != ".." and min(name, default=" ") >= " " and Path(name).name == name


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _objects(*values: Any) -> list[dict[str, Any]]:
    return [value for value in values if isinstance(value, dict)]


def _pairs(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, dict) else []
