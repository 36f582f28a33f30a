"""Rotation matrices through axis-angle and back, differentiable, as the released trainer does it.

It differs on purpose from `staf_backend.geometry.rotations`, which is exact and numpy's: the losses
of the released trainer are to be had again as they were.  The way through quaternions with w >= 0
loses its gradient's sense near half a turn, and what is not a number becomes zero, as there.  Only
`LossConfig(pose_form="axis_angle")` and `LossConfig(target_type="float16")` need this.
"""

import torch
from torch import Tensor

_TINY = 1e-12
"""Sine of half an angle below which two rotations are one (chosen: far below float32)."""
_TINY_SQUARE = 1e-16
"""Square radians; keeps the gradient finite at no rotation (chosen: far below float32)."""


def axis_angle(rotations: Tensor) -> Tensor:
    """Axis-angle vectors (..., 3) in radians of rotations (..., 3, 3)."""
    quaternions = _quaternions(rotations)
    w, xyz = quaternions[..., :1], quaternions[..., 1:]
    sine = torch.linalg.vector_norm(xyz, dim=-1, keepdim=True)
    tiny = sine < _TINY
    safe = torch.where(tiny, torch.ones_like(sine), sine)
    factor = torch.where(tiny, 2.0, 2 * torch.atan2(safe, w) / safe)
    return torch.nan_to_num(xyz * factor, nan=0.0)


def from_axis_angle(vectors: Tensor) -> Tensor:
    """Rotations (..., 3, 3) of axis-angle vectors (..., 3) by Rodrigues' formula."""
    angle = torch.sqrt((vectors**2).sum(-1) + _TINY_SQUARE)[..., None, None]
    x, y, z = (vectors / angle[..., 0]).unbind(-1)
    zero = torch.zeros_like(x)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
    eye = torch.eye(3, dtype=vectors.dtype, device=vectors.device)
    return eye + angle.sin() * skew + (1 - angle.cos()) * (skew @ skew)


def _quaternions(m: Tensor) -> Tensor:
    """wxyz with w >= 0, from the row of the outer product whose diagonal is largest."""
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    xy, yz, zx = (m[..., i, j] + m[..., j, i] for i, j in ((0, 1), (1, 2), (2, 0)))
    wx, wy, wz = (m[..., i, j] - m[..., j, i] for i, j in ((2, 1), (0, 2), (1, 0)))
    rows = torch.stack(
        [
            *(1 + xx + yy + zz, wx, wy, wz),
            *(wx, 1 + xx - yy - zz, xy, zx),
            *(wy, xy, 1 - xx + yy - zz, yz),
            *(wz, zx, yz, 1 - xx - yy + zz),
        ],
        -1,
    ).unflatten(-1, (4, 4))
    largest = torch.diagonal(rows, dim1=-2, dim2=-1).argmax(-1)[..., None, None]
    row = torch.take_along_dim(rows, largest, -2)[..., 0, :]
    row = row / torch.linalg.vector_norm(row, dim=-1, keepdim=True)
    return torch.where(row[..., :1] < 0, -row, row)
