"""Work that is safe: nothing that an animator did is overwritten, and people are told apart."""

import bpy
import numpy as np
import pytest

from addon.scene.keyframes import curves
from addon.scene.transaction import focus
from staf_backend.geometry import Camera, CameraPath, from_axis_angle, to_quaternions
from tests.addon.blender_scene import make_clip
from tests.addon.known_motions import write

pytestmark = pytest.mark.usefixtures("clean")


def bring_in(path, **words):
    assert bpy.ops.staf.import_motion(filepath=str(path), **words) == {"FINISHED"}
    return bpy.context.object


def cameras() -> list:
    return [item for item in bpy.data.objects if item.type == "CAMERA"]


def value(action) -> float:
    return next(iter(curves(action))).keyframe_points[3].co[1]


def edit(action) -> None:
    next(iter(curves(action))).keyframe_points[3].co[1] = 7.0


def test_importing_again_adds_a_take_beside_the_edited_one(tmp_path):
    path = write(tmp_path / "walk.npz", 30)
    rig = bring_in(path)
    edited = rig.animation_data.action
    edit(edited)
    edited.name = "my walk"
    assert bring_in(path) == rig
    fresh = rig.animation_data.action
    assert fresh != edited
    assert (value(edited), value(fresh) != 7.0) == (7.0, True)
    assert sorted(one.name for one in bpy.data.actions) == ["my walk", "walk take 2"]
    edit(fresh)
    bring_in(path, replace=True)
    assert rig.animation_data.action == fresh, "the newest take is replaced"
    assert value(fresh) != 7.0
    assert value(edited) == 7.0


def appended(tmp_path) -> bpy.types.Object:
    """The character of a saved file, brought into a new one as File > Append does."""
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "walk.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "walk.blend")) as (_, wanted):
        wanted.collections = ["walk"]
    bpy.context.scene.collection.children.link(bpy.data.collections["walk"])
    rig = next(item for item in bpy.data.objects if item.type == "ARMATURE")
    focus(bpy.context, rig, [rig])
    return rig


def saved_actions(path) -> list[str]:
    """Names of the actions in the scene's file when it was saved and opened again."""
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    bpy.ops.wm.open_mainfile(filepath=str(path))
    return sorted(one.name for one in bpy.data.actions)


def controls_and_back() -> None:
    bpy.ops.staf.add_controls()
    bpy.ops.staf.bake_controls()


@pytest.mark.parametrize("how", ["import", "bake", "retarget"])
def test_an_appended_character_keeps_the_take_that_it_came_with(tmp_path, how):
    path = write(tmp_path / "walk.npz", 30)
    bring_in(path)
    rig = appended(tmp_path)
    edit(rig.animation_data.action)
    if how == "import":
        bring_in(path)
    elif how == "bake":
        controls_and_back()
    else:
        bpy.ops.staf.retarget(filepath=str(path))
    assert rig.animation_data.action.name != "walk"
    kept = saved_actions(tmp_path / "shot.blend")
    assert "walk" in kept
    assert len(kept) == 2
    assert value(bpy.data.actions["walk"]) == 7.0


def way_m(rig) -> list[float]:
    """Where the hips go from the first frame to the last."""
    ends = []
    for frame in (1, 30):
        bpy.context.scene.frame_set(frame)
        (hips,) = (one for one in rig.pose.bones if one.bone.get("staf_joint") == "Pelvis")
        ends.append(hips.head.copy())
    return list(ends[1] - ends[0])


def test_bones_may_be_renamed_the_one_on_the_ground_too(tmp_path):
    path = write(tmp_path / "walk.npz", 30)
    rig = bring_in(path)
    walked = way_m(rig)
    for bone in rig.data.bones:
        bone.name = f"hero {bone.name}"
    assert bring_in(path) == rig
    assert way_m(rig) == pytest.approx(walked, abs=1e-5)
    paths = {curve.data_path for curve in curves(rig.animation_data.action)}
    assert 'pose.bones["hero root"].location' in paths
    with pytest.raises(RuntimeError, match="root bone is called hero root"):
        bpy.ops.staf.add_controls()


def test_a_character_that_lost_its_bone_on_the_ground_is_another(tmp_path):
    path = write(tmp_path / "walk.npz", 30)
    rig = bring_in(path)
    bpy.ops.object.mode_set(mode="EDIT")
    rig.data.edit_bones.remove(rig.data.edit_bones["root"])
    bpy.ops.object.mode_set(mode="OBJECT")
    with pytest.raises(RuntimeError, match="it lacks a root bone"):
        bring_in(path, onto="ACTIVE")
    assert bring_in(path) != rig


