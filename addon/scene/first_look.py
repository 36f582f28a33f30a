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
    context: bpy.types.Context, clip: MotionClip, identity: str
) -> Iterator[bpy.types.Collection]:
    """What is linked inside goes into the clip's collection, which is made where it is missing."""
    layer = context.view_layer
    before = layer.active_layer_collection
    mine = _collection(context, clip, identity)
    place = _layer_of(layer.layer_collection, mine)
    try:
        if place is not None:
            layer.active_layer_collection = place
        yield mine
    finally:
        layer.active_layer_collection = before


def hide_startup_cube(scene: bpy.types.Scene) -> str:
    """Hide the cube of Blender's startup file where nobody touched it; it is inside the scene.

    Returns:
        what the user should know, or nothing.
    """
    cube = scene.objects.get("Cube")
    if cube is None or cube.library is not None or not _untouched(cube) or cube.hide_get():
        return ""
    cube.hide_set(True)
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


def _layer_of(
    layer: bpy.types.LayerCollection, collection: bpy.types.Collection
) -> bpy.types.LayerCollection | None:
    if layer.collection == collection:
        return layer
    found = (_layer_of(child, collection) for child in layer.children)
    return next((one for one in found if one is not None), None)


def _untouched(cube: bpy.types.Object) -> bool:
    """As Blender ships it: eight corners a metre from the origin, unmoved, unanimated."""
    if cube.type != "MESH" or len(cube.data.vertices) != 8 or cube.animation_data or cube.parent:
        return False
    if cube.modifiers or cube.constraints or cube.children or cube.data.shape_keys:
        return False
    corners = np.array([vertex.co for vertex in cube.data.vertices])
    unmoved = np.allclose(cube.matrix_world, np.eye(4), atol=1e-6)
    return bool(unmoved and np.allclose(np.abs(corners), _CUBE_M / 2, atol=1e-6))
