# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene as an exporter should see it: twins of the characters that play just what is written.

The originals are not touched but for their names, which the twins bear meanwhile, because
exporters call things as Blender does.  Everything is put back, also after an error.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from . import keyframes
from .armature import bone_by_joint, link, rest_frames, root_bone
from .transaction import focus

TRAVELS = ("KEEP", "ROOT", "IN_PLACE")
Plan = tuple[bpy.types.Object, list[bpy.types.Action]]
"""An armature and the takes of it to write."""


@dataclass(frozen=True)
class ExportOptions:
    """What is written."""

    all_takes: bool = True
    """Every take of a character as an animation of its own; else the one it plays."""
    travel: str = "KEEP"
    """"KEEP" as it is; "ROOT": over the ground on the root bone; "IN_PLACE": none."""
    skeleton_only: bool = False
    """A thin proxy mesh instead of the body, which carries the skin and nothing else."""

    def __post_init__(self) -> None:
        if self.travel not in TRAVELS:
            raise ValueError(f"travel must be one of {', '.join(TRAVELS)}, got {self.travel!r}")


@contextlib.contextmanager
def staged(
    context: bpy.types.Context, plans: list[Plan], options: ExportOptions
) -> Iterator[list[Plan]]:
    """Twins of the characters, selected, of the same names, with the takes they play.

    The first take is played, the others are stashed on muted tracks.
    """
    scene = context.scene
    active, selected = context.view_layer.objects.active, list(context.selected_objects)
    frame, subframe = scene.frame_current, scene.frame_subframe
    with contextlib.ExitStack() as stack:
        stack.callback(scene.frame_set, frame, subframe=subframe)
        stack.callback(focus, context, active, selected)
        twins: list[Plan] = []
        items: list[bpy.types.Object] = []
        for rig, takes in plans:
            twin = _twin(stack, context, rig)
            twin.animation_data_clear()
            played = [_travelling(stack, twin, take, options.travel) for take in takes]
            for take in played[1:]:
                keyframes.stash(twin, take)
                twin.animation_data.nla_tracks[-1].mute = True
            keyframes.assign(twin, played[0] if played else None)
            items += [twin, *_meshes(stack, context, rig, twin, options)]
            twins.append((twin, played))
        focus(context, twins[0][0], items)
        yield twins


def meshes_of(context: bpy.types.Context, rig: bpy.types.Object) -> list[bpy.types.Object]:
    """The meshes of the scene that an armature moves, in the view layer or not, as characters."""
    meshes = [item for item in context.scene.objects if item.type == "MESH"]
    return [
        mesh
        for mesh in meshes
        if any(m.type == "ARMATURE" and m.object == rig for m in mesh.modifiers)
    ]


def _twin(
    stack: contextlib.ExitStack, context: bpy.types.Context, item: bpy.types.Object
) -> bpy.types.Object:
    twin = item.copy()
    link(context, twin)
    twin.hide_viewport = twin.hide_select = False
    twin.hide_set(False)
    stack.callback(bpy.data.objects.remove, twin)
    _swap_names(stack, item, twin)
    return twin


def _swap_names(stack: contextlib.ExitStack, item: Any, twin: Any) -> None:
    """Give the twin the name until it is removed; a linked original keeps its own."""
    if item.library is None:
        name = item.name
        item.name = uuid.uuid4().hex
        twin.name = name
        stack.callback(_return_name, item, twin, name)


def _return_name(item: Any, twin: Any, name: str) -> None:
    twin.name = uuid.uuid4().hex
    item.name = name


def _meshes(
    stack: contextlib.ExitStack,
    context: bpy.types.Context,
    rig: bpy.types.Object,
    twin: bpy.types.Object,
    options: ExportOptions,
) -> list[bpy.types.Object]:
    bodies = [] if options.skeleton_only else meshes_of(context, rig)
    if not bodies:
        proxy = make_proxy(context, twin)
        stack.callback(bpy.data.meshes.remove, proxy.data)  # and the object with it
        return [proxy]
    twins = [_twin(stack, context, body) for body in bodies]
    for body in twins:
        body.parent = twin if body.parent == rig else body.parent
        for modifier in body.modifiers:
            if modifier.type == "ARMATURE" and modifier.object == rig:
                modifier.object = twin
    return twins


