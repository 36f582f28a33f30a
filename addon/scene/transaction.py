# SPDX-License-Identifier: GPL-3.0-or-later
"""All or nothing: an import that fails leaves the scene as it was."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import bpy

# users before what they use, so that removal meets no user
_KINDS = (
    *("objects", "collections", "armatures", "meshes", "cameras", "actions", "materials"),
    *("movieclips", "images", "sounds"),
)


@contextlib.contextmanager
def all_or_nothing(context: bpy.types.Context) -> Iterator[None]:
    """On an exception inside, remove every data-block made inside, and restore clock and focus."""
    before = {kind: {block.as_pointer() for block in _blocks(kind)} for kind in _KINDS}
    scene = context.scene
    clock = _clock(scene)
    active = context.view_layer.objects.active
    selected = list(context.selected_objects)
    try:
        yield
    except BaseException:
        if context.mode != "OBJECT" and context.view_layer.objects.active is not active:
            bpy.ops.object.mode_set(mode="OBJECT")
        for kind in _KINDS:
            new = [block for block in _blocks(kind) if block.as_pointer() not in before[kind]]
            for block in new:
                getattr(bpy.data, kind).remove(block)
        _restore(scene, clock)
        focus(context, active, selected)
        raise


def focus(context: bpy.types.Context, active: Any, selected: list[Any]) -> None:
    """Select just these objects, with this one active."""
    context.view_layer.update()  # objects that were removed leave holes until then
    for item in context.view_layer.objects:
        item.select_set(item in selected)
    context.view_layer.objects.active = active


def _blocks(kind: str) -> Any:
    return getattr(bpy.data, kind)


_RENDER = ("fps", "fps_base", "resolution_x", "resolution_y", "resolution_percentage")
_SCENE = ("frame_start", "frame_end", "camera")


def _clock(scene: bpy.types.Scene) -> dict[str, Any]:
    values = {name: getattr(scene, name) for name in _SCENE}
    return values | {name: getattr(scene.render, name) for name in _RENDER}


def _restore(scene: bpy.types.Scene, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(scene if name in _SCENE else scene.render, name, value)
