"""`staf batch --blend` and `--onto`: workers run this Blender, or this Python with bpy."""

import json
import os
import shutil
import subprocess
import sys

import bpy
import pytest

from tests.addon.blender_scene import REPOSITORY, heads_m
from tests.addon.retarget_scene import known_rig, make_rig

FOOTAGE = REPOSITORY / "examples" / "footage"
WORDS = ("--largest", "--preset", "fast", "--start", "0.5", "--end", "0.9", "--workers", "1")


def batch(tmp_path, *words) -> subprocess.CompletedProcess[str]:
    program = bpy.app.binary_path or sys.executable
    command = [os.environ["STAF_BACKEND_PYTHON"], "-m", "staf_backend", "batch", *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(
        [*command, "--out", str(tmp_path / "out"), "--blender", program, *WORDS],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def made(out) -> list[str]:
    """Files of clips, below the output folder."""
    files = (path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    return sorted(name for name in files if not name.startswith((".staf-batch", "report.")))


def test_each_clip_has_a_blender_file_that_stands_alone(tmp_path):
    clip = tmp_path / "in" / "day 1" / "take.mp4"
    clip.parent.mkdir(parents=True)
    shutil.copy(FOOTAGE / "balance_cam02.mp4", clip)
    (tmp_path / "in" / "bad.mp4").touch()
    ended = batch(tmp_path, tmp_path / "in", "--motion", "--blend")
    assert ended.returncode == 3, ended.stdout + ended.stderr
    out = tmp_path / "out"
    assert made(out) == ["day 1/take.blend", "day 1/take.glb", "day 1/take.npz"]
    bpy.ops.wm.open_mainfile(filepath=str(out / "day 1" / "take.blend"))
    rigs = [item for item in bpy.data.objects if item.type == "ARMATURE"]
    assert [rig.name for rig in rigs] == ["take"]
    assert rigs[0].animation_data.action is not None
    assert rigs[0]["staf_motion"] == str(out / "day 1" / "take.npz")
    assert [movie.filepath for movie in bpy.data.movieclips] == [str(clip)]
    assert bpy.context.scene.camera is not None


@pytest.mark.usefixtures("clean")
def test_each_clip_is_put_on_a_rig(tmp_path):
    known_rig("mixamo")
    picture = bpy.data.images.new("skin", 4, 4)
    picture.filepath_raw, picture.use_fake_user = str(tmp_path / "skin.png"), True
    picture.save()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "hero.blend"), relative_remap=True)
    bpy.ops.file.make_paths_relative()
    bpy.ops.wm.save_mainfile()
    clips = tmp_path / "in"
    clips.mkdir()
    for name in ("take.mp4", "take-hero.mp4"):
        shutil.copy(FOOTAGE / "balance_cam02.mp4", clips / name)
    words = (clips, "--onto", tmp_path / "hero.blend", "--blend")
    ended = batch(tmp_path, *words)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    out = tmp_path / "out"
    stems = ("take-hero.mp4", "take.mp4")  # or the files of the two would meet
    kinds = ("-hero.blend", ".blend", ".glb")
    assert made(out) == sorted(f"{stem}{kind}" for stem in stems for kind in kinds)
    bpy.ops.wm.open_mainfile(filepath=str(out / "take.mp4-hero.blend"))
    rig = bpy.context.scene.objects["Hero"]
    assert rig.animation_data.action.name == "take"
    assert bpy.data.images["skin"].filepath == str(tmp_path / "skin.png")
    names = ["mixamorig:Hips", "mixamorig:LeftHand"]
    scene = bpy.context.scene
    scene.frame_set(scene.frame_start)
    before = heads_m(rig, names)
    scene.frame_set(scene.frame_end)
    assert abs(heads_m(rig, names) - before).max() > 0.02
    again = batch(tmp_path, *words)
    assert again.stdout.count("before: done") == 2
    with (tmp_path / "hero.blend").open("ab") as file:
        file.write(b"\0")  # another rig: everything is put on it anew
    assert "before: done" not in batch(tmp_path, *words).stdout


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize(
    ("bones", "words"),
    [
        (None, "rig.blend has no rig: say which one with --rig."),
        ([("lamp", "", (0, 0, 0), (0, 0, 1))], "Hero has 1 bones: too few for a body."),
    ],
)
def test_a_rig_that_cannot_is_told_before_the_night(tmp_path, bones, words):
    if bones:
        make_rig(bones)
    path = tmp_path / "rig.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    ended = batch(tmp_path, FOOTAGE, "--onto", path)
    assert (ended.returncode, ended.stderr.count("\n")) == (9, 1), ended.stderr
    assert words in ended.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("clean")
def test_a_bone_map_of_nobody_is_told_before_the_night(tmp_path):
    known_rig("mixamo")
    path = tmp_path / "rig.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    (tmp_path / "map.json").write_text(json.dumps({"kind": "other"}))
    ended = batch(tmp_path, FOOTAGE, "--onto", path, "--bone-map", tmp_path / "map.json")
    assert (ended.returncode, ended.stderr.count("\n")) == (9, 1), ended.stderr
    assert "map.json: it is not a STAF bone map" in ended.stderr


def test_a_program_that_is_no_blender_is_told(tmp_path):
    command = [os.environ["STAF_BACKEND_PYTHON"], "-m", "staf_backend", "batch", str(FOOTAGE)]
    command += ["--out", str(tmp_path / "out"), "--blend", "--blender", "/bin/true"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr.count("\n")) == (9, 1)
    assert not (tmp_path / "out").exists()
