"""Meshes of synthetic pictures: the body for the renderer, skirts, hair, boxes, blobs."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from staf_backend.body import Body, load_body
from staf_backend.geometry import SMPL
from training.moves import BODY

SKIN, SKIRT, HAIR = 0.0, 1.0, 2.0
"""Kinds of vertices."""
_RINGS, _AROUND = 14, 36  # vertices down and around a skirt or hair; chosen
_PELVIS, _ANKLE = SMPL.index("pelvis"), SMPL.index("left_ankle")
_SKIRT_JOINTS = (*SMPL.indices("pelvis", "left_hip", "right_hip"), 0)
_HAIR_JOINTS = (*SMPL.indices("head", "spine3"), 0, 0)
_LEG_M, _PELVIS_M = -0.902, -0.23
"""Heights on the neutral template: the ankle's below the pelvis, the pelvis'; measured on it."""


@dataclass(frozen=True)
class SkinnedMesh:
    """The body, and what hangs from it.

    Attributes:
        rest_m, normal: (V, 3) in the rest pose.
        template_m: (V, 3) the place on the neutral template, which tells clothes.
        joints: (V, 4) uint8; `weights`: (V, 4).
        kind: (V,).
        faces: (F, 3).
    """

    rest_m: np.ndarray
    normal: np.ndarray
    template_m: np.ndarray
    joints: np.ndarray
    weights: np.ndarray
    kind: np.ndarray
    faces: np.ndarray

    def __add__(self, other: "SkinnedMesh") -> "SkinnedMesh":
        fields = {
            name: np.concatenate([getattr(self, name), getattr(other, name)])
            for name in ("rest_m", "normal", "template_m", "joints", "weights", "kind")
        }
        return SkinnedMesh(
            faces=np.concatenate([self.faces, other.faces + len(self.rest_m)]), **fields
        )


@dataclass(frozen=True)
class Things:
    """Triangles (F, 3) of textured vertices: world_m, normal (V, 3), uv and layer (V, 3), glow."""

    world_m: np.ndarray
    normal: np.ndarray
    uv_layer: np.ndarray
    glow: np.ndarray
    faces: np.ndarray

    def __add__(self, other: "Things") -> "Things":
        fields = {
            name: np.concatenate([getattr(self, name), getattr(other, name)])
            for name in ("world_m", "normal", "uv_layer", "glow")
        }
        return Things(faces=np.concatenate([self.faces, other.faces + len(self.world_m)]), **fields)


def normals(points_m: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Vertex normals (V, 3) of a mesh, weighted by area."""
    a, b, c = (points_m[faces[:, corner]] for corner in range(3))
    across = np.cross(b - a, c - a)
    total = np.stack(
        [
            sum(np.bincount(faces[:, k], across[:, axis], len(points_m)) for k in range(3))
            for axis in range(3)
        ],
        -1,
    )
    return total / np.maximum(np.linalg.norm(total, axis=-1, keepdims=True), 1e-12)


@cache
def _template() -> np.ndarray:
    return load_body(BODY).template_m.astype(np.float32)


@cache
def _normals(name: str) -> np.ndarray:
    body = load_body(name)
    return normals(body.template_m, body.faces).astype(np.float32)


@cache
def _coarser(cell_m: float) -> tuple[np.ndarray, np.ndarray]:
    """Vertices that are kept (S,) and faces (F, 3) among them.

    On a crop of 224 pixels most of the 25,660 triangles are smaller than a pixel, and triangles
    are what a software renderer spends its time on.  Of the vertices in each cell of a grid over
    the template the one nearest to their middle stays, where it is; head, hands and feet have
    cells of half the size, and front and back are never merged.
    """
    points, faces = _template(), load_body(BODY).faces
    fine = (points[:, 1] > 0.24) | (np.abs(points[:, 0]) > 0.62) | (points[:, 1] < -1.1)
    cells = np.floor(points / np.where(fine, cell_m / 2, cell_m)[:, None])
    front = _normals(BODY)[:, 2] > 0
    keys = np.concatenate([cells, np.stack([fine, front], -1)], 1)
    _, group = np.unique(keys, axis=0, return_inverse=True)
    group = group.reshape(-1)
    size = np.bincount(group)
    middles = np.stack([np.bincount(group, points[:, axis]) / size for axis in range(3)], -1)
    order = np.lexsort((np.linalg.norm(points - middles[group], axis=-1), group))
    kept = order[np.concatenate([[0], np.cumsum(size)[:-1]])]
    merged = group[faces]
    a, b, c = merged.T
    return kept, merged[(a != b) & (b != c) & (c != a)].astype(np.int32)


