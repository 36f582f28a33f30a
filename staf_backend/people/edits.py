"""What an animator says of the people that were found: merge, split, swap, drop, name, fill.

    tracks ──by person──► rows of frames ──each edit, in order──► rows ──bridge gaps──► tracks

What was found stays as it was found; edits only say whose each frame is.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from staf_backend.files import Place
from staf_backend.people.fill import interpolate, is_long_enough
from staf_backend.people.track import Track, longest_gap_s, people

_log = logging.getLogger(__name__)

_LONGEST_NAME = 40
"""Letters.  Chosen: it becomes part of the names of files and bones."""
_NOT_IN_NAMES = set('/\\:*?"<>|')
"""Letters that a file's name may not hold on one system or another."""


@dataclass(frozen=True)
class Rows:
    """One person on the frames where they are followed.

    Attributes:
        frames: (N,) int64, rising.
        boxes_px, keypoints_px, observed: of these frames, as of a `Track`.
        name: what the user calls the person.
        fill: whether gaps of any length are bridged.
    """

    frames: np.ndarray
    boxes_px: np.ndarray
    keypoints_px: np.ndarray
    observed: np.ndarray
    name: str = field(default="")
    fill: bool = field(default=False)

    @classmethod
    def of(cls, tracks: Sequence[Track]) -> "Rows":
        """The parts of one person, one after another."""
        names = ("frames", "boxes_px", "keypoints_px", "observed")
        joined = (np.concatenate([getattr(t, n) for t in tracks]) for n in names)
        return cls(*joined, name=tracks[0].name)

    def take(self, rows: np.ndarray) -> "Rows":
        """The frames of a mask."""
        kept = (self.frames[rows], self.boxes_px[rows], self.keypoints_px[rows])
        return Rows(*kept, self.observed[rows], self.name, self.fill)

    def plus(self, other: "Rows") -> "Rows":
        """With another's frames too; where both have one, the one who was seen on it."""
        seen, theirs = self.frames[self.observed], other.frames[other.observed]
        both = (
            self.take(self.observed | ~np.isin(self.frames, theirs)),
            other.take(other.observed & ~np.isin(other.frames, seen)),
        )
        spare = other.take(
            ~other.observed & ~np.isin(other.frames, np.concatenate([seen, both[0].frames]))
        )
        names = ("frames", "boxes_px", "keypoints_px", "observed")
        joined = {n: np.concatenate([getattr(r, n) for r in (*both, spare)]) for n in names}
        order = np.argsort(joined["frames"], kind="stable")
        arrays = {name: array[order] for name, array in joined.items()}
        return Rows(**arrays, name=self.name, fill=self.fill or other.fill)


People = dict[int, Rows]


def apply_edits(tracks: Sequence[Track], edits: Place, times_s: np.ndarray) -> list[Track]:
    """Tracks as the edits want them, by person and time.

    Args:
        tracks: what was found.
        edits: the list of them.
        times_s: (F,) of all frames of the clip.

    Raises:
        WrongAtError: an edit that cannot be done.
    """
    found: People = {number: Rows.of(parts) for number, parts in people(tracks).items()}
    for edit in edits.items():
        what = edit.at("do").text()
        if what not in EDITS:
            edit.at("do").wrong(f'"{what}" is no edit; there are {", ".join(EDITS)}')
        EDITS[what](found, edit, len(times_s))
    return [t for number in sorted(found) for t in _tracks(number, found[number], times_s)]


def _merge(found: People, edit: Place, _frames: int) -> None:
    edit.only("do", "person", "into")
    one, into = _person(found, edit, "person"), _person(found, edit, "into")
    if one == into:
        edit.wrong(f"person {one} cannot be merged into themselves")
    seen, theirs = (found[p].frames[found[p].observed] for p in (one, into))
    both = np.intersect1d(seen, theirs)
    if len(both):
        edit.wrong(
            f"person {one} and person {into} are both seen on frames {both[0]} to {both[-1]}: "
            "split or drop one of them first"
        )
    found[into] = found[into].plus(found.pop(one))


