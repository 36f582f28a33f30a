# SPDX-License-Identifier: GPL-3.0-or-later
"""The video behind what its camera sees, on a plane, and heard: in step with the keys.

Blender shows picture n of a video at its nth frame, counted at the nominal rate it reads from the
file.  A scene of another rate has a driver skip or repeat pictures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from ..user_error import UserError
from .armature import link
from .motion_file import FilmCamera, MotionClip

_PLANE_DISTANCE_M = 15.0
_SAME_RATE = 1e-4
"""Share by which rates may differ and still show the same picture: 1 of 10 minutes' 18 000."""


@dataclass(frozen=True)
class Clock:
    """How a scene runs through a video."""

    start_frame: int
    """Scene frame of the video's second 0."""
    rate: float
    """Scene frames a second."""


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


def add_background(
    camera: bpy.types.Object, movie: bpy.types.MovieClip, film: FilmCamera, clock: Clock
) -> str:
    """Show a video behind what a camera sees.

    Returns:
        what the user should know, or nothing.
    """
    images = camera.data.background_images
    image = next((one for one in images if _shows(one, movie)), None) or images.new()
    _run_behind(camera, image, movie, clock)
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


def _shows(image: bpy.types.CameraBackgroundImage, movie: bpy.types.MovieClip) -> bool:
    if image.source == "MOVIE_CLIP":
        return image.clip == movie
    return image.image is not None and image.image.filepath == movie.filepath


def _run_behind(
    camera: bpy.types.Object,
    image: bpy.types.CameraBackgroundImage,
    movie: bpy.types.MovieClip,
    clock: Clock,
) -> None:
    """As a clip where scene and video have one rate, else as an image, which can be driven."""
    place = f"background_images[{list(camera.data.background_images).index(image)}].image_user"
    camera.data.driver_remove(f"{place}.frame_offset")
    if abs(movie.fps / clock.rate - 1) < _SAME_RATE:
        movie.frame_start = clock.start_frame
        image.source, image.clip = "MOVIE_CLIP", movie
        return
    image.source = "IMAGE"
    image.image = bpy.data.images.load(movie.filepath, check_existing=True)
    _run(image.image_user, camera.data, place, movie, clock)


def _run(
    user: bpy.types.ImageUser, owner: Any, place: str, movie: bpy.types.MovieClip, clock: Clock
) -> None:
    """Let an image user show the picture of the scene's time.

    Blender shows picture frame - frame_start + 1 + frame_offset, and the driver says the offset.
    It is an expression that Blender reads without Python, so no file needs to be trusted.
    """
    ratio = movie.fps / clock.rate
    user.frame_start = clock.start_frame
    user.frame_duration = math.ceil(movie.frame_duration / ratio)
    user.use_auto_refresh = True
    if abs(ratio - 1) >= _SAME_RATE:
        driver = owner.driver_add(f"{place}.frame_offset").driver
        passed = f"(frame - {clock.start_frame})"
        driver.expression = f"floor({passed} * {ratio:.9g} + 0.01) - {passed}"


def turn_needed(shown_px: tuple[int, int], film: FilmCamera) -> int:
    """Clockwise degrees by which Blender's picture of a video must be turned to be upright.

    Blender 4.2 and 4.3 ignore the rotation that a phone writes into a video; later ones obey.
    """
    if film.rotation_deg in (90, 270):
        sideways = (shown_px[0] > shown_px[1]) != (film.width_px > film.height_px)
        return film.rotation_deg if sideways else 0
    return film.rotation_deg if bpy.app.version < (4, 4) else 0


def add_plane(
    context: bpy.types.Context,
    camera: bpy.types.Object,
    video: Path,
    clip: MotionClip,
    clock: Clock,
) -> bpy.types.Object:
    """The video on a plane far behind the scene, filling the camera's view, for renders."""
    film = clip.camera
    half = [_PLANE_DISTANCE_M * s / film.focal_px / 2 for s in (film.width_px, film.height_px)]
    corners = [(x * half[0], y * half[1], 0.0) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    mesh = bpy.data.meshes.new(f"{clip.source} plane")
    mesh.from_pydata(corners, [], [(0, 1, 2, 3)])
    image = bpy.data.images.load(str(video), check_existing=True)
    _plane_uvs(mesh, film, image)
    mesh.materials.append(_movie_material(image, load_movie(video), clock))
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


def _plane_uvs(mesh: bpy.types.Mesh, film: FilmCamera, image: bpy.types.Image) -> None:
    corners = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
    quarter = turn_needed((image.size[0], image.size[1]), film) // 90
    layer = mesh.uv_layers.new(name="UVMap")
    for place, corner in enumerate(layer.data):
        corner.uv = corners[(place + quarter) % 4]


def _movie_material(
    image: bpy.types.Image, movie: bpy.types.MovieClip, clock: Clock
) -> bpy.types.Material:
    material = bpy.data.materials.new(image.name)
    if bpy.app.version < (5, 0):
        material.use_nodes = True
    tree = material.node_tree
    texture, glow = tree.nodes.new("ShaderNodeTexImage"), tree.nodes.new("ShaderNodeEmission")
    texture.image = image
    _run(texture.image_user, tree, f'nodes["{texture.name}"].image_user', movie, clock)
    output = next(node for node in tree.nodes if node.type == "OUTPUT_MATERIAL")
    tree.links.new(texture.outputs["Color"], glow.inputs["Color"])
    tree.links.new(glow.outputs[0], output.inputs["Surface"])
    return material
