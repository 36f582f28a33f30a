# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend's tracks file: who is where in a video, and what the animator says of it.

What was found stays as it was found; the file's `edits` say who is who.  They are done here only as
far as a list of people shows them: the backend does them in earnest.  Knows nothing of Blender.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..archive import read_bytes
from ..json_text import read_json_text
from ..names import in_a_line
from ..user_error import UserError
from .protocol import count_of, misunderstood, number_of, objects_of, text_of

Edit = dict[str, Any]
"""One edit as the file has it, such as {"do": "drop", "person": 2}."""
Spans = tuple[tuple[int, int], ...]
"""First and last frames of stretches, by time."""
_LARGEST_BYTES = 1_000_000_000
"""Of a file, as the backend has it: ten people for an hour at 30 frames a second."""
_EDITS = re.compile(r'"edits"\s*:\s*')


@dataclass(frozen=True)
class Tracked:
    """One person of a tracks file."""

    person: int
    name: str
    seen: Spans
    thumbnail: Path | None

    @property
    def frames(self) -> tuple[int, int]:
        """First and last."""
        return self.seen[0][0], self.seen[-1][1]

    @property
    def coverage(self) -> float:
        """Share of the frames between first and last."""
        first, last = self.frames
        return sum(b - a + 1 for a, b in self.seen) / (last - first + 1)


@dataclass(frozen=True)
class Tracks:
    """A tracks file as a list of people."""

    people: tuple[Tracked, ...]
    """After all edits, by number."""
    edits: tuple[Edit, ...]
    first_s: float
    """Of frame `first_frame`."""
    first_frame: int
    rate: float
    """Frames a second."""

    def second(self, frame: float) -> float:
        """Of a frame."""
        return self.first_s + (frame - self.first_frame) / self.rate

    def frame(self, second: float) -> int:
        """Nearest to a second."""
        return round(self.first_frame + (second - self.first_s) * self.rate)


