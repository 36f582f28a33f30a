"""An output folder that a stranger prepared: nothing outside is touched, and nothing waits."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from pygltflib import GLTF2

from staf_backend.batch import inside, takes
from staf_backend.batch.attempt import Attempts
from staf_backend.batch.clips import PATTERNS, Clip, find_clips
from staf_backend.batch.journal import Journal
from staf_backend.batch.people_list import PeopleError, PeopleList, Take, read_people, write_people
from staf_backend.batch.recipe import Recipe
from staf_backend.batch.report import values, write
from staf_backend.files import OutputError, sha256
from staf_backend.motion import save_motion
from tests.support.hostile_motions import hostile
from tests.support.make_journal import DONE, STATE, opened, tell
from tests.support.sample_motions import with_all

OUTPUTS = {"bone_names": "smpl", "root_motion": "root", "mesh": False, "look": "clay"}
RECIPE = Recipe({}, {}, OUTPUTS, ("motion",), {})
needs_links = pytest.mark.skipif(os.name == "nt", reason="links and pipes need rights there")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder elsewhere, with a file that is nobody else's business."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious.txt").write_text("TOP SECRET")
    return tmp_path / "elsewhere"


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


def test_a_name_of_many_folders_is_refused_at_once():
    began = time.process_time()
    with pytest.raises(ValueError, match="no disk"):
        inside.check_name("a/" * 2_000_000)
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("takes", "reason"),
    [
        ('"a#1",' * 5_000_000, "far more numbers"),
        ("{}," * 5_000_000, "far more numbers"),
        ('"walk/take#1",' * 1_100_000, "more than 1000000 entries"),
    ],
)
def test_a_list_of_people_that_fills_memory_is_refused(out, takes: str, reason: str):
    """64 MB of it took 1.8 GB and 23 s."""
    (out / "people.json").write_text(f'{{"people":1,"characters":{{"a":[{takes}"a#2"]}}}}')
    began = time.process_time()
    with pytest.raises(PeopleError, match=reason):
        read_people(out)
    assert time.process_time() - began < 3


def test_many_characters_are_read_in_proportion(out):
    names = {f"hero {number}": [] for number in range(50_000)}
    (out / "people.json").write_text(json.dumps({"people": 1, "characters": names}))
    began = time.process_time()
    assert len(read_people(out).characters) == 50_000
    assert time.process_time() - began < 3


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


def test_takes_of_names_that_are_alike_when_plain_are_two_animations(out):
    """The line break of one becomes the underscore that another has."""
    names = ("a\nb", "a_b")
    for name in names:
        save_motion(out / f"{name}.npz", with_all())
    write_people(out, PeopleList({"x": [Take(name, 1) for name in names]}, []))
    tell(out, *(DONE | {"place": n, "files": {f"{n}.npz": "0"}} for n in names))
    with opened(out) as journal:
        (told,) = takes.merge_takes(journal, [], RECIPE, force=True)
    assert told["status"] == "done", told
    merged_glb = GLTF2().load(str(out / "people" / "x.glb"))
    assert merged_glb is not None
    assert [one.name for one in merged_glb.animations] == ["a_b", "a_b.2"]


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
