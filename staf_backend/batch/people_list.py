"""Who is who across clips: OUT/people.json, which the batch proposes and the user edits.

    {"people": 1,
     "characters": {"hero": ["day 1/take1#1", "day 2/take3#1"], ...},
     "alone": ["day 1/take1#2", ...]}

An entry is a clip's place, "#", and the number of a person in it.  Each character becomes one .glb.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from staf_backend import StafError
from staf_backend.batch.inside import check_name, read
from staf_backend.files import (
    OutputError,
    check_values,
    read_json_text,
    replace_atomically,
    shown,
)

NAME = "people.json"
_LARGEST_BYTES = 64_000_000
"""Chosen: a million entries."""
_MOST_ENTRIES = 1_000_000
"""Takes and characters.  Chosen: a hundred people in each of 10,000 clips."""
_CHARACTER = re.compile(r"[^./\\:*?\"<>|\x00-\x1f\x7f][^/\\:*?\"<>|\x00-\x1f\x7f]{0,99}")
"""A plain file name on every system."""
_ENTRY = re.compile(r"(?s)(.+)#([1-9]\d{0,5})")
_AT_THE_TOP = "main"
"""Character of the clips that lie in no folder."""
_ADVICE = "Mend it, or delete it and a new one is proposed."


class PeopleError(StafError):
    """The user's list of people cannot be understood."""

    kind = "usage"
    exit_code = 2


@dataclass(frozen=True, order=True, slots=True)
class Take:
    """A person of a clip."""

    place: str
    person: int

    def __str__(self) -> str:
        return f"{self.place}#{self.person}"


@dataclass
class PeopleList:
    """Takes of each character, in the user's order, and who is left alone."""

    characters: dict[str, list[Take]] = field(default_factory=dict)
    alone: list[Take] = field(default_factory=list)

    def add(self, takes: Iterable[Take]) -> bool:
        """Propose a character for takes that are not listed; whether there were any.

        The main person of all clips of a folder is one character, named after the folder; others
        are left alone, for nothing in a clip says who they are.
        """
        known = {take for some in (*self.characters.values(), self.alone) for take in some}
        new = sorted(take for take in takes if take not in known)
        for take in new:
            if take.person == 1:
                self.characters.setdefault(_proposed(take.place), []).append(take)
            else:
                self.alone.append(take)
        return bool(new)


def _proposed(place: str) -> str:
    folder = "-".join(PurePosixPath(place).parent.parts) or _AT_THE_TOP
    name = re.sub(r"[\\:*?\"<>|\x00-\x1f\x7f]", "_", folder).lstrip(".")[:100]
    return name or _AT_THE_TOP


def read_people(out: Path) -> PeopleList:
    """The user's list; an empty one where there is none.

    Raises:
        PeopleError: it says what cannot be.
    """
    path = out / NAME
    try:
        text = read(out, NAME, _LARGEST_BYTES)
        check_values(text)
        return _understood(read_json_text(text))
    except FileNotFoundError:
        return PeopleList()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PeopleError(f"{path} cannot be read: {shown(reason)}.", _ADVICE) from error


def _understood(values: Any) -> PeopleList:
    if not isinstance(values, dict) or values.get("people") != 1:
        raise ValueError('it lacks "people": 1')
    characters, alone = values.get("characters"), values.get("alone", [])
    if not isinstance(characters, dict):
        raise ValueError('"characters" is no object')
    entries = sum(len(one) for one in (*characters.values(), alone) if isinstance(one, list))
    if max(entries, len(characters)) > _MOST_ENTRIES:
        raise ValueError(f"it has more than {_MOST_ENTRIES} entries")
    made = PeopleList({n: _takes(t) for n, t in characters.items()}, _takes(alone))
    lower = Counter(name.casefold() for name in characters)
    for name in characters:
        if not _CHARACTER.fullmatch(name) or name != name.strip() or name.endswith("."):
            raise ValueError(f'"{name}" is no plain name')
        check_name(f"{name}.glb")
        if lower[name.casefold()] > 1:
            raise ValueError(f'"{name}" is there twice, for disks that know no capitals')
    return made


def _takes(entries: Any) -> list[Take]:
    if not isinstance(entries, list):
        raise ValueError("takes must be a list")
    takes = []
    for entry in entries:
        match = _ENTRY.fullmatch(entry) if isinstance(entry, str) else None
        if match is None:
            raise ValueError(f"{json.dumps(entry)[:80]} is no clip with # and a number")
        takes.append(Take(match[1], int(match[2])))
    return takes


def write_people(out: Path, people: PeopleList) -> None:
    """Write the list for the user to edit.

    Raises:
        OutputError: it cannot be written.
    """
    values = {
        "people": 1,
        "characters": {name: [str(take) for take in t] for name, t in people.characters.items()},
        "alone": [str(take) for take in people.alone],
    }
    try:
        with replace_atomically(out / NAME) as temporary:
            text = json.dumps(values, indent=1) + "\n"
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError.from_os(out / NAME, error) from error
