# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON of strangers: numbers are numbers, and nothing nests without end."""

import json
from collections.abc import Callable
from typing import Any

_BYTES = {"{": 180, "[": 56, ",": 32, '"': 28}
"""What Python takes about: for an object, a list, the number behind a comma, half a text."""
_GROWTH, _SPARE_BYTES = 10, 64_000_000
"""How often a text's length its values may take, and how much besides.  Chosen: rows of key points
as tracks have them take 5 times as much."""
_MOST_DIGITS = 30
"""Of a whole number.  Chosen: more than 64 bits take, far less than a float holds (309)."""


def read_json_text(text: str, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """What a JSON text says.

    Args:
        text: of the file.
        pairs: makes an object of its words and values.

    Raises:
        ValueError: no JSON, nested too deeply, with a number that no JSON has, or of so many small
            values that they would take far more memory than the text.
    """
    if sum(text.count(letter) * size for letter, size in _BYTES.items()) > (
        _SPARE_BYTES + _GROWTH * len(text)
    ):
        raise ValueError("it stands for far more numbers than it holds")
    try:
        return json.loads(
            text, parse_constant=_refuse, parse_int=_whole, object_pairs_hook=pairs or dict
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is no number")


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"it holds a number of {len(digits)} digits")
    return int(digits)
