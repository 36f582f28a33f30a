# SPDX-License-Identifier: GPL-3.0-or-later
"""The camera that filmed: the character then stands on the person.

One for all people of a clip, still or keyed.  What the animator did to it stays.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix

from . import keyframes
from .armature import link
from .axes import TO_BLENDER, camera_matrix, continuous, matrix_of, to_blender
from .first_look import CONTENT_KEY
from .footage import Clock
from .motion_file import FilmCamera, MotionClip
from .timing import frames_of

SENSOR_MM = 36.0
SOURCE_KEY = "staf_source"
_MADE_KEY = "staf_made"
"""Custom property of a camera: its pose and lens as they were made, or a sum of its keys."""
_SAME = 1e-3
"""Metres, or of a quaternion, between two people's camera paths.  Chosen: files hold float32."""


def add_camera(
    context: bpy.types.Context, clip: MotionClip, clock: Clock, identity: str
) -> bpy.types.Object:
    """The camera of a motion; a new one becomes the scene's.

    Args:
        context: of the scene.
        clip: the motion.
        clock: places its keys.
        identity: of the video; its camera is used again, moved or not, unless the motion was
            solved with another camera.
    """
    known = [
        item
        for item in context.scene.objects
        if item.type == "CAMERA" and item.get(CONTENT_KEY) == identity and item.library is None
    ]
    find = _still_camera if clip.camera.rotations_wxyz is None else _keyed_camera
    item = find(context, clip, clock, known)
    item[CONTENT_KEY] = identity
    if item not in known or context.scene.camera is None:
        context.scene.camera = item
    render = context.scene.render
    render.resolution_x, render.resolution_y = clip.camera.width_px, clip.camera.height_px
    render.pixel_aspect_x = render.pixel_aspect_y = 1.0
    return item


def _still_camera(
    context: bpy.types.Context, clip: MotionClip, _clock: Clock, known: list[bpy.types.Object]
) -> bpy.types.Object:
    film = clip.camera
    world = Matrix(camera_matrix(film.rotation_wxyz, film.position_m))
    wanted = [*np.ravel(world).tolist(), _lens_mm(film)]
    moved = []
    for item in known:
        made = item.get(_MADE_KEY)
        if made is None or isinstance(made, str):
            continue
        if np.allclose(made, wanted, atol=1e-4):
            return item
        if not np.allclose([*np.ravel(item.matrix_world), item.data.lens], made, atol=1e-4):
            moved.append(item)
    if moved:
        return moved[0]
    item = _new_camera(context, clip)
    item.matrix_world = world
    item[_MADE_KEY] = wanted
    return item


def _keyed_camera(
    context: bpy.types.Context, clip: MotionClip, clock: Clock, known: list[bpy.types.Object]
) -> bpy.types.Object:
    frames = frames_of(clip.times_s, clock.start_frame, clock.rate)
    path = _path(clip.camera)
    for item in known:
        if not isinstance(item.get(_MADE_KEY), str):
            continue
        keys = _keys(item)
        if _sum_of(*keys) != item[_MADE_KEY]:  # the animator's by now
            return item
        if _agree(*keys, frames, path):
            _key(item, *_joined(*keys, frames, path))
            return item
    item = _new_camera(context, clip)
    _key(item, frames, path)
    return item


def _new_camera(context: bpy.types.Context, clip: MotionClip) -> bpy.types.Object:
    name = f"{Path(clip.source).stem or clip.name} camera"
    item = bpy.data.objects.new(name, bpy.data.cameras.new(name))
    item[SOURCE_KEY] = clip.source
    link(context, item)
    _set_lens(item.data, clip.camera)
    return item


def _path(film: FilmCamera) -> np.ndarray:
    """Places and turns (T, 7) of a followed camera, in Blender's axes."""
    assert film.rotations_wxyz is not None
    assert film.positions_m is not None
    turns = TO_BLENDER @ matrix_of(film.rotations_wxyz)
    quaternions = np.array([Matrix(turn.tolist()).to_quaternion() for turn in turns])
    return np.hstack([to_blender(film.positions_m), continuous(quaternions)])


def _key(item: bpy.types.Object, frames: np.ndarray, path: np.ndarray) -> None:
    data = item.animation_data
    action = (data.action if data else None) or keyframes.new_action(item.name)
    item.rotation_mode = "QUATERNION"
    channels = [
        keyframes.Channel("location", path[:, :3], "Location"),
        keyframes.Channel("rotation_quaternion", path[:, 3:], "Rotation"),
    ]
    keyframes.write(item, action, frames, channels, np.zeros(len(frames), bool))
    item[_MADE_KEY] = _sum_of(*_keys(item))


def _keys(item: bpy.types.Object) -> tuple[np.ndarray, np.ndarray]:
    """Frames (T,) and values (T, 7) of a camera's keys; a channel without keys is zero."""
    action = item.animation_data.action if item.animation_data else None
    frames, path = np.zeros(0), np.zeros((0, 7))
    for curve in keyframes.curves(action, item) if action else ():
        first = {"location": 0, "rotation_quaternion": 3}.get(curve.data_path)
        points = np.empty(2 * len(curve.keyframe_points), np.float32)
        curve.keyframe_points.foreach_get("co", points)
        if first is not None and not len(frames):
            frames, path = points[::2].astype(float), np.zeros((len(points) // 2, 7))
        if first is not None and len(points) == 2 * len(frames):
            path[:, first + curve.array_index] = points[1::2]
    return frames, path


def _sum_of(frames: np.ndarray, path: np.ndarray) -> str:
    rounded = np.round(np.column_stack([frames, path]), 4) + 0.0
    return hashlib.sha256(rounded.tobytes()).hexdigest()[:16]


def _agree(frames: np.ndarray, path: np.ndarray, more: np.ndarray, its_path: np.ndarray) -> bool:
    """Whether two paths are the same where both are known; also where they nowhere meet."""
    both = (more >= frames[0]) & (more <= frames[-1])
    if not both.any():
        return True
    values = np.column_stack([np.interp(more[both], frames, column) for column in path.T])
    apart_m = np.abs(values[:, :3] - its_path[both, :3]).max()
    turned = 1 - np.abs((values[:, 3:] * its_path[both, 3:]).sum(1)).min()
    return bool(apart_m < _SAME and turned < _SAME)


def _joined(
    frames: np.ndarray, path: np.ndarray, more: np.ndarray, its_path: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Both paths' keys, each frame once."""
    new = ~np.isin(np.round(more, 3), np.round(frames, 3))
    every = np.concatenate([frames, more[new]])
    values = np.concatenate([path, its_path[new]])
    order = np.argsort(every, kind="stable")
    values = values[order]
    values[:, 3:] = continuous(values[:, 3:])
    return every[order], values


def _lens_mm(film: FilmCamera) -> float:
    """focal [mm] = focal [px] · sensor [mm] / width [px]"""
    return film.focal_px * SENSOR_MM / film.width_px


def _set_lens(camera: bpy.types.Camera, film: FilmCamera) -> None:
    """Shifts are shares of the width."""
    camera.sensor_fit, camera.sensor_width = "HORIZONTAL", SENSOR_MM
    camera.lens = _lens_mm(film)
    offset = (film.principal_point_px - [film.width_px / 2, film.height_px / 2]) / film.width_px
    camera.shift_x, camera.shift_y = -offset[0], offset[1]
    camera.clip_start, camera.clip_end = 0.01, 1000.0
