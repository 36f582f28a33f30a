# SPDX-License-Identifier: GPL-3.0-or-later
"""The camera that filmed, with its video behind: the character then stands on the person.

Blender's clock for a video is the nominal rate it reads from the file, so that rate also places the
keys; that keeps videos of varying rate in step.
"""

from __future__ import annotations

import math
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix

from ..user_error import UserError
from . import keyframes
from .armature import link
from .axes import TO_BLENDER, camera_matrix, continuous, matrix_of, to_blender
from .motion_file import FilmCamera, MotionClip
from .timing import frames_of

SENSOR_MM = 36.0
SOURCE_KEY = "staf_source"
_PLANE_DISTANCE_M = 15.0


class FootageError(UserError):
    """The video is not where it was, or Blender cannot open it."""


def find_video(clip: MotionClip, given: Path | None, beside: Path | None) -> Path | None:
    """The video of a motion: the one given, else one of its name beside the motion file.

    Raises:
        FootageError: the given one does not exist.
    """
    if given is not None:
        if not given.is_file():
            advice = "It was moved or renamed: choose it again."
            raise FootageError(f"the video {given} does not exist.", advice)
        return given
    guess = beside / clip.source if beside and clip.source else None
    return guess if guess and guess.is_file() else None


def load_movie(video: Path) -> bpy.types.MovieClip:
    """Open a video as a movie clip.

    Raises:
        FootageError: Blender cannot read it.
    """
    try:
        movie = bpy.data.movieclips.load(str(video), check_existing=True)
    except RuntimeError as error:
        raise FootageError(f"Blender cannot open {video.name}: {error}.") from None
    if movie.size[0] == 0 or movie.frame_duration < 1:
        forget_unused(video)
        advice = "Convert it to H.264 to see it in Blender."
        raise FootageError(f"Blender cannot read the pictures of {video.name}.", advice)
    return movie


def forget_unused(video: Path | None) -> None:
    """Close a video that nothing shows."""
    for movie in list(bpy.data.movieclips):
        if movie.users == 0 and Path(bpy.path.abspath(movie.filepath)) == video:
            bpy.data.movieclips.remove(movie)


def add_camera(context: bpy.types.Context, clip: MotionClip, start_frame: int) -> bpy.types.Object:
    """The camera of a motion, made the scene's; keyed where it was followed.

    One that stood still is made once for all people of a video.  Second 0 is at `start_frame`.
    """
    film = clip.camera
    world = Matrix(camera_matrix(film.rotation_wxyz, film.position_m))
    keyed = film.rotations_wxyz is not None
    item = (None if keyed else _existing(context, clip, world)) or _new_camera(context, clip)
    item.matrix_world = world
    if keyed:
        _key_camera(context.scene, item, clip, start_frame)
    _set_lens(item.data, film)
    render = context.scene.render
    render.resolution_x, render.resolution_y = film.width_px, film.height_px
    render.pixel_aspect_x = render.pixel_aspect_y = 1.0
    context.scene.camera = item
    return item


def add_background(
    camera: bpy.types.Object, movie: bpy.types.MovieClip, film: FilmCamera, start_frame: int
) -> str:
    """Show a video behind what a camera sees; second 0 is at `start_frame`.

    Returns:
        what the user should know, or nothing.
    """
    movie.frame_start = start_frame
    images = camera.data.background_images
    image = next((i for i in images if i.source == "MOVIE_CLIP" and i.clip == movie), None)
    image = image or images.new()
    image.source, image.clip = "MOVIE_CLIP", movie
    image.alpha, image.display_depth, image.frame_method = 1.0, "BACK", "FIT"
    camera.data.show_background_images = True
    turn = turn_needed(tuple(movie.size), film)
    image.rotation = math.radians(turn)  # positive is clockwise on the screen
    sizes = film.width_px, film.height_px
    image.scale = max(sizes) / min(sizes) if turn in (90, 270) else 1.0
    shown = (movie.size[1], movie.size[0]) if turn in (90, 270) else tuple(movie.size)
    if abs(shown[0] / shown[1] - sizes[0] / sizes[1]) > 0.01:
        return f"{Path(movie.filepath).name} has another shape than the video of the motion."
    return ""


def turn_needed(shown_px: tuple[int, int], film: FilmCamera) -> int:
    """Clockwise degrees by which Blender's picture of a video must be turned to be upright.

    Blender 4.2 and 4.3 ignore the rotation that a phone writes into a video; later ones obey.
    """
    if film.rotation_deg in (90, 270):
        sideways = (shown_px[0] > shown_px[1]) != (film.width_px > film.height_px)
        return film.rotation_deg if sideways else 0
    return film.rotation_deg if bpy.app.version < (4, 4) else 0


