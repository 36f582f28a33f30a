"""Sampling points, bilinear corners and the point MLP."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from staf_backend.staf.sampling import PointMlp, bilinear_corners, grid_points, sample
from tests.support import parity_recipe as recipe


def test_the_grid_is_the_authors_buffer_x_slow() -> None:
    grid = grid_points()
    expected = recipe.staf_state()["points_grid"][0].T
    np.testing.assert_allclose(grid, expected, atol=1e-6)
    assert grid[0, 0] == grid[1, 0] == -1
    assert grid[1, 1] > grid[0, 1]


def test_map_corners_are_at_plus_and_minus_one() -> None:
    maps = torch.arange(6.0).view(1, 1, 2, 3)
    points = torch.tensor([[[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [0.0, 0.0]]])
    torch.testing.assert_close(sample(maps, points), torch.tensor([[[0.0, 2.0, 3.0, 2.5]]]))


def test_outside_reads_zero_and_the_border_fades() -> None:
    maps = torch.ones(1, 1, 5, 5)
    points = torch.tensor([[[1.25, 0.0], [1.6, 0.0], [-7.0, 0.0]]])
    torch.testing.assert_close(sample(maps, points), torch.tensor([[[0.5, 0.0, 0.0]]]))


@pytest.mark.parametrize(("height", "width"), [(7, 7), (28, 28), (5, 9)])
def test_corners_weigh_as_grid_sample_does(height: int, width: int) -> None:
    torch.manual_seed(1)
    maps = torch.rand(2, 3, height, width, dtype=torch.float64)
    points = torch.rand(2, 200, 2, dtype=torch.float64) * 3 - 1.5
    points[0, :4] = torch.tensor([[-1, -1], [1, 1], [1, -1], [0, 0]])
    corners = bilinear_corners(points, height, width)
    picked = maps.flatten(2).gather(2, corners.place.flatten(1)[:, None].expand(-1, 3, -1))
    ours = (picked.unflatten(2, (-1, 4)) * corners.weight[:, None]).sum(-1)
    torch.testing.assert_close(ours, sample(maps, points), atol=1e-12, rtol=0)


def test_corners_of_lost_points_are_harmless() -> None:
    points = torch.tensor([[[1e30, 0.0], [float("nan"), 0.0], [float("-inf"), float("inf")]]])
    corners = bilinear_corners(points, 28, 28)
    assert int(corners.place.min()) >= 0
    assert int(corners.place.max()) < 28 * 28
    assert torch.equal(corners.weight, torch.zeros_like(corners.weight))


def test_the_point_mlp_is_the_written_formula() -> None:
    torch.manual_seed(2)
    mlp, f = PointMlp(256), torch.randn(2, 256, 4)
    features = mlp(f)
    point = f[1, :, 3]
    w0, w1, w2 = (getattr(mlp, f"conv{i}").weight[..., 0] for i in range(3))
    b0, b1, b2 = (getattr(mlp, f"conv{i}").bias for i in range(3))
    y = F.leaky_relu(w0 @ point + b0, 0.01)
    y = F.leaky_relu(w1 @ torch.cat([y, point]) + b1, 0.01)
    y = torch.relu(w2 @ torch.cat([y, point]) + b2)
    torch.testing.assert_close(features.view(2, 5, 4)[1, :, 3], y)
    assert sum(parameter.numel() for parameter in mlp.parameters()) == 59_141
