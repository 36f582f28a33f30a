"""The network and all losses on a device of shapes alone: whatever stays on the CPU is an error.

    python tests/support/fake_gpu.py        its own process, since PyTorch keeps the device for good

PyTorch's fake tensors check devices as a GPU does and compute nothing.  The device is PyTorch's
spare one ("privateuseone"), because those of CUDA ask for its driver as soon as they are indexed.
"""

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._subclasses import fake_tensor
from torch.overrides import TorchFunctionMode
from torch.utils import backend_registration

sys.path.insert(0, str(Path(__file__).parents[2]))

from staf_backend.staf import StafConfig
from staf_backend.staf.encoders import FieldsEncoder
from tests.support import parity_network
from tests.support.make_feeding import no_targets
from training.model import FIELDS, LossConfig, Losses, make_encoder
from training.model.dense import DenseTargets

CONFIGS = (
    LossConfig(),
    LossConfig(vertices=1.0),
    LossConfig.paper_image(),
    LossConfig.released_video(),
)


class _Lifted(TorchFunctionMode):
    """Takes real tensors to the device as fakes, also lists that index."""

    def __init__(self, mode: fake_tensor.FakeTensorMode) -> None:
        super().__init__()
        self.mode = mode

    def __torch_function__(
        self, func: Any, _types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        first: Any = args[0] if args else None
        if func is torch.Tensor.to and not isinstance(first, fake_tensor.FakeTensor):
            args = (self.mode.from_tensor(first), *args[1:])
        if func is torch.Tensor.__getitem__:
            parts = args[1] if isinstance(args[1], tuple) else (args[1],)
            args = (first, tuple(torch.tensor(p) if isinstance(p, list) else p for p in parts))
        return func(*args, **(kwargs or {}))


def main() -> None:
    """Prints "all on the device", or fails with PyTorch's words."""
    backend_registration._setup_privateuseone_for_python_backend("fakegpu")
    torch.amp.is_autocast_available = lambda _kind: False
    fake_tensor.CONSTANT_NUMEL_LIMIT = 0  # single numbers are fake too
    body = parity_network.body()
    network = parity_network.random_staf(StafConfig(channels=16)).requires_grad_(True)
    losses, dense = [Losses(body, config) for config in CONFIGS], DenseTargets(body.tables)
    encoder = make_encoder(FIELDS)
    assert isinstance(encoder, FieldsEncoder)
    encoder.see(torch.zeros(1, 3, 224, 224))
    mode = fake_tensor.FakeTensorMode(allow_non_fake_inputs=True)
    with mode, _Lifted(mode):
        check(network, losses, dense, torch.device("fakegpu:0"))
        check_encoder(encoder, torch.device("fakegpu:0"))
    print("all on the device")


def check(network: Any, losses: list[Losses], dense: DenseTargets, device: torch.device) -> None:
    """Forward and backward; first that a mistake would be seen."""
    maps = torch.randn(2, 9, 2048, 7, 7).to(device)
    network.to(device)
    with pytest.raises(RuntimeError, match="same device"):
        network(maps.cpu())
    targets = no_targets(2, 9).map(lambda field: torch.from_numpy(field).to(device))
    for one in losses:
        total = one.to(device)(network(maps).stages, targets)["total"]
        assert total.device == device
        total.backward()
    assert all(p.grad is not None and p.grad.device == device for p in network.parameters())
    labels = dense.to(device)(targets.map(lambda field: field[:, 0]))
    assert all(label.device == device for label in labels)


def check_encoder(encoder: FieldsEncoder, device: torch.device) -> None:
    """Looking, lifting and painting; no file can be read here, so the network was read before."""
    images, (network,) = torch.zeros(2, 3, 224, 224).to(device), encoder._networks.values()
    encoder._networks = {device: network.to(device)}
    maps = encoder.to(device)(images)
    assert maps.device == device
    maps.sum().backward()
    assert all(p.grad is not None and p.grad.device == device for p in encoder.parameters())


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # the threads of a spare device's backward cannot be joined
