"""What cannot be retargeted: one clear sentence each, and the scene as it was."""

import json

import bpy
import numpy as np
import pytest

from tests.addon.blender_scene import fingerprint
from tests.addon.known_motions import rewrite, write
from tests.addon.retarget_rigs import RIGS, bones_of
from tests.addon.retarget_scene import known_rig, make_rig

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    return write(tmp_path_factory.mktemp("motions") / "walk.npz", 10)


def refused(words, **arguments):
    """The report of a retarget that must fail and change nothing."""
    before = fingerprint()
    poses = {o.name: pose_of(o) for o in bpy.data.objects if o.type == "ARMATURE"}
    with pytest.raises(RuntimeError) as caught:
        bpy.ops.staf.retarget(**arguments)
    message = str(caught.value).strip().removeprefix("Error: ")
    assert words in message, message
    assert "\n" not in message
    assert fingerprint() == before
    after = {o.name: pose_of(o) for o in bpy.data.objects if o.type == "ARMATURE"}
    for name, pose in poses.items():
        np.testing.assert_array_equal(after[name], pose)


def pose_of(rig):
    return np.array([bone.matrix_basis for bone in rig.pose.bones])


def test_a_rig_without_legs(walk):
    make_rig([bone for bone in bones_of(RIGS["vrm"]) if "Leg" not in bone[0]][:12])
    refused("no hips with two legs", filepath=str(walk))


def test_a_rig_of_two_skeletons(walk):
    one = [bone for bone in bones_of(RIGS["vrm"]) if bone[0] != "root"]
    other = [(f"{n}.001", f"{p}.001" if p else "", h + 1, t + 1) for n, p, h, t in one]
    bare = [(n, "" if p == "root" else p, h, t) for n, p, h, t in one]
    twin = [(n, "" if p == "root.001" else p, h, t) for n, p, h, t in other]
    make_rig(bare + twin)
    refused("has two skeletons", filepath=str(walk))


def test_legs_on_another_root(walk):
    bones = [(n, "" if n == "leftUpperLeg" else p, h, t) for n, p, h, t in bones_of(RIGS["vrm"])]
    make_rig(bones)
    refused("hang on 2 roots", filepath=str(walk))


def test_no_rig_at_all(walk):
    refused("no rig is active", filepath=str(walk))


def test_a_linked_rig(walk, tmp_path):
    known_rig("vrm")
    path = str(tmp_path / "rig.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    with bpy.data.libraries.load(path, link=True) as (found, wanted):
        wanted.objects = found.objects
    rig = wanted.objects[0]
    bpy.context.scene.collection.objects.link(rig)
    bpy.context.view_layer.objects.active = rig
    refused("is linked from another file", filepath=str(walk))


def test_edit_mode(walk):
    known_rig("vrm")
    bpy.ops.object.mode_set(mode="EDIT")
    refused("is in Edit Mode", filepath=str(walk))
    bpy.ops.object.mode_set(mode="OBJECT")


def test_locked_channels(walk):
    rig = known_rig("vrm")
    rig.pose.bones["leftLowerLeg"].lock_rotation[1] = True
    refused("locked channels: leftLowerLeg", filepath=str(walk))
    rig.pose.bones["leftLowerLeg"].lock_rotation[1] = False
    rig.pose.bones["hips"].lock_location[2] = True
    refused("locked channels: hips", filepath=str(walk))


def test_drivers(walk):
    rig = known_rig("vrm")
    rig.pose.bones["head"].driver_add("rotation_quaternion", 1)
    refused("drivers on its channels: head", filepath=str(walk))


def test_a_bone_that_a_constraint_holds(walk):
    rig = known_rig("vrm")
    held = rig.pose.bones["leftLowerArm"].constraints.new("COPY_ROTATION")
    held.target, held.subtarget = rig, "head"
    refused("leftLowerArm of Hero is held by its constraint Copy Rotation", filepath=str(walk))


def test_a_hidden_rig(walk):
    known_rig("vrm").hide_set(True)
    refused("is hidden", filepath=str(walk))


def test_a_rig_of_uneven_scale(walk):
    known_rig("vrm").scale = (1, 1, 2)
    bpy.context.view_layer.update()
    refused("scaled unevenly", filepath=str(walk))


def test_an_unknown_property_of_a_switch(walk, tmp_path):
    rig = known_rig("vrm")
    path = saved_map(tmp_path, rig)
    path.write_text(
        json.dumps(
            json.loads(path.read_text())
            | {"switches": [{"bone": "hips", "property": "IK_FK", "value": 1}]}
        )
    )
    refused("hips of Hero has no property IK_FK", filepath=str(walk), bone_map=str(path))


def test_a_map_of_another_rig(walk, tmp_path):
    path = saved_map(tmp_path, known_rig("mixamo"))
    other = known_rig("vrm")
    refused("the bone map is of another rig", filepath=str(walk), bone_map=str(path))
    assert other.animation_data is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not JSON"),
        ("[]", "not a STAF bone map"),
        ('{"kind": "staf-bone-map", "format": 2, "bones": {}}', "format 2"),
        ('{"kind": "staf-bone-map", "format": 1, "bones": {"Pelvis": "hips"}}', "no bone for"),
        ('{"kind": "staf-bone-map", "format": 1, "bones": {"Tail": "hips"}}', "is no joint"),
        ('{"kind": "staf-bone-map", "format": 1, "bones": {}, "more": 1}', "unknown word"),
    ],
)
def test_files_that_are_no_maps(walk, tmp_path, text, words):
    known_rig("vrm")
    path = tmp_path / "map.json"
    path.write_text(text)
    refused(words, filepath=str(walk), bone_map=str(path))


