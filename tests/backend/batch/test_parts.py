"""Where clips go, what a torn journal tells, who waits for whom, and each system's branch."""

import contextlib
import io
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from staf_backend import StafError
from staf_backend.batch import report, report_html, worker
from staf_backend.batch.clips import PATTERNS, find_clips
from staf_backend.batch.convert import convert
from staf_backend.batch.journal import Journal
from staf_backend.batch.people_list import PeopleError, PeopleList, Take, read_people, write_people
from staf_backend.batch.recipe import Recipe
from staf_backend.batch.rig import RigError, find_rig
from staf_backend.batch.schedule import Schedule
from staf_backend.files import OutputError, long_array
from staf_backend.files.scratch import LEAST_BYTES
from staf_backend.runtime import processes
from staf_backend.video import VideoError
from tests.support.command_line import BALANCE


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def places(given: list[Path], out: Path, depth: int | None = None) -> list[str]:
    return [clip.place for clip in find_clips(given, PATTERNS, depth, out)]


def test_places_mirror_folders_and_never_meet(tmp_path):
    folder = touch(
        tmp_path / "in", "a.mp4", "a.MOV", "b.mp4", "b-1.mp4", "x/c.mp4", "x/y/C.mp4", ".d.mp4"
    )
    found = places([folder], tmp_path / "out")
    assert found == ["a.MOV", "a.mp4", "b-1.mp4", "b.mp4", "x/c", "x/y/C"]
    assert places([folder], tmp_path / "out", depth=0) == found[:4]
    assert places([folder], folder / "x") == found[:4], "the output folder is not walked"


def test_names_that_differ_in_capitals_alone_are_numbered_in_proportion(tmp_path):
    """Of 60,000 casings of one name the last was tried under 60,000 numbers."""
    letters = [(letter, letter.upper()) for letter in "abcdefghijklmnop"]
    casings = itertools.islice(itertools.product(*letters), 60_000)
    names = ["".join(casing) for casing in casings]
    (tmp_path / "clips.txt").write_text("\n".join(names))
    began = time.process_time()
    found = places([tmp_path / "clips.txt"], tmp_path / "out")
    assert time.process_time() - began < 10
    assert found[:3] == ["abcdefghijklmnop", "abcdefghijklmnoP~2", "abcdefghijklmnOp~3"]
    assert len({place.casefold() for place in found}) == 60_000


@pytest.mark.parametrize("named", ["x/../x/a.mp4", "../in/x/a.mp4", "x/y/../a.mp4", "x/y/../../x"])
def test_no_place_leads_out_of_the_output_folder(tmp_path, named):
    folder = touch(tmp_path / "in", "x/a.mp4", "b.mp4", "x/y/c.avi")
    (folder / "clips.txt").write_text(f"{named}\nx/a.mp4\nb.mp4")
    found = places([folder / "clips.txt"], tmp_path / "out")
    assert sorted(found) == ["b", "x/a", *(["x/y/c"] if named.endswith("x") else [])]


def test_a_list_without_end_is_refused(tmp_path):
    (tmp_path / "clips.txt").write_text("x\n" * 300_001)
    with pytest.raises(VideoError, match=r"clips\.txt names more than 300000 clips"):
        places([tmp_path / "clips.txt"], tmp_path / "out")


def test_a_clip_never_takes_the_name_of_a_report(tmp_path):
    folder = touch(tmp_path / "in", "report.mp4", "Report-1.mp4", "x/report.mp4")
    assert places([folder], tmp_path / "out") == ["Report-1.mp4", "report.mp4", "x/report"]


@pytest.mark.parametrize("names", [("a.mp4", "A.mp4"), ("a.mp4", "a.mp4-1.mp4", "a.mp4.mp4")])
def test_names_that_some_disks_take_for_one(tmp_path, names):
    found = places([touch(tmp_path, *names)], tmp_path / "out")
    assert len({place.casefold() for place in found}) == len(names)


def test_a_list_names_clips_and_folders_from_where_it_lies(tmp_path):
    touch(tmp_path, "in/a.mp4", "in/deep/b.mp4", "c.mp4")
    (tmp_path / "clips.txt").write_text("# tonight\nin/deep\n\nc.mp4\nmissing.mp4\n")
    found = find_clips([tmp_path / "clips.txt"], PATTERNS, None, tmp_path / "out")
    assert [clip.place for clip in found] == ["in/deep/b", "c", "missing"]


