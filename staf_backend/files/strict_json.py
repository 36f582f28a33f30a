"""JSON of strangers: numbers are numbers, and nothing nests without end."""

import json
from typing import Any


def read_json_text(text: str | bytes) -> Any:
    """What a JSON text says; NaN and Infinity, which JSON does not know, are refused.

    Raises:
        ValueError: no JSON, nested too deeply to be read, or too large for memory.
    """
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except MemoryError:
        raise ValueError("it is too large for this machine's memory") from None


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is no number")