def add_plane(
    context: bpy.types.Context, camera: bpy.types.Object, video: Path, clip: MotionClip, start: int
) -> bpy.types.Object:
    """The video on a plane far behind the scene, filling the camera's view, for renders."""
    film = clip.camera
    half = [_PLANE_DISTANCE_M * s / film.focal_px / 2 for s in (film.width_px, film.height_px)]
    corners = [(x * half[0], y * half[1], 0.0) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    mesh = bpy.data.meshes.new(f"{clip.source} plane")
    mesh.from_pydata(corners, [], [(0, 1, 2, 3)])
    _plane_uvs(mesh, film, bpy.data.images.load(str(video), check_existing=True), start)
    item = bpy.data.objects.new(mesh.name, mesh)
    link(context, item)
    item.parent = camera
    centre = film.principal_point_px - [film.width_px / 2, film.height_px / 2]
    shift = -centre * _PLANE_DISTANCE_M / film.focal_px
    item.location = (shift[0], -shift[1], -_PLANE_DISTANCE_M)
    item.hide_select = True
    return item


def add_sound(scene: bpy.types.Scene, video: Path, start_frame: int) -> str:
    """The video's sound in the sequencer; what the user should know, or nothing."""
    editor = scene.sequence_editor or scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences  # 4.4: strips
    if any(s.type == "SOUND" and Path(s.sound.filepath).name == video.name for s in strips):
        return ""
    used = [strip.channel for strip in strips]
    try:
        strip = strips.new_sound(video.name, str(video), max(used, default=0) + 1, start_frame)
    except RuntimeError:
        return f"{video.name}: this Blender cannot open its sound."
    length = strip.duration if hasattr(strip, "duration") else strip.frame_final_duration  # 5.2
    if length <= 1:
        strips.remove(strip)
        return f"{video.name} has no sound."
    return ""


def _existing(
    context: bpy.types.Context, clip: MotionClip, world: Matrix
) -> bpy.types.Object | None:
    for item in context.scene.objects:
        if item.type != "CAMERA" or item.get(SOURCE_KEY) != clip.source or item.library:
            continue
        same = np.allclose(item.matrix_world, world, atol=1e-4)
        if same and not (item.data.animation_data or item.animation_data):
            return item
    return None


def _new_camera(context: bpy.types.Context, clip: MotionClip) -> bpy.types.Object:
    name = f"{Path(clip.source).stem or clip.name} camera"
    item = bpy.data.objects.new(name, bpy.data.cameras.new(name))
    item[SOURCE_KEY] = clip.source
    link(context, item)
    return item


def _key_camera(
    scene: bpy.types.Scene, item: bpy.types.Object, clip: MotionClip, start_frame: int
) -> None:
    film = clip.camera
    assert film.rotations_wxyz is not None
    assert film.positions_m is not None
    turns = TO_BLENDER @ matrix_of(film.rotations_wxyz)
    quaternions = continuous(np.array([Matrix(turn.tolist()).to_quaternion() for turn in turns]))
    item.rotation_mode = "QUATERNION"
    frames = frames_of(clip.times_s, start_frame, scene.render.fps / scene.render.fps_base)
    channels = [
        keyframes.Channel("location", to_blender(film.positions_m), "Location"),
        keyframes.Channel("rotation_quaternion", quaternions, "Rotation"),
    ]
    action = keyframes.new_action(item.name)
    keyframes.write(item, action, frames, channels, np.zeros(len(frames), bool))


def _set_lens(camera: bpy.types.Camera, film: FilmCamera) -> None:
    """focal [mm] = focal [px] · sensor [mm] / width [px]; shifts are shares of the width."""
    camera.sensor_fit, camera.sensor_width = "HORIZONTAL", SENSOR_MM
    camera.lens = film.focal_px * SENSOR_MM / film.width_px
    offset = (film.principal_point_px - [film.width_px / 2, film.height_px / 2]) / film.width_px
    camera.shift_x, camera.shift_y = -offset[0], offset[1]
    camera.clip_start, camera.clip_end = 0.01, 1000.0


def _plane_uvs(mesh: bpy.types.Mesh, film: FilmCamera, image: bpy.types.Image, start: int) -> None:
    corners = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
    quarter = turn_needed((image.size[0], image.size[1]), film) // 90
    layer = mesh.uv_layers.new(name="UVMap")
    for place, corner in enumerate(layer.data):
        corner.uv = corners[(place + quarter) % 4]
    mesh.materials.append(_movie_material(image, start))


def _movie_material(image: bpy.types.Image, start: int) -> bpy.types.Material:
    material = bpy.data.materials.new(image.name)
    if bpy.app.version < (5, 0):
        material.use_nodes = True
    tree = material.node_tree
    texture, glow = tree.nodes.new("ShaderNodeTexImage"), tree.nodes.new("ShaderNodeEmission")
    texture.image = image
    texture.image_user.frame_duration = image.frame_duration
    texture.image_user.frame_start = start
    texture.image_user.use_auto_refresh = True
    output = next(node for node in tree.nodes if node.type == "OUTPUT_MATERIAL")
    tree.links.new(texture.outputs["Color"], glow.inputs["Color"])
    tree.links.new(glow.outputs[0], output.inputs["Surface"])
    return material
