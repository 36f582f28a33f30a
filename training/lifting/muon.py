"""PyTorch's Muon, its matrices made orthogonal in float32.

`torch.optim.Muon` does that in bfloat16, which processors without the instructions for it take a
thousand times as long to multiply: 150 s a step instead of 0.1.
"""

from typing import Any

import torch
from torch import Tensor


class Muon(torch.optim.Muon):
    """As `torch.optim.Muon` (Jordan et al. 2024) with `adjust_lr_fn="match_rms_adamw"`.

    Args:
        params: matrices.
        lr: learning rate.
        weight_decay: decoupled, as AdamW's.
    """

    def __init__(self, params: Any, lr: float, weight_decay: float) -> None:
        super().__init__(params, lr, weight_decay, adjust_lr_fn="match_rms_adamw")

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One step of all matrices that have a gradient."""
        assert closure is None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad, group)

    def _move(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        momentum, rate = group["momentum"], group["lr"]
        average = state["momentum_buffer"].lerp_(gradient, 1 - momentum)
        update = gradient.lerp(average, momentum) if group["nesterov"] else average
        turned = orthogonal(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
        # As long, on average, as a step of AdamW (Liu et al. 2025, "Muon is scalable")
        length = 0.2 * max(parameter.shape) ** 0.5
        parameter.mul_(1 - rate * group["weight_decay"])
        parameter.add_(turned, alpha=-rate * length)


def orthogonal(
    matrix: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float
) -> Tensor:
    """A matrix of the same singular vectors, its singular values near one, by Newton and Schulz.

    Args:
        matrix: (A, B).
        coefficients: of the quintic iteration.
        steps: how many.
        eps: smallest norm to divide by.
    """
    a, b, c = coefficients
    wide = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    turned = wide / wide.norm().clamp(min=eps)
    for _ in range(steps):
        gram = turned @ turned.T
        turned = torch.addmm(turned, torch.addmm(gram, gram, gram, beta=b, alpha=c), turned, beta=a)
    return turned.T if matrix.shape[0] > matrix.shape[1] else turned
