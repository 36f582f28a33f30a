"""The overnight run onto a rig of one's own: examples/03_blender_batch.py --onto."""

import subprocess

import bpy
import pytest

from tests.addon.blender_scene import heads_m
from tests.addon.retarget_scene import known_rig, make_rig
from tests.addon.test_blender_batch import CLIP, batch, command_of

pytestmark = pytest.mark.usefixtures("clean", "backend")


def test_takes_of_a_video_on_a_rig(tmp_path):
    known_rig("mixamo")
    rig_file = tmp_path / "hero.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(rig_file))
    code, report = batch(tmp_path, CLIP, "--person", "LARGEST", "--onto", rig_file)
    assert code == 0, report
    made = tmp_path / "out" / f"{CLIP.stem}-hero.blend"
    assert str(made) in report[0]["files"]
    bpy.ops.wm.open_mainfile(filepath=str(made))
    rig = bpy.context.scene.objects["Hero"]
    assert rig.animation_data.action.name.startswith(CLIP.stem)
    names = ["mixamorig:Hips", "mixamorig:LeftHand"]
    bpy.context.scene.frame_set(1)
    before = heads_m(rig, names)
    bpy.context.scene.frame_set(bpy.context.scene.frame_end)
    assert abs(heads_m(rig, names) - before).max() > 0.02


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
    command, environment = command_of(tmp_path, CLIP, "--onto", path)
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.splitlines().count(words) == 1, ended.stderr
    assert not (tmp_path / "out").exists()
