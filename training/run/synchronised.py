"""Batch norms over the samples of all processes, where PyTorch's own refuses the device.

Gradients follow.  Each process's loss is its share of the batch's, and DistributedDataParallel
means the parameters' gradients; the backward pass here sums what all processes ask of a tensor,
so that the mean is the gradient of the mean loss.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


class _Sum(torch.autograd.Function):
    """Sum over processes; backward the same."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:  # noqa: ARG004
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:  # noqa: ARG004
        total = grads[0].contiguous().clone()
        dist.all_reduce(total)
        return total


def sum_over_processes(tensor: Tensor) -> Tensor:
    """The sum of everyone's tensor, with gradient."""
    return _Sum.apply(tensor)  # pyright: ignore[reportReturnType]


class GlooBatchNorm(nn.BatchNorm2d):
    """Batch norm over everyone's samples on devices that `torch.nn.SyncBatchNorm` refuses.

    The same parameters, buffers and result as `BatchNorm2d` of the whole batch; the mean comes
    first and the variance about it after, so nothing cancels.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        if self.momentum is None or self.running_mean is None or self.running_var is None:
            raise ValueError("batch norms need a momentum and running statistics")
        x, axes = input.float(), (0, 2, 3)
        count = sum_over_processes(x.new_tensor(float(x.numel() // x.shape[1])))
        mean = sum_over_processes(x.sum(axes)) / count
        centred = x - mean[:, None, None]
        variance = sum_over_processes(centred.square().sum(axes)) / count
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked += 1
        scale = self.weight * (variance + self.eps).rsqrt()
        out = centred * scale[:, None, None] + self.bias[:, None, None]
        return out.to(input.dtype)


def synchronise(module: nn.Module, device: torch.device) -> nn.Module:
    """The module with its 2D batch norms joined over the processes; state dict unchanged."""
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(module)
    for name, child in module.named_children():
        norm = type(child) is nn.BatchNorm2d
        module.add_module(name, _joined(child) if norm else synchronise(child, device))
    return module


def _joined(norm: nn.BatchNorm2d) -> GlooBatchNorm:
    joined = GlooBatchNorm(norm.num_features, norm.eps, norm.momentum)
    joined.load_state_dict(norm.state_dict())
    return joined.train(norm.training)