def bare(body: Body, betas: np.ndarray, cell_m: float) -> SkinnedMesh:
    """The body's own mesh in its rest pose.  All open bodies share their vertices' meaning.

    Args:
        body: one of the open bodies.
        betas: (10,).
        cell_m: how coarse the mesh may be, metres; 0 for all of it.
    """
    kept, faces = _coarser(cell_m) if cell_m else (np.arange(len(body.template_m)), body.faces)
    rest = body.rest_vertices_m(betas, kept)
    return SkinnedMesh(
        rest_m=rest.astype(np.float32),
        normal=_normals(body.name)[kept],
        template_m=_template()[kept],
        joints=body.skin_joints[kept].astype(np.uint8),
        weights=body.skin_weights[kept].astype(np.float32),
        kind=np.full(len(rest), SKIN, np.float32),
        faces=faces,
    )


def skirt(
    body: SkinnedMesh, top_y: float, hem_y: float, flare_m: float, rest_joints_m: np.ndarray
) -> SkinnedMesh:
    """A skirt or a coat's tail: rings around waist and legs that hang from hips and thighs.

    Args:
        body: what it goes around.
        top_y, hem_y: heights on the template.
        flare_m: how much wider than the legs the hem is.
        rest_joints_m: (24, 3) of this shape.
    """
    heights = np.linspace(top_y, hem_y, _RINGS)
    angles = np.linspace(-np.pi, np.pi, _AROUND, endpoint=False)
    trunk = body.rest_m[(np.abs(body.template_m[:, 0]) < 0.33) & (body.template_m[:, 1] < 0.1)]
    # heights of this shape from heights of the template: hips and ankles are where they are
    tall = (rest_joints_m[_ANKLE, 1] - rest_joints_m[_PELVIS, 1]) / _LEG_M
    rest_y = rest_joints_m[_PELVIS, 1] + (heights - _PELVIS_M) * tall
    radius = np.maximum.accumulate(_girth(trunk, rest_y, angles) + 0.012, axis=0)
    share = np.linspace(0, 1, _RINGS)[:, None]
    radius = radius + flare_m * share * (1 + 0.25 * np.sin(angles * 7))
    middle_z = trunk[:, 2].mean()
    rest = np.stack(
        [
            radius * np.sin(angles),
            np.broadcast_to(rest_y[:, None], radius.shape),
            middle_z + radius * np.cos(angles),
        ],
        -1,
    ).reshape(-1, 3)
    template = rest.copy()
    template[:, 1] = np.repeat(heights, _AROUND)
    left = np.clip(rest[:, 0] / 0.2 + 0.5, 0, 1)
    legs = np.repeat(0.85 * share[:, 0] ** 0.7, _AROUND)
    weights = np.stack([1 - legs, legs * left, legs * (1 - left), 0 * legs], -1)
    return _hanging(rest, template, _SKIRT_JOINTS, weights, SKIRT, _tube(closed=True))


def long_hair(body: SkinnedMesh, end_y: float, width: float) -> SkinnedMesh:
    """Hair from the crown over nape and sides down to `end_y` of the template.

    Args:
        body: whose hair it is.
        end_y: height on the template.
        width: how far around the head it goes, radians to each side of the nape.
    """
    heights = np.linspace(0.46, end_y, _RINGS)
    angles = np.linspace(np.pi - width, np.pi + width, _AROUND)
    chosen = (np.abs(body.template_m[:, 0]) < 0.12) & (body.template_m[:, 1] > 0.0)
    head = body.rest_m[chosen]
    rise = (body.rest_m - body.template_m)[body.template_m[:, 1] > 0.25].mean(0)
    rest_y = heights + rise[1]
    girth = _girth(head, rest_y, angles)
    radius = np.clip(np.maximum.accumulate(girth, axis=0), 0.06, 0.12) + 0.015
    rest = np.stack(
        [
            radius * np.sin(angles),
            np.broadcast_to(rest_y[:, None], radius.shape),
            rise[2] + 0.005 + radius * np.cos(angles),
        ],
        -1,
    ).reshape(-1, 3)
    below = np.clip((0.33 - np.repeat(heights, _AROUND)) / 0.3, 0, 1) * 0.7
    weights = np.stack([1 - below, below, 0 * below, 0 * below], -1)
    return _hanging(rest, rest - rise, _HAIR_JOINTS, weights, HAIR, _tube(closed=False))


