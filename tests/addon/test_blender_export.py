"""Clips for other programs, read back by programs that are not ours."""

import json
import re

import bpy
import numpy as np
import pytest
from mathutils import Matrix

from addon.scene import export
from addon.scene.transaction import focus
from staf_backend.motion import joints_m
from tests.addon.blender_scene import fingerprint, heads_m, node, node_modules, vertices_m
from tests.addon.known_motions import known_motion, write

pytestmark = pytest.mark.usefixtures("clean")
TO_BLENDER = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])


def bring_in(path, **words):
    assert bpy.ops.staf.import_motion(filepath=str(path), **words) == {"FINISHED"}
    return bpy.context.object


def send_out(path, **words):
    before = fingerprint()
    assert bpy.ops.staf.export_clips(filepath=str(path), **words) == {"FINISHED"}
    assert fingerprint() == before, "an export changes nothing"
    assert not list(path.parent.glob(".*")), "and leaves nothing beside the file"
    return path


def blender_shows(rig, seconds, vertices, start_frame=1):
    """Skin and joints at times of the clip, in glTF's axes."""
    rate = bpy.context.scene.render.fps / bpy.context.scene.render.fps_base
    joints = [bone.name for bone in rig.data.bones]
    shown = []
    for second in seconds:
        frame = start_frame + second * rate
        bpy.context.scene.frame_set(int(frame), subframe=frame - int(frame))
        skin = vertices_m(rig.children[0])[vertices]
        shown.append((skin @ TO_BLENDER, heads_m(rig, joints) @ TO_BLENDER))
    return joints, shown


def nearest(points, cloud):
    return np.linalg.norm(points[:, None] - cloud[None], axis=-1).min(1).max()


@pytest.mark.parametrize("root_motion", ["root", "pelvis"])
@pytest.mark.parametrize("axes", ["limbs", "smpl"])
def test_three_js_sees_what_blender_shows_also_between_keys(tmp_path, root_motion, axes):
    node_modules()
    rig = bring_in(write(tmp_path / "walk.npz", 45), root_motion=root_motion, axes=axes)
    path = send_out(tmp_path / "walk.glb")
    seconds = [0.0, 0.5, 1.0 + 1 / 90, 1.25, 44 / 30]
    chosen = list(range(0, 12_800, 25))
    words = (json.dumps(seconds), json.dumps(chosen))
    told = json.loads(node("three_joints.mjs", str(path), "walk", *words))
    assert told["clips"] == ["walk"]
    assert told["duration"] == pytest.approx(44 / 30, abs=1e-5)
    (person,) = told["people"]
    joints, shown = blender_shows(rig, seconds, np.arange(len(rig.children[0].data.vertices)))
    order = [person["bones"].index(name.replace(":", "")) for name in joints]
    for time, (skin, heads) in enumerate(shown):
        np.testing.assert_allclose(np.array(person["joints"][time])[order], heads, atol=1e-4)
        assert nearest(np.array(person["vertices"][time]), skin) < 1e-4


def test_validator_finds_no_errors(tmp_path):
    node_modules()
    bring_in(write(tmp_path / "walk.npz", 20))
    bring_in(write(tmp_path / "two.npz", 20, name="two", person=2), shape_keys=True)
    paths = [
        send_out(tmp_path / "both.glb", selected_only=False),
        send_out(tmp_path / "one.glb"),
        send_out(tmp_path / "bare.glb", skeleton_only=True, selected_only=False),
    ]
    report = json.loads(node("validate.mjs", *map(str, paths)))
    for path in paths:
        issues = report[str(path)]
        assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues["messages"][:3]


def header(path) -> dict:
    """The JSON of a .glb."""
    data = path.read_bytes()
    return json.loads(data[20 : 20 + int.from_bytes(data[12:16], "little")])


