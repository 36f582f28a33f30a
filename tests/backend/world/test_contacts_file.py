"""The contacts file: written, read again, edited; mistakes are named with their line."""

import dataclasses
import json
import logging
import os
from pathlib import Path

import numpy as np
import pytest

from staf_backend.cli import main
from staf_backend.estimators import SettingsError
from staf_backend.motion import PARTS, ContactSpan, Motion, save_motion
from staf_backend.people import Track
from staf_backend.pipeline import Settings, solve
from staf_backend.world import ContactsError, WorldSettings, read_contacts, write_contacts
from staf_backend.world.contacts import Contacts, told_contacts
from tests.support.command_line import BALANCE
from tests.support.sample_motions import sample_motion, swaying

CLIP = "walk.mp4"


def track(person: int = 1, first_s: float = 0.0, frames: int = 31) -> Track:
    times = first_s + np.arange(frames) / 10
    return Track(
        person,
        1,
        np.arange(frames, dtype=np.int64),
        times,
        np.ones((frames, 3)),
        np.zeros((frames, 17, 3)),
        np.ones(frames, bool),
    )


def motion(*spans: ContactSpan, person: int = 1, **changes: object) -> Motion:
    """Three seconds."""
    frames = 31
    probability = np.zeros((frames, len(PARTS)))
    plain = sample_motion(
        swaying(frames),
        frames=np.arange(frames),
        times_s=np.arange(frames) / 10,
        source=CLIP,
        person=person,
    )
    return dataclasses.replace(
        plain,
        contact_probability=probability,
        contact_names=PARTS,
        contacts=spans,
        **changes,  # type: ignore[arg-type]
    )


SPANS = (
    ContactSpan("left_heel", 0.0, 0.5, 0.0),
    ContactSpan("left_heel", 1.0, 2.0, 0.0),
    ContactSpan("right_toe", 0.3, 1.3, 0.0),
)


def test_what_is_written_is_read_again_a_span_a_line(tmp_path: Path):
    path = tmp_path / "c.json"
    write_contacts(path, [motion(*SPANS), motion(SPANS[2], person=2)])
    text = path.read_text()
    assert json.loads(text)["format"] == "staf-contacts"
    assert sum('"start_s"' in line for line in text.splitlines()) == 4
    read = read_contacts(path, CLIP, [track(1), track(2)])
    assert {p: len(stands) for p, stands in read.items()} == {1: 3, 2: 1}
    assert (PARTS.index("right_toe"), 0.3, 1.3) in read[1]


def test_the_spans_of_a_person_with_two_parts_stand_together(tmp_path: Path):
    path = tmp_path / "c.json"
    later = dataclasses.replace(
        motion(), times_s=4 + np.arange(31) / 10, contacts=(ContactSpan("seat", 5.0, 6.0, 0.4),)
    )
    write_contacts(path, [motion(*SPANS), later])
    assert len(read_contacts(path, CLIP, [track(), track(first_s=4.0)])[1]) == 4


@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        (('"end_s": 2.000', '"end_s": 9.000'), 6, "reaches beyond what is seen, 0.000 to 3.000 s"),
        (('"start_s": 1.000', '"start_s": -1'), 6, "reaches beyond"),
        (('"start_s": 1.000', '"start_s": 0.400'), 6, "overlaps with its contact from 0 to 0.5 s"),
        (('"start_s": 1.000', '"start_s": 2.5'), 6, '"end_s" must not lie before "start_s", 2.5'),
        (('"start_s": 1.000', '"start_s": "soon"'), 6, "must be a number of seconds, not 'soon'"),
        (('"start_s": 1.000', '"start_s": true'), 6, "must be a number of seconds"),
        (('"start_s": 1.000', '"start_s": NaN'), 6, "NaN is no number"),
        (
            ('"start_s": 1.000', f'"start_s": 0.{"1" * 40}, "end": -Infinity'),
            6,
            "-Infinity is no number",
        ),
        (('"start_s": 1.000', '"start_s": 1e999'), 6, "must be a number of seconds"),
        (('"start_s": 1.000', '"start": 1.000'), 6, '"start" is unknown here'),
        (('"start_s": 1.000', f'"{"y" * 5000}": 1'), 6, 'yyy..." is unknown here'),
        (('"start_s": 1.000', '"\\u001b[2J": 1'), 6, '"\\x1b[2J" is unknown here'),
        (("right_toe", "tail"), 7, '"part" must be one of left_heel'),
        (('"person": 1', '"person": 7'), 4, "person 7 is not in this clip"),
        (('"person": 1', '"person": 0'), 4, "must be a whole number from 1"),
        (("walk.mp4", "run.mp4"), 2, "another clip, run.mp4, not of walk.mp4"),
        (('"version": 1', '"version": 2'), 2, "newer version"),
        (("staf-contacts", "staf-tracks"), 2, "this is no contacts file"),
        (('right_toe"', "right_toe"), 7, "this is no JSON"),
        (('"end_s": 2.000', '"end_s": 2.000, "end_s": 3'), 6, "stands twice in one object"),
    ],
)
def test_a_mistake_is_named_with_its_line(
    tmp_path: Path, change: tuple[str, str], line: int | None, words: str
):
    path = tmp_path / "c.json"
    write_contacts(path, [motion(*SPANS)])
    text = path.read_text()
    assert change[0] in text
    path.write_text(text.replace(change[0], change[1], 1))
    with pytest.raises(ContactsError) as caught:
        read_contacts(path, CLIP, [track()])
    assert words in caught.value.message
    assert "\n" not in caught.value.message
    assert line is None or f", line {line}: " in caught.value.message


