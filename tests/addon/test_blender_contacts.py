"""Contacts of a take as a list: corrected, and the video solved by them."""

import json
import shutil

import bpy
import numpy as np
import pytest

from addon.contact_operators import listed_people
from addon.scene.takes import CONTACTS_KEY
from addon.solving.contacts import PARTS, Span, write_contacts
from addon.user_error import UserError
from staf_backend.motion import PARTS as THEIR_PARTS
from staf_backend.motion import ContactSpan
from tests.addon.blender_scene import REPOSITORY
from tests.addon.known_motions import write

pytestmark = pytest.mark.usefixtures("clean", "backend")
FOOTAGE = REPOSITORY / "examples" / "footage" / "balance_cam02.mp4"


def test_the_parts_are_the_backends():
    assert PARTS == THEIR_PARTS


def test_listed_corrected_and_solved_again(tmp_path):
    settings = bpy.context.scene.staf
    settings.video = str(shutil.copy(FOOTAGE, tmp_path))
    settings.preset, settings.end_s, settings.person = "fast", 0.6, "LARGEST"
    assert bpy.ops.staf.solve() == {"FINISHED"}
    rig = bpy.context.object
    old = rig.animation_data.action
    assert bpy.ops.staf.edit_contacts() == {"FINISHED"}
    told = json.loads(old[CONTACTS_KEY])
    assert [one.part for one in old.staf_contact_list] == [span["part"] for span in told]
    while len(old.staf_contact_list):
        bpy.ops.staf.remove_contact(number=0)
    with pytest.raises(RuntimeError, match=r"no contacts of .* are listed"):
        bpy.ops.staf.apply_contacts()
    bpy.context.scene.frame_set(6)
    bpy.ops.staf.add_contact(part="left_heel")
    line = old.staf_contact_list[0]
    assert (line.part, line.start, line.end) == ("left_heel", 6, 16)
    line.end = 26
    assert bpy.ops.staf.apply_contacts() == {"FINISHED"}
    take = rig.animation_data.action or rig.animation_data.nla_tracks[-1].strips[0].action
    assert take != old
    (span,) = json.loads(take[CONTACTS_KEY])
    assert span["part"] == "left_heel"
    rate = bpy.context.scene.render.fps / bpy.context.scene.render.fps_base
    assert span["start_s"] == pytest.approx(5 / rate, abs=0.51 / rate)
    assert span["end_s"] == pytest.approx(25 / rate, abs=0.51 / rate)


@pytest.mark.parametrize(("rate", "first"), [("24", 1), ("25", 101), ("CLIP", 1)])
def test_a_list_that_is_left_alone_says_what_the_take_says_at_any_rate(tmp_path, rate, first):
    """Of the last pose, too, which may lie between two frames of the scene."""
    told = [
        ContactSpan("left_heel", 0.0, 7 / 30, 0.9),
        ContactSpan("left_heel", 11 / 30, 87 / 30, 0.9),
        ContactSpan("seat", 19 / 30, 22 / 30, 0.9),
    ]
    path = write(tmp_path / "walk.npz", 88, contacts=tuple(told))
    bpy.ops.staf.import_motion(filepath=str(path), scene_fps=rate, start_frame=first)
    take = bpy.context.object.animation_data.action
    assert bpy.ops.staf.edit_contacts() == {"FINISHED"}
    (spans,) = listed_people(bpy.context.scene, "walk.mp4").values()
    expected = [(one.part, one.start_s, one.end_s) for one in told]
    assert [(one.part, one.start_s, one.end_s) for one in spans] == [
        (part, pytest.approx(start), pytest.approx(end)) for part, start, end in expected
    ]
    line = take.staf_contact_list[2]
    line.end = int(np.ceil(take.frame_range[1]))
    (spans,) = listed_people(bpy.context.scene, "walk.mp4").values()
    assert spans[2].end_s == pytest.approx(87 / 30, abs=1e-5), "the last pose, not beyond"
    line.end += 50
    (spans,) = listed_people(bpy.context.scene, "walk.mp4").values()
    assert spans[2].end_s > 4, "what is far beyond is for the backend to refuse"


def test_another_video_in_the_panel_is_refused(tmp_path):
    bpy.ops.staf.import_motion(filepath=str(write(tmp_path / "walk.npz", 9)))
    bpy.ops.staf.add_contact(part="seat")
    bpy.context.scene.staf.video = str(FOOTAGE)
    with pytest.raises(RuntimeError, match=r"the panel's video is not walk\.mp4"):
        bpy.ops.staf.apply_contacts()


@pytest.mark.parametrize(
    ("spans", "words"),
    [
        ([Span("seat", 2, 1)], "ends before it starts"),
        ([Span("seat", 0, 1), Span("seat", 1, 2)], "overlap"),
    ],
)
def test_spans_that_mean_nothing_are_refused(tmp_path, spans, words):
    with pytest.raises(UserError, match=words):
        write_contacts(tmp_path / "a.json", "a.mp4", {1: spans})
    assert not (tmp_path / "a.json").exists()
