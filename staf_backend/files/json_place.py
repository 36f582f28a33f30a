"""A value of a JSON text, and how one gets there: for checks that can say what is wrong where."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from staf_backend.files.json_lines import Path
from staf_backend.files.limits import shown

if TYPE_CHECKING:
    import numpy as np


class WrongAtError(ValueError):
    """A value is wrong: the reason, and the path that leads to it."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(reason)
        self.path = path


@dataclass(frozen=True)
class Place:
    """A value, and the path that leads to it.

    All methods raise WrongAtError where the value is not as asked.
    """

    value: Any
    path: Path = ()

    def wrong(self, reason: str) -> NoReturn:
        """Refuse this value."""
        raise WrongAtError(self.path, reason)

    def at(self, key: str) -> "Place":
        """A member of an object."""
        if not isinstance(self.value, dict):
            self.wrong(f"{self.name} must be an object in braces")
        if key not in self.value:
            self.wrong(f'"{key}" is missing')
        return Place(self.value[key], (*self.path, key))

    def only(self, *keys: str) -> None:
        """Refuse members that nobody would read, as a mistyped one."""
        if not isinstance(self.value, dict):
            self.wrong(f"{self.name} must be an object in braces")
        unknown = [key for key in self.value if key not in keys]
        if unknown:
            self.wrong(f'"{shown(unknown[0])}" is unknown here; known are {", ".join(keys)}')

    def items(self) -> "Iterator[Place]":
        """The members of a list."""
        if not isinstance(self.value, list):
            self.wrong(f"{self.name} must be a list in brackets")
        return (Place(one, (*self.path, i)) for i, one in enumerate(self.value))

    def whole(self, least: int = 0, most: float = math.inf) -> int:
        """A whole number."""
        if type(self.value) is not int or not least <= self.value <= most:
            limit = f"from {least}" + (f" to {most:g}" if most < math.inf else "")
            self.wrong(f"{self.name} must be a whole number {limit}, not {self.value!r:.40}")
        return self.value

    def text(self) -> str:
        """Words."""
        if not isinstance(self.value, str):
            self.wrong(f"{self.name} must be words in quotes, not {self.value!r:.40}")
        if any("\ud800" <= letter <= "\udfff" for letter in self.value):
            self.wrong(f"{self.name} holds half a letter (a surrogate)")
        return self.value

    def table(self, rows: int, columns: int) -> "np.ndarray":
        """(rows, columns) finite numbers, a list of lists."""
        import numpy as np

        if len(list(self.items())) != rows:
            self.wrong(f"{self.name} must have {rows} rows, one a frame, not {len(self.value)}")
        for row in self.items():
            numbers = isinstance(row.value, list) and all(
                type(v) in (int, float) and abs(v) < _LARGEST for v in row.value
            )
            if not numbers or len(row.value) != columns:
                row.wrong(f"a row of {self.name} must be {columns} numbers")
        return np.array(self.value, np.float64).reshape(rows, columns)

    @property
    def name(self) -> str:
        """How the value is called in a sentence."""
        named = [key for key in self.path if isinstance(key, str)]
        return f'"{named[-1]}"' if named else "the file"


_LARGEST = 1e9
"""Of a number of a table.  Chosen: no picture has so many pixels."""
