# SPDX-License-Identifier: GPL-3.0-or-later
"""The skinned mesh of a body, with its shape baked into the rest pose."""

from __future__ import annotations

import bpy
import numpy as np

from .armature import link
from .axes import UP, to_blender
from .body_file import BodyShape
from .skin_look import material, paint

_SMALLEST_WEIGHT = 1e-4


def make_body(
    context: bpy.types.Context,
    name: str,
    rig: bpy.types.Object,
    body: BodyShape,
    betas: np.ndarray,
    lift_m: float,
    bones: tuple[str, ...],
    shape_keys: bool,
    look: str,
) -> bpy.types.Object:
    """A mesh object under an armature.

    Args:
        name: of the object.
        rig: the armature; becomes parent and modifier.
        body: the body.
        betas: (B,) its shape.
        lift_m: how far the rest pose is raised.
        bones: (J,) a bone for each joint of the body.
        shape_keys: add a key for each shape number, at zero.  The skeleton does not follow them.
        look: one of `body_file.LOOKS`.
    """
    rest_m = to_blender(body.rest_vertices_m(betas)) + UP * lift_m
    mesh = _mesh(name, rest_m, body)
    item = bpy.data.objects.new(name, mesh)
    link(context, item)
    item.parent = rig
    _skin(item, body, bones)
    modifier = item.modifiers.new("Armature", "ARMATURE")
    modifier.object = rig
    if shape_keys:
        _shape_keys(item, rest_m, body)
    mesh.materials.append(material(look, body))
    if look == "TEXTURED":
        paint(mesh, body)
    return item


def _mesh(name: str, vertices_m: np.ndarray, body: BodyShape) -> bpy.types.Mesh:
    faces = body.faces
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(len(vertices_m))
    mesh.loops.add(faces.size)
    mesh.polygons.add(len(faces))
    mesh.vertices.foreach_set("co", vertices_m.astype(np.float32).ravel())
    mesh.loops.foreach_set("vertex_index", faces.astype(np.int32).ravel())
    mesh.polygons.foreach_set("loop_start", np.arange(0, faces.size, 3, dtype=np.int32))
    mesh.polygons.foreach_set("use_smooth", np.ones(len(faces), bool))
    if body.uvs is not None and body.uv_faces is not None:
        layer = mesh.uv_layers.new(name="UVMap", do_init=False)
        corners = body.uvs[body.uv_faces.ravel()].astype(np.float32)
        layer.data.foreach_set("uv", corners.ravel())
    mesh.update(calc_edges=True)
    mesh.validate()
    return mesh


def _skin(item: bpy.types.Object, body: BodyShape, bones: tuple[str, ...]) -> None:
    """Vertex groups.  Vertices of one bone that share a weight are added in one call."""
    vertices = np.repeat(np.arange(len(body.template_m)), 4)
    joints, weights = body.skin_joints.ravel(), body.skin_weights.ravel()
    for joint, bone in enumerate(bones):
        group = item.vertex_groups.new(name=bone)
        mine = (joints == joint) & (weights > _SMALLEST_WEIGHT)
        values, kinds = np.unique(weights[mine], return_inverse=True)
        order = np.argsort(kinds, kind="stable")
        edges = np.searchsorted(kinds[order], np.arange(1, len(values)))
        for value, members in zip(values, np.split(vertices[mine][order], edges), strict=True):
            group.add(members.tolist(), float(value), "REPLACE")


def _shape_keys(item: bpy.types.Object, rest_m: np.ndarray, body: BodyShape) -> None:
    item.shape_key_add(name="Basis", from_mix=False)
    for number in range(body.shape_directions.shape[-1]):
        key = item.shape_key_add(name=f"Shape{number:03d}", from_mix=False)
        moved = rest_m + to_blender(body.shape_directions[..., number])
        key.data.foreach_set("co", moved.astype(np.float32).ravel())
        key.slider_min, key.slider_max, key.value = -5.0, 5.0, 0.0
