"""The list of people and its edits: the add-on's picture of a tracks file is the backend's."""

import json
from pathlib import Path

import numpy as np
import pytest

from addon.solving.tracks import read_tracks, with_edit, words_of, write_edits
from addon.user_error import UserError
from staf_backend.files import Place
from staf_backend.files.json_place import WrongAtError
from staf_backend.people import Track
from staf_backend.people.edits import EDITS, apply_edits

FPS, FRAMES = 25.0, 100


def parts_of(*spans: tuple[int, int, list[list[int]]]) -> list[dict]:
    return [
        {
            "part": number,
            "first_frame": first,
            "last_frame": last,
            "first_s": first / FPS,
            "last_s": last / FPS,
            "unseen": unseen,
        }
        for number, (first, last, unseen) in enumerate(spans, 1)
    ]


PEOPLE = {
    1: parts_of((0, 59, [[10, 14]])),
    2: parts_of((0, 99, [])),
    3: parts_of((61, 75, []), (80, 99, [])),
}


@pytest.fixture
def path(tmp_path) -> Path:
    """Three people, laid out as the backend does."""
    people = [
        f'  {{"person": {number}, "thumbnail": "t/person-{number}.png", "parts": '
        f"{json.dumps(parts)}}}"
        for number, parts in PEOPLE.items()
    ]
    lines = [
        "{",
        ' "format": "staf-tracks",',
        ' "version": 1,',
        ' "clip": {"name": "edits.mp4"},',
        ' "people": [',
        ",\n".join(people),
        " ],",
        ' "edits": [',
        " ],",
        ' "tracks": []',
        "}",
    ]
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "person-1.png").touch()
    file = tmp_path / "clip.tracks.json"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    return file


def found_tracks() -> list[Track]:
    """The same people as the backend has them."""
    tracks = []
    for number, parts in PEOPLE.items():
        for part in parts:
            frames = np.arange(part["first_frame"], part["last_frame"] + 1)
            seen = np.ones(len(frames), bool)
            for first, last in part["unseen"]:
                seen[(frames >= first) & (frames <= last)] = False
            boxes, points = np.ones((len(frames), 3)), np.ones((len(frames), 17, 3))
            tracks.append(Track(number, part["part"], frames, frames / FPS, boxes, points, seen))
    return tracks


EDITS_TRIED = [
    {"do": "merge", "person": 3, "into": 1},
    {"do": "split", "person": 2, "at_frame": 40, "new_person": 4},
    {"do": "swap", "person": 1, "with": 2, "from_frame": 30},
    {"do": "drop", "person": 2},
    {"do": "name", "person": 1, "name": "Anna [1]"},
    {"do": "name", "person": 2, "name": "Bea"},
    {"do": "fill", "person": 3},
]


def test_read(path):
    tracks = read_tracks(path)
    one, two, three = tracks.people
    assert (one.person, one.frames, two.coverage) == (1, (0, 59), 1.0)
    assert one.seen == ((0, 9), (15, 59))
    assert three.seen == ((61, 75), (80, 99))
    assert (one.thumbnail, two.thumbnail) == (path.parent / "t" / "person-1.png", None)
    assert tracks.second(50) == pytest.approx(2.0)
    assert tracks.frame(2.0) == 50


@pytest.mark.parametrize("edit", EDITS_TRIED)
def test_the_list_after_an_edit_is_what_the_backend_makes_of_it(path, edit):
    pytest.importorskip("scipy", reason="Blender's Python has none")
    assert edit["do"] in EDITS
    before = path.read_text("utf-8")
    write_edits(path, with_edit(read_tracks(path), edit))
    tracks = read_tracks(path)
    assert tracks.edits == (edit,)
    theirs = apply_edits(found_tracks(), Place([edit]), np.arange(FRAMES) / FPS)
    expected: dict[int, set[int]] = {}
    for track in theirs:
        expected.setdefault(track.person, set()).update(track.frames[track.observed].tolist())
    listed = {
        one.person: {frame for a, b in one.seen for frame in range(a, b + 1)}
        for one in tracks.people
    }
    assert listed == expected
    assert {one.person: one.name for one in tracks.people} == {t.person: t.name for t in theirs}
    assert words_of(edit).startswith("person")
    write_edits(path, ())
    assert path.read_text("utf-8") == before, "taken back to the byte"


def test_edits_one_after_another(path):
    for edit in (
        {"do": "split", "person": 2, "at_frame": 60, "new_person": 4},
        {"do": "drop", "person": 3},
        {"do": "merge", "person": 4, "into": 1},
    ):
        write_edits(path, with_edit(read_tracks(path), edit))
    tracks = read_tracks(path)
    assert [(one.person, one.frames) for one in tracks.people] == [(1, (0, 99)), (2, (0, 59))]
    lines = path.read_text("utf-8").splitlines()
    assert '  {"do": "drop", "person": 3},' in lines, "an edit a line"


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ({"do": "merge", "person": 1, "into": 2}, "both seen on frames 0 to 59"),
        ({"do": "merge", "person": 1, "into": 1}, "same person"),
        ({"do": "merge", "person": 1, "into": 9}, "no person 9"),
        ({"do": "split", "person": 3, "at_frame": 20, "new_person": 4}, "frame 20 splits nothing"),
        ({"do": "swap", "person": 1, "with": 1, "from_frame": 3}, "nobody to swap"),
        ({"do": "swap", "person": 1, "with": 2, "from_frame": 100}, "nobody to swap"),
        ({"do": "drop", "person": 7}, "no person 7.*1, 2, 3"),
        ({"do": "name", "person": 1, "name": ""}, "is no name"),
        ({"do": "name", "person": 1, "name": "a/b"}, "is no name"),
    ],
)
def test_edits_that_cannot_be_done_are_refused_here_as_there(path, edit, words):
    with pytest.raises(UserError, match=words):
        with_edit(read_tracks(path), edit)
    with pytest.raises(WrongAtError):
        apply_edits(found_tracks(), Place([edit]), np.arange(FRAMES) / FPS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": "staf-tracks", "people": 3}',
        '{"format": "staf-tracks", "people": [{"person": "x", "parts": []}]}',
        '{"format": "staf-tracks", "people": [{"person": 1, "parts": [{"first_frame": 0, '
        '"last_frame": 9, "first_s": "0", "last_s": 1}]}]}',
        '{"format": "staf-tracks", "people": [{"person": 1, "parts": [{"first_frame": 0, '
        '"last_frame": 9, "first_s": 0, "last_s": 1, "unseen": [[1]]}]}]}',
        '{"format": "staf-tracks", "people": [], "edits": {}}',
        "[" * 100_000,
    ],
)
def test_what_is_no_tracks_file_is_refused_in_one_sentence(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_tracks(path)
    assert str(caught.value).isprintable()
    with pytest.raises(UserError, match=r"missing\.json"):
        read_tracks(tmp_path / "missing.json")
