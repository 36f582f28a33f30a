"""From maps to feature vectors: where the network looks, and how it squeezes what it sees.

    map (256, h, w) ── bilinear at P points ──► (256, P) ── point MLP ──► 5 numbers a point

Coordinates are those of the crop: x, y in [-1, 1]; -1 and 1 are the centres of the map's outer
cells (`align_corners=True`), while crop edges are at -1 and 1: half a cell of difference that the
authors inherited from PyMAF and that trained weights expect.  Outside, maps read zero.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from staf_backend.staf.config import GRID_SIDE, POINT_WIDTHS


def grid_points() -> Tensor:
    """Points (441, 2) of a regular grid over the crop; x is the slow index, y the fast one."""
    # on the device of shapes alone PyTorch would load its compiler for these two lines
    line = torch.linspace(-1, 1, GRID_SIDE, device="cpu")
    grid = torch.stack(torch.meshgrid(line, line, indexing="ij"), -1).view(-1, 2)
    return grid.to(torch.get_default_device())


def sample(maps: Tensor, points: Tensor) -> Tensor:
    """Bilinear samples (N, C, P) of maps (N, C, h, w) at points (N, P, 2); float32 or finer."""
    # In bfloat16 a coordinate would be a fifth of a cell off on the largest map
    dtype = torch.promote_types(maps.dtype, torch.float32)
    points = points.to(dtype)[:, :, None]
    return F.grid_sample(maps.to(dtype), points, padding_mode="zeros", align_corners=True)[..., 0]


class Corners(NamedTuple):
    """The four cells around each point: flat place y w + x and weight, both (N, P, 4).

    A corner outside the map has weight 0 and a place inside.
    """

    place: Tensor
    weight: Tensor


def bilinear_corners(points: Tensor, height: int, width: int) -> Corners:
    """Corners of points (N, P, 2) on a map of (height, width) cells, as `sample` weighs them."""
    columns, column_weights = _two_cells(points[..., 0], width)
    rows, row_weights = _two_cells(points[..., 1], height)
    index = rows[..., :, None] * width + columns[..., None, :]
    weight = row_weights[..., :, None] * column_weights[..., None, :]
    return Corners(index.flatten(-2), weight.flatten(-2))


def _two_cells(coordinate: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Cells left and right of coordinates (N, P) on a line of `size`, and weights, (N, P, 2)."""
    # A mesh that has flown off reads zeros; the clamp keeps its index arithmetic finite
    place = ((coordinate + 1) * ((size - 1) / 2)).nan_to_num(-2).clamp(-2, size + 1)
    low = place.floor()
    fraction = place - low
    cells = torch.stack([low, low + 1], -1)
    weights = torch.stack([1 - fraction, fraction], -1)
    inside = (cells >= 0) & (cells < size)
    return cells.clamp(0, size - 1).long(), weights * inside


class PointMlp(nn.Module):
    """Three layers at every point, the sampled feature fed again to each (PyMAF's MAF extractor).

    y1 = leaky(A f), y2 = leaky(B [y1, f]), out = relu(C [y2, f]); 256 -> 128 -> 64 -> 5.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        first, second, last = POINT_WIDTHS
        self.conv0 = nn.Conv1d(channels, first, 1)
        self.conv1 = nn.Conv1d(channels + first, second, 1)
        self.conv2 = nn.Conv1d(channels + second, last, 1)

    def forward(self, sampled: Tensor) -> Tensor:
        """Features (N, 5 P), channel-major and non-negative, of samples (N, channels, P)."""
        y = F.leaky_relu(self.conv0(sampled))
        y = F.leaky_relu(self.conv1(torch.cat([y, sampled], 1)))
        return F.relu(self.conv2(torch.cat([y, sampled], 1))).flatten(1)
