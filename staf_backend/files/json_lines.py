"""On which line of a JSON text something stands, so that whoever edits it by hand finds it."""

import json
import re
from collections.abc import Iterator

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')
Path = tuple[str | int, ...]
"""Keys and numbers that lead from the outermost value to one inside: ("edits", 2, "person")."""


def line_of(text: str, path: Path) -> int:
    """The line, from 1, on which the value of a path begins; of its nearest holder if it is absent.

    Args:
        text: that `json.loads` reads.
        path: of the value.
    """
    best, line = -1, 1
    for found, position, is_key in _walk(text):
        depth = len(found)
        if not is_key and found == path[:depth] and depth > best:
            best, line = depth, text.count("\n", 0, position) + 1
            if depth == len(path):
                break
    return line


def repeated_key(text: str) -> tuple[str, int] | None:
    """The first key that an object has twice, and its line."""
    seen: set[Path] = set()
    for path, position, is_key in _walk(text):
        if is_key and path in seen:
            return str(path[-1]), text.count("\n", 0, position) + 1
        if is_key:
            seen.add(path)
    return None


def _walk(text: str) -> Iterator[tuple[Path, int, bool]]:
    """Path, position, and whether it is a key, of every key and of every value's beginning."""
    at: list[str | int | None] = []  # where we are; None: a key comes next
    for token in _TOKEN.finditer(text):
        word = token[0]
        if word in "}]":
            at.pop()
        elif word == ",":
            last = at[-1]
            at[-1] = last + 1 if isinstance(last, int) else None
        elif word == ":":
            continue
        elif at and at[-1] is None:
            at[-1] = str(json.loads(word))
            yield tuple(k for k in at if k is not None), token.start(), True
        else:
            yield tuple(k for k in at if k is not None), token.start(), False
            if word in "{[":
                at.append(None if word == "{" else 0)