def test_what_is_no_file_of_ours(tmp_path: Path):
    with pytest.raises(ContactsError, match="cannot be read"):
        read_contacts(tmp_path / "gone.json", CLIP, [track()])
    deep = tmp_path / "deep.json"
    deep.write_text("[" * 100_000)
    with pytest.raises(ContactsError):
        read_contacts(deep, CLIP, [track()])
    deep.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ContactsError, match="UTF-8"):
        read_contacts(deep, CLIP, [track()])


def test_motions_without_contacts_and_of_several_clips_are_refused(tmp_path: Path):
    bare = dataclasses.replace(motion(), contact_probability=None, contact_names=())
    with pytest.raises(ContactsError, match="has no contacts"):
        write_contacts(tmp_path / "c.json", [bare])
    with pytest.raises(ContactsError, match="several clips"):
        write_contacts(tmp_path / "c.json", [motion(), motion(source="b.mp4")])
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    save_motion(tmp_path / "m.npz", motion(*SPANS))
    assert main(["contacts", str(tmp_path / "m.npz"), "-o", str(tmp_path / "c.json")]) == 0
    assert "staf convert --contacts" in capsys.readouterr().out
    assert len(read_contacts(tmp_path / "c.json", CLIP, [track()])[1]) == 3
    several = ["convert", "a.mp4", "b.mp4", "-o", str(tmp_path), "--contacts", "c.json"]
    assert main(several) == 2
    assert "one video with --contacts" in capsys.readouterr().err


def test_an_edited_file_is_kept_when_it_is_written_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    path, kept = tmp_path / "c.contacts.json", tmp_path / "c.contacts.before.json"
    write_contacts(path, [motion(*SPANS)])
    write_contacts(path, [motion(*SPANS)])
    assert not kept.exists()
    edited = path.read_text().replace("right_toe", "left_toe")
    path.write_text(edited)
    with caplog.at_level(logging.WARNING):
        write_contacts(path, [motion(*SPANS)])
    assert kept.read_text() == edited
    assert path.read_text() != edited
    assert "kept as c.contacts.before.json" in caplog.text


def test_what_is_told_is_what_touches():
    times = np.arange(10) / 10
    found = Contacts(np.full((10, len(PARTS)), 0.6), np.ones((10, len(PARTS)), bool))
    told = told_contacts(found, [(3, 0.2, 0.5)], times)
    assert told.touching.sum() == 4
    assert told.spans(3) == [(2, 6)]
    assert told.probability[3, 3] == pytest.approx(0.95)
    assert told.probability[0, 0] < 0.1


def test_contacts_where_nothing_is_grounded_mean_nothing():
    with pytest.raises(SettingsError, match="put on a floor"):
        Settings(contacts=Path("c.json"), world=WorldSettings(level="off", grounding=0.0))


@pytest.mark.parametrize("kind", ["pipe", "another clip's"])
def test_a_wrong_file_is_refused_before_anything_is_looked_for(tmp_path: Path, kind: str):
    path, seen = tmp_path / "c.json", []
    if kind == "pipe":
        if not hasattr(os, "mkfifo"):
            pytest.skip("this system has no named pipes")
        os.mkfifo(path)
    else:
        write_contacts(path, [motion(*SPANS)])
    with pytest.raises(ContactsError, match=r"a pipe|of another clip"):
        solve(BALANCE, Settings(contacts=path), lambda *told: seen.append(told))
    assert not seen
