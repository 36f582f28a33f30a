"""A .blend that somebody edited: custom properties of nonsense end in a sentence, not in code."""

import json

import bpy
import pytest

from addon.contact_operators import listed_people
from addon.quality import places_of, words_of
from addon.user_error import UserError
from tests.addon.known_motions import write
from tests.addon.retarget_rigs import RIGS, bones_of
from tests.addon.retarget_scene import make_rig

pytestmark = pytest.mark.usefixtures("clean")


def bring_in(path, **options):
    bpy.ops.staf.import_motion(filepath=str(path), camera=False, **options)
    return bpy.context.object


CONTACTS = [
    "no JSON",
    7,
    "[1]",
    "{}",
    '[{"part": "left_toe"}]',
    json.dumps([{"part": "left_toe", "start_s": "x", "end_s": 2, "floor_m": 0}]),
    json.dumps([{"part": "left_toe", "start_s": 1e300, "end_s": 1e300, "floor_m": 0}]),
    json.dumps([{"part": ["left_toe"], "start_s": 3, "end_s": 2, "floor_m": 0}]),
    '[{"part": "left_toe", "start_s": 0, "end_s": 1e999, "floor_m": 0}]',
    "[" * 100_000,
]
CLOCKS = ["now", 3, [1.0, 0.0], [float("nan"), 30.0], [1e30, 30.0], [0.0, 1e30], [1.0, 2.0, 3.0]]


@pytest.fixture
def rig(tmp_path):
    return bring_in(write(tmp_path / "walk.npz", 9))


def said_by(operator, **arguments):
    with pytest.raises(RuntimeError) as caught:
        operator(**arguments)
    message = str(caught.value).strip().removeprefix("Error: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("contacts", CONTACTS)
def test_contacts(rig, contacts):
    take = rig.animation_data.action
    take["staf_contacts"] = contacts
    assert "staf_contacts of walk is not what an import wrote" in said_by(
        bpy.ops.staf.edit_contacts
    )
    target = make_rig(bones_of(RIGS["vrm"]))
    assert "staf_contacts of walk is not" in said_by(bpy.ops.staf.retarget, source=rig.name)
    assert target.animation_data is None or target.animation_data.action is None


@pytest.mark.parametrize("clock", CLOCKS)
def test_clocks(rig, clock):
    take = rig.animation_data.action
    take["staf_clock"] = clock
    take["staf_card"] = json.dumps({"worst": [{"time_s": 1, "what": "x", "value": 2}]})
    assert places_of(take) == []
    assert "staf_clock of walk is not what an import" in said_by(bpy.ops.staf.edit_contacts)
    take.staf_contact_list.add()
    with pytest.raises(UserError, match="staf_clock of walk is not what an import"):
        listed_people(bpy.context.scene, "walk.mp4")
    rig["staf_person"] = "nobody"
    with pytest.raises(UserError, match=r"no contacts of walk\.mp4 are listed"):
        listed_people(bpy.context.scene, "walk.mp4")


@pytest.mark.parametrize(
    "card", [7, "[" * 100_000, "NaN", '{"worst": [{"time_s": 1e8, "what": "", "value": 1}]}']
)
def test_cards(rig, card):
    take = rig.animation_data.action
    take["staf_card"] = card
    assert words_of(take) == []
    assert places_of(take) == []


def test_numbers_of_takes(rig, tmp_path):
    rig.animation_data.action["staf_take"] = "first"
    bring_in(tmp_path / "walk.npz")
    assert 1 in [action.get("staf_take") for action in bpy.data.actions]


@pytest.mark.parametrize("size", ["tall", [180.0], [180.0, float("nan")], [180.0, -1.0]])
def test_sizes(tmp_path, size):
    path = write(tmp_path / "walk.npz", 9)
    plain = bring_in(path, height_cm=180.0)
    tall = plain.data.bones["Pelvis"].head_local.z
    for collection in bpy.data.collections:
        if "staf_size" in collection:
            collection["staf_size"] = size
    again = bring_in(path, height_cm=180.0, onto="NEW")
    assert again.data.bones["Pelvis"].head_local.z == pytest.approx(tall)
