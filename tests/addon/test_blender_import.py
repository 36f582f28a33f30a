"""Motion files become characters: exact, editable, in step with their video."""

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector

from addon.scene.armature import bone_by_joint
from addon.scene.bone_names import SCHEMES
from addon.scene.keyframes import curves
from staf_backend.geometry import (
    Camera,
    Skeleton,
    from_axis_angle,
    from_quaternions,
    to_quaternions,
)
from staf_backend.motion import joints_m, load_motion
from tests.addon.blender_scene import heads_m, vertices_m
from tests.addon.known_motions import FOCAL_PX, HEIGHT_PX, WIDTH_PX, known_motion, write

pytestmark = pytest.mark.usefixtures("clean")
TO_BLENDER = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])


def bring_in(path, **words):
    assert bpy.ops.staf.import_motion(filepath=str(path), **words) == {"FINISHED"}
    return bpy.context.object


@pytest.mark.parametrize("axes", ["limbs", "smpl"])
@pytest.mark.parametrize("root_motion", ["root", "pelvis"])
def test_every_bone_is_where_the_motion_has_it_on_every_frame(tmp_path, axes, root_motion):
    motion = known_motion(60)
    rig = bring_in(write(tmp_path / "walk.npz"), axes=axes, root_motion=root_motion)
    expected = joints_m(motion) @ TO_BLENDER.T
    names = [bone_by_joint(rig)[joint] for joint in motion.skeleton.names]
    for frame in range(60):
        bpy.context.scene.frame_set(frame + 1)
        np.testing.assert_allclose(heads_m(rig, names), expected[frame], atol=2e-5)


def test_skin_is_where_the_backend_puts_it(tmp_path):
    from staf_backend.body import load_body

    motion = known_motion(20)
    rig = bring_in(write(tmp_path / "walk.npz", 20))
    body = load_body("open-neutral")
    rotations = from_quaternions(motion.rotations_wxyz.astype(np.float64))
    expected = body.vertices_m(rotations, motion.betas, motion.root_m) @ TO_BLENDER.T
    for frame in (0, 7, 19):
        bpy.context.scene.frame_set(frame + 1)
        np.testing.assert_allclose(vertices_m(rig.children[0]), expected[frame], atol=1e-4)


def test_left_is_left_right_is_right_and_front_view_shows_the_front(tmp_path):
    rig = bring_in(write(tmp_path / "walk.npz"))
    scene = bpy.context.scene
    scene.frame_set(1)
    left, right = heads_m(rig, ["L_Wrist", "R_Wrist"])
    assert left[2] > right[2] + 0.15, "the raised arm is the left one"
    assert left[0] > right[0], "facing the viewer of the front view, the left hand is on the right"
    toes, ankles = heads_m(rig, ["L_Foot", "L_Ankle"])
    assert toes[1] < ankles[1], "toes point to -y, towards the front view"
    start = heads_m(rig, ["Pelvis"])[0]
    scene.frame_set(60)
    assert heads_m(rig, ["Pelvis"])[0][0] > start[0] + 1.0, "walking to the right goes to +x"


def test_rest_pose_stands_on_the_ground_at_identity_in_metres(tmp_path):
    rig = bring_in(write(tmp_path / "walk.npz"))
    assert np.array_equal(rig.matrix_world, np.eye(4))
    rig.data.pose_position = "REST"
    body = vertices_m(rig.children[0])
    assert abs(body[:, 2].min()) < 1e-5
    assert 1.5 < np.ptp(body[:, 2]) < 2.1
    root = rig.data.bones["root"]
    assert root.parent is None
    assert tuple(root.head_local) == (0, 0, 0)
    assert [bone.name for bone in root.children] == ["Pelvis"]


def test_left_and_right_bones_mirror_each_other(tmp_path):
    """A pose pasted flipped fits only if x axes are opposite and y and z axes mirrored."""
    rig = bring_in(write(tmp_path / "walk.npz"))
    mirror = np.diag([-1.0, 1.0, 1.0])
    pairs = [name for name in rig.data.bones.keys() if name.startswith("L_")]  # noqa: SIM118
    assert len(pairs) == 9
    for name in pairs:
        left = np.array(rig.data.bones[name].matrix_local)[:3, :3]
        right = np.array(rig.data.bones["R_" + name[2:]].matrix_local)[:3, :3]
        np.testing.assert_allclose(right, mirror @ left @ mirror, atol=0.03)


