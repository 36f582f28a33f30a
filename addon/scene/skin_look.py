# SPDX-License-Identifier: GPL-3.0-or-later
"""How the body looks: textured by the colours of its vertices, or plain clay.  No picture.

Colours, clay and roughness come from the body file, which the backend makes; its own exports take
them from the same place.  Fine grain is added by nodes.  Other programs get the colours (COLOR_0 in
a .glb), base colour and roughness.
"""

from __future__ import annotations

import bpy
import numpy as np

from .body_file import LOOKS, BodyShape

ATTRIBUTE = "Shade"
_GRAIN_PER_M, _GRAIN = 900.0, 0.06


def paint(mesh: bpy.types.Mesh, body: BodyShape) -> None:
    """Give a mesh its body's colours as an attribute that shading and exporters find."""
    layer = mesh.color_attributes.new(ATTRIBUTE, "BYTE_COLOR", "POINT")
    values = np.ones((len(body.skin_colours), 4), np.float32)
    values[:, :3] = body.skin_colours
    layer.data.foreach_set("color_srgb", values.ravel())
    mesh.color_attributes.active_color = layer
    mesh.color_attributes.render_color_index = mesh.color_attributes.active_color_index


def material(look: str, body: BodyShape) -> bpy.types.Material:
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
    colour, roughness = body.clay_colour, body.clay_roughness
    if look == "TEXTURED":  # one colour for whoever reads no vertices'
        colour, roughness = (body.skin_colours**2.2).mean(0), body.skin_roughness
        _texture(made.node_tree, shader)
    made.diffuse_color = shader.inputs["Base Color"].default_value = (*colour, 1.0)
    shader.inputs["Roughness"].default_value = float(roughness)
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
