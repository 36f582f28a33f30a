"""The journal: what it may cost, whoever wrote it, and which lines count."""

import json
import logging
import tracemalloc

import pytest

from staf_backend.batch import entry as entry_module
from staf_backend.batch import journal as journal_module
from staf_backend.batch import report
from staf_backend.batch.clips import Clip
from staf_backend.batch.journal import Journal
from staf_backend.files import OutputError
from tests.support.make_journal import DONE, STATE, opened, tell


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
    ("lines", "words"),
    [
        (["{}"] * 30, "10 lines are not its own"),
        (["{"] * 30, "10 lines are cut off"),
        ([DONE | {"place": str(number)} for number in range(30)], "20 lines"),
        ([DONE | {"more": [0] * 900}], "800 values"),
        ([{"event": "moving", "place": "a", "files": ["a.glb", "a.npz"] * 2}] * 12, "40 names"),
        ([DONE | {"sizes": dict.fromkeys("abc", 1)}] * 12, "40 names of files"),
    ],
)
def test_a_journal_that_goes_on_and_on_is_none(out, monkeypatch, lines: list, words: str):
    """A quarter of a gigabyte of "{}", or of names, would be read for minutes."""
    for limit, most in (("STRANGE_LINES", 10), ("LINES", 20), ("VALUES", 800), ("FILES", 40)):
        monkeypatch.setattr(journal_module, f"JOURNAL_{limit}", most)
    tell(out, *lines)
    with pytest.raises(OutputError, match=f"no journal of a batch: more than {words}"):
        Journal(out)


def test_opening_a_journal_takes_a_small_part_of_its_bytes(out):
    some = DONE["people"] * 9
    names = [f"{letter}.npz" for letter in "abcdefghi"]
    lines = [{"event": "moving", "place": str(i), "files": names} for i in range(3000)]
    tell(out, *(DONE | {"place": str(i), "people": some} for i in range(3000)), *lines)
    size = (out / STATE / "journal.jsonl").stat().st_size
    tracemalloc.start()
    try:
        with opened(out) as journal:
            _, most = tracemalloc.get_traced_memory()
            assert journal.last("7") == DONE | {"place": "7", "people": some}
            assert journal.files_of("7") == {*names}
    finally:
        tracemalloc.stop()
    assert most < 0.5 * size, (most, size)


def test_what_a_batch_writes_is_read_again_among_other_lines(out):
    long = DONE | {"place": "b", "message": "ü" * 10_000}
    new = {"files": {"new.npz": "1"}, "seconds": 2.0}
    tell(out, long, DONE)
    with opened(out) as journal:
        assert journal.last("a") == DONE
        journal.write(DONE | new)
        journal.write({"event": "moving", "place": "a", "files": ["newer.npz"]})
        assert journal.last("b") == long
        assert journal.last("a") == DONE | new
        assert journal.files_of("a") == {"a.npz", "new.npz", "newer.npz"}
    with opened(out) as journal:
        assert journal.last("a") == DONE | new
        assert journal.files_of("a") == {"a.npz", "new.npz", "newer.npz"}


def test_a_line_that_somebody_changes_meanwhile_counts_as_none(out):
    tell(out, DONE, DONE | {"place": "b"})
    with opened(out) as journal:
        tell(out, DONE | {"place": "c"}, "{" + "x" * 1000)
        assert journal.last("a") is None
        assert journal.last("b") is None
        assert journal.files_of("a") == set()


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
        {"files": {f"{number}.npz": "0" for number in range(10_001)}},
        {"sizes": {f"{number}.npz": 1 for number in range(10_001)}},
        person(words=["dark"] * 1001),
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


def test_a_report_is_written_in_pieces(out, tmp_path):
    clips = [Clip(tmp_path / f"{number}.mp4", str(number)) for number in range(3000)]
    entries = {clip.place: (DONE | {"place": clip.place}, True) for clip in clips}
    told = report.values(clips, entries, [], 1.0, 1)
    with opened(out) as journal:
        tracemalloc.start()
        try:
            report.write(journal, told, None)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    size = (out / "report.json").stat().st_size
    assert len(json.loads((out / "report.json").read_text())["clips"]) == 3000
    assert most < 0.2 * size, (most, size)
