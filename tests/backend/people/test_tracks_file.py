"""The tracks file says what was found, and does what its edits say or refuses with the line."""

import json
import re

import numpy as np
import pytest

from staf_backend.people import NobodyError, Track, TracksError, read_tracks, within, write_tracks
from staf_backend.video import open_video
from tests.support.make_clips import write_clip

FRAMES = 120


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Four seconds at 30 frames a second."""
    clip = tmp_path_factory.mktemp("clip") / "dance.mp4"
    return open_video(write_clip(clip, ticks=tuple(range(FRAMES))))


def _track(video, person, first, last, part=1, unseen=()):
    """Somebody whose box tells who they are: the middle is at 10 times their number."""
    frames = np.arange(first, last + 1, dtype=np.int64)
    rng = np.random.default_rng(person)
    keypoints = rng.uniform(0, 90, (len(frames), 17, 3)).astype(np.float32)
    boxes = np.column_stack([np.full(len(frames), 10.0 * person), frames / 3, 20 + frames / 7])
    observed = ~np.isin(frames, unseen)
    return Track(person, part, frames, video.times_s[frames], boxes, keypoints, observed)


@pytest.fixture
def found(video):
    return [
        _track(video, 1, 0, 119, unseen=(40, 41, 60)),
        _track(video, 2, 0, 49),
        _track(video, 2, 90, 119, part=2),
        _track(video, 3, 55, 85),
    ]


@pytest.fixture
def path(tmp_path, video, found):
    path = tmp_path / "dance.tracks.json"
    write_tracks(path, video, found, {1: "dance.tracks/person-1.png"})
    return path


def _edited(path, *edits):
    """The file with edits, one a line, and the line of the first of them."""
    lines = path.read_text().splitlines()
    place = lines.index(' "edits": [') + 1
    lines[place:place] = [json.dumps(e) + ("," if e is not edits[-1] else "") for e in edits]
    path.write_text("\n".join(lines))
    return path, place + 1


def _whose(track):
    """Who somebody was when they were found, frame by frame."""
    return (track.boxes_px[:, 0] / 10).round().astype(int).tolist()


def test_what_is_written_is_read_to_the_last_digit(path, video, found):
    back = read_tracks(path, video)
    for track, original in zip(back, found, strict=True):
        for name, value in vars(original).items():
            np.testing.assert_array_equal(getattr(track, name), value, err_msg=name)
    head = json.loads(path.read_text())
    assert head["people"][0]["parts"][0]["unseen"] == [[40, 41], [60, 60]]
    assert [p["first_frame"] for p in head["people"][1]["parts"]] == [0, 90]


def test_a_file_with_edits_is_kept_when_it_is_written_anew(path, video, found, caplog):
    whole = path.read_bytes()
    kept = path.with_name("dance.tracks.before.json")
    write_tracks(path, video, found, {1: "dance.tracks/person-1.png"})
    assert not kept.exists(), "nobody edited it"
    edited = _edited(path, {"do": "drop", "person": 2})[0].read_bytes()
    write_tracks(path, video, found, {1: "dance.tracks/person-1.png"})
    assert (path.read_bytes(), kept.read_bytes()) == (whole, edited)
    assert "kept as dance.tracks.before.json" in caplog.text
    path.write_text("half a sentence")
    write_tracks(path, video, found, {})
    assert kept.read_text() == "half a sentence"


def test_split_gives_the_rest_to_somebody_new(path, video):
    edits = {"do": "split", "person": 1, "at_frame": 70, "new_person": 7}
    back = {t.person: t for t in read_tracks(_edited(path, edits)[0], video) if t.part == 1}
    assert (back[1].frames[0], back[1].frames[-1]) == (0, 69)
    assert (back[7].frames[0], back[7].frames[-1]) == (70, 119)


def test_swap_exchanges_two_people_from_a_frame_on(path, video):
    back = read_tracks(
        _edited(path, {"do": "swap", "person": 1, "with": 2, "from_frame": 30})[0], video
    )
    one, two = (next(t for t in back if t.person == p) for p in (1, 2))
    assert _whose(one)[:50] == [1] * 30 + [2] * 20
    assert _whose(two) == [2] * 30 + [1] * 90


def test_merged_people_become_one_and_a_short_gap_is_filled(path, video):
    """Person 3 lies between the two parts of person 2, 5 and 4 frames away."""
    edits = {"do": "merge", "person": 3, "into": 2}
    back = [t for t in read_tracks(_edited(path, edits)[0], video) if t.person == 2]
    (whole,) = back
    assert (whole.frames[0], whole.frames[-1]) == (0, 119)
    assert np.flatnonzero(~whole.observed).tolist() == [*range(50, 55), *range(86, 90)]
    assert 20 < whole.boxes_px[52, 0] < 30


def test_fill_bridges_a_long_gap_and_marks_it(path, video):
    back = [t for t in read_tracks(path, video) if t.person == 2]
    assert len(back) == 2
    (whole,) = [
        t
        for t in read_tracks(_edited(path, {"do": "fill", "person": 2})[0], video)
        if t.person == 2
    ]
    assert np.flatnonzero(~whole.observed).tolist() == list(range(50, 90))


def test_dropped_and_named(path, video):
    edits = ({"do": "drop", "person": 1}, {"do": "name", "person": 3, "name": "Żaneta"})
    back = read_tracks(_edited(path, *edits)[0], video)
    assert [(t.person, t.name) for t in back] == [(2, ""), (2, ""), (3, "Żaneta")]


def test_edits_follow_one_another(path, video):
    edits = (
        {"do": "split", "person": 1, "at_frame": 60, "new_person": 4},
        {"do": "drop", "person": 3},
        {"do": "drop", "person": 2},
        {"do": "merge", "person": 4, "into": 1},
    )
    (back,) = read_tracks(_edited(path, *edits)[0], video)
    np.testing.assert_array_equal(back.frames, np.arange(FRAMES))


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (
            {"do": "merge", "person": 2, "into": 1},
            "person 2 and person 1 are both seen on frames 0",
        ),
        ({"do": "merge", "person": 2, "into": 2}, "merged into themselves"),
        ({"do": "merge", "person": 2}, '"into" is missing'),
        ({"do": "drop", "person": 8}, "there is no person 8 here; there are 1, 2, 3"),
        ({"do": "drop", "person": 1, "frame": 3}, '"frame" is unknown here'),
        ({"do": "split", "person": 1, "at_frame": 120, "new_person": 9}, "from 1 to 119"),
        ({"do": "split", "person": 3, "at_frame": 30, "new_person": 9}, "splits nothing"),
        ({"do": "split", "person": 1, "at_frame": 30, "new_person": 2}, "a person 2 already"),
        ({"do": "swap", "person": 1, "with": 3, "from_frame": 500}, "from 0 to 119"),
        ({"do": "swap", "person": 1, "with": 3, "from_frame": 1.5}, "must be a whole number"),
        ({"do": "swap", "person": 1, "with": True, "from_frame": 5}, "must be a whole number"),
        ({"do": "name", "person": 1, "name": "../x"}, "a name is 1 to 40 letters"),
        ({"do": "name", "person": 1, "name": ""}, "a name is 1 to 40 letters"),
        ({"do": "explode", "person": 1}, '"explode" is no edit; there are merge, split'),
        (["drop", 1], "must be an object"),
    ],
)
def test_a_wrong_edit_is_refused_with_its_line(path, video, edit, reason):
    good = {"do": "name", "person": 1, "name": "Ada"}
    path, line = _edited(path, good, edit)
    with pytest.raises(TracksError, match=rf"line {line + 1}: .*{re.escape(reason)}"):
        read_tracks(path, video)


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ('"version": 1', '"version": 2', 3, "newer version"),
        ('"staf-tracks"', '"other"', 2, "no tracks file"),
        ('"frames": 120', '"frames": 121', 6, "of another clip, dance.mp4"),
        ('"version": 1', '"version": NaN', 3, "no strict JSON: NaN is no number"),
        ("[40, 41]", f"[40, {'4' * 40}]", 13, "no strict JSON: it holds a number of 40 digits"),
        ('"version": 1,', '"version": 1', 4, "no JSON"),
        ('"version": 1,', '"version": 1, "version": 1,', 3, "stands twice"),
        ('"edits": [', '"edit": [', 1, '"edit" is unknown here'),
        ('"last_frame": 49', '"last_frame": 95', 17, "begins at frame 90"),
        ('"last_frame": 49', '"last_frame": 48', None, "must have 49 rows, one a frame, not 50"),
        ('"last_frame": 85', '"last_frame": 120', 20, "from 55 to 119"),
        ('{"person": 3, "thumbnail"', '{"person": 2, "thumbnail"', 19, "stands here twice"),
        ('{"person": 3, "part": 1', '{"person": 9, "part": 1', None, 'unknown to "people"'),
        ("[40, 41]", "[40, 410]", 13, "from 0 to 119"),
    ],
)
def test_a_damaged_file_is_refused_with_the_line(path, video, old, new, line, reason):
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    where = rf"line {line}: " if line else ""
    with pytest.raises(TracksError, match=f"{where}.*{re.escape(reason)}"):
        read_tracks(path, video)


def test_a_file_of_other_footage_is_refused(path, tmp_path, video):
    """As long and as large, but other pictures."""
    twin = write_clip(tmp_path / "other.mp4", ticks=tuple(range(FRAMES)))
    twin.write_bytes(twin.read_bytes() + b"\0")
    with pytest.raises(TracksError, match="sha256"):
        read_tracks(path, open_video(twin))
    with pytest.raises(TracksError, match="cannot be read"):
        read_tracks(tmp_path / "absent.json", video)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TracksError, match="UTF-8"):
        read_tracks(path, video)
    path.write_text("[" * 100_000)
    with pytest.raises(TracksError, match="strict JSON"):
        read_tracks(path, video)


def test_tracks_are_cut_to_a_part_of_the_clip(found):
    kept = within(found, range(30, 90))
    assert [(t.person, t.frames[0], t.frames[-1]) for t in kept] == [
        (1, 30, 89),
        (2, 30, 49),
        (3, 55, 85),
    ]
    with pytest.raises(NobodyError):
        within(found[2:3], range(30))


def test_a_file_far_larger_than_the_clip_can_fill_is_refused_unread(path, video):
    path.write_text(path.read_text() + " " * (50_000 * FRAMES + 1_000_000))
    with pytest.raises(TracksError, match="too large"):
        read_tracks(path, video)