def test_a_list_that_is_none_is_told(tmp_path):
    (tmp_path / "clips.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(VideoError, match=r"clips\.txt"):
        find_clips([tmp_path / "clips.txt"], PATTERNS, None, tmp_path)


SEEN = {"people": [{"person": 1, "coverage": 0.5}], "seconds": 1.0}


def test_a_torn_journal_is_taken_up(tmp_path):
    journal = Journal(tmp_path)
    journal.write({"event": "done", "place": "a", "files": {"a.glb": "1"}} | SEEN)
    journal.close()
    path = tmp_path / ".staf-batch" / "journal.jsonl"
    whole = path.read_bytes()
    for cut in range(1, 40, 7):
        path.write_bytes(whole + whole[:-cut])
        journal = Journal(tmp_path)
        assert journal.last("a") == json.loads(whole)
        journal.write({"event": "failed", "place": "b", "message": "no"})
        journal.close()
        again = Journal(tmp_path)
        assert again.last("b") is not None, cut
        again.close()


def test_rubbish_in_a_journal_is_passed_over(tmp_path):
    Journal(tmp_path).close()
    path = tmp_path / ".staf-batch" / "journal.jsonl"
    path.write_bytes(b'[1]\n"x"\n{"event": "done"}\n' + b"[" * 100_000 + b"\n\xff\xfe\n")
    journal = Journal(tmp_path)
    assert journal.last("a") is None
    with pytest.raises(OutputError, match="Another batch"):
        Journal(tmp_path)
    journal.close()


class CountingSlot:
    def __init__(self) -> None:
        self.stopped = False

    def run(self, order: dict) -> dict:
        return order

    def rest(self) -> None:
        self.rested = True

    def stop(self) -> None:
        self.stopped = True


def test_passing_faults_are_tried_again_and_every_clip_ends_once(tmp_path):
    clips = find_clips(
        [touch(tmp_path, *(f"{n:02}.mp4" for n in range(40)))], PATTERNS, 0, tmp_path
    )
    ended: list[str] = []
    tries: dict[str, int] = {}
    lock = threading.Lock()

    def attempt(clip, _slot, last):
        with lock:
            tries[clip.place] = tries.get(clip.place, 0) + 1
            if clip.place.endswith("3") and not last:
                return True
            ended.append(clip.place)
            return False

    slots = [CountingSlot() for _ in range(4)]
    Schedule(clips, slots, attempt, (0.01, 0.02)).run()
    assert sorted(ended) == [clip.place for clip in clips]
    assert {place for place, count in tries.items() if count == 3} == {"03", "13", "23", "33"}
    assert all(slot.stopped for slot in slots)


def test_an_error_of_the_driver_ends_the_batch(tmp_path):
    clips = find_clips([touch(tmp_path, "a.mp4", "b.mp4")], PATTERNS, 0, tmp_path)

    def attempt(_clip, _slot, _last):
        raise OutputError("the disk is full.")

    with pytest.raises(OutputError):
        Schedule(clips, [CountingSlot()], attempt).run()


def test_the_last_lines_say_why_after_any_path():
    """And name clips as the lines before them do."""
    place, path = "day/caf\udce9", "/mnt/" + "projects/" * 12 + "clip.glb"
    totals = dict.fromkeys(("clips", "done", "failed", "waiting", "before", "people"), 1)
    totals |= {"seconds": 1.0, "workers": 1, "stages_s": {}}
    one = {"place": place, "status": "failed", "message": f"cannot write {path}: the disk is full."}
    two = one | {"message": "x" * 100_000 + "\x1b[2J the end."}
    lines = report.summary({"totals": totals, "clips": [one, two], "characters": []}).splitlines()
    assert lines[-2] == f"failed: day/caf\\xe9: cannot write {path}: the disk is full."
    assert len(lines[-1]) < 300
    assert lines[-1].endswith(r"\x1b[2J the end.")


def test_names_of_files_are_text_in_the_page():
    clip = {
        "place": "<script>\udcff",
        "status": "failed",
        "message": "<b>&",
        "before": False,
        "log": "a b",
    }
    totals = {"clips": 1, "done": 0, "failed": 1, "waiting": 0, "people": 0, "seconds": 1.0}
    other = {"name": "<i>", "status": "failed", "takes": [], "files": [], "message": "<u>"}
    values = {"totals": totals | {"workers": 1}, "clips": [clip], "version": "0"}
    values |= {"characters": [other]}
    page = "".join(report_html.page(values, lambda _: b"", links=True))
    page.encode()
    assert "<i>" not in page
    assert "<u>" not in page
    assert page.count("<script>") == 1
    assert "&lt;b&gt;&amp;" in page


def test_the_page_says_whose_words_they_are_and_shared_ones_once():
    said = [["It was dark.", "Feet slide."], ["It was dark.", "Filled in."], ["It was dark."]]
    people = [{"person": i, "coverage": 1.0, "words": one} for i, one in enumerate(said, 1)]
    clip = {"place": "a", "status": "done", "before": False, "log": "l", "files": {}, "seconds": 1}
    totals = {"clips": 1, "done": 1, "failed": 0, "waiting": 0, "people": 3, "seconds": 1.0}
    values = {"totals": totals | {"workers": 1}, "version": "0", "characters": []}
    values |= {"clips": [clip | {"people": people}, clip | {"people": people[:1], "place": "b"}]}
    page = "".join(report_html.page(values, lambda _: b"", links=True))
    assert "Person 1: Feet slide.<br>Person 2: Filled in.<br>It was dark.</td>" in page
    assert ">It was dark.<br>Feet slide.</td>" in page, "of one person"


def test_groups_of_every_system():
    assert processes.group_options("linux") == (True, 0)
    assert processes.group_options("darwin") == (True, 0)
    assert processes.group_options("win32") == (False, 0x200)


def test_memory_as_every_system_tells_it(monkeypatch):
    told = {"ps": " 2048\n", "tasklist": '"python.exe","4711","Console","1","123,456 K"\n'}
    monkeypatch.setattr(processes, "_output", lambda command: told[command[0]])
    assert processes.memory_bytes(4711, "darwin") == 2048 * 1024
    assert processes.memory_bytes(4711, "win32") == 123_456 * 1024
    told |= {"ps": "", "tasklist": "INFO: No tasks are running.\n"}
    assert processes.memory_bytes(4711, "darwin") == 0
    assert processes.memory_bytes(4711, "win32") == 0


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_memory_of_this_process():
    assert 10e6 < processes.memory_bytes(os.getpid()) < 10e9
    assert processes.memory_bytes(2**22 + 1) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_memory_of_what_a_process_started_counts():
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', '"
    code += "x = bytearray(200_000_000); print(flush=True); input()'])"
    with processes.start_apart(
        [sys.executable, "-c", code], os.environ, subprocess.DEVNULL
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert processes.memory_bytes(child.pid) > 200e6
        processes.end_group(child)


def test_who_is_alive():
    assert processes.is_alive(os.getpid())
    assert not processes.is_alive(2**22 + 1)


def test_who_is_alive_as_windows_tells_it(monkeypatch):
    told = '"python.exe","4711","Console","1","123,456 K"\n'
    monkeypatch.setattr(processes, "_output", lambda _: told)
    assert processes.is_alive(4711, "win32")
    monkeypatch.setattr(processes, "_output", lambda _: "INFO: No tasks are running.\n")
    assert not processes.is_alive(4711, "win32")


def test_a_worker_sweeps_what_dead_ones_left(tmp_path):
    mine, gone = tmp_path / f"staf-batch-{os.getpid()}-a", tmp_path / f"staf-batch-{2**22 + 1}-b"
    for folder in (mine, gone, tmp_path / "staf-batch-x"):
        folder.mkdir()
    worker.sweep(tmp_path)
    assert mine.exists()
    assert not gone.exists()
    assert (tmp_path / "staf-batch-x").exists()


GOOD_LIST = {"people": 1, "characters": {"hero": ["x/a#1"]}, "alone": []}


def test_people_are_proposed_by_folder_and_edits_stay(tmp_path):
    people = PeopleList()
    takes = [Take("x/y/b", 1), Take("x/y/a", 1), Take("x/y/a", 2), Take("c", 1)]
    assert people.add(takes)
    assert people.characters == {"main": [takes[3]], "x-y": [takes[1], takes[0]]}
    assert people.alone == [takes[2]]
    people.characters["hero"] = [people.alone.pop(), people.characters["main"].pop()]
    write_people(tmp_path, people)
    again = read_people(tmp_path)
    assert again == people
    assert not again.add(takes)


@pytest.mark.parametrize(
    "change",
    [
        {"people": 2},
        {"characters": []},
        {"characters": {"../x": []}},
        {"characters": {"a/b": []}},
        {"characters": {".hidden": []}},
        {"characters": {"a": [], "A": []}},
        {"characters": {"a": "x#1"}},
        {"characters": {"a": ["x"]}},
        {"characters": {"a": ["x#0"]}},
        {"alone": [1]},
    ],
)
def test_a_list_of_people_that_means_nothing_is_told(tmp_path, change):
    (tmp_path / "people.json").write_text(json.dumps(GOOD_LIST | change))
    with pytest.raises(PeopleError, match=r"people\.json cannot be read"):
        read_people(tmp_path)


def test_a_list_of_people_nested_without_end_is_told(tmp_path):
    (tmp_path / "people.json").write_text("[" * 100_000)
    with pytest.raises(PeopleError):
        read_people(tmp_path)


@pytest.mark.parametrize("name", ["../gone", "/gone", "x/../../gone", "..\\gone", "c:/gone", ""])
def test_a_strangers_journal_names_no_file_outside(tmp_path, name):
    Journal(tmp_path).close()
    path = tmp_path / ".staf-batch" / "journal.jsonl"
    path.write_text(json.dumps({"event": "moving", "place": "a", "files": [name]}) + "\n")
    with contextlib.closing(Journal(tmp_path)) as journal:
        assert not journal.files_of("a")


def test_a_list_may_name_what_no_disk_can_hold(tmp_path):
    (tmp_path / "clips.txt").write_text("x" * 5000 + "\n")
    found = find_clips([tmp_path / "clips.txt"], PATTERNS, None, tmp_path / "out")
    assert len(found) == 1
    with pytest.raises(VideoError, match="too long"):
        find_clips([tmp_path / ("x" * 5000)], PATTERNS, None, tmp_path / "out")
    with pytest.raises(VideoError, match="read from disks"):
        find_clips([Path("s3://studio/clips")], PATTERNS, None, tmp_path / "out")


def test_files_on_a_rig_never_meet_other_clips(tmp_path):
    folder = touch(tmp_path, "take.mp4", "Take-Hero.mp4", "take-hero-2.mov", "other.mp4")
    found = find_clips([folder], PATTERNS, 0, tmp_path / "out", ["-hero.blend"])
    assert [clip.place for clip in found] == [
        *("Take-Hero.mp4", "other", "take-hero-2.mov", "take.mp4"),
    ]


def test_a_rig_is_known_by_its_files_content(tmp_path):
    for name in ("hero.blend", "map.json"):
        (tmp_path / name).write_bytes(name.encode())
    rig = find_rig(tmp_path / "hero.blend", "Hero", tmp_path / "map.json")
    before = rig.key()
    assert rig.ending == "-hero.blend"
    assert str(tmp_path) not in str(before), "the same rig elsewhere changes nothing"
    (tmp_path / "map.json").write_bytes(b"another")
    assert rig.key() != before
    (tmp_path / "hero.blend").unlink()
    with pytest.raises(RigError, match=r"hero.blend cannot be read: No such file"):
        rig.key()


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux where a mapped file lies")
def test_what_is_known_of_a_long_clip_waits_in_the_folder_of_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    lie: list[bool] = []

    def solve(*_: object) -> None:
        array = long_array((LEAST_BYTES,))
        maps = Path("/proc/self/maps").read_text(encoding="utf-8")
        lie.append(f" {tmp_path}/" in maps and array.nbytes > LEAST_BYTES)
        raise StafError("enough")

    monkeypatch.setattr("staf_backend.batch.convert.solve", solve)
    recipe = Recipe({}, {}, {}).as_values()
    order = {"source": str(BALANCE), "recipe": recipe, "stem": "a", "threads": 1}
    with pytest.raises(StafError, match="enough"):
        convert(order, tmp_path, io.StringIO())
    assert lie == [True]
    assert not list(tmp_path.iterdir())
