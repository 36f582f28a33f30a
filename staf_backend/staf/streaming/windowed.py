"""A network of any configuration on its device, run window by window on kept encoder maps.

    frames    crops ─► encoder ─► MapStore
    windows   maps (W, T, C, 7, 7) ─► network ─► parameters

The encoder, which costs most, sees every frame once here too.  What the folded form of the paper's
arrangement (`inference`) saves beyond that needs TCFM at stage 1 and SAFM at stage 2.
"""

import copy
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from staf_backend.devices import Batches, choose_device, enough_memory, storage_type
from staf_backend.staf.any_network import AnyNetwork, target_params
from staf_backend.staf.body import SmplBody
from staf_backend.staf.config import MAP_PX
from staf_backend.staf.encoders import AnyEncoder
from staf_backend.staf.network import Staf
from staf_backend.staf.streaming.frame_store import MapStore
from staf_backend.staf.streaming.frozen_encoder import check_width, frozen
from staf_backend.staf.streaming.settings import StreamConfig, batch_size


class WindowNetwork:
    """The network and its encoder, moved.  Not for several threads at a time.

    Large layers compute in the configuration's precision by autocast, as in training; maps are
    kept in float32.
    """

    def __init__(
        self,
        network: AnyNetwork,
        encoder: AnyEncoder | None = None,
        config: StreamConfig | None = None,
    ) -> None:
        """Copies the networks to the device.

        Args:
            network: of any configuration; it is copied and stays where it is.
            encoder: needed for images; without it only encoder maps are taken.
            config: how to run; graphs are of the folded form alone.

        Raises:
            DeviceError: the device is absent, or its memory cannot hold the network.
            ValueError: the encoder's maps are not of the network's width, or its windows depend on
                each other.
        """
        if not network.config.windows_apart:
            raise ValueError("a network that mixes the windows of a batch has no result of its own")
        self.config = config or StreamConfig()
        self.device = choose_device(self.config.device)
        self.dtype = storage_type(self.config.precision)
        check_width(encoder, network.config.map_channels)
        with enough_memory():
            self.network = copy.deepcopy(network).eval().requires_grad_(False).to(self.device)
            self.encoder = None if encoder is None else frozen(encoder).to(self.device, self.dtype)
        self._normalise = None if encoder is None else encoder.normalise
        self.batches = Batches(batch_size(self.config, self.device))

    @property
    def map_channels(self) -> int:
        """Width of the encoder maps that the network reads."""
        return self.network.config.map_channels

    @property
    def window(self) -> int:
        """Frames of a window."""
        return self.network.config.frames

    @property
    def body(self) -> SmplBody | None:
        """Whose meshes the parameters are; None of a pooled network, which has none."""
        return self.network.body if isinstance(self.network, Staf) else None

    def new_store(self) -> MapStore:
        """An empty place for what is kept of frames."""
        return MapStore(self.map_channels, self.device)

    def keep(self, store: MapStore, slots: Tensor, crops: Tensor) -> None:
        """Puts frames into slots (N,) of a store.

        Args:
            store: the maps' place.
            slots: (N,) of the frames.
            crops: (N, 224, 224, 3) uint8, or normalised images, or encoder maps.
        """
        if crops.dtype == torch.uint8:
            assert self._normalise is not None
            crops = self._normalise(crops)
        if crops.shape[-1] != MAP_PX:
            assert self.encoder is not None
            crops = self.encoder(crops.to(self.dtype))
        store.write(slots, crops.float())

    def recover(self, store: MapStore, slots: Tensor) -> Tensor:
        """Parameters (W, 157) of windows (W, T), or of targets that stand alone (W, 1)."""
        maps = store.windows(slots.expand(-1, self.window))
        with self._in_precision():
            params = target_params(self.network, maps)
        return torch.cat([params.pose6d, params.betas, params.camera], -1).float()

    def _in_precision(self) -> AbstractContextManager:
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self.dtype)
