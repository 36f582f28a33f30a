"""The contacts file: when each part of a body stands, for an animator to correct.

    motions ──write_contacts──► clip.contacts.json ──a person edits──► read_contacts ──► grounding

One line a span.  See docs/formats.md for the words.
"""

import filecmp
import itertools
import json
import logging
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from staf_backend import StafError
from staf_backend.files import EditedJson, Place, keep_before, replace_atomically, shown
from staf_backend.motion import PARTS, Motion
from staf_backend.people import Track

_log = logging.getLogger(__name__)
FORMAT, VERSION = "staf-contacts", 1
_LARGEST_BYTES = 50_000_000
"""Of a file.  Chosen: ten people's steps for ten hours."""
_ROUNDED_S = 1e-3
"""Times in the file are rounded to this; so much may a span reach beyond a clip."""


class ContactsError(StafError):
    """A contacts file that cannot be used or made."""

    kind = "contacts"
    exit_code = 8


_ADVICE = "Correct that line, or write the file anew with: staf contacts"
_FILE = EditedJson("contacts", ContactsError, _ADVICE, _LARGEST_BYTES)


class Stand(NamedTuple):
    """A part of the body, number in `PARTS`, stands from start_s to end_s, both included."""

    part: int
    start_s: float
    end_s: float


def write_contacts(path: Path, motions: Sequence[Motion]) -> None:
    """Write the contacts of the motions of one clip.  A file of that name that says something else
    is kept beside it, as `NAME.before.json`: a person may have edited it.

    Args:
        path: of the file.
        motions: grounded.

    Raises:
        ContactsError: they are of several clips, or one was never grounded.
        OutputError: the file cannot be written.
    """
    if len({motion.source for motion in motions}) > 1:
        raise ContactsError("These motions are of several clips.", "Give those of one clip.")
    for motion in motions:
        if motion.contact_probability is None:
            advice = "Convert its clip without --level off --grounding 0."
            raise ContactsError(f"The motion {motion.name!r} has no contacts.", advice)
    with replace_atomically(path) as temporary:
        with temporary.open("w", encoding="utf-8") as file:
            file.writelines(_lines(motions))
        if path.is_file() and not filecmp.cmp(path, temporary, shallow=False):
            kept = keep_before(path)
            _log.warning("%s said something else; as it was, it is kept as %s", path, kept.name)


def check_contacts(path: Path, clip: str) -> None:
    """Look, before anything is made of a clip, whether its contacts file can be one.

    Raises:
        ContactsError: as of `read_contacts`, but for what only the tracks tell.
    """
    _FILE.read(path, lambda file: _check_head(file, clip))


def read_contacts(path: Path, clip: str, tracks: Sequence[Track]) -> dict[int, tuple[Stand, ...]]:
    """When which part stands, by person.

    Args:
        path: of the file.
        clip: the footage's file name.
        tracks: of everybody in it.

    Raises:
        ContactsError: the file cannot be read, is of another clip, or something in it is wrong; the
            message names the line.
    """
    return _FILE.read(path, lambda file: dict(_people(file, clip, tracks)))


def _lines(motions: Sequence[Motion]) -> Iterator[str]:
    """The file: what an editor should see, a span a line."""
    name = json.dumps(motions[0].source)
    head = f'"format": "{FORMAT}", "version": {VERSION}, "clip": {name}'
    yield f'{{\n {head},\n "people": [\n'
    numbers = sorted({motion.person for motion in motions})
    for person in numbers:
        spans = [span for m in motions if m.person == person for span in m.contacts]
        spans.sort(key=lambda span: (PARTS.index(span.part), span.start_s))
        yield f'  {{"person": {person}, "contacts": [\n'
        for span in spans:
            times = f'"start_s": {span.start_s:.3f}, "end_s": {span.end_s:.3f}'
            comma = "" if span is spans[-1] else ","
            yield f'   {{"part": "{span.part}", {times}}}{comma}\n'
        yield "  ]}\n" if person == numbers[-1] else "  ]},\n"
    yield " ]\n}\n"


def _check_head(file: Place, clip: str) -> None:
    file.only("format", "version", "clip", "people")
    if file.at("format").value != FORMAT:
        file.at("format").wrong(f'"format" must be "{FORMAT}": this is no contacts file')
    if file.at("version").whole(1) > VERSION:
        file.at("version").wrong("the file was written by a newer version of STAF")
    if file.at("clip").text() != clip:
        said = shown(file.at("clip").text())
        file.at("clip").wrong(f"these are the contacts of another clip, {said}, not of {clip}")


def _people(
    file: Place, clip: str, tracks: Sequence[Track]
) -> Iterator[tuple[int, tuple[Stand, ...]]]:
    """Everything checked in the order in which it stands."""
    _check_head(file, clip)
    known: set[int] = set()
    for one in file.at("people").items():
        one.only("person", "contacts")
        person = one.at("person").whole(1)
        parts = [(t.times_s[0], t.times_s[-1]) for t in tracks if t.person == person]
        if person in known or not parts:
            twice = "stands here twice" if person in known else "is not in this clip"
            one.at("person").wrong(f"person {person} {twice}")
        known.add(person)
        yield person, _stands(one.at("contacts"), parts)


def _stands(listed: Place, parts: Sequence[tuple[float, float]]) -> tuple[Stand, ...]:
    """Spans of one person, who is seen from when to when."""
    places = [(_stand(one, parts), one) for one in listed.items()]
    places.sort(key=lambda pair: pair[0])
    for (before, _), (after, place) in itertools.pairwise(places):
        if before.part == after.part and after.start_s <= before.end_s:
            name = PARTS[after.part]
            place.wrong(
                f"{name} from {after.start_s:g} to {after.end_s:g} s overlaps with its contact "
                f"from {before.start_s:g} to {before.end_s:g} s"
            )
    return tuple(stand for stand, _ in places)


def _stand(one: Place, parts: Sequence[tuple[float, float]]) -> Stand:
    one.only("part", "start_s", "end_s")
    part = one.at("part").text()
    if part not in PARTS:
        one.at("part").wrong(f'"part" must be one of {", ".join(PARTS)}, not {shown(part)}')
    start, end = (_seconds(one.at(word)) for word in ("start_s", "end_s"))
    if start > end:
        one.at("end_s").wrong(f'"end_s" must not lie before "start_s", {start:g}')
    if not any(a - _ROUNDED_S <= start and end <= b + _ROUNDED_S for a, b in parts):
        seen = " and ".join(f"{a:.3f} to {b:.3f} s" for a, b in parts)
        one.wrong(f"{part} from {start:g} to {end:g} s reaches beyond what is seen, {seen}")
    return Stand(PARTS.index(part), start, end)


def _seconds(place: Place) -> float:
    value = place.value
    if type(value) not in (int, float) or not math.isfinite(value):
        place.wrong(f"{place.name} must be a number of seconds, not {value!r:.40}")
    return float(value)
