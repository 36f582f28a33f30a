"""The small networks over time as they are trained (`staf_backend/runtime/dilated.py`)."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from staf_backend.runtime.dilated import TAPS


class TrainedDilated(nn.Module):
    """Numbers (B, F, N + 2 margin) in their deviations -> scores (B, K, N).

    Args:
        count: numbers a frame, F.
        width: numbers inside.
        out: scores a frame, K.
        spacing: frames between what each convolution reads.
        dropout: share of the numbers inside that a convolution does not see.
        dense: layers before the convolutions.
    """

    def __init__(
        self,
        count: int,
        width: int,
        out: int,
        spacing: Sequence[int],
        dropout: float,
        dense: int = 1,
    ) -> None:
        super().__init__()
        self.dense = nn.ModuleList(
            nn.Conv1d(width if layer else count, width, 1) for layer in range(dense)
        )
        self.layers = nn.ModuleList(nn.Conv1d(width, width, TAPS, dilation=k) for k in spacing)
        self.out_of = nn.Conv1d(width, out, 1)
        self.dropout = nn.Dropout1d(dropout)
        self._spacing = tuple(spacing)

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        values = torch.relu(self.dense[0](numbers))
        for layer in self.dense[1:]:
            values = values + torch.relu(layer(values))
        for layer, spacing in zip(self.layers, self._spacing, strict=True):
            middle = spacing * (TAPS // 2)
            values = values[..., middle:-middle] + torch.relu(layer(self.dropout(values)))
        return self.out_of(values)


def dilated_arrays(
    network: TrainedDilated, mean: np.ndarray, deviation: np.ndarray
) -> dict[str, np.ndarray]:
    """What `dilated_of` reads; mean and deviation (F,) of the numbers."""
    arrays: dict[str, np.ndarray] = {
        "mean": mean.astype(np.float32),
        "deviation": deviation.astype(np.float32),
    }
    layers = [*network.dense, *network.layers, network.out_of]
    for number, layer in enumerate(layers):
        assert isinstance(layer, nn.Conv1d)
        assert layer.bias is not None
        weight = layer.weight.detach().numpy().transpose(2, 1, 0)
        arrays[f"weight{number}"] = (weight[0] if len(weight) == 1 else weight).astype(np.float16)
        arrays[f"bias{number}"] = layer.bias.detach().numpy().astype(np.float32)
    return arrays
