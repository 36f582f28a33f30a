"""`staf batch --blend`: the batch's workers run this Blender, or this Python with bpy."""

import os
import shutil
import subprocess
import sys

import bpy

from tests.addon.blender_scene import REPOSITORY

FOOTAGE = REPOSITORY / "examples" / "footage"
WORDS = ("--largest", "--preset", "fast", "--start", "0.5", "--end", "0.9", "--workers", "1")


def batch(tmp_path, *words) -> subprocess.CompletedProcess[str]:
    program = bpy.app.binary_path or sys.executable
    command = [os.environ["STAF_BACKEND_PYTHON"], "-m", "staf_backend", "batch", *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(
        [*command, "--out", str(tmp_path / "out"), "--blend", "--blender", program, *WORDS],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_each_clip_has_a_blender_file_that_stands_alone(tmp_path):
    clip = tmp_path / "in" / "day 1" / "take.mp4"
    clip.parent.mkdir(parents=True)
    shutil.copy(FOOTAGE / "balance_cam02.mp4", clip)
    (tmp_path / "in" / "bad.mp4").touch()
    ended = batch(tmp_path, tmp_path / "in", "--motion")
    assert ended.returncode == 3, ended.stdout + ended.stderr
    out = tmp_path / "out"
    made = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.*") if path.is_file())
    assert [name for name in made if name.startswith("day 1")] == [
        *("day 1/take.blend", "day 1/take.glb", "day 1/take.npz"),
    ]
    bpy.ops.wm.open_mainfile(filepath=str(out / "day 1" / "take.blend"))
    rigs = [item for item in bpy.data.objects if item.type == "ARMATURE"]
    assert [rig.name for rig in rigs] == ["take"]
    assert rigs[0].animation_data.action is not None
    assert rigs[0]["staf_motion"] == str(out / "day 1" / "take.npz")
    assert [movie.filepath for movie in bpy.data.movieclips] == [str(clip)]
    assert bpy.context.scene.camera is not None


def test_a_program_that_is_no_blender_is_told(tmp_path):
    command = [os.environ["STAF_BACKEND_PYTHON"], "-m", "staf_backend", "batch", str(FOOTAGE)]
    command += ["--out", str(tmp_path / "out"), "--blend", "--blender", "/bin/true"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr.count("\n")) == (9, 1)
    assert not (tmp_path / "out").exists()
