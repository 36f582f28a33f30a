"""The mesh of a character as glTF wants it: one vertex per corner kind, four influences each."""

from dataclasses import dataclass

import numpy as np

from staf_backend.body import Body, skin_colours, vertex_normals

_TIP = 0.4
"""Length of a bone without children, of that before it.  Chosen: a hand on a forearm."""


@dataclass(frozen=True, eq=False)
class SkinnedMesh:
    """A mesh in the rest pose, ready for glTF.  N vertices, M triangles.

    Skin joint 0 is the root bone; joint j of the body is skin joint j + 1.
    """

    positions_m: np.ndarray
    """(N, 3) float32"""
    normals: np.ndarray
    """(N, 3) float32, unit"""
    uvs: np.ndarray | None
    """(N, 2) float32, origin at the upper left as in glTF"""
    joints: np.ndarray
    """(N, 4) uint8"""
    weights: np.ndarray
    """(N, 4) uint16, rows sum to 65535"""
    triangles: np.ndarray
    """(M, 3) uint16 or uint32"""
    colours: np.ndarray | None = None
    """(N, 4) uint8, linear red, green, blue and opacity"""

    def __post_init__(self) -> None:
        count = len(self.positions_m)
        sizes = {len(self.normals), len(self.joints), len(self.weights), count}
        if len(sizes) > 1 or self.triangles.max() >= count:
            raise ValueError(f"mesh arrays of different lengths: {sorted(sizes)}")


def body_mesh(body: Body, betas: np.ndarray, *, coloured: bool = False) -> SkinnedMesh:
    """The body with its shape baked in, vertices split along the seams of the texture.

    Normals are computed before the split, so no seam shows in the shading.

    Args:
        body: the body.
        betas: (B,) its shape.
        coloured: with the colours of its skin.
    """
    rest_m = body.rest_vertices_m(betas)
    normals = vertex_normals(rest_m, body.faces)
    vertices, corners, uvs = _split_seams(body)
    colours = _whole_colours(skin_colours(body))[vertices] if coloured else None
    return SkinnedMesh(
        positions_m=rest_m[vertices].astype(np.float32),
        normals=normals[vertices].astype(np.float32),
        uvs=uvs,
        joints=np.where(body.skin_weights > 0, body.skin_joints + 1, 0)[vertices].astype(np.uint8),
        weights=_whole_weights(body.skin_weights)[vertices],
        triangles=corners.astype(np.uint16 if len(vertices) < 65535 else np.uint32),
        colours=colours,
    )


def proxy_mesh(rest_joints_m: np.ndarray, parents: tuple[int, ...]) -> SkinnedMesh:
    """A thin octahedron per bone, moved by that bone alone: it carries the skin of a bare clip.

    Args:
        rest_joints_m: (J, 3).
        parents: (J,).
    """
    bones = [(0, np.zeros(3), np.array([0.0, 0.1, 0.0]))]
    for joint, start in enumerate(rest_joints_m):
        ends = [rest_joints_m[child] for child, p in enumerate(parents) if p == joint]
        if not ends:
            ends = [start + tip_m(rest_joints_m, parents, joint)]
        bones += [(joint + 1, start, end) for end in ends]
    corners = np.concatenate([_octahedron(start, end) for _, start, end in bones])
    normals = np.cross(corners[1::3] - corners[::3], corners[2::3] - corners[::3])
    normals = np.repeat(normals / np.linalg.norm(normals, axis=1, keepdims=True), 3, 0)
    joints = np.zeros((len(corners), 4), np.uint8)
    joints[:, 0] = np.repeat([bone[0] for bone in bones], 24)
    weights = np.zeros((len(corners), 4), np.uint16)
    weights[:, 0] = 65535
    triangles = np.arange(len(corners), dtype=np.uint16).reshape(-1, 3)
    positions, normals = corners.astype(np.float32), normals.astype(np.float32)
    return SkinnedMesh(positions, normals, None, joints, weights, triangles)


def tip_m(rest_joints_m: np.ndarray, parents: tuple[int, ...], joint: int) -> np.ndarray:
    """(3,) where a bone without children ends, relative to its joint: straight on."""
    return _TIP * (rest_joints_m[joint] - rest_joints_m[parents[joint]])


def _split_seams(body: Body) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Body vertex (N,) of each glTF vertex, triangles (M, 3), texture coordinates (N, 2)."""
    if body.uvs is None or body.uv_faces is None:
        return np.arange(len(body.template_m)), body.faces, None
    pairs = body.faces.astype(np.int64) * len(body.uvs) + body.uv_faces
    kinds, corners = np.unique(pairs.ravel(), return_inverse=True)
    vertices, texture = np.divmod(kinds, len(body.uvs))
    uvs = body.uvs[texture] * [1, -1] + [0, 1]
    return vertices, corners.reshape(-1, 3), uvs.astype(np.float32)


def _whole_weights(weights: np.ndarray) -> np.ndarray:
    """Weights (V, 4), rows of sum 1, as uint16 whose rows sum to exactly 65535."""
    whole = np.rint(weights * 65535).astype(np.int64)
    whole[:, 0] += 65535 - whole.sum(1)  # the largest, so it cannot turn negative
    return whole.astype(np.uint16)


def _whole_colours(linear: np.ndarray) -> np.ndarray:
    """Linear colours (V, 3) as opaque (V, 4) uint8, which glTF's alignment asks for."""
    opaque = np.ones((len(linear), 4))
    opaque[:, :3] = linear
    return np.rint(255 * opaque).astype(np.uint8)


def _octahedron(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Corners (24, 3) of 8 triangles seen counter-clockwise from outside."""
    axis = end - start
    length = np.linalg.norm(axis)
    if length < 1e-6:
        axis, length = np.array([0.0, 0.01, 0.0]), 0.01
    side = np.cross(axis, np.eye(3)[abs(axis).argmin()])
    side *= 0.06 * length / np.linalg.norm(side)
    other = np.cross(axis, side) / length
    middle = start + 0.15 * axis
    ring = [middle + side, middle + other, middle - side, middle - other]
    triangles = [(start, ring[(k + 1) % 4], ring[k]) for k in range(4)]
    triangles += [(start + axis, ring[k], ring[(k + 1) % 4]) for k in range(4)]
    return np.array(triangles).reshape(-1, 3)
