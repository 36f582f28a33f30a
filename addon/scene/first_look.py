# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody sees first: the clip's own collection, the view through its camera, no cube."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import bpy
import numpy as np

from .motion_file import MotionClip

CONTENT_KEY = "staf_content"
"""Custom property of a collection and of what is in it: the identity of the video."""
_CUBE_M = 2.0
"""Edge of the cube in Blender's startup file."""


@contextlib.contextmanager
def gathered(
    context: bpy.types.Context,
    clip: MotionClip,
    identity: str,
    target: bpy.types.Object | None = None,
) -> Iterator[bpy.types.Collection]:
    """What is linked inside goes into the clip's collection, which is made where it is missing.

    Collections of the clip and of the character that gets another take are in the view layer from
    then on: what was asked for is seen.
    """
    layer = context.view_layer
    before = layer.active_layer_collection
    mine = _collection(context, clip, identity)
    wanted = [mine]
    if target is not None and target not in set(layer.objects):
        own = (one for one in target.users_collection if _way_to(layer.layer_collection, one))
        wanted += [next(own)]
    with contextlib.ExitStack() as taken_back:
        for collection in wanted:
            _take_in(taken_back, layer, collection)
        try:
            way = _way_to(layer.layer_collection, mine)
            if way:
                layer.active_layer_collection = way[-1]
            yield mine
        finally:
            layer.active_layer_collection = before
        taken_back.pop_all()


def hide_startup_cube(scene: bpy.types.Scene, layer: bpy.types.ViewLayer) -> str:
    """Hide the cube of Blender's startup file where nobody touched it; it is inside the scene.

    Returns:
        what the user should know, or nothing.
    """
    cube = scene.objects.get("Cube")
    if cube is None or cube.library is not None or not _untouched(cube):
        return ""
    if cube not in set(layer.objects) or cube.hide_get(view_layer=layer):
        return ""
    cube.hide_set(True, view_layer=layer)
    cube.hide_render = True
    return "the startup cube is hidden."


def look_through(context: bpy.types.Context) -> None:
    """Turn the window's 3D views to the scene's camera, unless something else locks them."""
    for window in context.window_manager.windows:
        if window.scene != context.scene:
            continue
        for area in window.screen.areas:
            if area.type == "VIEW_3D" and not area.spaces.active.use_local_camera:
                area.spaces.active.region_3d.view_perspective = "CAMERA"
                area.tag_redraw()


def _collection(
    context: bpy.types.Context, clip: MotionClip, identity: str
) -> bpy.types.Collection:
    for collection in context.scene.collection.children_recursive:
        if collection.get(CONTENT_KEY) == identity and collection.library is None:
            return collection
    collection = bpy.data.collections.new(Path(clip.source).stem or clip.name)
    collection[CONTENT_KEY] = identity
    context.scene.collection.children.link(collection)
    return collection


def _take_in(
    taken_back: contextlib.ExitStack, layer: bpy.types.ViewLayer, collection: bpy.types.Collection
) -> None:
    """Tick a collection, and those that it lies in, where the view layer leaves them out."""
    for one in _way_to(layer.layer_collection, collection):
        if one.exclude:
            one.exclude = False
            taken_back.callback(setattr, one, "exclude", True)


def _way_to(
    layer: bpy.types.LayerCollection, collection: bpy.types.Collection
) -> list[bpy.types.LayerCollection]:
    """From the top to a collection, which is last; empty where it is not in the view layer's."""
    if layer.collection == collection:
        return [layer]
    ways = (_way_to(child, collection) for child in layer.children)
    return next(([layer, *way] for way in ways if way), [])


def _untouched(cube: bpy.types.Object) -> bool:
    """As Blender ships it: eight corners a metre from the origin, unmoved, unanimated."""
    if cube.type != "MESH" or len(cube.data.vertices) != 8 or cube.animation_data or cube.parent:
        return False
    if cube.modifiers or cube.constraints or cube.children or cube.data.shape_keys:
        return False
    corners = np.array([vertex.co for vertex in cube.data.vertices])
    unmoved = np.allclose(cube.matrix_world, np.eye(4), atol=1e-6)
    return bool(unmoved and np.allclose(np.abs(corners), _CUBE_M / 2, atol=1e-6))