def test_takes_of_a_character_become_named_animations_from_zero(tmp_path):
    bring_in(write(tmp_path / "walk.npz", 20))
    later = np.arange(15) / 30 + 2.0
    bring_in(
        write(tmp_path / "jump.npz", 15, name="jump", times_s=later, source="b.mp4"), onto="ACTIVE"
    )
    gltf = header(send_out(tmp_path / "takes.glb"))
    assert sorted(one["name"] for one in gltf["animations"]) == ["jump", "walk"]
    assert len(gltf["skins"]) == 1
    for animation in gltf["animations"]:
        inputs = [gltf["accessors"][sampler["input"]] for sampler in animation["samplers"]]
        assert {one["min"][0] for one in inputs} == {0.0}
        longest = max(one["max"][0] for one in inputs)
        assert longest == pytest.approx({"walk": 19, "jump": 14}[animation["name"]] / 30, abs=1e-5)
    only = header(send_out(tmp_path / "one.glb", all_takes=False))
    assert [one["name"] for one in only["animations"]] == ["jump"]


def test_several_characters_keep_their_names_and_clips(tmp_path):
    bring_in(write(tmp_path / "a.npz", 10, name="a"))
    bring_in(write(tmp_path / "b.npz", 12, name="b", person=2))
    gltf = header(send_out(tmp_path / "both.glb", selected_only=False))
    assert len(gltf["skins"]) == 2
    assert sorted(one["name"] for one in gltf["animations"]) == ["a", "b"]
    for animation in gltf["animations"]:
        targets = {channel["target"]["node"] for channel in animation["channels"]}
        skins = [set(skin["joints"]) for skin in gltf["skins"]]
        assert sum(bool(targets & joints) for joints in skins) == 1, "a clip moves one person"
    names = {node["name"] for node in gltf["nodes"]}
    assert {"a body", "b body"} <= names
    assert len(header(send_out(tmp_path / "one.glb"))["skins"]) == 1, "the selected one"


def travel_of(gltf_path, bone):
    """Whether a clip moves a bone from its place."""
    gltf = header(gltf_path)
    node_number = [n["name"] for n in gltf["nodes"]].index(bone)
    return any(
        channel["target"] == {"node": node_number, "path": "translation"}
        for animation in gltf["animations"]
        for channel in animation["channels"]
    )


@pytest.mark.parametrize("root_motion", ["root", "pelvis"])
def test_travel_on_the_root_bone_or_none(tmp_path, root_motion):
    rig = bring_in(write(tmp_path / "walk.npz", 30), root_motion=root_motion)
    moved = send_out(tmp_path / "root.glb", travel="ROOT")
    still = send_out(tmp_path / "still.glb", travel="IN_PLACE")
    assert travel_of(moved, "root")
    expected = joints_m(known_motion(30)) @ TO_BLENDER.T
    bpy.context.scene.frame_set(30)
    np.testing.assert_allclose(heads_m(rig, ["Pelvis"])[0], expected[29, 0], atol=2e-5)
    pelvis = joints_back(moved, 30)
    np.testing.assert_allclose(pelvis, expected[29, 0], atol=1e-3)
    rest = rig.data.bones["Pelvis"].head_local
    np.testing.assert_allclose(joints_back(still, 30)[:2], rest[:2], atol=1e-3)


def joints_back(path, frame, bone="Pelvis"):
    """Where Blender's own importer puts a bone of an exported clip."""
    before = set(bpy.data.objects)
    bpy.ops.import_scene.gltf(filepath=str(path), bone_heuristic="BLENDER")
    new = [item for item in bpy.data.objects if item not in before]
    rig = next(item for item in new if item.type == "ARMATURE")
    rate = bpy.context.scene.render.fps / bpy.context.scene.render.fps_base
    assert rate == 30
    first = rig.animation_data.action.frame_range[0]
    bpy.context.scene.frame_set(round(first) + frame - 1)
    place = heads_m(rig, [bone])[0]
    for item in new:
        bpy.data.objects.remove(item)
    return place


