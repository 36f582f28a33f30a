"""A motion in Blender's startup scene: what somebody sees first; rates, keys, sizes, the card."""

import bpy
import numpy as np
import pytest
from mathutils import Vector

import addon
from addon.on_character import take_of
from addon.quality import places_of, words_of
from addon.scene import character
from addon.scene.keyframes import curves
from addon.scene.takes import takes_of
from tests.addon.blender_scene import make_clip, vertices_m
from tests.addon.known_motions import write
from tests.addon.test_blender_footage import bar_of_render, show_plane_only


@pytest.fixture(autouse=True)
def startup():
    """Blender as it starts: cube, light and camera; not emptied."""
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    addon.register()
    yield bpy.context.scene
    addon.unregister()


def bring_in(path, **words):
    assert bpy.ops.staf.import_motion(filepath=str(path), **words) == {"FINISHED"}
    return bpy.context.object


def keys(rig) -> np.ndarray:
    curve = next(iter(curves(rig.animation_data.action)))
    return np.array([key.co[0] for key in curve.keyframe_points])


def test_its_camera_is_the_scenes_and_the_cube_is_out_of_the_way(startup, tmp_path):
    bring_in(write(tmp_path / "walk.npz", 10))
    assert startup.camera.name == "walk camera"
    cube = startup.objects["Cube"]
    assert cube.hide_get()
    assert cube.hide_render
    assert not startup.objects["Light"].hide_get()


def test_a_cube_that_somebody_works_on_stays(startup, tmp_path):
    startup.objects["Cube"].location.x = 3.0
    bpy.context.view_layer.update()
    bring_in(write(tmp_path / "walk.npz", 10))
    assert not startup.objects["Cube"].hide_get()


def test_characters_and_their_camera_are_in_a_collection_of_the_clips_name(startup, tmp_path):
    before = bpy.context.view_layer.active_layer_collection.name
    make_clip(tmp_path / "walk.mp4", count=10)
    bring_in(write(tmp_path / "a.npz", 10, name="walk-1"), plane=True)
    bring_in(write(tmp_path / "b.npz", 10, name="walk-2", person=2))
    names = {item.name for item in bpy.data.collections["walk"].objects}
    people = {"walk-1", "walk-1 body", "walk-2", "walk-2 body"}
    assert names == people | {"walk camera", "walk.mp4 plane"}
    assert bpy.context.view_layer.active_layer_collection.name == before
    assert startup.objects["Cube"].users_collection[0].name == "Collection"


def test_a_failure_leaves_no_collection_and_shows_the_cube(startup, tmp_path, monkeypatch):
    """The disk, the memory, a fault of ours, in the last step."""
    count = len(bpy.data.collections)
    monkeypatch.setattr(character, "add_camera", lambda *_: 1 / 0)
    with pytest.raises(RuntimeError):
        bring_in(write(tmp_path / "walk.npz", 10))
    assert len(bpy.data.collections) == count
    assert bpy.context.view_layer.active_layer_collection.name == "Collection"
    assert not startup.objects["Cube"].hide_get()


def leave_out(name) -> None:
    """Untick a collection in the outliner."""
    bpy.context.view_layer.layer_collection.children[name].exclude = True


def test_a_startup_scene_that_was_unticked_takes_a_character(startup, tmp_path):
    leave_out("Collection")
    rig = bring_in(write(tmp_path / "walk.npz", 10))
    assert rig.name == "walk"
    assert not startup.objects["Cube"].hide_render


def test_a_clip_that_was_unticked_is_seen_when_it_is_solved_again(tmp_path):
    rig = bring_in(write(tmp_path / "a.npz", 10, name="walk-1"))
    leave_out("walk")
    assert bring_in(write(tmp_path / "a.npz", 10, name="walk-1")) == rig
    assert len(takes_of(rig)) == 2
    leave_out("walk")
    other = bring_in(write(tmp_path / "b.npz", 10, name="walk-2", person=2))
    assert other.users_collection[0].name == "walk"
    assert rig.visible_get()


def test_a_character_in_an_unticked_collection_of_ones_own_gets_its_take(startup, tmp_path):
    rig = bring_in(write(tmp_path / "walk.npz", 10))
    shelf, board = bpy.data.collections.new("shelf"), bpy.data.collections.new("board")
    startup.collection.children.link(shelf)
    shelf.children.link(board)
    board.objects.link(rig)
    bpy.data.collections["walk"].objects.unlink(rig)
    leave_out("shelf")
    assert bring_in(write(tmp_path / "walk.npz", 10)) == rig


def test_a_failure_leaves_an_unticked_clip_so(tmp_path, monkeypatch):
    bring_in(write(tmp_path / "walk.npz", 10))
    leave_out("walk")
    monkeypatch.setattr(character, "new_take", lambda *_: 1 / 0)
    with pytest.raises(RuntimeError):
        bring_in(write(tmp_path / "walk.npz", 10))
    assert bpy.context.view_layer.layer_collection.children["walk"].exclude


