"""Files of `staf convert`, read by Blender's own importers."""

import os
import subprocess
import sys
from pathlib import Path

import bpy
import numpy as np
import pytest

from staf_backend.export.bvh import write_bvh
from staf_backend.export.fbx import write_fbx
from staf_backend.motion import joints_m, save_motion
from tests.addon.blender_scene import heads_m
from tests.addon.known_motions import known_motion

pytestmark = pytest.mark.usefixtures("clean")
TO_BLENDER = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
JOINTS = ("Pelvis", "L_Wrist", "R_Foot", "Head", "R_Elbow")
FRAMES = (0, 7, 23)


def check(motion, names=JOINTS):
    """Joints of the only armature are where the motion has them, in Blender's axes."""
    (rig,) = (item for item in bpy.data.objects if item.type == "ARMATURE")
    rate = bpy.context.scene.render.fps / bpy.context.scene.render.fps_base
    assert rate == 30, "or frames are no keys"
    start = round(rig.animation_data.action.frame_range[0]) if rig.animation_data.action else 0
    places = [motion.skeleton.names.index(name) for name in JOINTS]
    for frame in FRAMES:
        bpy.context.scene.frame_set(start + frame)
        expected = joints_m(motion)[frame, places] @ TO_BLENDER.T
        np.testing.assert_allclose(heads_m(rig, names), expected, atol=1e-3, err_msg=str(frame))
    return rig


@pytest.fixture
def motion():
    bpy.context.scene.render.fps = 30
    return known_motion(24)


def test_bvh_in_metres_by_the_importers_defaults(tmp_path, motion):
    write_bvh(tmp_path / "walk.bvh", motion)
    bpy.ops.import_anim.bvh(filepath=str(tmp_path / "walk.bvh"))
    rig = check(motion)
    assert rig.data.bones[0].name == "Pelvis"


def test_bvh_in_centimetres(tmp_path, motion):
    write_bvh(tmp_path / "walk.bvh", motion, unit="cm", bone_names="mixamo")
    bpy.ops.import_anim.bvh(filepath=str(tmp_path / "walk.bvh"), global_scale=0.01)
    ends = ("Hips", "LeftHand", "RightToeBase", "Head", "RightForeArm")
    check(motion, [f"mixamorig:{end}" for end in ends])


@pytest.mark.skipif(
    os.environ.get("STAF_ADDON_PLACE") not in ("bpy45", "real"),
    reason="it starts another Blender, which takes ten seconds",
)
@pytest.mark.parametrize("mesh", [True, False])
def test_fbx_by_the_importers_defaults(tmp_path, motion, mesh):
    """Written by this Blender, as a child; a second motion of the person is a stack of its own."""
    later = known_motion(
        12, name="walk.2", times_s=3 + np.arange(12) / 30, frames=90 + np.arange(12)
    )
    program = Path(bpy.app.binary_path or sys.executable)
    path = tmp_path / "walk.fbx"
    write_fbx(path, [motion, later], mesh=mesh, blender=program)
    assert [one.name for one in tmp_path.iterdir()] == ["walk.fbx"]
    bpy.ops.import_scene.fbx(filepath=str(path), anim_offset=1.0)
    takes = {action.name.split("|")[-1]: action for action in bpy.data.actions}
    assert {motion.name, "walk.2"} <= set(takes)
    (rig,) = (item for item in bpy.data.objects if item.type == "ARMATURE")
    check(motion)
    body = next(item for item in bpy.data.objects if item.type == "MESH")
    assert (len(body.data.vertices) > 5000) == mesh
    assert len(body.data.color_attributes) == mesh, "the look, of a body alone"
    assert body.find_armature() == rig


def test_the_glb_wears_the_look_that_the_addon_gives(tmp_path, motion, backend):
    save_motion(tmp_path / "walk.npz", motion)
    said = (
        "import sys; from staf_backend.body.body import load_body;"
        "from staf_backend.export.gltf import write_glb;"
        "from staf_backend.motion.file import load_motion;"
        "motion = load_motion(sys.argv[1]);"
        "write_glb(sys.argv[2], [motion], {motion.body: load_body(motion.body)})"
    )
    words = [str(tmp_path / name) for name in ("walk.npz", "walk.glb")]
    subprocess.run([backend, "-c", said, *words], check=True)
    bpy.ops.import_scene.gltf(filepath=words[1])
    theirs = next(item for item in bpy.data.objects if item.data and item.name.endswith("-body"))
    bpy.ops.staf.import_motion(filepath=words[0])
    ours = bpy.context.object.children[0]
    for look in (theirs, ours):
        shader = next(
            n for n in look.active_material.node_tree.nodes if n.type == "BSDF_PRINCIPLED"
        )
        assert shader.inputs["Base Color"].links[0].from_node.type == "VERTEX_COLOR"
        assert shader.inputs["Roughness"].default_value == pytest.approx(0.62)
    np.testing.assert_allclose(colours_by_corner(theirs), colours_by_corner(ours), atol=0.01)


def colours_by_corner(item) -> np.ndarray:
    """(3F, 3) linear colours of a mesh's corners; triangles are in the order of the body's."""
    attribute = item.data.color_attributes[0]
    values = np.empty(4 * len(attribute.data), np.float32)
    attribute.data.foreach_get("color", values)
    colours = values.reshape(-1, 4)[:, :3]
    if attribute.domain == "CORNER":
        return colours
    corners = np.empty(len(item.data.loops), np.int32)
    item.data.loops.foreach_get("vertex_index", corners)
    return colours[corners]


@pytest.mark.skipif(
    os.environ.get("STAF_ADDON_PLACE") != "bpy52",
    reason="the last importer; Debian's Blender has none",
)
def test_usd_by_the_importers_defaults(tmp_path, motion, backend):
    save_motion(tmp_path / "walk.npz", motion)
    said = (
        "import sys; from staf_backend.body.body import load_body;"
        "from staf_backend.export.usd import write_usd;"
        "from staf_backend.motion.file import load_motion;"
        "motion = load_motion(sys.argv[1]);"
        "write_usd(sys.argv[2], [motion], {motion.body: load_body(motion.body)})"
    )
    words = [str(tmp_path / name) for name in ("walk.npz", "walk.usdc")]
    subprocess.run([backend, "-c", said, *words], check=True)
    bpy.ops.wm.usd_import(filepath=words[1], set_frame_range=True)
    check(motion)
