"""Footage in step with the keys, the right way up, behind the camera, on a plane, heard."""

import bpy
import numpy as np
import pytest
from mathutils import Vector

from addon.scene.footage import turn_needed
from staf_backend.geometry import Camera, CameraPath
from tests.addon.blender_scene import make_clip
from tests.addon.known_motions import write

pytestmark = pytest.mark.usefixtures("clean")
BARS = 16


def bring_in(path, **words):
    assert bpy.ops.staf.import_motion(filepath=str(path), **words) == {"FINISHED"}
    return bpy.context.object


@pytest.mark.parametrize("rate", ["30", "30000/1001", "24000/1001", "25"])
def test_scene_has_the_rate_blender_reads_from_the_video(tmp_path, rate):
    make_clip(tmp_path / "walk.mp4", rate=rate, count=60)
    top, _, bottom = rate.partition("/")
    fps = int(top) / int(bottom or 1)
    bring_in(write(tmp_path / "walk.npz", 60, fps))
    (image,) = bpy.context.scene.camera.data.background_images
    render = bpy.context.scene.render
    assert render.fps / render.fps_base == pytest.approx(image.clip.fps, rel=1e-5)
    assert image.clip.frame_start == 1
    assert image.clip.frame_duration == 60
    assert bpy.context.scene.frame_end == 60


def show_plane_only(scene) -> None:
    """Renders then show the video alone, flat, one pixel a pixel."""
    for item in scene.objects:
        item.hide_render = item.name.startswith("walk") and "plane" not in item.name
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.display.shading.light, scene.display.shading.color_type = "FLAT", "TEXTURE"
    scene.display.render_aa = "OFF"


