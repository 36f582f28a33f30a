"""What a stream runs: a network on its device, folded where that is exact, else windowed."""

from typing import Any, Protocol

import torch
from torch import Tensor

from staf_backend.devices import Batches
from staf_backend.staf.any_network import AnyNetwork
from staf_backend.staf.body import SmplBody
from staf_backend.staf.encoders import AnyEncoder
from staf_backend.staf.network import Staf
from staf_backend.staf.streaming.inference import InferenceNetwork
from staf_backend.staf.streaming.settings import StreamConfig
from staf_backend.staf.streaming.windowed import WindowNetwork


class ReadyNetwork(Protocol):
    """What `StafStream` asks of a network; see `InferenceNetwork` and `WindowNetwork`."""

    config: StreamConfig
    device: torch.device
    batches: Batches
    encoder: torch.nn.Module | None

    @property
    def map_channels(self) -> int: ...

    @property
    def window(self) -> int: ...

    @property
    def body(self) -> SmplBody | None: ...

    def new_store(self) -> Any:
        """A store that `keep` and `recover` of the same network take."""
        ...

    def keep(self, store: Any, slots: Tensor, crops: Tensor) -> None: ...

    def recover(self, store: Any, slots: Tensor) -> Tensor: ...


def make_ready(
    network: AnyNetwork, encoder: AnyEncoder | None = None, config: StreamConfig | None = None
) -> ReadyNetwork:
    """The quickest exact form of a network.

    Args:
        network: of any configuration; it is copied and stays where it is.
        encoder: needed for images; without it only encoder maps are taken.
        config: how to run.

    Raises:
        DeviceError: the device is absent, or its memory cannot hold the network.
        ValueError: the encoder's maps are not of the network's width, or the network mixes the
            windows of a batch.
    """
    if isinstance(network, Staf) and network.config.streams:
        return InferenceNetwork(network, encoder, config)
    return WindowNetwork(network, encoder, config)