def test_sources_that_are_none(walk, tmp_path):
    rig = known_rig("vrm")
    refused("no character of this add-on to take motion from")
    refused("there is no armature Nobody", source="Nobody")
    refused("source and target", source=rig.name)
    bad = rewrite(write(tmp_path / "bad.npz", 3), root_m=None)
    refused("lacks 'root_m'", filepath=str(bad))
    header = json.loads(str(np.load(walk)["header"]))
    spans = {"contacts": [{"part": "left_heel", "start_s": 1.0, "end_s": 0.0, "floor_m": 0.0}]}
    worse = write(tmp_path / "worse.npz", 3)
    rewrite(worse, header=np.array(json.dumps(header | spans)))
    refused("contacts must end at or after their start", filepath=str(worse))


def test_a_playing_rig_plays_on(walk):
    rig = known_rig("vrm")
    bpy.ops.staf.retarget(filepath=str(walk))
    action = rig.animation_data.action
    rig.pose.bones["head"].driver_add("rotation_quaternion", 1)
    refused("drivers", filepath=str(walk))
    assert rig.animation_data.action == action


def test_a_linked_rig_that_is_refused_stays_linked(walk):
    bpy.ops.staf.import_motion(filepath=str(walk), camera=False)
    rig = known_rig("vrm")
    bpy.ops.staf.link_rig()
    rig.pose.bones["head"].driver_add("rotation_quaternion", 1)
    refused("drivers")
    assert len([one for bone in rig.pose.bones for one in bone.constraints if not one.mute]) == 23


def test_maps_are_edited_saved_and_found_again(walk, tmp_path, monkeypatch):
    from addon import retarget_operators

    monkeypatch.setattr(retarget_operators, "maps_folder", lambda: tmp_path)
    rig = known_rig("vrm")
    bpy.ops.staf.guess_bones()
    lines = {line.name: line for line in rig.staf_bone_map.bones}
    assert lines["L_Hip"].bone == "leftUpperLeg"
    lines["Head"].bone = ""
    bpy.ops.staf.save_bone_map()
    rig.staf_bone_map.bones.clear()
    bpy.ops.staf.retarget(filepath=str(walk))
    paths = {c.data_path for c in curves_of(rig)}
    assert not [path for path in paths if '"head"' in path]
    bpy.ops.staf.load_bone_map(filepath=str(next(tmp_path.glob("*.json"))))
    assert {line.name: line.bone for line in rig.staf_bone_map.bones}["Head"] == ""


def curves_of(rig):
    from addon.scene.keyframes import curves

    return list(curves(rig.animation_data.action))


def saved_map(folder, rig):
    """The guessed map of a rig as a file."""
    from addon.retarget.guess import guess_map
    from addon.retarget.map_file import write_map
    from addon.retarget.rig import read_shape

    path = folder / "map.json"
    write_map(path, guess_map(read_shape(rig), rig.name), rig.name)
    return path