def _split(found: People, edit: Place, frames: int) -> None:
    edit.only("do", "person", "at_frame", "new_person")
    person, at = _person(found, edit, "person"), edit.at("at_frame").whole(1, frames - 1)
    new = edit.at("new_person").whole(1)
    if new in found:
        edit.at("new_person").wrong(f"there is a person {new} already")
    rows = found[person]
    if not rows.frames[0] < at <= rows.frames[-1]:
        edit.at("at_frame").wrong(
            f"person {person} is followed from frame {rows.frames[0]} to {rows.frames[-1]}, "
            f"so frame {at} splits nothing"
        )
    found[person], later = rows.take(rows.frames < at), rows.take(rows.frames >= at)
    found[new] = replace(later, name="", fill=False)


def _swap(found: People, edit: Place, frames: int) -> None:
    edit.only("do", "person", "with", "from_frame")
    one, other = _person(found, edit, "person"), _person(found, edit, "with")
    at = edit.at("from_frame").whole(0, frames - 1)
    if one == other:
        edit.wrong(f"person {one} cannot be swapped with themselves")
    before = {p: found[p].take(found[p].frames < at) for p in (one, other)}
    after = {p: found[p].take(found[p].frames >= at) for p in (one, other)}
    if not (len(after[one].frames) or len(after[other].frames)):
        edit.at("from_frame").wrong(
            f"neither person {one} nor person {other} is followed from frame {at} on"
        )
    for person, source in ((one, other), (other, one)):
        found[person] = before[person].plus(replace(after[source], fill=False))
        if not len(found[person].frames):
            del found[person]


def _drop(found: People, edit: Place, _frames: int) -> None:
    edit.only("do", "person")
    del found[_person(found, edit, "person")]


def _name(found: People, edit: Place, _frames: int) -> None:
    edit.only("do", "person", "name")
    person, name = _person(found, edit, "person"), edit.at("name").text().strip()
    usable = name.isprintable() and not _NOT_IN_NAMES & set(name) and name[:1] != "."
    if not name or len(name) > _LONGEST_NAME or not usable:
        edit.at("name").wrong(f"a name is 1 to {_LONGEST_NAME} letters that a file's name may have")
    if any(rows.name == name for number, rows in found.items() if number != person):
        edit.at("name").wrong(f'somebody else is called "{name}" already')
    found[person] = replace(found[person], name=name)


def _fill(found: People, edit: Place, _frames: int) -> None:
    edit.only("do", "person")
    person = _person(found, edit, "person")
    found[person] = replace(found[person], fill=True)


EDITS: dict[str, Callable[[People, Place, int], None]] = {
    "merge": _merge,
    "split": _split,
    "swap": _swap,
    "drop": _drop,
    "name": _name,
    "fill": _fill,
}
"""What can be done, by its word."""


def _person(found: People, edit: Place, key: str) -> int:
    """The number of a person who is there."""
    person = edit.at(key).whole(1)
    if person not in found:
        known = ", ".join(map(str, sorted(found))) or "nobody"
        edit.at(key).wrong(f"there is no person {person} here; there are {known}")
    return person


def _tracks(person: int, rows: Rows, times_s: np.ndarray) -> list[Track]:
    """One person's frames as parts: apart at long gaps, shorter ones filled in."""
    longest_s = np.inf if rows.fill else longest_gap_s(times_s)
    seen = rows.frames[rows.observed]
    if not len(seen):
        return []
    apart = np.flatnonzero(np.diff(times_s[seen]) > longest_s)
    ends = [0, *(apart + 1).tolist(), len(seen)]
    stretches = [seen[a:b] for a, b in pairwise(ends)]
    long = [s for s in stretches if is_long_enough(s, times_s)]
    if len(long) < len(stretches):
        _log.warning("person %d: parts of less than half a second are left out", person)
    return [_part(person, n, rows, stretch, times_s) for n, stretch in enumerate(long, 1)]


def _part(person: int, part: int, rows: Rows, seen: np.ndarray, times_s: np.ndarray) -> Track:
    """A track from the first frame seen to the last; absent frames are interpolated."""
    inside = rows.take((rows.frames >= seen[0]) & (rows.frames <= seen[-1]))
    frames = np.arange(seen[0], seen[-1] + 1, dtype=np.int64)
    known_s, times = times_s[inside.frames], times_s[frames]
    observed = np.isin(frames, seen)
    boxes = interpolate(known_s, inside.boxes_px, times)
    keypoints = interpolate(known_s, inside.keypoints_px, times)
    return Track(person, part, frames, times, boxes, keypoints, observed, rows.name)