def test_a_new_take_of_a_part_rests_the_older_one(tmp_path):
    rig = bring_in(write(tmp_path / "walk.npz", 30))
    times = np.arange(30) / 30 + 3.0
    part = write(tmp_path / "part.npz", 30, name="walk.2", times_s=times)
    bring_in(part)
    bring_in(part)
    tracks = {track.name: track.mute for track in rig.animation_data.nla_tracks}
    assert tracks == {"walk": False, "walk.2": True, "walk.2 take 2": False}


def test_two_videos_of_one_name_are_two_people(tmp_path):
    for folder, rate in (("a", "30"), ("b", "25")):
        (tmp_path / folder).mkdir()
        make_clip(tmp_path / folder / "walk.mp4", count=10, rate=rate)
        write(tmp_path / folder / "walk.npz", 10)
    first = bring_in(tmp_path / "a" / "walk.npz")
    second = bring_in(tmp_path / "b" / "walk.npz")
    assert first != second
    assert len(cameras()) == 2
    assert bring_in(tmp_path / "a" / "walk.npz") == first


def test_one_video_under_two_names_is_one_person(tmp_path):
    video = make_clip(tmp_path / "walk.mp4", count=10)
    rig = bring_in(write(tmp_path / "walk.npz", 10))
    video.rename(tmp_path / "renamed.mp4")
    assert bring_in(write(tmp_path / "walk.npz", 10, source="renamed.mp4")) == rig
    assert len(cameras()) == 1


def test_without_their_videos_people_of_other_shape_are_two(tmp_path):
    rig = bring_in(write(tmp_path / "a.npz", 5))
    assert bring_in(write(tmp_path / "b.npz", 5)) == rig
    camera = Camera(500.0, 320, 240)
    assert bring_in(write(tmp_path / "c.npz", 5, name="other", camera=camera)) != rig


def test_a_moved_camera_stays_and_is_not_doubled(tmp_path):
    path = write(tmp_path / "walk.npz", 10)
    bring_in(path)
    (camera,) = cameras()
    camera.location.x += 2.0
    bpy.context.view_layer.update()
    bring_in(path)
    assert cameras() == [camera]
    assert camera.location.x == pytest.approx(2.0)


def test_a_solve_with_another_camera_brings_its_own(tmp_path):
    make_clip(tmp_path / "walk.mp4", count=10)
    bring_in(write(tmp_path / "walk.npz", 10))
    bring_in(write(tmp_path / "walk.npz", 10, camera=Camera(900.0, 640, 480)))
    assert len(cameras()) == 2


def followed(tmp_path, name: str, seconds: np.ndarray, **changes):
    """A motion filmed by the one moving camera of these tests."""
    turns = to_quaternions(from_axis_angle(np.outer(seconds, [0.0, 0.5, 0.0])))
    places = np.outer(seconds, [0.3, 0.0, 0.1]) + np.array([0.0, 1.5, 0.0])
    path = changes.pop("camera_path", CameraPath(turns.astype(np.float32), places))
    camera = Camera(
        350.0,
        320,
        240,
        rotation_wxyz=path.rotations_wxyz[0].astype(float),
        position_m=path.positions_m[0],
        motion="moving",
    )
    words = {"name": name, "times_s": seconds, "camera": camera, "camera_path": path}
    return write(tmp_path / f"{name}.npz", len(seconds), **(words | changes))


def test_people_whom_one_moving_camera_filmed_share_it(tmp_path):
    seconds = np.arange(60) / 30
    bring_in(followed(tmp_path, "p1", seconds[:40]))
    bring_in(followed(tmp_path, "p2", seconds[20:], person=2))
    (camera,) = cameras()
    curve = next(iter(curves(camera.animation_data.action, camera)))
    assert [key.co[0] for key in curve.keyframe_points] == list(range(1, 61))
    bpy.context.scene.frame_set(60)
    assert camera.location.x == pytest.approx(0.3 * 59 / 30, abs=1e-4)


def test_another_path_of_the_camera_is_another_camera_but_an_edited_one_stays(tmp_path):
    seconds = np.arange(30) / 30
    path = followed(tmp_path, "p1", seconds)
    bring_in(path)
    (camera,) = cameras()
    edit(camera.animation_data.action)
    bring_in(path)
    assert cameras() == [camera]
    assert value(camera.animation_data.action) == 7.0
    bpy.data.objects.remove(camera)
    bring_in(path)
    other = CameraPath(
        np.tile(np.array([1.0, 0, 0, 0], np.float32), (30, 1)), np.tile([0.0, 2.0, 0.0], (30, 1))
    )
    bring_in(followed(tmp_path, "p2", seconds, camera_path=other))
    assert len(cameras()) == 2
