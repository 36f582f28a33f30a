"""The list of people in Blender: found with pictures, corrected, and solved by it."""

import shutil
from pathlib import Path

import bpy
import pytest

from addon.people_operators import listed_file
from addon.settings import solve_request
from addon.solve_operators import work_of
from tests.addon.blender_scene import REPOSITORY

pytestmark = pytest.mark.usefixtures("clean", "backend")
FOOTAGE = REPOSITORY / "examples" / "footage" / "balance_cam02.mp4"


def find_people(tmp_path, **words):
    """The list of a short clip."""
    settings = bpy.context.scene.staf
    settings.video = str(shutil.copy(FOOTAGE, tmp_path))
    settings.preset, settings.end_s = "fast", 0.6
    for name, value in words.items():
        setattr(settings, name, value)
    assert bpy.ops.staf.scan_people() == {"FINISHED"}
    return settings


def test_the_list_has_people_with_pictures_and_is_corrected_and_solved_by(tmp_path):
    settings = find_people(tmp_path)
    assert settings.person == "LIST"
    assert [one.person for one in settings.people] == [1, 2]
    for one in settings.people:
        assert Path(one.thumbnail).is_file()
        assert one.label.endswith("%")
    assert solve_request(settings).tracks == listed_file(settings)
    assert bpy.ops.staf.edit_people(do="swap", person=1, frame=10) == {"FINISHED"}
    assert bpy.ops.staf.edit_people(do="split", person=1, frame=20) == {"FINISHED"}
    assert [one.person for one in settings.people] == [1, 2, 3]
    assert bpy.ops.staf.undo_edit_people() == {"FINISHED"}
    bpy.ops.staf.edit_people(do="name", person=1, name="Anna")
    bpy.ops.staf.edit_people(do="drop", person=2)
    assert settings.edits.split("\n") == [
        "person 1 and 2 swapped from frame 10",
        "person 1 is called Anna",
        "person 2 dropped",
    ]
    assert [(one.person, one.called) for one in settings.people] == [(1, "Anna")]
    with pytest.raises(RuntimeError, match="no person 2"):
        bpy.ops.staf.edit_people(do="merge", person=1, other=2)
    assert bpy.ops.staf.solve() == {"FINISHED"}
    made = [item.name for item in bpy.data.objects if item.type == "ARMATURE"]
    assert len(made) == 1
    assert "Anna" in made[0]


def test_the_list_is_of_its_video_and_its_seconds_only(tmp_path):
    settings = find_people(tmp_path)
    settings.people[0].use = False
    other = Path(shutil.copy(FOOTAGE, tmp_path / "other.mp4"))
    assert solve_request(settings).person == "2"
    assert solve_request(settings, other).person == "all"
    assert solve_request(settings, other).tracks is None
    settings.end_s = 0.8
    with pytest.raises(RuntimeError, match=r"of other seconds.*Find People, or choose Everybody"):
        bpy.ops.staf.solve()
    assert work_of(bpy.context, other).request.person == "all"
    settings.person = "ALL"
    assert work_of(bpy.context, None).request.tracks is None
    settings.person = "LIST"
    with pytest.raises(RuntimeError, match=r"nobody is listed.*Find People"):
        bpy.ops.staf.edit_people(do="drop", person=1)
    settings.end_s = 0.6
    assert solve_request(settings).tracks is not None
    bpy.context.scene.render.fps = 50
    bpy.context.scene.frame_set(1 + 10)  # a fifth of a second
    bpy.ops.staf.edit_people(do="split", person=1)
    assert "frame 12" in settings.edits, "the clip has 60 frames a second"
    assert [one.use for one in settings.people] == [False, True, True]