def test_round_trip_through_glb_keeps_joints_within_a_millimetre(tmp_path):
    motion = known_motion(30)
    bring_in(write(tmp_path / "walk.npz", 30))
    path = send_out(tmp_path / "walk.glb")
    expected = joints_m(motion) @ TO_BLENDER.T
    for joint in ("Pelvis", "L_Wrist", "R_Foot", "Head"):
        place = joints_back(path, 17, joint)
        np.testing.assert_allclose(
            place, expected[16, motion.skeleton.names.index(joint)], atol=1e-3
        )


def test_skeleton_only_carries_a_skin_and_hardly_a_mesh(tmp_path):
    bring_in(write(tmp_path / "walk.npz", 10))
    gltf = header(send_out(tmp_path / "bare.glb", skeleton_only=True))
    assert len(gltf["skins"][0]["joints"]) == 25
    positions = [m["primitives"][0]["attributes"]["POSITION"] for m in gltf["meshes"]]
    assert sum(gltf["accessors"][number]["count"] for number in positions) < 1000
    assert bpy.ops.staf.export_clips(filepath=str(tmp_path / "full.glb")) == {"FINISHED"}
    assert (tmp_path / "bare.glb").stat().st_size < (tmp_path / "full.glb").stat().st_size / 4


def test_the_look_goes_along(tmp_path):
    bring_in(write(tmp_path / "walk.npz", 10))
    (mesh,) = header(send_out(tmp_path / "walk.glb"))["meshes"]
    assert "COLOR_0" in mesh["primitives"][0]["attributes"]


def test_hidden_characters_are_written_and_stay_hidden(tmp_path):
    rig = bring_in(write(tmp_path / "walk.npz", 5))
    rig.children[0].hide_set(True)
    assert len(header(send_out(tmp_path / "walk.glb"))["meshes"]) == 1
    assert rig.children[0].hide_get()


def test_fbx_and_bvh_come_back_with_the_same_movement(tmp_path):
    motion = known_motion(24)
    bring_in(write(tmp_path / "walk.npz", 24))
    expected = joints_m(motion)[19, motion.skeleton.names.index("L_Wrist")] @ TO_BLENDER.T
    for ending in ("fbx", "bvh"):
        path = send_out(tmp_path / f"walk.{ending}")
        before = set(bpy.data.objects)
        if ending == "fbx":
            bpy.ops.import_scene.fbx(filepath=str(path), use_anim=True, anim_offset=1.0)
        else:
            words = {"axis_forward": "Y", "axis_up": "Z"}
            bpy.ops.import_anim.bvh(filepath=str(path), frame_start=1, **words)
        rig = next(i for i in bpy.data.objects if i not in before and i.type == "ARMATURE")
        first = rig.animation_data.action.frame_range[0]
        bpy.context.scene.frame_set(round(first) + 19)
        np.testing.assert_allclose(heads_m(rig, ["L_Wrist"])[0], expected, atol=2e-3)


def test_bvh_of_several_takes_is_refused(tmp_path):
    bring_in(write(tmp_path / "walk.npz", 5))
    bring_in(write(tmp_path / "jump.npz", 5, name="jump"), onto="ACTIVE")
    with pytest.raises(RuntimeError, match="one take of one character"):
        bpy.ops.staf.export_clips(filepath=str(tmp_path / "a.bvh"))
    send_out(tmp_path / "a.bvh", all_takes=False)


PLACES = {
    "up": Matrix.Translation((0, 0, 1)),
    "aside": Matrix.Translation((1, 0.5, 0)),
    "turned": Matrix.Rotation(np.pi / 2, 4, "Z"),
    "tilted": Matrix.Rotation(-0.44, 4, "X") @ Matrix.Translation((0.3, 0, 0)),
    "scaled": Matrix.Scale(2, 4),
}