def _girth(points_m: np.ndarray, heights: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Farthest points (R, A) from the vertical axis at each height and angle, smoothed around."""
    middle_z = points_m[:, 2].mean()
    span = 1.2 * abs(heights[1] - heights[0])
    around = np.arctan2(points_m[:, 0], points_m[:, 2] - middle_z)
    away = np.hypot(points_m[:, 0], points_m[:, 2] - middle_z)
    near = np.abs(points_m[:, 1] - heights[:, None]) < span
    gap = np.abs((around - angles[:, None] + np.pi) % (2 * np.pi) - np.pi)
    within = near[:, None] & (gap < 0.35)[None]
    return np.where(within, away * np.cos(np.minimum(gap, 0.35)), 0).max(-1)


def _tube(closed: bool) -> np.ndarray:
    """Faces of rings x columns, outside first."""
    columns = _AROUND if closed else _AROUND - 1
    ring, column = np.meshgrid(np.arange(_RINGS - 1), np.arange(columns), indexing="ij")
    a = (ring * _AROUND + column).ravel()
    b = (ring * _AROUND + (column + 1) % _AROUND).ravel()
    c, d = a + _AROUND, b + _AROUND
    return np.concatenate([np.stack([a, c, b], -1), np.stack([b, c, d], -1)])


def _hanging(
    rest: np.ndarray,
    template: np.ndarray,
    joints: tuple[int, ...],
    weights: np.ndarray,
    kind: float,
    faces: np.ndarray,
) -> SkinnedMesh:
    """Vertices (V, 3) that follow joints, at most four, by weights (V, 4)."""
    count = len(rest)
    return SkinnedMesh(
        rest_m=rest.astype(np.float32),
        normal=normals(rest, faces).astype(np.float32),
        template_m=template.astype(np.float32),
        joints=np.tile(np.array(joints, np.uint8), (count, 1)),
        weights=weights.astype(np.float32),
        kind=np.full(count, kind, np.float32),
        faces=faces,
    )


def quad(
    corner: np.ndarray,
    along: np.ndarray,
    up: np.ndarray,
    layer: int,
    repeats: tuple[float, float],
    glow: bool = False,
) -> Things:
    """A rectangle from a corner along two edges, its texture repeated."""
    u, v = np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.0, 1.0, 0.0, 1.0])
    points = corner + u[:, None] * along + v[:, None] * up
    normal = np.cross(along, up)
    normal = np.tile(normal / np.linalg.norm(normal), (len(points), 1))
    uv = np.stack([u * repeats[0], v * repeats[1], np.full(len(u), layer)], -1)
    faces = np.array([[0, 2, 1], [1, 2, 3]])
    return Things(points, normal, uv, np.full(len(points), float(glow)), faces)


def box(centre: np.ndarray, edges: np.ndarray, layer: int, repeats: float) -> Things:
    """A box: its three edge vectors (3, 3)."""
    sides = []
    for axis in range(3):
        along, up = edges[(axis + 1) % 3], edges[(axis + 2) % 3]
        for sign in (-0.5, 0.5):
            corner = centre + sign * edges[axis] - (along + up) / 2
            sides.append(quad(corner, along, up, layer, (repeats, repeats)))
    whole = sides[0]
    for side in sides[1:]:
        whole = whole + side
    return whole


def blob(centre: np.ndarray, radii: np.ndarray, layer: int, repeats: float) -> Things:
    """An ellipsoid, lumpy by its texture only."""
    polar, around = np.linspace(0, np.pi, 9), np.linspace(0, 2 * np.pi, 17)
    a, b = (grid.ravel() for grid in np.meshgrid(polar, around, indexing="ij"))
    unit = np.stack([np.sin(a) * np.cos(b), np.cos(a), np.sin(a) * np.sin(b)], -1)
    ring, column = (g.ravel() for g in np.meshgrid(np.arange(8), np.arange(16), indexing="ij"))
    first = ring * 17 + column
    faces = np.concatenate(
        [
            np.stack([first, first + 1, first + 17], -1),
            np.stack([first + 1, first + 18, first + 17], -1),
        ]
    )
    uv = np.stack([b / np.pi * repeats, a / np.pi * repeats, np.full(len(a), layer)], -1)
    return Things(centre + unit * radii, unit, uv, np.zeros(len(a)), faces)
