"""Folded transposed convolutions equal the trained block, on whole maps and at single cells."""

import pytest
import torch

from staf_backend.staf.network import DeconvBlock
from staf_backend.staf.streaming.deconvolution import FoldedDeconv


def _block(channels: int, out: int) -> DeconvBlock:
    torch.manual_seed(3)
    block = DeconvBlock(channels, out)
    torch.nn.init.normal_(block.conv.weight, std=0.1)
    for tensor in (block.norm.running_mean, block.norm.weight, block.norm.bias):
        assert tensor is not None
        torch.nn.init.normal_(tensor)
    assert block.norm.running_var is not None
    torch.nn.init.uniform_(block.norm.running_var, 0.5, 2)
    return block.eval().requires_grad_(False)


def _rows(maps: torch.Tensor) -> torch.Tensor:
    return maps.flatten(2).mT.contiguous()


@pytest.mark.parametrize("side", [7, 14, 28])
@pytest.mark.parametrize("count", [1, 3, 9])
def test_equal_to_the_block(side: int, count: int) -> None:
    block, maps = _block(12, 8), torch.randn(count, 12, side, side)
    deep = FoldedDeconv(block, side)(_rows(maps)).relu()
    torch.testing.assert_close(deep, _rows(block(maps)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 1.0])
def test_single_cells_are_those_of_the_whole_map(share: float) -> None:
    side, count = 6, 3
    folded = FoldedDeconv(_block(10, 4), side)
    rows = torch.randn(count, side * side, 10)
    whole = folded(rows).view(count, side, 2, side, 2, 4)
    torch.manual_seed(4)
    cells = (torch.rand(4 * count * side * side) < share).nonzero()[:, 0]
    in_cell_order = whole.permute(2, 4, 0, 1, 3, 5).reshape(-1, 4)
    torch.testing.assert_close(folded.at(rows, cells), in_cell_order[cells], atol=1e-5, rtol=1e-5)


def test_a_map_alone_equals_itself_in_a_batch() -> None:
    folded = FoldedDeconv(_block(12, 8), 7)
    rows = torch.randn(8, 49, 12)
    torch.testing.assert_close(folded(rows)[2:3], folded(rows[2:3]), atol=1e-5, rtol=1e-5)