def test_a_phones_varying_rate_makes_a_usual_one(startup, tmp_path):
    """29.87 frames a second on the whole: 30, with a picture left out now and then."""
    times = np.delete(np.arange(240), [50, 171]) / 30 + np.tile([0, 0.006], 119)
    bring_in(write(tmp_path / "walk.npz", 238, times_s=times, source_fps=29.87))
    assert (startup.render.fps, startup.render.fps_base) == (30, 1.0)
    assert startup.frame_end == 241


@pytest.mark.parametrize("chosen", ["24", "25", "30", "60"])
def test_the_animator_chooses_the_rate_and_footage_keeps_step(startup, tmp_path, chosen):
    make_clip(tmp_path / "walk.mp4", rate="30", count=30)
    path = write(tmp_path / "walk.npz", 30)
    rig = bring_in(path, scene_fps=chosen, plane=True)
    assert startup.render.fps / startup.render.fps_base == int(chosen)
    np.testing.assert_allclose((keys(rig) - 1) / int(chosen), np.arange(30) / 30, atol=2e-3)
    (image,) = startup.camera.data.background_images
    assert image.source == ("MOVIE_CLIP" if chosen == "30" else "IMAGE")
    show_plane_only(startup)
    for item in startup.objects:  # what the startup scene has besides
        item.hide_render |= not item.name.startswith("walk")
    for second in (0.0, 0.5, 0.8):
        frame = 1 + round(second * int(chosen))
        shown = int((frame - 1) / int(chosen) * 30 + 0.01)
        assert bar_of_render(startup, frame, tmp_path) == shown % 16
        if image.source == "IMAGE":
            graph = bpy.context.evaluated_depsgraph_get()
            user = startup.camera.evaluated_get(graph).data.background_images[0].image_user
            assert frame - image.image_user.frame_start + user.frame_offset == shown


def test_whole_frames_lie_on_the_motion(startup, tmp_path):
    path = write(tmp_path / "walk.npz", 50, 29.0)
    exact = bring_in(path, scene_fps="24")
    assert np.abs(keys(exact) - np.round(keys(exact))).max() > 0.3
    bpy.ops.staf.import_motion(filepath=str(path), scene_fps="24", keys="whole", onto="NEW")
    whole = bpy.context.object
    assert keys(whole).tolist() == list(range(1, int(keys(exact)[-1]) + 1))
    for frame in (5, 17, 30):
        startup.frame_set(frame)
        heads = [np.array(rig.pose.bones["L_Wrist"].head) for rig in (exact, whole)]
        assert np.linalg.norm(heads[0] - heads[1]) < 2e-3


def test_a_known_height_makes_the_person_as_tall_and_the_picture_stays(startup, tmp_path):
    path = write(tmp_path / "walk.npz", 10)
    plain = bring_in(path)
    wrist = seen(startup, plain)
    bpy.ops.staf.import_motion(filepath=str(path), height_cm=150.0, onto="NEW")
    rig = bpy.context.object
    assert seen(startup, rig) == pytest.approx(wrist, abs=1e-4)
    rig.data.pose_position = "REST"
    bpy.context.view_layer.update()
    assert np.ptp(vertices_m(rig.children[0])[:, 2]) == pytest.approx(1.5, abs=1e-3)


def seen(scene, rig) -> list[float]:
    from bpy_extras.object_utils import world_to_camera_view

    scene.frame_set(5)
    camera = next(one for one in reversed(rig.users_collection[0].objects) if one.type == "CAMERA")
    head = rig.matrix_world @ Vector(rig.pose.bones["L_Wrist"].head)
    return list(world_to_camera_view(scene, camera, head))[:2]


def test_the_card_is_on_the_action_words_first(tmp_path):
    worst = [{"time_s": 0.5, "frame": 15, "what": "foot slides, cm/s", "value": 12.3}]
    card = {"words": ["Feet slide.", "The camera turns."], "numbers": {}, "worst": worst}
    rig = bring_in(write(tmp_path / "walk.npz", 30, card=card))
    take = take_of(rig)
    assert take == rig.animation_data.action
    assert take_of(rig.children[0]) == take
    assert words_of(take) == ["Feet slide.", "The camera turns."]
    (place,) = places_of(take)
    assert place.frame == pytest.approx(16)
    assert "foot slides" in place.text
    bpy.ops.staf.go_to(frame=place.frame)
    assert bpy.context.scene.frame_current == 16


@pytest.mark.parametrize("card", ["no JSON", "[]", '{"words": 3, "worst": [{"time_s": "x"}, 4]}'])
def test_a_card_that_somebody_broke_is_no_trouble(tmp_path, card):
    rig = bring_in(write(tmp_path / "walk.npz", 5))
    rig.animation_data.action["staf_card"] = card
    assert words_of(rig.animation_data.action) == []
    assert places_of(rig.animation_data.action) == []