def test_positive_x_bends_limbs_forwards(tmp_path):
    rig = bring_in(write(tmp_path / "walk.npz", 2))
    rig.animation_data.action = None
    for bone in ("L_Hip", "R_Hip", "Spine1", "L_Shoulder", "R_Shoulder", "Neck"):
        for pose in rig.pose.bones:
            pose.rotation_quaternion = (1, 0, 0, 0)
        bpy.context.view_layer.update()
        tail = np.array(rig.pose.bones[bone].tail)
        rig.pose.bones[bone].rotation_quaternion = (0.9, 0.436, 0, 0)
        bpy.context.view_layer.update()
        assert rig.pose.bones[bone].tail[1] < tail[1] - 0.02, bone


@pytest.mark.parametrize("scheme", SCHEMES)
def test_bone_names_of_each_scheme(tmp_path, scheme):
    rig = bring_in(write(tmp_path / "walk.npz", 3), bone_names=scheme)
    named = bone_by_joint(rig)
    expected = {
        "smpl": "L_Knee",
        "smplx": "left_knee",
        "mixamo": "LeftLeg",
        "vrm": "leftLowerLeg",
        "unreal": "calf_l",
    }
    assert named["L_Knee"] == expected[scheme]
    assert len(rig.data.bones) == 25
    groups = {group.name for group in rig.children[0].vertex_groups}
    assert groups == set(named.values())


def test_keys_are_linear_and_turn_the_short_way(tmp_path):
    """Input whose signs jump from key to key."""
    motion = known_motion(40)
    flipped = motion.rotations_wxyz * np.where(np.arange(40) % 2, -1, 1)[:, None, None]
    rig = bring_in(write(tmp_path / "walk.npz", 40, rotations_wxyz=flipped))
    found = list(curves(rig.animation_data.action))
    assert len(found) == 24 * 4 + 3 + 3
    for curve in found:
        assert {key.interpolation for key in curve.keyframe_points} == {"LINEAR"}
        assert curve.group is not None
    bpy.context.scene.frame_set(10, subframe=0.5)
    halfway = heads_m(rig, ["L_Wrist"])[0]
    bpy.context.scene.frame_set(10)
    before = heads_m(rig, ["L_Wrist"])[0]
    assert np.linalg.norm(halfway - before) < 0.1


def test_filled_in_frames_are_marked_on_the_dope_sheet(tmp_path):
    observed = np.ones(30, bool)
    observed[10:15] = False
    rig = bring_in(write(tmp_path / "walk.npz", 30, observed=observed))
    curve = next(iter(curves(rig.animation_data.action)))
    marked = [key.type != "KEYFRAME" for key in curve.keyframe_points]
    assert np.array_equal(marked, ~observed)


@pytest.mark.parametrize(
    ("rate", "fps", "base"),
    [(30000 / 1001, 30, 1.001), (24000 / 1001, 24, 1.001), (25.0, 25, 1.0), (12.5, 13, 1.04)],
)
def test_scene_takes_over_the_rate_and_the_range(tmp_path, rate, fps, base):
    rig = bring_in(write(tmp_path / "walk.npz", 600, rate))
    render = bpy.context.scene.render
    assert render.fps == fps
    assert render.fps_base == pytest.approx(base, abs=1e-5)
    assert (bpy.context.scene.frame_start, bpy.context.scene.frame_end) == (1, 600)
    curve = next(iter(curves(rig.animation_data.action)))
    frames = [key.co[0] for key in curve.keyframe_points]
    assert frames == list(range(1, 601)), "keys of a constant rate lie on whole frames to the end"


def test_varying_rate_and_a_late_start_are_kept_in_time(tmp_path):
    steps = np.tile([1, 1, 2, 3], 10) / 30
    times = 2.0 + np.concatenate([[0], np.cumsum(steps)])[:40]
    rig = bring_in(write(tmp_path / "walk.npz", 40, times_s=times, source_fps=30.0))
    curve = next(iter(curves(rig.animation_data.action)))
    frames = np.array([key.co[0] for key in curve.keyframe_points])
    np.testing.assert_allclose((frames - 1) / 30, times, atol=1e-6)
    assert bpy.context.scene.frame_start == 61


