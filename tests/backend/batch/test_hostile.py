"""An output folder that a stranger prepared: nothing outside is touched, and nothing waits."""

import contextlib
import json
import logging
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from staf_backend.batch import entry as entry_module
from staf_backend.batch import inside, takes
from staf_backend.batch import journal as journal_module
from staf_backend.batch.attempt import Attempts
from staf_backend.batch.clips import PATTERNS, Clip, find_clips
from staf_backend.batch.journal import Journal
from staf_backend.batch.people_list import PeopleError, PeopleList, Take, read_people, write_people
from staf_backend.batch.recipe import Recipe
from staf_backend.batch.report import values, write
from staf_backend.files import OutputError, sha256
from staf_backend.motion import save_motion
from tests.support.hostile_motions import hostile
from tests.support.sample_motions import with_all

OUTPUTS = {"bone_names": "smpl", "root_motion": "root", "mesh": False, "look": "clay"}
RECIPE = Recipe({}, {}, OUTPUTS, ("motion",), {})
STATE = ".staf-batch"
DONE = {
    "event": "done",
    "place": "a",
    "files": {"a.npz": "0" * 64},
    "people": [{"person": 1, "name": "a", "coverage": 0.9, "words": ["It was dark."]}],
    "seconds": 1.0,
}
needs_links = pytest.mark.skipif(os.name == "nt", reason="links and pipes need rights there")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An output folder after a batch of no clips."""
    Journal(tmp_path / "out").close()
    return tmp_path / "out"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder elsewhere, with a file that is nobody else's business."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious.txt").write_text("TOP SECRET")
    return tmp_path / "elsewhere"


def tell(out: Path, *lines: object) -> None:
    """Lines of a journal, as a stranger writes them."""
    text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    (out / STATE / "journal.jsonl").write_text(text)


@contextlib.contextmanager
def opened(out: Path) -> Iterator[Journal]:
    with contextlib.closing(Journal(out)) as journal:
        yield journal


class WritingSlot:
    """A worker in this process, whose result is one file."""

    def run(self, order: dict) -> dict:
        Path(order["log"]).write_text("told")
        (Path(order["folder"]) / f"{order['stem']}.npz").write_bytes(b"result")
        return {"ok": True, "source_sha256": "0", "files": {f"{order['stem']}.npz": "1"}} | {
            "people": DONE["people"],
            "thumbnail": "/9j/",
        }

    def rest(self) -> None: ...

    def stop(self) -> None: ...


def attempt(journal: Journal, clip: Clip) -> dict:
    told: list[dict] = []
    tried = Attempts(journal, RECIPE, "x", {}, None, True, lambda _, one, __: told.append(one))
    assert not tried(clip, WritingSlot(), True)
    return told[0]


@needs_links
def test_stale_files_behind_a_link_stay(out, outside, tmp_path):
    (out / "d").symlink_to(outside)
    (out / "link.npz").symlink_to(outside / "precious.txt")
    names = ["d/precious.txt", "link.npz", "x" * 255 + "/y", "a.npz/x", "people"]
    (out / "people").mkdir()
    tell(out, *({"event": "moving", "place": p, "files": names} for p in ("a", "//people/ghost")))
    clip = Clip(tmp_path / "a.mp4", "a")
    with opened(out) as journal:
        assert attempt(journal, clip)["event"] == "done"
        takes.merge_takes(journal, [clip], RECIPE, force=True)
    assert (outside / "precious.txt").read_text() == "TOP SECRET"
    assert not (out / "link.npz").is_symlink(), "the link itself is a result's, and stale"
    assert (out / "a.npz").read_bytes() == b"result"


@needs_links
def test_results_are_not_put_behind_a_link(out, outside, tmp_path):
    (out / "day").symlink_to(outside)
    with opened(out) as journal:
        told = attempt(journal, Clip(tmp_path / "a.mp4", "day/a"))
    assert (told["event"], told["kind"]) == ("failed", "output")
    assert "day is a link" in told["message"]
    assert [path.name for path in outside.iterdir()] == ["precious.txt"]


@needs_links
def test_an_output_folder_may_be_a_link_itself(out, tmp_path):
    (tmp_path / "shortcut").symlink_to(out)
    with opened(tmp_path / "shortcut") as journal:
        assert attempt(journal, Clip(tmp_path / "a.mp4", "x/a"))["event"] == "done"
    assert (out / "x" / "a.npz").exists()


@needs_links
def test_a_result_that_is_a_link_is_made_anew(out, outside, tmp_path):
    source = tmp_path / "a.mp4"
    source.write_bytes(b"a clip")
    secret = outside / "precious.txt"
    (out / "a.npz").symlink_to(secret)
    more = {"recipe": "x", "source_sha256": sha256(source), "files": {"a.npz": sha256(secret)}}
    tell(out, DONE | more)
    told: list[dict] = []
    with opened(out) as journal:
        tried = Attempts(journal, RECIPE, "x", {}, None, False, lambda _, one, __: told.append(one))
        tried(Clip(source, "a"), WritingSlot(), True)
    assert told[0]["files"] == {"a.npz": "1"}
    assert not (out / "a.npz").is_symlink()
    assert secret.read_text() == "TOP SECRET"


@needs_links
@pytest.mark.parametrize("name", ["", "logs", "pictures", "work", "journal.jsonl"])
def test_a_state_folder_with_links_is_refused(out, outside, name):
    place = out / STATE / name if name else out / STATE
    place.rename(out / "before") if place.exists() else None
    place.symlink_to(outside / "precious.txt" if "." in name else outside)
    with pytest.raises(OutputError, match="is a link"):
        Journal(out)
    assert (outside / "precious.txt").read_text() == "TOP SECRET"
    assert [path.name for path in outside.iterdir()] == ["precious.txt"]


@needs_links
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_logs_and_pictures_are_replaced_not_followed(out, outside, tmp_path, kind):
    places = [out / STATE / "logs" / "a.log", out / STATE / "pictures" / "a.jpg"]
    for place in places:
        place.symlink_to(outside / "precious.txt") if kind == "link" else os.mkfifo(place)
    clip = Clip(tmp_path / "a.mp4", "a")
    with opened(out) as journal:
        assert journal.picture("a") == b"", "nothing outside comes into the report"
        entry = attempt(journal, clip)
        write(journal, values([clip], {"a": (entry, False)}, [], 1.0, 1), None)
    assert (outside / "precious.txt").read_text() == "TOP SECRET"
    assert places[0].read_text() == "told"
    assert places[1].read_bytes() == b"\xff\xd8\xff"
    assert "data:image/jpeg;base64,/9j/" in (out / "report.html").read_text()


@needs_links
def test_pipes_are_not_waited_for(out):
    os.mkfifo(out / "people.json")
    with pytest.raises(PeopleError, match="no file"):
        read_people(out)
    (out / STATE / "journal.jsonl").unlink()
    os.mkfifo(out / STATE / "journal.jsonl")
    with pytest.raises(OutputError, match="no plain file"):
        Journal(out)


@needs_links
def test_a_list_of_people_elsewhere_is_not_read(out, outside):
    (out / "people.json").symlink_to(outside / "precious.txt")
    with pytest.raises(PeopleError, match="link"):
        read_people(out)


def test_sizes_have_ends(out, monkeypatch, caplog):
    monkeypatch.setattr(journal_module, "JOURNAL_LINE_BYTES", 1000)
    tell(out, DONE | {"message": "x" * 5000}, DONE | {"place": "b"})
    with opened(out) as journal:
        assert journal.last("a") is None
        assert journal.last("b") is not None
    assert caplog.text.count("one line is not what a batch writes") == 1
    monkeypatch.setattr(journal_module, "JOURNAL_BYTES", 1000)
    with pytest.raises(OutputError, match="no journal of a batch"):
        Journal(out)
    (out / STATE / "journal.jsonl").unlink()
    with opened(out) as journal:
        journal.keep_picture("a", bytes(300_000))
        assert journal.picture("a") == b""


@pytest.mark.parametrize(
    ("line", "words"), [("{}", "more than 10 lines are not its own"), (None, "more than 20 lines")]
)
def test_lines_without_end_are_no_journal(out, monkeypatch, line: str | None, words: str):
    """A quarter of a gigabyte of "{}" would be read for ten minutes."""
    monkeypatch.setattr(journal_module, "JOURNAL_STRANGE_LINES", 10)
    monkeypatch.setattr(journal_module, "JOURNAL_LINES", 20)
    lines = [line or json.dumps(DONE | {"place": str(number)}) for number in range(30)]
    tell(out, *lines)
    with pytest.raises(OutputError, match=f"no journal of a batch: {words}"):
        Journal(out)


def test_a_journal_takes_little_more_memory_than_it_has_bytes(out):
    nine = DONE["people"] * 9
    tell(out, *(DONE | {"place": str(number), "people": nine} for number in range(3000)))
    size = (out / STATE / "journal.jsonl").stat().st_size
    tracemalloc.start()
    try:
        with opened(out) as journal:
            kept, _ = tracemalloc.get_traced_memory()
            assert journal.last("7") == DONE | {"place": "7", "people": nine}
    finally:
        tracemalloc.stop()
    assert kept < 1.6 * size, (kept, size)


def test_a_journal_of_ten_thousand_clips_fits():
    """The sizes of real lines: 0.4 kB, and 0.7 kB for each person."""
    assert journal_module.JOURNAL_BYTES > 10_000 * (400 + 30 * 700)
    assert journal_module.JOURNAL_LINE_BYTES > 400 + 700 * entry_module._MOST_PERSONS


def person(**words: object) -> dict:
    return {"people": [DONE["people"][0] | words]}


@pytest.mark.parametrize(
    "change",
    [
        {"people": ["x"]},
        {"people": [{"person": 1}]},
        {"people": None},
        {"people": [DONE["people"][0]] * 2001},
        person(coverage="all"),
        person(coverage=10**400),
        person(coverage=-0.1),
        person(words=5),
        person(words=[5]),
        person(person=[1]),
        person(person=True),
        person(quality={"x": "y"}),
        {"seconds": "1.0"},
        {"seconds": "nan"},
        {"seconds": 10**400},
        {"seconds": 1e308},
        {"seconds": None},
        {"stages_s": ["a"]},
        {"stages_s": {"a": "x"}},
        {"sizes": {"a.npz": "x"}},
        {"recipe": []},
        {"passing": 1},
        {"files": ["a.npz"]},
        {"files": {"a.npz": 5}},
        {"files": {"\ud800": "0"}},
        {"files": {"x" * 5000: "0"}},
        {"files": {"x/" * 2500 + "y": "0"}},
        {"files": {".staf-batch/journal.jsonl": "0"}},
        {"place": "\ud800"},
        {"event": "failed"},
        {"event": "nothing"},
    ],
)
def test_a_strange_line_is_as_if_the_clip_was_not_done(out, caplog, change):
    tell(out, DONE | change, DONE | {"place": "b"})
    with opened(out) as journal:
        assert journal.last("a") is None
        assert journal.last("b") == DONE | {"place": "b"}
    assert len(caplog.records) == 1
    assert caplog.records[0].levelno == logging.WARNING


@pytest.mark.parametrize("word", ["people", "seconds", "files", "place", "event"])
def test_a_line_that_lacks_a_word_is_none(out, word):
    tell(out, {key: value for key, value in DONE.items() if key != word})
    with opened(out) as journal:
        assert journal.last("a") is None


def test_what_a_batch_never_wrote_goes_no_farther(out):
    tell(out, DONE | {"more": 5}, json.dumps(DONE).replace("1.0", "1e999"), "[" * 100_000)
    with opened(out) as journal:
        assert journal.last("a") == DONE, "known words, each in range, and no others"


def test_names_that_look_like_drives_only_are_refused():
    inside.check_name("12:30 walk.npz")
    with pytest.raises(ValueError, match="leads out"):
        inside.check_name("c:gone.npz")


def merged(out: Path, **changes: Any) -> list[dict]:
    """What becomes of two characters, the first of whom has a motion with a changed header."""
    save_motion(out / "good.npz", with_all())
    hostile(out / "bad.npz", header=changes)
    people = PeopleList({"bad": [Take("bad", 1)], "good": [Take("good", 1)]}, [])
    write_people(out, people)
    tell(out, *(DONE | {"place": n, "files": {f"{n}.npz": "0"}} for n in ("bad", "good")))
    with opened(out) as journal:
        return takes.merge_takes(journal, [], RECIPE, force=True)


def test_a_takes_body_is_a_name_and_no_path(out, tmp_path):
    secret = tmp_path / "secret.npz"
    secret.write_bytes(b"x")
    bad, good = merged(out, body=str(secret))
    assert good["status"] == "done", good
    assert bad["status"] == "failed"
    bad, _ = merged(out, body="somebody")
    assert "body somebody is not known here" in bad["message"]


def test_one_characters_fault_is_not_the_others(out, monkeypatch):
    real = takes.in_one_shape

    def at_fault(motions, body):
        if len(calls := [*seen, 1]) == 1:
            seen.extend(calls)
            raise OverflowError("int too large to convert to float")
        return real(motions, body)

    seen: list[int] = []
    monkeypatch.setattr(takes, "in_one_shape", at_fault)
    bad, good = merged(out)
    assert (bad["status"], good["status"]) == ("failed", "done")
    assert "fault of the program" in bad["message"]


@needs_links
def test_a_take_that_is_a_link_is_not_read(out, tmp_path):
    save_motion(tmp_path / "elsewhere.npz", with_all())
    (out / "a.npz").symlink_to(tmp_path / "elsewhere.npz")
    write_people(out, PeopleList({"x": [Take("a", 1)]}, []))
    tell(out, DONE)
    with opened(out) as journal:
        (told,) = takes.merge_takes(journal, [], RECIPE, force=True)
    assert told["status"] == "failed"
    assert "link" in told["message"]


def test_links_in_a_circle_are_refused(tmp_path: Path):
    """As an output folder, and beside clips, where they are no clip."""
    (tmp_path / "out").symlink_to("out")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/around").symlink_to("around")
    (tmp_path / "in/a.mp4").write_bytes(b"no video")
    assert [clip.place for clip in find_clips([tmp_path / "in"], PATTERNS, None, tmp_path / "out")]
    with pytest.raises(OutputError, match="a file of that name is there"):
        Journal(tmp_path / "out")