def bar_of_render(scene, frame, folder, across=False) -> int:
    """Which sixteenth of the picture, from the left or across from the top, is white."""
    scene.frame_set(frame)
    scene.render.filepath = str(folder / f"{frame}.png")
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath)
    pixels = np.array(image.pixels[:]).reshape(image.size[1], image.size[0], 4)[..., 0]
    pixels = pixels[::-1].T if across else pixels
    columns = pixels[pixels.shape[0] // 4 : -pixels.shape[0] // 4].mean(0)
    bpy.data.images.remove(image)
    return int(columns.reshape(BARS, -1).mean(1).argmax())


def test_plane_fills_the_view_and_shows_each_key_its_own_picture(tmp_path):
    """Each picture's bar tells its number; the render of a key's frame must show that bar."""
    make_clip(tmp_path / "walk.mp4", rate="30000/1001", count=40)
    camera = Camera(350.0, 320, 240)
    bring_in(write(tmp_path / "walk.npz", 40, 30000 / 1001, camera=camera), plane=True)
    scene = bpy.context.scene
    show_plane_only(scene)
    for number in (0, 5, 13, 22, 39):
        assert bar_of_render(scene, number + 1, tmp_path) == number % BARS, number


def test_varying_rate_keys_stand_where_blender_shows_their_picture(tmp_path):
    """Blender runs a video of varying rate by the clock, at its nominal rate."""
    make_clip(tmp_path / "walk.mp4", rate="30", count=24, varying=1)
    steps = 1 + (np.arange(23) // 3) % 2
    times = np.concatenate([[0], np.cumsum(steps)]) / 30
    camera = Camera(350.0, 320, 240)
    path = write(tmp_path / "walk.npz", 24, times_s=times, source_fps=24.0, camera=camera)
    rig = bring_in(path, plane=True)
    scene = bpy.context.scene
    show_plane_only(scene)
    from addon.scene.keyframes import curves

    keys = [key.co[0] for key in next(iter(curves(rig.animation_data.action))).keyframe_points]
    rate = scene.render.fps / scene.render.fps_base
    np.testing.assert_allclose((np.array(keys) - 1) / rate, times, atol=1e-5)
    for number in (0, 4, 11, 20):
        shown = bar_of_render(scene, round(keys[number]), tmp_path)
        assert abs(shown - number % BARS) <= 1, (number, shown, rate)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_phone_videos_are_turned_where_blender_does_not(rotation):
    from addon.scene.motion_file import FilmCamera

    upright = (360, 640) if rotation in (90, 270) else (640, 360)
    film = FilmCamera(
        focal_px=500.0,
        width_px=upright[0],
        height_px=upright[1],
        focal_assumed=True,
        principal_point_px=np.zeros(2),
        rotation_wxyz=np.array([1.0, 0, 0, 0]),
        position_m=np.zeros(3),
        rotation_deg=rotation,
    )
    obeys = bpy.app.version >= (4, 4)
    shown = upright if obeys else (640, 360)
    assert turn_needed(shown, film) == (0 if obeys else rotation)


@pytest.mark.parametrize("rotation", [90, 270])
def test_plane_and_background_are_turned_upright(tmp_path, rotation):
    """A clockwise quarter turn takes the stored picture's left edge to the top."""
    make_clip(tmp_path / "walk.mp4", count=12)
    camera = Camera(350.0, 240, 320, rotation_deg=rotation)
    bring_in(write(tmp_path / "walk.npz", 12, camera=camera), plane=True)
    scene = bpy.context.scene
    show_plane_only(scene)
    for number in (0, 3, 11):
        expected = number if rotation == 90 else BARS - 1 - number
        assert bar_of_render(scene, number + 1, tmp_path, across=True) == expected
    (image,) = scene.camera.data.background_images
    assert np.degrees(image.rotation) == pytest.approx(rotation), "clockwise, as seen in a window"
    assert image.scale == pytest.approx(4 / 3)


def test_second_import_shares_camera_and_footage(tmp_path):
    make_clip(tmp_path / "walk.mp4", count=10)
    bring_in(write(tmp_path / "a.npz", 10, name="a"))
    bring_in(write(tmp_path / "b.npz", 10, name="b", person=2))
    cameras = [item for item in bpy.data.objects if item.type == "CAMERA"]
    assert len(cameras) == 1
    assert len(cameras[0].data.background_images) == 1
    assert len(bpy.data.movieclips) == 1


def test_footage_added_later(tmp_path):
    path = write(tmp_path / "walk.npz", 10)
    bring_in(path)
    video = make_clip(tmp_path / "elsewhere.mp4", count=10)
    bpy.ops.staf.add_footage(filepath=str(video), motion=str(path))
    (image,) = bpy.context.scene.camera.data.background_images
    assert image.clip.name == "elsewhere.mp4"


def test_silent_video_is_told(tmp_path):
    make_clip(tmp_path / "walk.mp4", count=10)
    assert bring_in(write(tmp_path / "walk.npz", 10), sound=True)
    editor = bpy.context.scene.sequence_editor
    strips = getattr(editor, "strips", None) or getattr(editor, "sequences", [])
    assert not len(strips)


@pytest.mark.skipif(
    bpy.app.version < (4, 3) and not bpy.app.binary_path, reason="bpy 4.2 was built without sound"
)
def test_sound_of_the_video_stands_at_its_first_picture(tmp_path):
    make_clip(tmp_path / "walk.mp4", count=30, sound=1)
    path = write(tmp_path / "walk.npz", 30)
    bring_in(path, sound=True, start_frame=11)
    bring_in(path, sound=True, start_frame=11)
    editor = bpy.context.scene.sequence_editor
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    (strip,) = strips
    assert strip.type == "SOUND"
    assert strip.frame_start == 11


def test_a_camera_that_was_followed_is_keyed_and_sees_the_person_where_the_film_does(tmp_path):
    angles = np.linspace(0, 0.3, 24)
    turns = np.stack([np.cos(angles), 0 * angles, np.sin(angles), 0 * angles], 1)
    places = np.outer(angles, [0.5, 0.0, 0.2]) + np.array([0.0, 1.5, 0.0])
    still = Camera(350.0, 320, 240, rotation_wxyz=turns[0], position_m=places[0], motion="moving")
    path = CameraPath(turns, places)
    motion = write(tmp_path / "walk.npz", 24, camera=still, camera_path=path)
    bring_in(motion)
    scene, camera = bpy.context.scene, bpy.context.scene.camera
    point = np.array([[0.2, 1.0, -4.0]])
    for key in (0, 7, 23):
        scene.frame_set(1 + key)
        seen = camera.matrix_world.inverted() @ Vector((0.2, 4.0, 1.0))
        expected = path[key : key + 1].to_camera_axes(point[None])[0, 0]
        assert np.allclose(seen, expected * [1, -1, -1], atol=1e-4)