def test_camera_sees_every_joint_where_the_backend_did(tmp_path):
    """Also with the principal point off the middle and a camera that is neither level nor at 0."""
    turn = to_quaternions(from_axis_angle(np.array([0.2, -0.3, 0.1])))
    camera = Camera(
        *(FOCAL_PX, WIDTH_PX, HEIGHT_PX),
        principal_point_px=np.array([300.0, 260.0]),
        rotation_wxyz=turn,
        position_m=np.array([0.5, 1.4, 0.3]),
    )
    motion = known_motion(30, camera=camera)
    path = write(tmp_path / "walk.npz", 30, camera=camera)
    rig = bring_in(path)
    scene = bpy.context.scene
    assert (scene.render.resolution_x, scene.render.resolution_y) == (WIDTH_PX, HEIGHT_PX)
    seen = (joints_m(load_motion(path)) - camera.position_m) @ from_quaternions(turn)
    pixels = seen[..., :2] / -seen[..., 2:] * FOCAL_PX * [1, -1] + camera.principal_point_px
    for frame in (0, 15, 29):
        scene.frame_set(frame + 1)
        for joint, head in enumerate(heads_m(rig, motion.skeleton.names)):
            u, v, _ = world_to_camera_view(scene, scene.camera, Vector(head))
            shown = (u * WIDTH_PX, (1 - v) * HEIGHT_PX)
            np.testing.assert_allclose(shown, pixels[frame, joint], atol=0.02)


def test_shape_keys_move_the_skin_by_the_shape_directions(tmp_path):
    rig = bring_in(write(tmp_path / "walk.npz", 2), shape_keys=True)
    keys = rig.children[0].data.shape_keys.key_blocks
    assert [key.name for key in keys] == ["Basis", *(f"Shape{n:03d}" for n in range(10))]
    rig.data.pose_position = "REST"
    before = vertices_m(rig.children[0])
    keys["Shape000"].value = 2.0
    bpy.context.view_layer.update()
    assert np.abs(vertices_m(rig.children[0]) - before).max() > 0.02


def test_skeleton_only_and_smooth_skin(tmp_path):
    rig = bring_in(write(tmp_path / "a.npz", 2, name="a", source=""), mesh=False)
    assert not rig.children
    rig = bring_in(write(tmp_path / "b.npz", 2, name="b", source=""))
    mesh = rig.children[0].data
    assert all(face.use_smooth for face in mesh.polygons)
    assert mesh.uv_layers
    assert mesh.materials[0].name == "STAF skin"


def test_the_look_is_textured_by_the_shape_or_plain(tmp_path):
    mesh = bring_in(write(tmp_path / "a.npz", 2, source="")).children[0].data
    colours = np.empty(4 * len(mesh.vertices), np.float32)
    mesh.color_attributes["Shade"].data.foreach_get("color", colours)
    light = colours.reshape(-1, 4)[:, :3].mean(1)
    groups = {group.index: group.name for group in bpy.context.object.children[0].vertex_groups}
    knee = [
        {groups[g.group] for g in v.groups if g.weight > 0.4} == {"L_Hip", "L_Knee"}
        for v in mesh.vertices
    ]
    shin = [
        {groups[g.group] for g in v.groups if g.weight > 0.02} == {"L_Knee"} for v in mesh.vertices
    ]
    assert light[knee].mean() < 0.75 * light[shin].mean(), "joints are darker"
    assert np.ptp(light[shin]) > 0.02, "and the shape is drawn"
    plain = bring_in(write(tmp_path / "b.npz", 2, source=""), look="CLAY", onto="NEW").children[0]
    assert plain.data.materials[0].name == "STAF clay"
    assert not plain.data.color_attributes


def test_replacing_a_take_keeps_everything_else(tmp_path):
    rig = bring_in(write(tmp_path / "walk.npz", 30))
    action = rig.animation_data.action
    rig.pose.bones["Head"].constraints.new("DAMPED_TRACK")
    extra = bpy.data.actions.new("mine")
    rig.children[0].data.materials[0] = bpy.data.materials.new("red")
    longer = write(tmp_path / "walk.npz", 45)
    again = bring_in(longer, replace=True)
    assert again == rig
    assert rig.animation_data.action == action
    assert action.frame_range[1] == 45
    assert rig.pose.bones["Head"].constraints
    assert extra.name == "mine"
    assert rig.children[0].data.materials[0].name == "red"
    assert len([o for o in bpy.data.objects if o.type == "CAMERA"]) == 1


def test_changing_the_root_motion_on_import_again_leaves_no_old_travel(tmp_path):
    path = write(tmp_path / "walk.npz", 30)
    rig = bring_in(path)
    bring_in(path, root_motion="pelvis", replace=True)
    bpy.context.scene.frame_set(30)
    expected = joints_m(known_motion(30))[29] @ TO_BLENDER.T
    np.testing.assert_allclose(heads_m(rig, ["Pelvis"])[0], expected[0], atol=2e-5)
    assert rig.pose.bones["root"].location.length == 0


