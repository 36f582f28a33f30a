"""JSON of strangers: numbers are numbers, and nothing nests without end."""

import json
from typing import Any

_MOST_DIGITS = 30
"""Of a whole number.  Chosen: more than 64 bits take, far less than a float holds (309)."""


def read_json_text(text: str | bytes) -> Any:
    """What a JSON text says; NaN and Infinity, which JSON does not know, are refused.

    Raises:
        ValueError: no JSON, nested too deeply to be read, too large for memory, or with a whole
            number of more digits than any has.
    """
    try:
        return json.loads(text, parse_constant=_refuse, parse_int=_whole)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except MemoryError:
        raise ValueError("it is too large for this machine's memory") from None


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is no number")


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"it holds a number of {len(digits)} digits")
    return int(digits)
