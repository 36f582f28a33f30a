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
from tests.addon.retarget_scene import known_rig

SCRIPT = REPOSITORY / "examples" / "03_blender_batch.py"
CLIP = REPOSITORY / "examples" / "footage" / "balance_cam02.mp4"
WORDS = ("--preset", "fast", "--largest", "--end", "0.5", "--workers", "1")


def command_of(tmp_path, *words) -> tuple[list[str], dict[str, str]]:
    """A batch's command line and environment."""
    words = [*map(str, words), "--out", str(tmp_path / "out"), *WORDS]
    if bpy.app.binary_path:
        command = [bpy.app.binary_path, "--background", "--factory-startup"]
        command += ["--python-exit-code", "99", "--python", str(SCRIPT), "--", *words]
    else:
        command = [sys.executable, str(SCRIPT), *words]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    environment["BLENDER_USER_RESOURCES"] = str(tmp_path / "user")
    return command, environment


def batch(tmp_path, *words) -> tuple[int, dict]:
    """Its exit code and report."""
    command, environment = command_of(tmp_path, *words)
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "Traceback" not in ended.stderr + ended.stdout, ended.stderr[-3000:]
    return ended.returncode, report_of(tmp_path)


def report_of(tmp_path) -> dict:
    report = tmp_path / "out" / "report.json"
    return json.loads(report.read_text()) if report.exists() else {}


def footage(tmp_path, *names: str) -> Path:
    """A folder of copies of the clip."""
    for name in names:
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CLIP, path)
    return tmp_path / "in"


def made(tmp_path) -> set[str]:
    out = tmp_path / "out"
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    return {name for name in files if not name.startswith((".staf-batch", "report."))}


def test_a_folder_becomes_characters_and_blender_files(tmp_path):
    folder = footage(tmp_path, "day 1/clip.mp4")
    (folder / "bad.mp4").write_bytes(b"no video" * 100)
    code, report = batch(tmp_path, folder)
    assert code == 3
    assert made(tmp_path) == {"day 1/clip.glb", "day 1/clip.blend"}
    states = {clip["place"]: clip["status"] for clip in report["clips"]}
    assert states == {"bad": "failed", "day 1/clip": "done"}
    assert (tmp_path / "out" / "day 1" / "clip.blend").stat().st_size > 100_000


def saved_rig(folder):
    """A file with a rig called Hero."""
    known_rig("mixamo")
    path = folder / "hero.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    return path


@pytest.mark.usefixtures("clean")
def test_takes_of_a_character_on_a_rig(tmp_path):
    rig_file = saved_rig(tmp_path)
    folder = footage(tmp_path, "one.mp4", "two.mp4")
    words = ("--no-blend", "--onto", rig_file, "--one-glb-per-person")
    code, report = batch(tmp_path, folder, *words)
    assert code == 0, report
    (character,) = report["characters"]
    files = [f"people/{character['name']}{kind}" for kind in (".glb", "-hero.blend")]
    assert character["files"] == files
    clips = {f"{name}{kind}" for name in ("one", "two") for kind in (".glb", ".npz", "-hero.blend")}
    assert made(tmp_path) == {*clips, *files, "people.json"}
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "out" / files[1]))
    assert {"one", "two"} <= {action.name for action in bpy.data.actions}
    assert bpy.context.scene.objects["Hero"].animation_data.action is not None


@pytest.mark.usefixtures("clean")
def test_names_that_blender_cannot_say_become_ones_that_it_can(tmp_path):
    """A line break, and a byte that is no letter in UTF-8, as of a disk from long ago."""
    rig_file = saved_rig(tmp_path)
    folder = footage(tmp_path, "a\nb.mp4", "caf\udce9.mp4")
    code, report = batch(tmp_path, folder, "--onto", rig_file, "--one-glb-per-person")
    assert code == 0, report
    (character,) = report["characters"]
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "out" / character["files"][1]))
    assert {"a_b", "caf_"} <= {action.name for action in bpy.data.actions}
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "out" / "caf\udce9.blend"))
    (rig,) = (item for item in bpy.data.objects if item.type == "ARMATURE")
    assert rig.name == "caf_"
    (movie,) = bpy.data.movieclips
    assert movie.frame_duration > 1


def test_ctrl_c_lets_the_clip_at_work_end(tmp_path):
    folder = footage(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    command, environment = command_of(tmp_path, folder, "--no-blend")
    running = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    limit = time.monotonic() + 120
    while not list((tmp_path / "out").glob(".staf-batch/work/*")):
        assert running.poll() is None
        assert time.monotonic() < limit
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does
    said, _ = running.communicate(timeout=120)
    assert running.returncode == 130, said
    assert "Traceback" not in said
    assert made(tmp_path) == {"a.glb"}
    assert [clip["status"] for clip in report_of(tmp_path)["clips"]] == ["done", *["waiting"] * 2]


@pytest.mark.parametrize("more", [["--", "-walk.mp4"], ["./-walk.mp4"]])
def test_names_may_begin_with_a_dash(tmp_path, more):
    command, environment = command_of(tmp_path)
    (tmp_path / "-walk.mp4").write_bytes(b"no video")
    command += more
    subprocess.run(command, env=environment, cwd=tmp_path, check=False)
    (clip,) = report_of(tmp_path)["clips"]
    assert (clip["place"], clip["status"]) == ("-walk", "failed")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--no-such-word"], 2),
        (["/nowhere.mp4"], 3),
        ([CLIP, "--onto", "/nowhere.blend"], 2),
    ],
)
def test_wrong_words(tmp_path, words, code):
    ended, report = batch(tmp_path, *words)
    assert (ended, report) == (code, {})
