"""A batch as a user runs it: real clips, a real command, real kills."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.command_line import staf, staf_here, start
from tests.support.make_clips import write_clip
from tests.support.places import FOOTAGE

CLIP = FOOTAGE / "balance_cam02.mp4"
WORDS = ("--start", 0.5, "--end", 0.9, "--largest", "--preset", "fast", "--motion")


def footage(folder: Path, good: int) -> Path:
    """Good clips in folders, and three that no one can convert."""
    for number in range(good):
        path = folder / f"day {number % 2}" / f"take{number}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CLIP, path)
        with path.open("ab") as file:  # a free box: other bytes, the same pictures
            file.write((8 + number).to_bytes(4, "big") + b"free" + bytes(number))
    (folder / "empty.mp4").touch()
    (folder / "cut off.mp4").write_bytes(CLIP.read_bytes()[:200_000])
    write_clip(folder / "nobody.mp4")
    return folder


def results(out: Path) -> dict[str, bytes]:
    """All results, without the reports, which tell times."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and ".staf-batch" not in path.parts and path.name[:7] != "report."
    }


def report(out: Path) -> dict:
    return json.loads((out / "report.json").read_text())


def states(out: Path) -> dict[str, str]:
    return {clip["place"]: clip["status"] for clip in report(out)["clips"]}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder of clips, and what a batch of one worker made of it."""
    folder = footage(tmp_path_factory.mktemp("in"), 2)
    out = tmp_path_factory.mktemp("one")
    ran = staf("batch", folder, "--out", out, "--workers", 1, *WORDS, cwd=out)
    assert ran.returncode == 3, ran.stderr
    assert "Traceback" not in ran.stdout + ran.stderr
    return folder, out


def test_good_clips_are_done_and_bad_ones_told(undisturbed):
    _, out = undisturbed
    good = {f"day {n % 2}/take{n}" for n in range(2)}
    failed = {place for place, state in states(out).items() if state == "failed"}
    assert failed == {"empty", "cut off", "nobody"}
    assert set(results(out)) == {f"{place}{kind}" for place in good for kind in (".glb", ".npz")}
    told = report(out)
    assert (told["schema"], told["totals"]["done"], told["totals"]["failed"]) == (1, 2, 3)
    reasons = {clip["place"]: clip["kind"] for clip in told["clips"] if "kind" in clip}
    assert reasons == {"empty": "video", "cut off": "video", "nobody": "nobody"}
    assert not list((out / ".staf-batch").glob("work"))


def test_the_page_has_everything_in_it(undisturbed):
    page = (undisturbed[1] / "report.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 2
    assert page.count("<tr>") == 6
    assert "http" not in page.replace("http-equiv", "")


@pytest.mark.slow
def test_the_number_of_workers_changes_no_byte(undisturbed, tmp_path):
    folder, out = undisturbed
    ran = staf("batch", folder, "--out", tmp_path / "two", "--workers", 2, *WORDS, cwd=tmp_path)
    assert ran.returncode == 3
    assert results(tmp_path / "two") == results(out)


@pytest.mark.slow
def test_a_second_run_does_only_what_changed(undisturbed, tmp_path):
    folder, out = undisturbed
    mine, clips = tmp_path / "out", tmp_path / "in"
    shutil.copytree(folder, clips)
    shutil.copytree(out, mine)
    with (clips / "day 0" / "take0.mp4").open("ab") as file:
        file.write((8).to_bytes(4, "big") + b"free")
    (mine / "day 1" / "take1.glb").unlink()
    ran = staf("batch", clips, "--out", mine, "--workers", 1, *WORDS, cwd=tmp_path)
    again = {clip["place"] for clip in report(mine)["clips"] if not clip["before"]}
    assert ran.returncode == 3
    assert again == {"day 0/take0", "day 1/take1"}
    assert results(mine) == results(out)


@pytest.mark.slow
def test_files_that_other_options_made_go(undisturbed, tmp_path):
    folder, out = undisturbed
    mine = tmp_path / "out"
    shutil.copytree(out, mine)
    staf("batch", folder / "day 0", "--out", mine, *WORDS[:-1], cwd=tmp_path)
    assert set(results(mine)) >= {"take0.glb"}
    staf("batch", folder, "--out", mine, *WORDS[:-1], cwd=tmp_path)
    assert not list((mine / "day 0").glob("*.npz"))


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_as_if_undisturbed(undisturbed, tmp_path):
    folder, out = undisturbed
    dice, mine = random.Random(7), tmp_path / "out"
    words = ("batch", folder, "--out", mine, "--workers", 2, *WORDS)
    killed: set[bool] = set()
    for _ in range(12):
        running = start(*words, cwd=tmp_path)
        time.sleep(dice.uniform(0.2, 5.0))
        victims = [running.pid] if dice.random() < 0.6 else workers_of(running)
        for pid in victims:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            killed.add(pid == running.pid)
        if running.pid in victims:
            running.communicate()
        else:
            running.wait(300)
        assert set(results(mine)) <= set(results(out)), "nothing half-written, nothing else"
    assert killed == {True, False}, "the batch, and workers"
    assert staf(*words, cwd=tmp_path).returncode == 3
    assert results(mine) == results(out)
    assert states(mine) == states(out)


def workers_of(running: subprocess.Popen[str]) -> list[int]:
    """Once there are some, or the batch has ended."""
    while running.poll() is None:
        if found := children(running.pid):
            return [int(pid) for pid in found]
        time.sleep(0.02)
    return []


def children(pid: int) -> list[str]:
    """Of all its threads: each slot starts its worker in its own."""
    found: list[str] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # a thread that has ended meanwhile
            found += path.read_text().split()
    return found


@pytest.mark.slow
def test_takes_of_a_person_go_where_the_list_says(undisturbed, tmp_path):
    folder, _ = undisturbed
    mine = tmp_path / "out"
    words = ("--one-glb-per-person", "--report", "--profile", *WORDS)
    day = folder / "day 0"
    shutil.copy(day / "take0.mp4", tmp_path / "again.mp4")
    given = (day / "take0.mp4", tmp_path / "again.mp4")
    ran = staf("batch", *given, "--out", mine, *words, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    places = sorted(clip["place"] for clip in report(mine)["clips"])
    people = json.loads((mine / "people.json").read_text())
    assert sorted(entry for takes in people["characters"].values() for entry in takes) == [
        f"{place}#1" for place in places
    ]
    page = (mine / "report.html").read_text()
    for place in places:
        assert (mine / f"{place}.html").stat().st_size > 100_000
        assert f"{quote(place)}.html" in page
        log = (mine / ".staf-batch" / "logs" / f"{place}.log").read_text()
        assert "cumulative" in log
    people["characters"] = {"hero": [f"{place}#1" for place in places]}
    (mine / "people.json").write_text(json.dumps(people))
    assert staf("batch", *given, "--out", mine, *words, cwd=tmp_path).returncode == 0
    assert report(mine)["totals"]["before"] == 2
    assert [path.name for path in (mine / "people").iterdir()] == ["hero.glb"]
    names = [one["name"] for one in gltf_of(mine / "people" / "hero.glb")["animations"]]
    assert names == [place.rpartition("/")[2] for place in places]


def gltf_of(path: Path) -> dict:
    data = path.read_bytes()
    return json.loads(data[20 : 20 + int.from_bytes(data[12:16], "little")])


def test_a_list_of_people_that_means_nothing_stops_before_the_work(tmp_path):
    (tmp_path / "people.json").write_text('{"people": 1, "characters": {"../x": []}}')
    ran = staf("batch", CLIP, "--out", tmp_path, "--one-glb-per-person", *WORDS, cwd=tmp_path)
    assert ran.returncode == 2
    assert len(ran.stderr.splitlines()) == 1
    assert not (tmp_path / ".staf-batch").exists()


def test_ctrl_c_drains(undisturbed, tmp_path):
    folder, out = undisturbed
    mine = tmp_path / "out"
    later = tmp_path / "later"
    later.mkdir()
    for number in range(4):
        shutil.copy(folder / "day 0" / "take0.mp4", later / f"take{number}.mp4")
    words = ("batch", folder, later, "--out", mine, "--workers", 1, *WORDS)
    running = start(*words, cwd=tmp_path)
    assert running.stdout is not None
    while "take" not in running.stdout.readline():
        assert running.poll() is None
    running.send_signal(signal.SIGINT)
    said, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Traceback" not in said + errors
    assert report(mine)["totals"]["waiting"] >= 1
    made, all_ = results(mine), results(out)
    assert all(made[name] == all_[name] for name in made.keys() & all_.keys())


def test_limits_cost_one_clip(undisturbed, tmp_path):
    folder, _ = undisturbed
    clips = (folder / "day 0" / "take0.mp4", folder / "empty.mp4")
    for words, kind in ((("--max-seconds", 0.3), "time"), (("--max-memory", 0.05), "memory")):
        mine = tmp_path / kind
        ran = staf("batch", *clips, "--out", mine, *words, *WORDS, cwd=tmp_path)
        assert ran.returncode == 3
        told = {clip["place"].split("/")[-1]: clip["kind"] for clip in report(mine)["clips"]}
        assert told["take0"] == kind, ran.stdout
        assert not results(mine)


def test_two_batches_do_not_meet(undisturbed, tmp_path):
    folder, _ = undisturbed
    mine = tmp_path / "out"
    running = start("batch", folder, "--out", mine, "--workers", 1, *WORDS, cwd=tmp_path)
    while not (mine / ".staf-batch" / "work").exists():
        assert running.poll() is None
        time.sleep(0.02)
    other = staf("batch", folder, "--out", mine, *WORDS, cwd=tmp_path)
    running.kill()
    running.communicate()
    assert other.returncode == 5
    assert "Another batch" in other.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("/nowhere",), 3),
        ((".",), 3),
        ((".", "--workers", 0), 2),
        ((".", "--max-memory", "nan"), 2),
        ((".", "--depth", -1), 2),
        ((".", "--person", "nobody"), 2),
        ((".", "--workers", 10**30), 2),
        ((".", "--max-memory", 1e300), 2),
        ((".", "--blender", "/x"), 2),
        ((".", "--blend", "--blender", "/nowhere/blender"), 9),
        ((".", "--onto", "/nowhere/rig.blend"), 2),
        ((".", "--rig", "Hero"), 2),
        ((".", "--store", "x://y", "--one-glb-per-person"), 2),
        ((str(CLIP), "--store", "nothing-of-the-kind://x"), 5),
    ],
)
def test_wrong_words_are_one_sentence(tmp_path, words, code):
    ran = staf_here("batch", *words, "--out", tmp_path / "out", cwd=tmp_path)
    assert ran.returncode == code
    assert len(ran.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_read_only_place_is_told(tmp_path):
    (tmp_path / "file").touch()
    ran = staf_here("batch", CLIP, "--out", tmp_path / "file", cwd=tmp_path)
    assert ran.returncode == 5
    assert len(ran.stderr.splitlines()) == 1
