"""The tracks file: who is where in a clip, for an animator to correct.

    tracks ──write_tracks──► clip.tracks.json ──a person adds edits──► read_tracks ──► tracks

A head that one reads (clip, people with their parts, edits), then the rows of every part, one line
a frame.  See docs/formats.md for the words.
"""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from staf_backend.files import (
    EditedJson,
    Place,
    content_digest,
    keep_before,
    open_file,
    replace_atomically,
    shown,
)
from staf_backend.people.edits import apply_edits
from staf_backend.people.keypoints import COUNT
from staf_backend.people.track import Track, people
from staf_backend.people.tracks_error import TracksError
from staf_backend.video import Video

_log = logging.getLogger(__name__)
FORMAT, VERSION = "staf-tracks", 1
_LARGEST_BYTES = 1_000_000_000
"""Of a file.  Chosen: ten people for an hour at 30 frames a second."""
_SPARE_BYTES, _FRAME_BYTES = 1_000_000, 50_000
"""What a file may have beside its rows, and for each frame.  Chosen: room for eighty people,
whose rows have 570 bytes each."""
_ADVICE = "Correct that line, or write the file anew with: staf tracks"
_NO_EDITS = ' "edits": [\n ],\n'
_HEAD_BYTES = 16_000_000
"""In which edits are looked for.  Chosen: a hundred thousand parts of people stand before them."""
_FILE = EditedJson("tracks", TracksError, _ADVICE, _LARGEST_BYTES)


def write_tracks(
    path: Path, video: Video, tracks: Sequence[Track], thumbnails: Mapping[int, str]
) -> None:
    """Write who was found.  What a file of that name has of a person's hand is kept beside it, as
    `NAME.before.json`.

    Args:
        path: of the file.
        video: the footage.
        tracks: as found in it.
        thumbnails: a picture's name for each person, as seen from the file's folder.

    Raises:
        OutputError: the file cannot be written.
    """
    with replace_atomically(path) as temporary:
        with temporary.open("w", encoding="utf-8") as file:
            file.writelines(_lines(video, tracks, thumbnails))
        _keep_edited(path)


def _keep_edited(path: Path) -> None:
    """Keep a file about to be replaced, unless its edits are the empty ones that we write."""
    if not path.is_file():
        return
    with open_file(path) as file:
        if _NO_EDITS.encode() in file.read(_HEAD_BYTES):
            return
    kept = keep_before(path)
    _log.warning("%s was edited; as it was, it is kept as %s", path.name, kept.name)


def read_tracks(path: Path, video: Video) -> list[Track]:
    """The tracks of a file, its edits applied.

    Args:
        path: of the file.
        video: the footage, which must be the file's.

    Raises:
        TracksError: the file cannot be read, is of another clip, or something in it is wrong; the
            message names the line.
    """
    most = _SPARE_BYTES + _FRAME_BYTES * len(video.times_s)
    return _FILE.read(path, lambda file: _tracks(file, video), most)


def _tracks(file: Place, video: Video) -> list[Track]:
    """Everything checked in the order in which it stands."""
    file.only("format", "version", "clip", "people", "edits", "tracks")
    if file.at("format").value != FORMAT:
        file.at("format").wrong(f'"format" must be "{FORMAT}": this is no tracks file')
    if file.at("version").whole(1) > VERSION:
        file.at("version").wrong("the file was written by a newer version of STAF")
    _check_clip(file.at("clip"), video)
    spans = _spans(file.at("people"), len(video.times_s))
    found = _rows(file.at("tracks"), spans, video)
    return apply_edits(found, file.at("edits"), video.times_s)


def _check_clip(clip: Place, video: Video) -> None:
    clip.only("name", "sha256", "frames", "width_px", "height_px")
    name = shown(clip.at("name").text())
    for word, real in _clip(video).items():
        said = clip.at(word)
        if word != "name" and said.value != real:
            said.wrong(
                f"these are the tracks of another clip, {name}, with {word} "
                f"{shown(str(said.value))} where {shown(video.path.name)} has {real}"
            )


def _clip(video: Video) -> dict[str, Any]:
    """What a file says of its clip; the name may change, the contents may not."""
    return {
        "name": video.path.name,
        "frames": len(video.times_s),
        "width_px": video.width_px,
        "height_px": video.height_px,
        "sha256": content_digest(video.path),
    }


