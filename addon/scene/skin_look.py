# SPDX-License-Identifier: GPL-3.0-or-later
"""How the body looks: textured by its own shape, or plain clay.  No picture is needed.

The texture is a colour for each vertex: darker in hollows, which draws the face, and over the
joints, as on an artist's wooden figure, so that one sees how limbs bend.  Fine grain is added by
nodes.  Other programs get the colours (COLOR_0 in a .glb), base colour and roughness.
"""

from __future__ import annotations

import bpy
import numpy as np

LOOKS = ("TEXTURED", "PLAIN")
ATTRIBUTE = "Shade"
_CLAY = (0.61, 0.40, 0.30, 1.0)
_BODY = np.array([0.42, 0.37, 0.33])
"""Linear red, green and blue.  Chosen: the grey of unpainted wood, as light as skin."""
_JOINT = np.array([0.21, 0.19, 0.18])
_SEAM = (0.22, 0.45)
"""Weight of a second bone at which a seam starts and is full.  Chosen: a hand wide at knees."""
_HOLLOW = 1.6
"""Darkness for the mean slope of a vertex's edges.  Chosen by eye."""
_ROUGHNESS, _GRAIN_PER_M, _GRAIN = 0.62, 900.0, 0.06


def shades(vertices_m: np.ndarray, faces: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Linear colours (V, 3).

    Args:
        vertices_m: (V, 3) at rest.
        faces: (F, 3) vertex numbers.
        weights: (V, K) of the bones of each vertex.
    """
    second = np.sort(weights, axis=1)[:, -2]
    low, high = _SEAM
    seam = np.clip((second - low) / (high - low), 0, 1)[:, None]
    seam = seam * seam * (3 - 2 * seam)
    light = np.clip(1 - _HOLLOW * _hollows(vertices_m, faces), 0.35, 1.25)[:, None]
    return np.clip(((1 - seam) * _BODY + seam * _JOINT) * light, 0, 1)


def paint(mesh: bpy.types.Mesh, colours: np.ndarray) -> None:
    """Give a mesh its colours (V, 3) as an attribute that shading and exporters find."""
    layer = mesh.color_attributes.new(ATTRIBUTE, "BYTE_COLOR", "POINT")
    values = np.ones((len(colours), 4), np.float32)
    values[:, :3] = colours
    layer.data.foreach_set("color", values.ravel())
    mesh.color_attributes.active_color = layer
    mesh.color_attributes.render_color_index = mesh.color_attributes.active_color_index


def material(look: str) -> bpy.types.Material:
    """The material of a look, one for all bodies of a file.

    Raises:
        ValueError: no such look.
    """
    if look not in LOOKS:
        raise ValueError(f"look must be one of {', '.join(LOOKS)}, got {look!r}")
    name = "STAF skin" if look == "TEXTURED" else "STAF clay"
    found = bpy.data.materials.get(name)
    if found is not None and found.library is None:
        return found
    made = bpy.data.materials.new(name)
    if bpy.app.version < (5, 0):  # always on from 5.0, where setting it is deprecated
        made.use_nodes = True
    shader = next(n for n in made.node_tree.nodes if n.type == "BSDF_PRINCIPLED")
    if look == "PLAIN":
        shader.inputs["Base Color"].default_value = made.diffuse_color = _CLAY
        shader.inputs["Roughness"].default_value = 0.75
        return made
    made.diffuse_color = (*_BODY, 1.0)
    shader.inputs["Roughness"].default_value = _ROUGHNESS
    _texture(made.node_tree, shader)
    return made


def _texture(tree: bpy.types.NodeTree, shader: bpy.types.Node) -> None:
    """Colours from the attribute, and grain in the coordinates of the body at rest."""
    colours = tree.nodes.new("ShaderNodeVertexColor")
    colours.layer_name = ATTRIBUTE
    place = tree.nodes.new("ShaderNodeTexCoord")
    grain = tree.nodes.new("ShaderNodeTexNoise")
    grain.inputs["Scale"].default_value = _GRAIN_PER_M
    bump = tree.nodes.new("ShaderNodeBump")
    bump.inputs["Strength"].default_value = _GRAIN
    nodes = (colours, place, grain, bump)
    for node, x, y in zip(nodes, (-300, -900, -700, -300), (300, -300, -300, -300), strict=True):
        node.location = (x, y)
    tree.links.new(colours.outputs["Color"], shader.inputs["Base Color"])
    tree.links.new(place.outputs["UV"], grain.inputs["Vector"])
    tree.links.new(grain.outputs[0], bump.inputs["Height"])
    tree.links.new(bump.outputs["Normal"], shader.inputs["Normal"])


def _hollows(vertices_m: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V,) mean slope of the edges against each vertex's normal, positive in a hollow."""
    corners = vertices_m[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(vertices_m)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], across)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    ends = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    step = vertices_m[ends[:, 1]] - vertices_m[ends[:, 0]]
    step /= np.maximum(np.linalg.norm(step, axis=1, keepdims=True), 1e-12)
    count = np.maximum(np.bincount(ends[:, 0], minlength=len(vertices_m)), 1)
    slopes = (normals[ends[:, 0]] * step).sum(1)
    slope = np.bincount(ends[:, 0], slopes, len(vertices_m)) / count
    return _softened(slope, ends)


def _softened(values: np.ndarray, ends: np.ndarray, times: int = 2) -> np.ndarray:
    count = np.maximum(np.bincount(ends[:, 0], minlength=len(values)), 1)
    for _ in range(times):
        around = np.bincount(ends[:, 0], values[ends[:, 1]], len(values)) / count
        values = (values + around) / 2
    return values
