"""A line of the journal, checked word by word: a stranger may have written it.

Reports, takes and skips use an entry as it is, so all that they use is of its type and in range
once `checked` let it pass.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any

from staf_backend.batch.inside import check_name

STATE_FOLDER = ".staf-batch"
"""In the output folder: everything that is no result."""
CHARACTERS = "//people/"
"""Before a character's name in the journal; no clip's place begins so."""
_LARGEST = 1e15
"""Of any number, either way.  Chosen: more than a clip's bytes, microseconds or joints are."""
_MOST_PERSONS = 2_000
"""Parts of people in one clip.  Chosen: ten times what a crowd gives; naming them takes 0.1 s."""
_MOST_FILES = 10_000
"""Of one clip.  Chosen: five for each part of a person."""
_MOST_WORDS = 1_000
"""Sentences about a person.  Chosen: fifty times what a card says."""
_LARGEST_PERSON = 999_999
"""Of a person's number: as people.json has it."""


def checked(values: Any) -> dict[str, Any]:
    """An entry with the words that a batch writes, and no others.

    Raises:
        ValueError: a batch never wrote that.
    """
    entry = _words(values, _ENTRY)
    need = {"event", "place", *_NEEDED.get(entry.get("event", ""), ("no event",))}
    if entry.get("event") == "done" and not entry.get("place", "").startswith(CHARACTERS):
        need.add("seconds")
    missing = need - entry.keys()
    if missing:
        raise ValueError(f"it lacks {', '.join(sorted(missing))}")
    if entry["event"] != "failed" and isinstance(entry["files"], dict) != (
        entry["event"] == "done"
    ):
        raise ValueError("its files are of the other kind of entry")
    return entry


def _words(values: Any, known: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise ValueError("it is no object")
    return {word: known[word](value) for word, value in values.items() if word in known}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a text is none")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("a yes or no is none")
    return value


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not abs(value) <= _LARGEST:
        raise ValueError("a number is none")
    return value


def _seconds(value: Any) -> float:
    if _number(value) < 0:
        raise ValueError("a time is below nothing")
    return value


def _share(value: Any) -> float:
    if not 0 <= _number(value) <= 1:
        raise ValueError("a share is none")
    return value


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _LARGEST:
        raise ValueError("a count is none")
    return value


def _person_number(value: Any) -> int:
    if _count(value) > _LARGEST_PERSON:
        raise ValueError("a person's number is none")
    return value


def _place(value: Any) -> str:
    os.fsencode(_text(value))  # UnicodeError is a ValueError
    return value


def _file(value: Any) -> str:
    check_name(_text(value))
    if value.replace("\\", "/").split("/")[0].casefold() == STATE_FOLDER:
        raise ValueError("it is no result")
    return value


def _table(value: Any, each: Callable[[Any], Any]) -> dict[str, Any]:
    """A JSON object, whose keys are texts."""
    if not isinstance(value, dict):
        raise ValueError("a table is none")
    for one in value.values():
        each(one)
    return value


def _list(value: Any, each: Callable[[Any], Any], most: int) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("a list is none")
    if len(value) > most:
        raise ValueError("a list is too long")
    return [each(one) for one in value]


def _files(value: Any) -> list[str] | dict[str, str]:
    """Names before files are moved; names with checksums after that."""
    return _list(value, _file, _MOST_FILES) if isinstance(value, list) else _named(value, _text)


def _named(value: Any, each: Callable[[Any], Any]) -> dict[str, Any]:
    """Something of each file."""
    _list(list(_table(value, each)), _file, _MOST_FILES)
    return value


def _people(value: Any) -> list[dict[str, Any]]:
    return _list(value, _person, _MOST_PERSONS)


def _person(value: Any) -> dict[str, Any]:
    person = _words(value, _PERSON)
    if not {"person", "coverage"} <= person.keys():
        raise ValueError("a person lacks its number or coverage")
    return person


_PERSON = {
    "person": _person_number,
    "coverage": _share,
    "frames": _count,
    "seconds": _seconds,
    "quality": lambda value: _table(value, _number),
    "words": lambda value: _list(value, _text, _MOST_WORDS),
    **dict.fromkeys(("name", "estimator", "configuration", "precision", "body"), _text),
}
"""As `convert` writes it."""
_ENTRY = {
    "event": _text,
    "place": _place,
    "files": _files,
    "people": _people,
    "seconds": _seconds,
    "stages_s": lambda value: _table(value, _seconds),
    "sizes": lambda value: _named(value, _count),
    "passing": _flag,
    **dict.fromkeys(("source", "source_sha256", "recipe", "kind", "message", "advice"), _text),
}
_NEEDED = {"moving": ("files",), "done": ("files", "people"), "failed": ("message",)}
