"""On which line of a JSON text something stands, so that whoever edits it by hand finds it.

The text is one that `json.loads` reads.  It may be a stranger's: what is done takes time in
proportion to its length, and no memory for how deep it nests.
"""

import json
import re

_MEMBER = re.compile(r'"(?:[^"\\]++|\\.)*+"(?=\s*+(:)?)|[{}]')
"""A string, marked where it is a key, or where an object begins or ends.  Possessive: else a long
string takes sixty times its length in memory."""
_NO_NUMBER = re.compile(r'"(?:[^"\\]++|\\.)*+"|(NaN|-?Infinity|(?<![\d.])\d{31,}(?![\d.eE]))')
"""A string, or, marked, what stands for a number and is none that strict JSON takes."""
_SPACE = re.compile(r"\s*+")
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str)
"""Passes over values."""
Path = tuple[str | int, ...]
"""Keys and numbers that lead from the outermost value to one inside: ("edits", 2, "person")."""


def line_of(text: str, path: Path) -> int:
    """The line, from 1, on which the value of a path begins; of its nearest holder if it is absent.

    Args:
        text: that `json.loads` reads.
        path: of the value.
    """
    place = _after_space(text, 0)
    for step in path:
        inside = _keyed(text, place, step) if isinstance(step, str) else _item(text, place, step)
        if inside is None:
            break
        place = inside
    return text.count("\n", 0, place) + 1


def line_of_no_number(text: str) -> int | None:
    """The line of the first NaN, Infinity or endless whole number; None: there is none."""
    found = (one for one in _NO_NUMBER.finditer(text) if one[1])
    first = next(found, None)
    return None if first is None else text.count("\n", 0, first.start()) + 1


def repeated_key(text: str) -> tuple[str, int] | None:
    """The first key that an object has twice, and its line."""
    around: list[set[str]] = []  # keys of the objects we are in
    for token in _MEMBER.finditer(text):
        word = token[0]
        if word == "{":
            around.append(set())
        elif word == "}":
            around.pop()
        elif token[1]:
            key = json.loads(word) if "\\" in word else word[1:-1]
            if key in around[-1]:
                return key, text.count("\n", 0, token.start()) + 1
            around[-1].add(key)
    return None


def _keyed(text: str, place: int, wanted: str) -> int | None:
    """Where the value of a key begins in the object at a place; None: no object, or no such key."""
    if text[place] != "{":
        return None
    place = _after_space(text, place + 1)
    while text[place] != "}":
        key, place = _DECODER.raw_decode(text, place)
        place = _after_space(text, _after_space(text, place) + 1)
        if key == wanted:
            return place
        place = _next(text, place)
    return None


def _item(text: str, place: int, number: int) -> int | None:
    """Where a value begins in the list at a place; None: no list, or too short."""
    if text[place] != "[":
        return None
    place = _after_space(text, place + 1)
    while text[place] != "]":
        if number == 0:
            return place
        place, number = _next(text, place), number - 1
    return None


def _next(text: str, place: int) -> int:
    """After the value at a place, and the comma behind it."""
    place = _after_space(text, _DECODER.raw_decode(text, place)[1])
    return _after_space(text, place + 1) if text[place] == "," else place


def _after_space(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    assert found is not None  # nothing is a match, too
    return found.end()
