"""Rotations as matrices, axis-angle vectors, 6D columns and quaternions.

Conventions, here and everywhere else:

* matrices act on column vectors, v' = R v; the last two axes of an array are the matrix;
* axis-angle vectors are in radians, right-handed;
* quaternions are (w, x, y, z), unit length; q and -q are the same rotation;
* the 6D form is the first two *columns* of the matrix, as an array (..., 3, 2)
  (Zhou et al., "On the Continuity of Rotation Representations in Neural Networks", 2019).

numpy only; every function keeps leading axes and float precision.
"""

import numpy as np


def skew(vectors: np.ndarray) -> np.ndarray:
    """Cross-product matrices [v]x of vectors (..., 3): (..., 3, 3), with [v]x w = v x w."""
    x, y, z = np.moveaxis(np.asarray(vectors), -1, 0)
    zero = np.zeros_like(x)
    rows = [zero, -z, y, z, zero, -x, -y, x, zero]
    return np.stack(rows, -1).reshape(*x.shape, 3, 3)


def from_axis_angle(vectors: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3) of axis-angle vectors (..., 3): Rodrigues' formula."""
    vectors = np.asarray(vectors) * 1.0  # whole numbers would cut the result
    angle = np.linalg.norm(vectors, axis=-1)[..., None, None]
    cross = skew(vectors)
    # sinc(x / pi) = sin(x) / x, and (1 - cos x) / x^2 = sinc(x / 2 pi)^2 / 2: smooth at zero
    sine = np.sinc(angle / np.pi)
    versine = np.sinc(angle / (2 * np.pi)) ** 2 / 2
    return (np.eye(3) + sine * cross + versine * (cross @ cross)).astype(vectors.dtype)


def to_axis_angle(matrices: np.ndarray) -> np.ndarray:
    """Axis-angle vectors (..., 3), angle in [0, pi], of rotation matrices (..., 3, 3)."""
    quaternions = to_quaternions(matrices)
    sine = np.linalg.norm(quaternions[..., 1:], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, quaternions[..., :1])
    # angle / sin(angle / 2) tends to 2 at zero
    scale = np.where(sine > 1e-8, angle / np.maximum(sine, 1e-8), 2.0)
    return quaternions[..., 1:] * scale


def from_6d(columns: np.ndarray) -> np.ndarray:
    """Nearest rotations, by Gram-Schmidt, of two columns (..., 3, 2): (..., 3, 3)."""
    first = _unit(columns[..., 0])
    second = columns[..., 1] - (first * columns[..., 1]).sum(-1, keepdims=True) * first
    second = _unit(second)
    return np.stack([first, second, np.cross(first, second)], -1)


def rotation_between(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The shortest rotations (..., 3, 3) that take unit vectors (..., 3) to others (..., 3).

        R = 1 + [v]x + [v]x^2 / (1 + c),     v = start x end,   c = start . end

    Raises:
        ValueError: two vectors are opposite, so no turn is the shortest.
    """
    cosine = np.asarray(start * end).sum(-1)
    if (cosine < -1 + 1e-9).any():
        raise ValueError("opposite vectors have no shortest rotation between them")
    cross = skew(np.cross(start, end))
    return np.eye(3) + cross + cross @ cross / (1 + cosine)[..., None, None]


def nearest_rotation(matrices: np.ndarray) -> np.ndarray:
    """The rotation nearest to each matrix (..., 3, 3) in the Frobenius norm (polar factor)."""
    u, _, vt = np.linalg.svd(matrices)
    sign = np.sign(np.linalg.det(u @ vt))
    u[..., :, 2] *= sign[..., None]
    return u @ vt


def to_quaternions(matrices: np.ndarray) -> np.ndarray:
    """Quaternions (..., 4), w >= 0, of rotation matrices (..., 3, 3).

    The largest of the four components is taken from the diagonal, so no rotation loses digits.
    """
    m = np.asarray(matrices)
    diagonal = np.stack([m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]], -1)
    trace = diagonal.sum(-1)
    squares = np.concatenate([1 + trace[..., None], 1 + 2 * diagonal - trace[..., None]], -1)
    largest = squares.argmax(-1)
    candidates = _quaternion_rows(m, squares)
    chosen = np.take_along_axis(candidates, largest[..., None, None], -2)[..., 0, :]
    chosen = _unit(chosen)
    return np.where(chosen[..., :1] < 0, -chosen, chosen)


def from_quaternions(quaternions: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3) of quaternions (..., 4), normalised first."""
    w, x, y, z = np.moveaxis(_unit(np.asarray(quaternions)), -1, 0)
    rows = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return np.stack(rows, -1).reshape(*w.shape, 3, 3)


def continuous_signs(quaternions: np.ndarray) -> np.ndarray:
    """The same rotations (T, ..., 4) with signs such that neighbours in time lie on one side.

    Interpolating q and -q component by component passes through zero; with continuous signs,
    linear keys turn the short way.
    """
    dots = (quaternions[1:] * quaternions[:-1]).sum(-1, keepdims=True)
    signs = np.cumprod(np.where(dots < 0, -1.0, 1.0), axis=0)
    out = np.array(quaternions)
    out[1:] *= signs
    return out


def slerp(start: np.ndarray, end: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Quaternions (..., 4) a share of the short way from one to another, at a constant speed.

    Shoemake, "Animating rotation with quaternion curves", 1985.

    Args:
        start, end: (..., 4) unit quaternions.
        share: (..., 1) 0 is the start, 1 the end.
    """
    cosine = (start * end).sum(-1, keepdims=True)
    end = np.where(cosine < 0, -end, end)
    angle = np.arccos(np.clip(np.abs(cosine), 0, 1))
    sine = np.sin(angle)
    near = sine < 1e-6
    safe = np.where(near, 1, sine)
    first = np.where(near, 1 - share, np.sin((1 - share) * angle) / safe)
    return first * start + np.where(near, share, np.sin(share * angle) / safe) * end


def _quaternion_rows(m: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Four equivalent unnormalised quaternions (..., 4, 4); row k is exact where component k
    is the largest."""
    xy, xz, yz = (m[..., i, j] + m[..., j, i] for i, j in ((0, 1), (0, 2), (1, 2)))
    wx, wy, wz = (m[..., j, i] - m[..., i, j] for i, j in ((1, 2), (2, 0), (0, 1)))
    ww, xx, yy, zz = np.moveaxis(squares, -1, 0)
    rows = [ww, wx, wy, wz, wx, xx, xy, xz, wy, xy, yy, yz, wz, xz, yz, zz]
    return np.stack(rows, -1).reshape(*ww.shape, 4, 4)


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.maximum(length, np.finfo(vectors.dtype).tiny)
