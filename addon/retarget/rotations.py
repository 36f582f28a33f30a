# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotation matrices into the numbers that bones have.  numpy only; any leading shape."""

import numpy as np

EULER_ORDERS = ("XYZ", "XZY", "YXZ", "YZX", "ZXY", "ZYX")
_TINY = 1e-9
"""Below this a length or sine counts as zero.  Chosen: far above rounding of doubles."""


def quaternions(matrices: np.ndarray) -> np.ndarray:
    """Unit quaternions (..., 4), w first, of rotation matrices (..., 3, 3).

    Each of the four numbers in turn is taken as the largest (Shepperd 1978); the best one counts.
    """
    m = np.asarray(matrices, np.float64)
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    x, y, z = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    xy, xz, yz = (
        m[..., 0, 1] + m[..., 1, 0],
        m[..., 0, 2] + m[..., 2, 0],
        m[..., 1, 2] + m[..., 2, 1],
    )
    rows = np.stack(
        [
            np.stack([1 + xx + yy + zz, x, y, z], -1),
            np.stack([x, 1 + xx - yy - zz, xy, xz], -1),
            np.stack([y, xy, 1 - xx + yy - zz, yz], -1),
            np.stack([z, xz, yz, 1 - xx - yy + zz], -1),
        ],
        -2,
    )
    largest = np.argmax(np.diagonal(rows, axis1=-2, axis2=-1), -1)
    best = np.take_along_axis(rows, largest[..., None, None], -2)[..., 0, :]
    return best / np.linalg.norm(best, axis=-1, keepdims=True)


def about(axes: np.ndarray, angles_rad: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3) about unit axes (..., 3) by angles (...)."""
    axes, angles_rad = np.broadcast_arrays(axes, np.asarray(angles_rad)[..., None])
    x, y, z = np.moveaxis(axes, -1, 0)
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*x.shape, 3, 3)
    sine, cosine = np.sin(angles_rad[..., :1, None]), np.cos(angles_rad[..., :1, None])
    return np.eye(3) + sine * cross + (1 - cosine) * (cross @ cross)


def between(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The smallest turns (..., 3, 3) that take directions (..., 3) to others (..., 3)."""
    a, b = np.broadcast_arrays(unit(start), unit(end))
    cross = np.cross(a, b)
    sine, cosine = np.linalg.norm(cross, axis=-1), (a * b).sum(-1)
    # opposite directions leave the axis free: any that stands upright on the first
    aside = np.cross(a, np.eye(3)[np.argmin(np.abs(a), axis=-1)])
    axis = np.where((sine > 1e-7)[..., None], cross, np.where((cosine < 0)[..., None], aside, a))
    return about(unit(axis), np.arctan2(sine, cosine))


def vectors_of(turns: np.ndarray) -> np.ndarray:
    """Rotation vectors (..., 3), radians, of turns (..., 3, 3) below half a turn."""
    cross = turns - turns.swapaxes(-1, -2)
    axis = np.stack([cross[..., 2, 1], cross[..., 0, 2], cross[..., 1, 0]], -1)
    cosine = (np.trace(turns, axis1=-2, axis2=-1) - 1) / 2
    angle = np.arctan2(np.linalg.norm(axis, axis=-1) / 2, cosine)
    return unit(axis) * angle[..., None]


def turns_by(vectors: np.ndarray) -> np.ndarray:
    """Turns (..., 3, 3) of rotation vectors (..., 3)."""
    return about(unit(vectors), np.linalg.norm(vectors, axis=-1))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) at length 1; a vanishing one stays."""
    vectors = np.asarray(vectors, np.float64)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), _TINY)


def angles_deg(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Angles (...) between directions (..., 3)."""
    a, b = unit(start), unit(end)
    sine = np.linalg.norm(np.cross(a, b), axis=-1)
    return np.degrees(np.arctan2(sine, (a * b).sum(-1)))


def eulers(matrices: np.ndarray, order: str, before: np.ndarray | None = None) -> np.ndarray:
    """Angles (T, 3) about x, y, z, radians, of rotations (T, 3, 3) one after another.

    Of the two triples for each rotation, and their whole turns, the nearest to the one before.

    Args:
        matrices: (T, 3, 3)
        order: one of `EULER_ORDERS`, as Blender means it: "XYZ" turns about x first.
        before: (3,) the angles to start near; zero if None.

    Raises:
        ValueError: no such order.
    """
    if order not in EULER_ORDERS:
        raise ValueError(f"order must be one of {', '.join(EULER_ORDERS)}, got {order!r}")
    i, j, k = ("XYZ".index(letter) for letter in order)
    sign = 1.0 if (j - i) % 3 == 1 else -1.0
    m = matrices
    first = np.arctan2(sign * m[:, k, j], m[:, k, k])
    middle = np.arcsin(np.clip(-sign * m[:, k, i], -1, 1))
    last = np.arctan2(sign * m[:, j, i], m[:, i, i])
    one, other = np.empty((len(m), 3)), np.empty((len(m), 3))
    one[:, [i, j, k]] = np.stack([first, middle, last], -1)
    other[:, [i, j, k]] = np.stack([first + np.pi, np.pi - middle, last + np.pi], -1)
    return _nearest(one, other, np.zeros(3) if before is None else before)


def from_eulers(angles_rad: np.ndarray, order: str) -> np.ndarray:
    """Rotation matrices (..., 3, 3) of angles (..., 3) about x, y, z; `order` as for `eulers`."""
    first, middle, last = (
        about(np.eye(3)["XYZ".index(letter)], angles_rad[..., "XYZ".index(letter)])
        for letter in order
    )
    return last @ middle @ first


def _nearest(one: np.ndarray, other: np.ndarray, before: np.ndarray) -> np.ndarray:
    turn = 2 * np.pi
    out = np.empty_like(one)
    for key, pair in enumerate(np.stack([one, other], 1)):
        pair = pair - turn * np.rint((pair - before) / turn)
        before = out[key] = pair[np.argmin(np.abs(pair - before).sum(1))]
    return out


def axis_angles(wxyz: np.ndarray) -> np.ndarray:
    """Angle and axis (T, 4), as Blender has them, of continuous unit quaternions (T, 4)."""
    sine = np.linalg.norm(wxyz[:, 1:], axis=-1)
    angle = np.unwrap(2 * np.arctan2(sine, wxyz[:, 0]))
    axis = np.where(sine[:, None] > _TINY, wxyz[:, 1:], [0.0, 1.0, 0.0])
    return np.concatenate([angle[:, None], unit(axis)], -1)


def twist_rad(wxyz: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """Angles (T,) about an axis (3,) of continuous quaternions (T, 4), without jumps over time."""
    return np.unwrap(2 * np.arctan2(wxyz[:, 1:] @ axis, wxyz[:, 0]))
