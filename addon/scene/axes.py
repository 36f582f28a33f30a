# SPDX-License-Identifier: GPL-3.0-or-later
"""The one turn between the motion's axes (y up) and Blender's (z up).

  y                z
  │                │  y
  │                │ ╱
  └── x    ─►      └── x         (x, y, z) in the file is (x, -z, y) in Blender
 ╱
z   the person's front            -y is the front, as in Blender's front view
"""

import numpy as np

TO_BLENDER = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""(3, 3) the motion's axes to Blender's."""
FRONT = np.array([0.0, -1.0, 0.0])
UP = np.array([0.0, 0.0, 1.0])


def to_blender(points_m: np.ndarray) -> np.ndarray:
    """Points or directions (..., 3) of the file in Blender's axes."""
    return points_m @ TO_BLENDER.T


def matrix_of(quaternion_wxyz: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3) of unit quaternions (..., 4)."""
    w, x, y, z = np.moveaxis(np.asarray(quaternion_wxyz, np.float64), -1, 0)
    rows = (
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return np.stack(rows, -1).reshape(*w.shape, 3, 3)


def camera_matrix(rotation_wxyz: np.ndarray, position_m: np.ndarray) -> np.ndarray:
    """World matrix (4, 4) of a Blender camera; both kinds of camera look along -z with y up."""
    matrix = np.eye(4)
    matrix[:3, :3] = TO_BLENDER @ matrix_of(rotation_wxyz)
    matrix[:3, 3] = TO_BLENDER @ position_m
    return matrix


def continuous(quaternions: np.ndarray) -> np.ndarray:
    """The same rotations (T, ..., 4), each on the side of the sphere where its neighbour is.

    Blender interpolates the four numbers one by one: from q to -q it would pass through zero.
    """
    dots = (quaternions[1:] * quaternions[:-1]).sum(-1, keepdims=True)
    signs = np.cumprod(np.where(dots < 0, -1.0, 1.0), axis=0)
    return np.concatenate([quaternions[:1], quaternions[1:] * signs])


def quaternions_in_bones(rotations_wxyz: np.ndarray, rest_axes: np.ndarray) -> np.ndarray:
    """Pose-bone rotations (T, J, 4) of joint rotations (T, J, 4).

    A bone turns by R_bᵀ C r Cᵀ R_b, where r turns the joint, C is `TO_BLENDER` and R_b the bone's
    rest axes: the same angle about the axis R_bᵀ C n.

    Args:
        rotations_wxyz: parent-relative, in the file's axes.
        rest_axes: (J, 3, 3) axes of the bones at rest as columns, in Blender's axes.
    """
    turns = rest_axes.swapaxes(-1, -2) @ TO_BLENDER
    vectors = np.einsum("jab,tjb->tja", turns, rotations_wxyz[..., 1:])
    return continuous(np.concatenate([rotations_wxyz[..., :1], vectors], -1))
