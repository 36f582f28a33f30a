"""The overnight run: examples/03_blender_batch.py in a Blender of its own."""

import json
import os
import subprocess
import sys

import bpy
import pytest

from tests.addon.blender_scene import REPOSITORY

SCRIPT = REPOSITORY / "examples" / "03_blender_batch.py"
CLIP = REPOSITORY / "examples" / "footage" / "balance_cam01.mp4"
OTHER = REPOSITORY / "examples" / "footage" / "balance_cam02.mp4"


def batch(tmp_path, *words) -> tuple[int, list[dict]]:
    """Its exit code and report."""
    words = [*map(str, words), "--out", str(tmp_path / "out"), "--preset", "fast", "--end", "0.8"]
    if bpy.app.binary_path:
        command = [bpy.app.binary_path, "--background", "--factory-startup"]
        command += ["--python-exit-code", "9", "--python", str(SCRIPT), "--", *words]
    else:
        command = [sys.executable, str(SCRIPT), *words]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    environment["BLENDER_USER_RESOURCES"] = str(tmp_path / "user")
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "Traceback" not in ended.stderr + ended.stdout, ended.stderr[-3000:]
    report = tmp_path / "out" / "report.json"
    return ended.returncode, json.loads(report.read_text()) if report.exists() else []


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


@pytest.mark.parametrize("words", [["--together"], ["/nowhere.mp4", "--preset", "slow"]])
def test_wrong_words(tmp_path, words):
    code, report = batch(tmp_path, *words)
    assert code != 0
    assert not report