@pytest.mark.parametrize("by_parent", [False, True])
@pytest.mark.parametrize("place", PLACES)
def test_what_was_placed_stays_placed(tmp_path, place, by_parent):
    rig = bring_in(write(tmp_path / "walk.npz", 12))
    if by_parent:
        empty = bpy.data.objects.new("empty", None)
        bpy.context.scene.collection.objects.link(empty)
        rig.parent = empty
        empty.matrix_world = PLACES[place]
    else:
        rig.matrix_world = PLACES[place]
    bpy.context.scene.frame_set(9)
    joints = ["Pelvis", "L_Wrist", "R_Foot", "Head"]
    expected = heads_m(rig, joints)
    for ending in ("glb", "bvh", "fbx"):
        focus(bpy.context, rig, [rig])  # and not what came back before
        path = send_out(tmp_path / f"walk.{ending}")
        before = set(bpy.data.objects)
        if ending == "glb":
            bpy.ops.import_scene.gltf(filepath=str(path), bone_heuristic="BLENDER")
        elif ending == "fbx":
            bpy.ops.import_scene.fbx(filepath=str(path), anim_offset=1.0)
        else:
            words = {"axis_forward": "Y", "axis_up": "Z"}
            bpy.ops.import_anim.bvh(filepath=str(path), **words)
        back = next(i for i in bpy.data.objects if i not in before and i.type == "ARMATURE")
        bpy.context.scene.frame_set(round(back.animation_data.action.frame_range[0]) + 8)
        np.testing.assert_allclose(heads_m(back, joints), expected, atol=1e-3, err_msg=ending)
        bpy.context.scene.frame_set(9)


@pytest.mark.parametrize("place", PLACES)
def test_a_placed_character_is_the_same_in_three_js_and_the_validator_is_content(tmp_path, place):
    node_modules()
    rig = bring_in(write(tmp_path / "walk.npz", 12))
    rig.matrix_world = PLACES[place]
    path = send_out(tmp_path / "walk.glb")
    issues = json.loads(node("validate.mjs", str(path)))[str(path)]
    assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues["messages"][:3]
    words = (json.dumps([8 / 30]), json.dumps(list(range(0, 12_800, 25))))
    (person,) = json.loads(node("three_joints.mjs", str(path), "walk", *words))["people"]
    every = np.arange(len(rig.children[0].data.vertices))
    joints, [(skin, heads)] = blender_shows(rig, [8 / 30], every)
    order = [person["bones"].index(name) for name in joints]
    np.testing.assert_allclose(np.array(person["joints"][0])[order], heads, atol=1e-3)
    assert nearest(np.array(person["vertices"][0]), skin) < 1e-3


def test_a_character_whose_collection_is_unticked_keeps_its_body(tmp_path):
    bring_in(write(tmp_path / "walk.npz", 5))
    bpy.context.view_layer.layer_collection.children["walk"].exclude = True
    data = send_out(tmp_path / "walk.glb").read_bytes()
    gltf = json.loads(data[20 : 20 + int.from_bytes(data[12:16], "little")])
    assert [mesh["name"] for mesh in gltf["meshes"]] == ["walk body"]


TRACEBACK = (
    'Error: Python: Traceback (most recent call last):\n  File "a.py", line 1, in b\n    c()\n'
)
PLACE = "Location: /usr/share/blender/scripts/modules/bpy/ops.py:109\n"


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("Error: the disk is full\n", "walk.glb cannot be written: the disk is full"),
        (f"Error: the disk is full\n{PLACE}", "walk.glb cannot be written: the disk is full"),
        (f"{TRACEBACK}OSError: no space\n{PLACE}", "walk.glb cannot be written: OSError: no space"),
        (f"{TRACEBACK}    ~~~^^ ... truncated{PLACE}", "Blender's exporter failed. Show Log"),
        (f"{TRACEBACK}  File ... truncated\n{PLACE}", "Blender's exporter failed. Show Log"),
    ],
)
def test_a_fault_of_blenders_exporter_is_told_in_its_words(tmp_path, monkeypatch, told, words):
    def fail(*_):
        raise RuntimeError(told)

    bring_in(write(tmp_path / "walk.npz", 5))
    monkeypatch.setattr(export, "_write", fail)
    with pytest.raises(RuntimeError, match=re.escape(words)) as caught:
        bpy.ops.staf.export_clips(filepath=str(tmp_path / "walk.glb"))
    assert "Traceback" not in str(caught.value)
