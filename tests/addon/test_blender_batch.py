"""The overnight run: examples/03_blender_batch.py in a Blender of its own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import bpy
import pytest

from tests.addon.blender_scene import REPOSITORY

SCRIPT = REPOSITORY / "examples" / "03_blender_batch.py"
CLIP = REPOSITORY / "examples" / "footage" / "balance_cam01.mp4"
OTHER = REPOSITORY / "examples" / "footage" / "balance_cam02.mp4"


def command_of(tmp_path, *words) -> tuple[list[str], dict[str, str]]:
    """A batch's command line and environment."""
    words = [*map(str, words), "--out", str(tmp_path / "out"), "--preset", "fast", "--end", "0.8"]
    if bpy.app.binary_path:
        command = [bpy.app.binary_path, "--background", "--factory-startup"]
        command += ["--python-exit-code", "9", "--python", str(SCRIPT), "--", *words]
    else:
        command = [sys.executable, str(SCRIPT), *words]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    environment["BLENDER_USER_RESOURCES"] = str(tmp_path / "user")
    return command, environment


def batch(tmp_path, *words) -> tuple[int, list[dict]]:
    """Its exit code and report."""
    command, environment = command_of(tmp_path, *words)
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "Traceback" not in ended.stderr + ended.stdout, ended.stderr[-3000:]
    assert "not loaded" not in ended.stderr + ended.stdout
    return ended.returncode, report_of(tmp_path)


def report_of(tmp_path) -> list[dict]:
    report = tmp_path / "out" / "report.json"
    return json.loads(report.read_text()) if report.exists() else []


def footage(tmp_path, *names: str) -> Path:
    """A folder of copies of the clip."""
    for name in names:
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CLIP, path)
    return tmp_path / "in"


def animations(path) -> list[str]:
    data = path.read_bytes()
    gltf = json.loads(data[20 : 20 + int.from_bytes(data[12:16], "little")])
    return sorted(one["name"] for one in gltf["animations"])


def test_videos_become_files_and_takes_of_one_character(tmp_path):
    code, report = batch(tmp_path, CLIP, OTHER, "--together", "hero", "--person", "LARGEST")
    assert code == 0, report
    out = tmp_path / "out"
    assert [entry["ok"] for entry in report] == [True, True, True]
    for video in (CLIP, OTHER):
        assert (out / f"{video.stem}.blend").stat().st_size > 100_000
        assert animations(out / f"{video.stem}.glb") == [video.stem]
    assert animations(out / "hero.glb") == [CLIP.stem, OTHER.stem]
    assert report[2]["takes"] == [CLIP.stem, OTHER.stem]


def test_one_bad_video_is_told_and_the_others_are_done(tmp_path):
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video" * 100)
    code, report = batch(tmp_path, bad, CLIP, "--no-blend")
    assert code == 1
    assert [entry["ok"] for entry in report] == [False, True]
    assert "bad.mp4" in report[0]["error"]
    assert "\n" not in report[0]["error"]


def test_folders_are_mirrored_and_clips_of_one_name_do_not_meet(tmp_path):
    folder = footage(
        tmp_path, "clip.mp4", "day 1/clip.MP4", "day 1/.clip.mp4", "day 2/deep/clip.mp4"
    )
    (folder / "notes.txt").write_text("no video")
    code, report = batch(tmp_path, folder, "--recursive", "--no-blend")
    assert code == 0, report
    places = ["clip", "day 1/clip", "day 2/deep/clip"]
    out = tmp_path / "out"
    assert [entry["files"][0] for entry in report] == [str(out / f"{one}.glb") for one in places]
    written = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    kinds = (".glb", "-1.npz", "-2.npz")
    assert written == {"report.json", *(f"{one}{kind}" for one in places for kind in kinds)}
    for entry in report:
        assert [person["person"] for person in entry["people"]] == [1, 2]
        for person in entry["people"]:
            assert Path(person["motion"]).is_file()
            assert person["frames"] > 20
            assert person["fps"] == pytest.approx(60, rel=0.1)
            assert person["quality"]["coverage"] > 0
            assert person["card"]["words"], "the focal length is assumed"
    assert not list((tmp_path / "user").rglob("*.npz")), "motions were moved, not copied"


def test_a_folder_alone_is_not_walked_down(tmp_path):
    folder = footage(tmp_path, "b.mp4", "a.mp4", "a.mov", "deeper/c.mp4")
    (tmp_path / "empty").mkdir()
    words = ("--no-blend", "--person", "LARGEST")
    code, report = batch(tmp_path, tmp_path / "empty", folder, folder / "a.mp4", *words)
    assert code == 1
    assert report[0] == {
        "video": str(tmp_path / "empty"),
        "ok": False,
        "error": "there is no video in it.",
    }
    names = [Path(entry["files"][0]).relative_to(tmp_path / "out") for entry in report[1:]]
    assert [str(name) for name in names] == ["in/a.mov.glb", "in/a.mp4.glb", "in/b.glb"]


@pytest.mark.parametrize("when", ["solving", "starting"])
def test_ctrl_c_ends_it(tmp_path, when):
    folder = footage(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    command, environment = command_of(tmp_path, folder)
    command[command.index("--end") + 1] = "0"
    running = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    began = tmp_path / "out" if when == "starting" else tmp_path / "user/datafiles/staf/motions/a"
    limit = time.monotonic() + 60
    while not began.exists():
        assert running.poll() is None
        assert time.monotonic() < limit
        time.sleep(0.02)
    time.sleep(1 if when == "solving" else 0)
    running.send_signal(signal.SIGINT)
    said, _ = running.communicate(timeout=30)
    assert running.returncode == 130, said
    assert "Traceback" not in said
    assert "interrupted." in said
    report = report_of(tmp_path)
    assert len(report) <= 1
    assert all(entry["error"] == "interrupted." for entry in report)
    left = [path.name for path in (tmp_path / "out").rglob("*")]
    assert left == ["report.json"]
    assert not list((tmp_path / "user").rglob("*.npz"))


@pytest.mark.parametrize(
    "words",
    [["--together"], ["/nowhere.mp4", "--preset", "slow"], ["/a.mp4", "--together", "../x"]],
)
def test_wrong_words(tmp_path, words):
    code, report = batch(tmp_path, *words)
    assert code != 0
    assert not report
