"""JSON of strangers: numbers are numbers, and nothing nests without end."""

import json
from pathlib import Path
from typing import Any

from staf_backend.files.limits import GROWTH, Budget
from staf_backend.files.regular import open_file

_MOST_DIGITS = 30
"""Of a whole number.  Chosen: more than 64 bits take, far less than a float holds (309)."""
_BYTES = {"{": 180, "[": 56, ",": 32, '"': 28}
"""What Python takes about: for an object, a list, the number behind a comma, half a text."""
_GROWTH = 10
"""How often a text's length its values may take.  Chosen: rows of key points as we write them take
5 times as much."""
LABELS_GROWTH = 16
"""The same of labels and lists of files.  Chosen: pairs of whole numbers below a thousand take 12
times as much as they say; objects and lists of nothing, 30 to 70 times."""


def check_values(text: str | bytes, growth: int = _GROWTH) -> None:
    """Refuse a text of so many small values that they would take far more memory than it does.

    Args:
        text: in UTF-8, where it is bytes.
        growth: how often its length they may take.

    Raises:
        TooLargeError: they would.
    """
    budget = Budget(len(text) * growth // GROWTH)
    for letter, size in _BYTES.items():
        found = text.count(letter) if isinstance(text, str) else text.count(letter.encode())
        budget.spend(found * size)


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


def read_json_file(path: Path, largest_bytes: int) -> Any:
    """What a JSON file says, as `read_json_text` has it.

    Raises:
        OSError: it cannot be read, or is no file.
        ValueError: see `read_json_text`; or the file is larger than any of its kind, or stands for
            far more than it holds.
    """
    with open_file(path) as file:
        text = file.read(largest_bytes + 1)
    if len(text) > largest_bytes:
        raise ValueError("it is far too large")
    check_values(text, LABELS_GROWTH)
    return read_json_text(text)


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is no number")


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"it holds a number of {len(digits)} digits")
    return int(digits)
