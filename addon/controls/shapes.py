# SPDX-License-Identifier: GPL-3.0-or-later
"""How controls look: wire meshes that no scene shows, shared by all control rigs."""

import bpy
import numpy as np

_CORNERS = 24
"""Of a circle.  Chosen: round at a hand's size on the screen."""


def shape(kind: str) -> bpy.types.Object:
    """The object that bones of a kind are drawn as: ring, box or ball; made where it is missing."""
    name = f"STAF {kind}"
    found = bpy.data.objects.get(name)
    if found is not None and found.library is None and found.type == "MESH":
        return found
    points, edges = _WIRES[kind]()
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(points.tolist(), edges.tolist(), [])
    return bpy.data.objects.new(name, mesh)


def forget_unused() -> None:
    """Remove the shapes that no bone uses any more."""
    for kind in _WIRES:
        found = bpy.data.objects.get(f"STAF {kind}")
        if found is not None and not found.users and found.library is None:
            bpy.data.meshes.remove(found.data)  # and the object with it


def _ring() -> tuple[np.ndarray, np.ndarray]:
    """A circle about y, of radius 1."""
    angles = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    points = np.stack([np.cos(angles), np.zeros(_CORNERS), np.sin(angles)], -1)
    return points, _closed(_CORNERS)


def _box() -> tuple[np.ndarray, np.ndarray]:
    """A cube along the bone, of edge 1, from its head to its tail."""
    corners = np.array(np.meshgrid([-0.5, 0.5], [0.0, 1.0], [-0.5, 0.5])).reshape(3, 8).T
    apart = np.abs(corners[:, None] - corners[None]).sum(-1)
    return corners, np.argwhere(np.triu(np.isclose(apart, 1.0)))


def _ball() -> tuple[np.ndarray, np.ndarray]:
    """Three circles about the head, of radius 0.5."""
    flat, edges = _ring()
    rings = [0.5 * np.roll(flat, turn, axis=1) for turn in range(3)]
    return np.concatenate(rings), np.concatenate([edges + _CORNERS * k for k in range(3)])


def _closed(count: int) -> np.ndarray:
    return np.stack([np.arange(count), (np.arange(count) + 1) % count], -1)


_WIRES = {"ring": _ring, "box": _box, "ball": _ball}