def _spans(found: Place, frames: int) -> dict[tuple[int, int], tuple[int, np.ndarray]]:
    """First frame and observed flags (T,) of each part, by person and part."""
    spans: dict[tuple[int, int], tuple[int, np.ndarray]] = {}
    for one in found.items():
        one.only("person", "thumbnail", "parts")
        person, end = one.at("person").whole(1), -1
        if one.at("thumbnail").value is not None:
            one.at("thumbnail").text()
        if any(known == person for known, _ in spans):
            one.at("person").wrong(f"person {person} stands here twice")
        for number, part in enumerate(one.at("parts").items(), 1):
            part.only("part", "first_frame", "last_frame", "first_s", "last_s", "unseen")
            if part.at("part").whole(1) != number:
                part.at("part").wrong(f"parts count from 1: this is part {number}")
            first = part.at("first_frame").whole(0, frames - 1)
            if first <= end:
                part.wrong(f"it begins at frame {first}, where the part before ends at {end}")
            end = part.at("last_frame").whole(first, frames - 1)
            spans[person, number] = first, _observed(part.at("unseen"), first, end)
    return spans


def _observed(unseen: Place, first: int, last: int) -> np.ndarray:
    observed = np.ones(last - first + 1, bool)
    for pair in unseen.items():
        a, b = (one.whole(first, last) for one in _two(pair))
        observed[a - first : b - first + 1] = False
    return observed


def _two(pair: Place) -> list[Place]:
    both = list(pair.items())
    if len(both) != 2:
        pair.wrong("it must be a pair: the first and the last frame")
    return both


def _rows(
    rows: Place, spans: Mapping[tuple[int, int], tuple[int, np.ndarray]], video: Video
) -> list[Track]:
    """The tracks as they were found."""
    tracks: dict[tuple[int, int], Track] = {}
    for one in rows.items():
        one.only("person", "part", "boxes_px", "keypoints_px")
        key = one.at("person").whole(1), one.at("part").whole(1)
        if key not in spans or key in tracks:
            reason = "stands here twice" if key in tracks else 'is unknown to "people"'
            one.wrong(f"part {key[1]} of person {key[0]} {reason}")
        first, observed = spans[key]
        frames = np.arange(first, first + len(observed), dtype=np.int64)
        boxes = one.at("boxes_px").table(len(frames), 3)
        if not (boxes[:, 2] > 0).all():
            one.at("boxes_px").wrong("sides of boxes must be positive")
        points = one.at("keypoints_px").table(len(frames), 3 * COUNT).astype(np.float32)
        shaped = points.reshape(-1, COUNT, 3)
        tracks[key] = Track(*key, frames, video.times_s[frames], boxes, shaped, observed)
    missing = sorted(set(spans) - set(tracks))
    if missing:
        rows.wrong(f"part {missing[0][1]} of person {missing[0][0]} is missing here")
    return [tracks[key] for key in sorted(tracks)]


def _lines(video: Video, tracks: Sequence[Track], thumbnails: Mapping[int, str]) -> Iterator[str]:
    """The file, piece by piece."""
    yield f'{{\n "format": {_word(FORMAT)},\n "version": {VERSION},\n "clip": {{\n'
    yield ",\n".join(f"  {_word(key)}: {_word(value)}" for key, value in _clip(video).items())
    yield '\n },\n "people": [\n'
    for number, parts in people(tracks).items():
        picture = _word(thumbnails.get(number))
        yield f'  {{"person": {number}, "thumbnail": {picture}, "parts": [\n'
        yield ",\n".join(f"   {_word(_span(part))}" for part in parts)
        yield "\n  ]}" + ("" if number == max(t.person for t in tracks) else ",") + "\n"
    yield f' ],\n{_NO_EDITS} "tracks": [\n'
    for i, track in enumerate(tracks):
        yield f'  {{"person": {track.person}, "part": {track.part}, "boxes_px": [\n'
        yield ",\n".join(f"   {_word(row)}" for row in track.boxes_px.tolist())
        yield '\n  ], "keypoints_px": [\n'
        flat = track.keypoints_px.reshape(len(track), -1)
        yield ",\n".join(f"   [{','.join(map(str, row))}]" for row in flat)
        yield "\n  ]}" + (",\n" if i < len(tracks) - 1 else "\n")
    yield " ]\n}\n"


def _span(track: Track) -> dict[str, Any]:
    away = np.flatnonzero(np.diff(np.concatenate([[0], ~track.observed, [0]]).astype(int)))
    first = int(track.frames[0])
    return {
        "part": track.part,
        "first_frame": first,
        "last_frame": int(track.frames[-1]),
        "first_s": round(float(track.times_s[0]), 3),
        "last_s": round(float(track.times_s[-1]), 3),
        "unseen": [[first + int(a), first + int(b) - 1] for a, b in away.reshape(-1, 2)],
    }


def _word(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
