"""Arrays that types keep: checked at the door, copied, read-only."""

import math
import mmap
from typing import Any

import numpy as np

from staf_backend.files import long_copy, stretches

_UNIT_TOLERANCE = 1e-3
"""Of a quaternion's length.  Chosen: far above the rounding of float32, far below a wrong array."""


def keep_array(owner: Any, name: str, kind: type, shape: tuple[int, ...]) -> None:
    """Replace a field of a frozen dataclass by a read-only copy; one that is so already is kept.

    Args:
        owner: has the field.
        name: of the field.
        kind: NumPy type of the copy.
        shape: that it must have.

    Raises:
        ValueError: another shape, no numbers of that kind, or not finite; names the field.
    """
    source = np.asarray(getattr(owner, name))
    whole = np.issubdtype(kind, np.integer) or kind is np.bool_
    if whole and source.dtype.kind not in "biu":
        raise ValueError(f"{name} must be of type {np.dtype(kind)}, got {source.dtype}")
    if source.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold numbers, got {source.dtype}")
    own = source.base is None or isinstance(source.base, mmap.mmap)
    frozen = source.dtype == kind and own and not source.flags.writeable
    array = source if frozen else long_copy(source, kind)
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    require(is_finite(array), name, "finite (it holds NaN or infinity)")
    array.setflags(write=False)
    object.__setattr__(owner, name, array)


def is_finite(array: np.ndarray) -> bool:
    """Whether all numbers are, looked at in stretches: a clip may be long."""
    some = np.atleast_1d(array)
    return all(bool(np.isfinite(some[rows]).all()) for rows in stretches(len(some)))


def require(condition: bool, name: str, rule: str) -> None:
    """
    Raises:
        ValueError: the condition does not hold; says that `name` must be `rule`.
    """
    if not condition:
        raise ValueError(f"{name} must be {rule}")


def require_positive(value: float, name: str) -> None:
    """
    Raises:
        ValueError: not a finite number above 0.
    """
    require(math.isfinite(value) and value > 0, name, "positive")


def require_unit(quaternions: np.ndarray, name: str) -> None:
    """
    Raises:
        ValueError: one of the quaternions (..., 4) has not length 1.
    """
    for rows in stretches(len(quaternions)):
        some = quaternions[rows]
        length = np.sqrt(np.einsum("...i,...i->...", some, some))
        require(bool((abs(length - 1) <= _UNIT_TOLERANCE).all()), name, "unit quaternions")
