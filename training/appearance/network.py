"""From a crop to what somebody looks like: the detector's first layers, and a small head of ours.

    crop ─► MoveNet, blocks 0 to 5 ─┐
      └───► colours, 2 x 2 a cell ──┴─► cells (16, 8, 151) ─► parts of a body, learned ─► (128,)

The detector was taught on photographs and knows what is a person and what is not; the head, which
is all that is trained, has seen drawn people only.
"""

from pathlib import Path

import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn
from torch.nn import functional

from staf_backend.people.appearance import DIMENSIONS

TAPS = ("block_2_add", "block_3_project_BN", "block_5_add")
"""Layers of MoveNet that are read: 40 channels at a quarter, 48 and 48 at an eighth of the crop."""
_CHANNELS, _COLOURS = 151, 15
"""Of a cell; the last ones are its colours."""
ROWS, COLUMNS = 16, 8
"""Cells of a crop, 8 pixels a side."""
_HIDDEN, _PARTS = 96, 8
"""Chosen."""
_SURE = 0.8
"""How far the person's cells alone are what a crop is normalised by.  Chosen."""
_GAIN, _SHIFT = 0.25, 0.3
"""Deviations of the light that is added in training, of colours that are -2 to 2.  Chosen."""
_FORGOTTEN = 0.1
"""Chance that a part is not looked at while the head is trained.  Chosen."""


def trunk(movenet: Path) -> onnx.ModelProto:
    """MoveNet (an embedded file) up to the last tap, for crops (N, 3, H, W): image -> `TAPS`."""
    model = onnx.load(movenet)
    needed, kept = set(TAPS), []
    for node in reversed(model.graph.node):
        if needed & set(node.output):
            kept.append(node)
            needed |= set(node.input)
    weights = [one for one in model.graph.initializer if one.name in needed]
    size = (40, 32, 16), (48, ROWS, COLUMNS), (48, ROWS, COLUMNS)
    outputs = [
        helper.make_tensor_value_info(tap, TensorProto.FLOAT, ["crops", *shape])
        for tap, shape in zip(TAPS, size, strict=True)
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["crops", 3, 128, 64])
    graph = helper.make_graph(kept[::-1], "appearance_trunk", [image], outputs, weights)
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)


def cells(image: Tensor, fine: Tensor, middle: Tensor, coarse: Tensor) -> Tensor:
    """What is in each cell (N, 16, 8, 151).

    Args:
        image: (N, 3, 128, 64) RGB 0..255.
        fine, middle, coarse: the taps.
    """
    colour = image / 64 - 2
    mean = functional.avg_pool2d(colour, 8)
    spread = (functional.avg_pool2d(colour * colour, 8) - mean * mean).clamp(min=0).sqrt()
    quarters = functional.pixel_unshuffle(functional.avg_pool2d(colour, 4), 2)
    found = (functional.avg_pool2d(fine, 2), middle, coarse, quarters, spread)
    return torch.cat(found, 1).permute(0, 2, 3, 1)


class Head(nn.Module):
    """Cells (N, 16, 8, 151) -> unit vectors (N, 128).

    Channels are normalised over the cells of a crop that show the person, so that neither light,
    nor the surroundings, nor a difference between drawn and real pictures matters much (instance
    normalisation, as in Pan et al. 2018, IBN-Net); colours are read as they are, too.
    """

    def __init__(self) -> None:
        super().__init__()
        self.person = nn.Linear(_CHANNELS, 1)
        self.middle = nn.Parameter(torch.zeros(ROWS, COLUMNS, 1))
        self.mix = nn.Linear(_CHANNELS + _COLOURS, _HIDDEN)
        self.where = nn.Linear(_HIDDEN, _PARTS)
        self.place = nn.Parameter(torch.zeros(ROWS, COLUMNS, _PARTS))
        with torch.no_grad():  # parts begin one below the other, in the middle
            row = torch.linspace(0, 1, ROWS)[:, None, None]
            column = torch.linspace(-1, 1, COLUMNS)[None, :, None]
            height = torch.linspace(0.05, 0.95, _PARTS)
            self.place += -30 * (row - height) ** 2 - column**2
            self.middle += -2 * column**2
            self.person.weight.zero_()
        seen = _PARTS * (_HIDDEN + _COLOURS)
        self.calm = nn.BatchNorm1d(seen)
        self.tell = nn.Linear(seen, DIMENSIONS)

    def forward(self, found: Tensor) -> Tensor:
        colours = found[..., -_COLOURS:]
        if self.training:
            colours = _other_light(colours)
        anywhere = torch.full_like(found[..., :1], 1 / (ROWS * COLUMNS))
        person = self.person(_even(found, anywhere)) + self.middle
        shows = person.flatten(1).softmax(1).view_as(anywhere)
        even = _even(found, _SURE * shows + (1 - _SURE) * anywhere)
        hidden = functional.relu(self.mix(torch.cat([even, colours], -1)))
        weight = (self.where(hidden) + self.place).flatten(1, 2).softmax(1)
        read = torch.cat([hidden, even[..., -_COLOURS:]], -1).flatten(1, 2)
        parts = weight.transpose(1, 2) @ read
        if self.training:
            kept = torch.rand(len(parts), _PARTS, 1) > _FORGOTTEN
            parts = parts * kept / (1 - _FORGOTTEN)
        return functional.normalize(self.tell(self.calm(parts.flatten(1))), dim=-1)


def _even(found: Tensor, share: Tensor) -> Tensor:
    """Cells (N, 16, 8, C) without the mean and the deviation of those that count.

    Args:
        found: (N, 16, 8, C).
        share: (N, 16, 8, 1) by how much a cell counts; one in all.
    """
    mean = (share * found).sum((1, 2), keepdim=True)
    variance = (share * (found - mean) ** 2).sum((1, 2), keepdim=True)
    return (found - mean) / (variance + 1e-3).sqrt()


def _other_light(colours: Tensor) -> Tensor:
    """Colours (N, 16, 8, 15) in more or less light, and through haze."""
    count = len(colours)
    gain = torch.exp(_GAIN * torch.randn(count, 1, 1, 1))
    shift = _SHIFT * torch.randn(count, 1, 1, 1)
    return torch.cat([colours[..., :-3] * gain + shift, colours[..., -3:] * gain], -1)


class Whole(nn.Module):
    """The head behind the taps, as it is exported."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = head

    def forward(self, image: Tensor, fine: Tensor, middle: Tensor, coarse: Tensor) -> Tensor:
        return self.head(cells(image, fine, middle, coarse))
