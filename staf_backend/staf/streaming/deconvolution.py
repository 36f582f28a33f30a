"""Transposed convolutions of the inference form: batch norm folded in, whole maps or single cells.

A 4x4 kernel of stride 2 and padding 1 is four 2x2 kernels, one for each parity of the output cell:

    output row 2 Y      reads input rows Y - 1 (kernel row 3) and Y     (kernel row 1)
    output row 2 Y + 1  reads input rows Y     (kernel row 2) and Y + 1 (kernel row 0)

Maps are rows here: (N, cells, channels), cell = y w + x, which is channels-last memory.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from staf_backend.staf.network import DeconvBlock

_TAPS = (((3, -1), (1, 0)), ((2, 0), (0, 1)))
"""Kernel row, and input row relative to Y, of the two taps of an even and of an odd output row."""
_PRODUCT_BELOW = 5
"""Maps in a batch; on the CPU fewer were quicker by one product and a shifted sum."""


class FoldedDeconv(nn.Module):
    """One block of three: twice the side, batch norm folded, before or after the ReLU."""

    def __init__(self, block: DeconvBlock, side: int) -> None:
        """Copies a block that reads maps of `side` x `side` cells."""
        super().__init__()
        conv, norm = block.conv, block.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
        weight = conv.weight.double() * scale[:, None, None]
        bias = norm.bias.double() - norm.running_mean.double() * scale
        self.side = side
        self.bias = nn.Parameter(bias.to(conv.weight.dtype), requires_grad=False)
        weight = weight.to(conv.weight.dtype).contiguous(memory_format=torch.channels_last)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.register_buffer("parities", self._parity_weights(), persistent=False)

    def forward(self, rows: Tensor) -> Tensor:
        """Rows (N, 4 cells, out) before the ReLU, of rows (N, cells, in)."""
        few = len(rows) < _PRODUCT_BELOW and self.side < 14 and rows.device.type == "cpu"
        return self._by_product(rows) if few else self._by_library(rows)

    def at(self, rows: Tensor, cells: Tensor) -> Tensor:
        """Output cells (P, out) before the ReLU, only where asked.

        Args:
            rows: (N, cells, in).
            cells: (P,) output cells as ((py 2 + px) N + n) cells + Y w + X for output row 2 Y + py
                and column 2 X + px of map n, increasing.
        """
        side, out = self.side, len(self.bias)
        maps, channels = len(rows), rows.shape[-1]
        padded = F.pad(rows.view(maps, side, side, channels), (0, 0, 1, 1, 1, 1)).view(-1, channels)
        result = rows.new_empty(len(cells), out)
        block = maps * side * side
        starts = torch.searchsorted(cells, torch.arange(5, device=cells.device) * block).tolist()
        for parity in range(4):
            part = slice(starts[parity], starts[parity + 1])
            inputs = self._neighbours(cells[part] - parity * block, parity)
            gathered = padded.index_select(0, inputs.flatten()).view(-1, 4 * channels)
            weight = self.get_buffer("parities")[parity]
            torch.addmm(self.bias, gathered, weight, out=result[part])
        return result

    def _neighbours(self, cells: Tensor, parity: int) -> Tensor:
        """The four input cells (P, 4) of each output cell, in maps padded by one."""
        side, wide = self.side, self.side + 2
        place = cells.remainder(side * side)
        map_start = (cells - place) // (side * side) * wide * wide
        centre = map_start + (place // side + 1) * wide + place.remainder(side) + 1
        rows, columns = _TAPS[parity // 2], _TAPS[parity % 2]
        shifts = [dy * wide + dx for _, dy in rows for _, dx in columns]
        return centre[:, None] + torch.tensor(shifts, device=cells.device)

    def _parity_weights(self) -> Tensor:
        """(4, 4 in, out): for each parity the weights of its four taps."""
        kernels = []
        for parity in range(4):
            rows, columns = _TAPS[parity // 2], _TAPS[parity % 2]
            taps = [self.weight[:, :, ky, kx] for ky, _ in rows for kx, _ in columns]
            kernels.append(torch.cat(taps))
        return torch.stack(kernels)

    def _by_library(self, rows: Tensor) -> Tensor:
        maps = rows.unflatten(1, (self.side, self.side)).permute(0, 3, 1, 2)
        deep = F.conv_transpose2d(maps, self.weight, self.bias, stride=2, padding=1)
        return deep.permute(0, 2, 3, 1).flatten(1, 2)

    def _by_product(self, rows: Tensor) -> Tensor:
        """All 16 taps of every input cell in one product; then each falls on its output cell."""
        count, side, out = len(rows), self.side, len(self.bias)
        taps = rows.flatten(0, 1) @ self.weight.permute(0, 2, 3, 1).flatten(1)
        taps = taps.view(count, side, side, 2, 2, 2, 2, out)  # y, x, (ky = 2 a + b), (kx = 2 c + d)
        deep = self.bias.expand(count, side + 1, 2, side + 1, 2, out).clone()
        for a in (0, 1):
            for c in (0, 1):
                # output row 2 y + ky - 1, so with one row of margin 2 (y + a) + b
                deep[:, a : a + side, :, c : c + side] += taps[:, :, :, a, :, c].transpose(2, 3)
        wide = 2 * side + 2
        return deep.view(count, wide, wide, out)[:, 1:-1, 1:-1].flatten(1, 2)
