"""Many small tensors as one copy to a device, and one copy back.

    crops ─┐
    slots ─┼─► one block in pinned memory ──► one block on the device ─► views of it
    ...   ─┘

Each copy on its own is a launch, and one from memory that is not pinned makes the processor wait.
"""

import math
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

_ALIGNED_BYTES = 16
"""Where a tensor may begin in a block.  Chosen: a multiple of every element's size."""


def upload_together(tensors: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    """The tensors on a device; on CUDA with one copy, which nobody waits for.

    Args:
        tensors: on the CPU, or on the device already.
        device: where to.
    """
    if device.type != "cuda":
        return [tensor.to(device) for tensor in tensors]
    away = [tensor for tensor in tensors if tensor.device.type == "cpu"]
    moved = iter(_as_block(away, device))
    return [next(moved) if t.device.type == "cpu" else t.to(device) for t in tensors]


def download_together(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Tensors of one device and type on the CPU, with one copy."""
    if all(tensor.device.type == "cpu" for tensor in tensors):
        return list(tensors)
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors]).cpu()
    parts = flat.split([tensor.numel() for tensor in tensors])
    return [part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]


@cache
def indices_on(numbers: tuple[int, ...], device: torch.device) -> Tensor:
    """Numbers of rows on a device, taken there once: a list that indexes is copied each time."""
    with torch.inference_mode(False):  # whoever asks first
        return torch.tensor(numbers).to(device)


def _as_block(tensors: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    sizes = [tensor.numel() * tensor.element_size() for tensor in tensors]
    room = [math.ceil(size / _ALIGNED_BYTES) * _ALIGNED_BYTES for size in sizes]
    block = torch.empty(sum(room), dtype=torch.uint8, pin_memory=True)
    for tensor, part in zip(tensors, _views(block, tensors, sizes, room), strict=True):
        part.copy_(tensor)
    return _views(block.to(device, non_blocking=True), tensors, sizes, room)


def _views(
    block: Tensor, like: Sequence[Tensor], sizes: Sequence[int], room: Sequence[int]
) -> list[Tensor]:
    """The tensors' places in a block of bytes, each of its own type and shape."""
    return [
        part[:size].view(tensor.dtype).view(tensor.shape)
        for part, tensor, size in zip(block.split(list(room)), like, sizes, strict=True)
    ]
