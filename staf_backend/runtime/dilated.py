"""Small learned networks over time, in numpy: convolutions whose frames lie ever farther apart.

    numbers in their deviations ─► dense layers ─► convolutions, each added to what it read ─► dense

`training/model/dilated.py` is what they are trained as.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

TAPS = 5
"""Frames that each convolution reads."""


@dataclass(frozen=True, eq=False)
class DilatedNetwork:
    """A learned network.

    Attributes:
        mean, deviation: (F,) of the numbers that it reads.
        weights: (F, C), perhaps (C, C), (`TAPS`, C, C) of convolutions, and (C, K) out of it.
        biases: (C,) of each, (K,) of the last.
        spacing: frames between what each convolution reads.
    """

    mean: np.ndarray
    deviation: np.ndarray
    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]
    spacing: tuple[int, ...]

    def __call__(self, numbers: np.ndarray, unusual: float = np.inf) -> np.ndarray:
        """Scores (..., N, K) of numbers (..., N + 2 `margin`, F), which are cut at so many
        deviations."""
        values = ((numbers - self.mean) / self.deviation).clip(-unusual, unusual)
        values = (values @ self.weights[0] + self.biases[0]).clip(0)
        spacing = iter(self.spacing)
        for weight, bias in zip(self.weights[1:-1], self.biases[1:-1], strict=True):
            if weight.ndim == 2:
                values = values + (values @ weight + bias).clip(0)
            else:
                values = _convolved(values, weight, bias, next(spacing))
        return values @ self.weights[-1] + self.biases[-1]


def _convolved(
    values: np.ndarray, weight: np.ndarray, bias: np.ndarray, spacing: int
) -> np.ndarray:
    """What a convolution makes of values (..., N, C), added to them, without what it cannot see."""
    kept = values.shape[-2] - spacing * (TAPS - 1)
    taps = [values[..., k * spacing : k * spacing + kept, :] @ weight[k] for k in range(TAPS)]
    middle = spacing * (TAPS // 2)
    return values[..., middle : middle + kept, :] + (sum(taps) + bias).clip(0)


def margin(spacing: Sequence[int]) -> int:
    """Frames to both sides that a network with such convolutions sees."""
    return sum(between * (TAPS // 2) for between in spacing)


def dilated_of(arrays: Mapping[str, np.ndarray], spacing: tuple[int, ...]) -> DilatedNetwork:
    """From the arrays of its file: `mean`, `deviation`, and `weight0`, `bias0` and so on."""
    numbers = {name: np.asarray(arrays[name], np.float32) for name in arrays}
    count = sum(name.startswith("weight") for name in numbers)
    weights, biases = (
        tuple(numbers[f"{name}{layer}"] for layer in range(count)) for name in ("weight", "bias")
    )
    return DilatedNetwork(numbers["mean"], numbers["deviation"], weights, biases, spacing)