def _travelling(
    stack: contextlib.ExitStack, rig: bpy.types.Object, take: bpy.types.Action, travel: str
) -> bpy.types.Action:
    """The take, or a twin of it whose way over the ground is on the root bone or dropped."""
    names = _root_and_pelvis(rig)
    if travel == "KEEP" or not names:
        return take
    twin = take.copy()
    stack.callback(bpy.data.actions.remove, twin)
    _swap_names(stack, take, twin)
    keyframes.assign(rig, twin)
    for name in names:  # a channel that is dropped must not leave the pose of this moment behind
        rig.pose.bones[name].location = (0.0, 0.0, 0.0)
    _, axes = rest_frames(rig, names)
    curves = [_location_curves(twin, rig, name) for name in names]
    frames = _key_frames([curve for three in curves for curve in three.values()])
    if not len(frames):
        return twin
    root, hips = (_sampled(three, frames) for three in curves)
    total = root @ axes[0].T + hips @ axes[1].T
    ground = total * [1.0, 1.0, 0.0]
    root_m = ground if travel == "ROOT" else np.zeros_like(ground)
    values = (root_m @ axes[0], (total - ground) @ axes[1])
    pairs = zip(names, values, strict=True)
    channels = [keyframes.bone_channel(name, "location", value) for name, value in pairs]
    keyframes.write(rig, twin, frames, channels, np.zeros(len(frames), bool))
    return twin


def _root_and_pelvis(rig: bpy.types.Object) -> list[str]:
    root = rig.data.bones.get(root_bone(rig) or "")
    if root is None or not len(root.children):
        return []
    return [root.name, bone_by_joint(rig).get("Pelvis") or root.children[0].name]


def _location_curves(take: bpy.types.Action, rig: bpy.types.Object, bone: str) -> dict[int, Any]:
    path = keyframes.bone_channel(bone, "location", np.zeros((1, 3))).path
    return {c.array_index: c for c in keyframes.curves(take, rig) if c.data_path == path}


def _key_frames(curves: list[Any]) -> np.ndarray:
    """All frames (N,) that have a key on some curve."""
    frames: list[np.ndarray] = [np.zeros(0)]
    for curve in curves:
        points = np.empty(2 * len(curve.keyframe_points), np.float32)
        curve.keyframe_points.foreach_get("co", points)
        frames.append(points[::2])
    return np.unique(np.concatenate(frames))


def _sampled(curves: dict[int, Any], frames: np.ndarray) -> np.ndarray:
    """Locations (N, 3) at frames (N,)."""
    out = np.zeros((len(frames), 3))
    for index, curve in curves.items():
        out[:, index] = [curve.evaluate(float(frame)) for frame in frames]
    return out


def make_proxy(context: bpy.types.Context, rig: bpy.types.Object) -> bpy.types.Object:
    """A thin octahedron for each bone, moved by that bone alone: it carries a bare skin."""
    names = [bone.name for bone in rig.data.bones]
    heads, axes = rest_frames(rig, names)
    lengths = np.array([bone.length for bone in rig.data.bones])
    corners, faces = _octahedra(heads, axes, lengths)
    mesh = bpy.data.meshes.new(f"{rig.name} proxy")
    mesh.from_pydata(corners.tolist(), [], faces.tolist())
    mesh.update()
    item = bpy.data.objects.new(mesh.name, mesh)
    link(context, item)
    item.parent = rig
    for number, name in enumerate(names):
        group = item.vertex_groups.new(name=name)
        group.add(list(range(number * 6, number * 6 + 6)), 1.0, "REPLACE")
    item.modifiers.new("Armature", "ARMATURE").object = rig
    return item


def _octahedra(
    heads: np.ndarray, axes: np.ndarray, lengths: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Corners (6 J, 3) and triangles (8 J, 3) of bones; a bone's y axis is its length."""
    w, m = 0.06, 0.15
    shape = np.array([(0, 0, 0), (w, m, 0), (0, m, w), (-w, m, 0), (0, m, -w), (0, 1, 0)])
    ring = [(1, 2), (2, 3), (3, 4), (4, 1)]
    triangles = np.array([(0, a, b) for a, b in ring] + [(5, b, a) for a, b in ring])
    scaled = shape[None] * lengths[:, None, None]
    corners = heads[:, None] + np.einsum("jab,jkb->jka", axes, scaled)
    offsets = np.arange(len(heads))[:, None, None] * len(shape)
    return corners.reshape(-1, 3), (triangles[None] + offsets).reshape(-1, 3)