def read_tracks(path: Path) -> Tracks:
    """Read a tracks file.

    Raises:
        UserError: it is missing or none.
    """
    try:
        document = read_json_text(read_bytes(path, _LARGEST_BYTES).decode())
        if not isinstance(document, dict) or document.get("format") != "staf-tracks":
            raise misunderstood("format")
        edits = objects_of(document, "edits")
        found = [_person(one, path.parent) for one in objects_of(document, "people")]
        clock = _clock(document)
    except (OSError, ValueError, TypeError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        message = in_a_line(f"{path.name} cannot be read: {reason}")
        raise UserError(f"{message}.", "Find the people again.") from None
    people = {one.person: one for one in found if one.seen}
    for edit in edits:
        done = _DO.get(text_of(edit, "do"))
        people = done(people, edit) if done else people
    return Tracks(tuple(people[number] for number in sorted(people)), tuple(edits), *clock)


def with_edit(tracks: Tracks, edit: Edit) -> tuple[Edit, ...]:
    """The edits with one more.

    Raises:
        UserError: it cannot be done.
    """
    people = {one.person: one for one in tracks.people}
    _DO[text_of(edit, "do")](people, edit)
    return (*tracks.edits, edit)


def write_edits(path: Path, edits: Sequence[Edit]) -> None:
    """Put edits in the place of those that a file has; everything else stays to the byte.

    Raises:
        UserError: it cannot be read or written.
    """
    try:
        text = read_bytes(path, _LARGEST_BYTES).decode()
        found = _EDITS.search(text)
        if found is None:
            raise misunderstood("edits")
        _, end = json.JSONDecoder().raw_decode(text, found.end())
        lines = ",\n  ".join(json.dumps(edit, ensure_ascii=False) for edit in edits)
        listed = f"[\n  {lines}\n ]" if edits else "[\n ]"
        part = path.with_name(f"{path.name}.part")
        part.write_text(text[: found.end()] + listed + text[end:], "utf-8")
        part.replace(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"{path.name} cannot be written: {reason}.") from None


def words_of(edit: Mapping[str, Any]) -> str:
    """An edit as a line to read."""
    who = f"person {edit.get('person')}"
    return {
        "merge": f"{who} is person {edit.get('into')}",
        "split": f"{who} is person {edit.get('new_person')} from frame {edit.get('at_frame')}",
        "swap": f"{who} and {edit.get('with')} swapped from frame {edit.get('from_frame')}",
        "drop": f"{who} dropped",
        "name": f"{who} is called {edit.get('name')}",
        "fill": f"{who} is one motion",
    }.get(str(edit.get("do")), in_a_line(str(edit)))


People = dict[int, Tracked]


def _person(values: dict[str, Any], folder: Path) -> Tracked:
    seen: list[tuple[int, int]] = []
    for part in objects_of(values, "parts"):
        start = count_of(part, "first_frame", 0)
        for first, last in part.get("unseen", []):
            seen.append((start, int(first) - 1))
            start = int(last) + 1
        seen.append((start, count_of(part, "last_frame", 0)))
    picture = text_of(values, "thumbnail")
    path = Path(os.path.realpath(folder / picture))  # `resolve` fails on a loop of links
    inside = bool(picture) and path.is_file() and path.is_relative_to(os.path.realpath(folder))
    kept = tuple(sorted(span for span in seen if span[0] <= span[1]))
    return Tracked(count_of(values, "person", 0), "", kept, path if inside else None)


def _clock(document: dict[str, Any]) -> tuple[float, int, float]:
    """Second and number of a frame, and frames a second; of the longest part."""
    parts = [part for one in objects_of(document, "people") for part in objects_of(one, "parts")]
    if not parts:
        return 0.0, 0, 1.0
    long = max(parts, key=lambda part: number_of(part, "last_s") - number_of(part, "first_s"))
    first, last = count_of(long, "first_frame", 0), count_of(long, "last_frame", 0)
    start_s, end_s = number_of(long, "first_s"), number_of(long, "last_s")
    return start_s, first, (last - first) / (end_s - start_s) if end_s > start_s else 1.0


def _merge(people: People, edit: Edit) -> People:
    one, into = _of(people, edit, "person"), _of(people, edit, "into")
    if one == into:
        raise UserError(f"person {one.person} is the same person already.")
    both = [(max(a, c), min(b, d)) for a, b in one.seen for c, d in into.seen]
    both = [span for span in both if span[0] <= span[1]]
    if both:
        raise UserError(
            f"person {one.person} and person {into.person} are both seen on frames {both[0][0]} to "
            f"{both[-1][1]}.",
            "Split or drop one of them first.",
        )
    merged = replace(into, seen=tuple(sorted((*one.seen, *into.seen))))
    return {k: v for k, v in people.items() if k != one.person} | {into.person: merged}


def _split(people: People, edit: Edit) -> People:
    one, at = _of(people, edit, "person"), count_of(edit, "at_frame", 0)
    first, last = one.frames
    if not first < at <= last:
        message = f"person {one.person} is followed from frame {first} to {last}"
        raise UserError(f"{message}, so frame {at} splits nothing.", "Go to a frame between.")
    new = count_of(edit, "new_person", 0)
    later = replace(one, person=new, name="", seen=_cut(one.seen, at, last))
    return people | {one.person: replace(one, seen=_cut(one.seen, first, at - 1)), new: later}


def _swap(people: People, edit: Edit) -> People:
    one, other = _of(people, edit, "person"), _of(people, edit, "with")
    at = count_of(edit, "from_frame", 0)
    end = max(one.frames[1], other.frames[1])
    if one == other or at > end:
        raise UserError(f"from frame {at} on there is nobody to swap.", "Name two people.")
    swapped = {}
    for mine, theirs in ((one, other), (other, one)):
        seen = (*_cut(mine.seen, 0, at - 1), *_cut(theirs.seen, at, end))
        swapped[mine.person] = replace(mine, seen=seen)
    kept = people | swapped
    return {number: person for number, person in kept.items() if person.seen}


def _drop(people: People, edit: Edit) -> People:
    one = _of(people, edit, "person")
    return {number: person for number, person in people.items() if number != one.person}


def _name(people: People, edit: Edit) -> People:
    one, name = _of(people, edit, "person"), text_of(edit, "name")
    if not name or len(name) > 40 or set(name) & set('/\\:*?"<>|') or name.startswith("."):
        raise UserError(f"{name!r} is no name.", "Use 1 to 40 letters that a file's name may have.")
    if any(person.name == name for k, person in people.items() if k != one.person):
        raise UserError(f"somebody else is called {name} already.")
    return people | {one.person: replace(one, name=name)}


def _fill(people: People, edit: Edit) -> People:
    _of(people, edit, "person")
    return people


_DO = {
    "merge": _merge,
    "split": _split,
    "swap": _swap,
    "drop": _drop,
    "name": _name,
    "fill": _fill,
}


def _of(people: People, edit: Edit, word: str) -> Tracked:
    number = count_of(edit, word, 0)
    if number not in people:
        known = ", ".join(str(one) for one in sorted(people)) or "nobody"
        raise UserError(f"there is no person {number}.", f"There are: {known}.")
    return people[number]


def _cut(seen: Spans, first: int, last: int) -> Spans:
    found = ((max(a, first), min(b, last)) for a, b in seen)
    return tuple(span for span in found if span[0] <= span[1])