def test_in_place_stays_over_the_origin(tmp_path):
    rig = bring_in(write(tmp_path / "walk.npz", 30), root_motion="in-place")
    for frame in (1, 30):
        bpy.context.scene.frame_set(frame)
        place = heads_m(rig, ["Pelvis"])[0]
        np.testing.assert_allclose(place[:2], rig.data.bones["Pelvis"].head_local[:2], atol=1e-5)


def test_another_clip_onto_the_active_character_is_another_take(tmp_path):
    rig = bring_in(write(tmp_path / "walk.npz", 30))
    assert bring_in(write(tmp_path / "jump.npz", 20, name="jump"), onto="ACTIVE") == rig
    assert {action.name for action in bpy.data.actions} == {"walk", "jump"}
    assert rig.animation_data.action.name == "jump"


def test_parts_of_one_person_play_one_after_another(tmp_path):
    rig = bring_in(write(tmp_path / "walk.npz", 30))
    later = np.arange(30) / 30 + 3.0
    bring_in(write(tmp_path / "part.npz", 30, name="walk.2", times_s=later))
    assert [track.name for track in rig.animation_data.nla_tracks] == ["walk", "walk.2"]
    first, second = joints_m(known_motion(30)), joints_m(known_motion(30))
    for frame, expected in ((15, first[14]), (1 + 90 + 14, second[14])):
        bpy.context.scene.frame_set(frame)
        np.testing.assert_allclose(
            heads_m(rig, ["L_Wrist"])[0], (expected @ TO_BLENDER.T)[20], atol=2e-5
        )


def test_push_to_nla(tmp_path):
    rig = bring_in(write(tmp_path / "walk.npz", 30), nla=True)
    data = rig.animation_data
    assert data.action is None
    assert [strip.action.name for track in data.nla_tracks for strip in track.strips] == ["walk"]
    bpy.context.scene.frame_set(20)
    expected = joints_m(known_motion(30))[19] @ TO_BLENDER.T
    np.testing.assert_allclose(heads_m(rig, ["Head"])[0], expected[15], atol=2e-5)


def test_replacing_leaves_a_moved_strip_where_it_is(tmp_path):
    rig = bring_in(write(tmp_path / "walk.npz", 30), nla=True)
    rig.animation_data.nla_tracks[0].strips[0].frame_start = 101
    bring_in(write(tmp_path / "walk.npz", 40), replace=True)
    (track,) = rig.animation_data.nla_tracks
    assert rig.animation_data.action is None
    assert (track.strips[0].frame_start, track.strips[0].frame_end) == (101, 140)


def test_several_files_at_once_share_the_camera(tmp_path):
    for person in (1, 2, 3):
        write(tmp_path / f"p{person}.npz", 10, name=f"p{person}", person=person)
    names = [{"name": f"p{person}.npz"} for person in (1, 2, 3)]
    bpy.ops.staf.import_motion(directory=str(tmp_path), files=names)
    kinds = [item.type for item in bpy.data.objects]
    assert (kinds.count("ARMATURE"), kinds.count("MESH"), kinds.count("CAMERA")) == (3, 3, 1)


def test_undo_takes_an_import_back_and_redo_brings_it_again(tmp_path):
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.staf.import_motion("EXEC_DEFAULT", True, filepath=str(write(tmp_path / "walk.npz", 5)))
    bpy.ops.ed.undo()
    assert not [item for item in bpy.data.objects if item.type == "ARMATURE"]
    bpy.ops.ed.redo()
    assert [item for item in bpy.data.objects if item.type == "ARMATURE"]


def test_another_skeleton_is_carried_unchanged(tmp_path):
    """Nothing knows SMPL's table: three joints with names of their own."""
    rotations = to_quaternions(from_axis_angle(np.full((5, 3, 3), 0.2))).astype(np.float32)
    path = write(
        tmp_path / "crane.npz",
        5,
        rotations_wxyz=rotations,
        skeleton=Skeleton(("base", "boom", "hook"), (-1, 0, 1)),
        rest_joints_m=np.array([[0, 1, 0], [0, 2, 0], [0, 2, 1.0]]),
    )
    rig = bring_in(path, mesh=False)
    motion = load_motion(path)
    bpy.context.scene.frame_set(3)
    expected = joints_m(motion)[2] @ TO_BLENDER.T
    np.testing.assert_allclose(heads_m(rig, motion.skeleton.names), expected, atol=2e-5)
