"""How a body looks: skin that is textured by the body's own shape, or plain clay; no picture.

The skin has a colour for each vertex: darker in hollows, which draws the face, and over the joints,
as on an artist's wooden figure, so that one sees how limbs bend.  Body files carry it, and the
exports write it, so that a character looks the same whoever makes it.
"""

import colorsys

import numpy as np

from staf_backend.body.body import Body

_BODY = np.array([0.42, 0.37, 0.33])
"""Linear red, green and blue.  Chosen: the grey of unpainted wood, as light as skin."""
_JOINT = np.array([0.21, 0.19, 0.18])
"""Linear, over the joints.  Chosen: half as light."""
_SEAM = (0.22, 0.45)
"""Weight of a second joint at which a seam starts and is full.  Chosen: a hand wide at knees."""
_HOLLOW = 1.6
"""Darkness for the mean slope of a vertex's edges.  Chosen by eye."""
_LIGHT = (0.35, 1.25)
"""Least and most that the slope leaves of a colour.  Chosen: what keeps a face a face."""
_SOFTENED = 2
"""How often slopes are averaged with those around.  Chosen: no single vertex stands out."""
SKIN_ROUGHNESS, CLAY_ROUGHNESS = 0.62, 0.75
"""Of glTF's and Blender's materials.  Chosen: silk, matt."""
_CLAY_HUE, _GOLDEN_TURN = 0.06, 0.381966
"""Of the first person, and the step to the next, in turns of the colour circle."""


def skin_colours(body: Body) -> np.ndarray:
    """Linear red, green and blue (V, 3) of a body's vertices, 0 to 1; of any shape of it."""
    second = np.sort(body.skin_weights, axis=1)[:, -2]
    low, high = _SEAM
    seam = np.clip((second - low) / (high - low), 0, 1)[:, None]
    seam = seam * seam * (3 - 2 * seam)
    slope = _slopes(body.template_m, body.faces.astype(np.int64))[:, None]
    light = np.clip(1 - _HOLLOW * slope, *_LIGHT)
    return np.clip(((1 - seam) * _BODY + seam * _JOINT) * light, 0, 1)


def look_arrays(body: Body) -> dict[str, np.ndarray]:
    """What a body file says of the look: `skin_colours` (V, 3) encoded as sRGB, `clay_colour`
    (3,) linear, and the roughness of both."""
    linear = skin_colours(body)
    encoded = np.where(linear < 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return {
        "skin_colours": np.rint(255 * encoded).astype(np.uint8),
        "skin_roughness": np.array(SKIN_ROUGHNESS),
        "clay_colour": np.array(clay(0)),
        "clay_roughness": np.array(CLAY_ROUGHNESS),
    }


def clay(place: int) -> list[float]:
    """Linear red, green and blue of the person at a place in a file: each has another hue."""
    encoded = colorsys.hsv_to_rgb((_CLAY_HUE + place * _GOLDEN_TURN) % 1, 0.30, 0.78)
    return [round(value**2.2, 4) for value in encoded]


def vertex_normals(vertices_m: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Outward unit normals (V, 3), each the area-weighted mean of the faces around a vertex."""
    a, b, c = (vertices_m[faces[:, k]] for k in range(3))
    flat = np.repeat(np.cross(b - a, c - a), 3, axis=0)
    sums = [np.bincount(faces.ravel(), flat[:, k], len(vertices_m)) for k in range(3)]
    normals = np.stack(sums, -1)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.where(length > 0, normals / np.where(length > 0, length, 1), [0.0, 1.0, 0.0])


def _slopes(vertices_m: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V,) mean slope of the edges against each vertex's normal, positive in a hollow."""
    normals = vertex_normals(vertices_m, faces)
    ends = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    step = vertices_m[ends[:, 1]] - vertices_m[ends[:, 0]]
    step /= np.maximum(np.linalg.norm(step, axis=1, keepdims=True), 1e-12)
    count = np.maximum(np.bincount(ends[:, 0], minlength=len(vertices_m)), 1)
    slope = np.bincount(ends[:, 0], (normals[ends[:, 0]] * step).sum(1), len(vertices_m)) / count
    for _ in range(_SOFTENED):
        around = np.bincount(ends[:, 0], slope[ends[:, 1]], len(slope)) / count
        slope = (slope + around) / 2
    return slope
