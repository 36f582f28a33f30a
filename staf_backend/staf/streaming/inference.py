"""The folded network on its device, ready for any number of streams one after another.

    frames   crops ─► encoder ─► deconv 1 ─► rows of a frame                    ─► FrameStore
    look     average, vectors ─► rows of the target ─► 9 bodies ─► where to look
    answer   what is seen there ─► SAFM ─► regressor 2 ─► deconv 3 ─► regressor 3 ─► parameters

Each of the three may be a CUDA graph.  None reads the store's tables, which are gathered between
them: a store may grow, and streams may come and go, while the graphs stay.
"""

import copy
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from staf_backend.devices import (
    Batches,
    Graphed,
    choose_device,
    enough_memory,
    free_memory,
    storage_type,
)
from staf_backend.staf.body import SmplBody
from staf_backend.staf.config import MAP_PX
from staf_backend.staf.encoders import AnyEncoder
from staf_backend.staf.network import Staf
from staf_backend.staf.sampling import Corners
from staf_backend.staf.streaming.folded import FoldedStaf
from staf_backend.staf.streaming.frame_store import FrameStore
from staf_backend.staf.streaming.frozen_encoder import check_width, frozen
from staf_backend.staf.streaming.settings import StreamConfig, batch_size


class InferenceNetwork:
    """The network and its encoder, folded and moved.  Not for several threads at a time."""

    def __init__(
        self,
        network: Staf,
        encoder: AnyEncoder | None = None,
        config: StreamConfig | None = None,
    ) -> None:
        """Folds the networks and moves them to the device.

        Args:
            network: in the paper's arrangement; it is copied and stays where it is.
            encoder: needed for images; without it only encoder maps are taken.
            config: how to run.

        Raises:
            DeviceError: the device is absent, or its memory cannot hold the network.
            ValueError: the network cannot be streamed, or the encoder's maps are not its width.
        """
        self.config = config or StreamConfig()
        self.device = choose_device(self.config.device)
        dtype = storage_type(self.config.precision)
        check_width(encoder, network.config.map_channels)
        with enough_memory():
            self.folded = FoldedStaf(copy.deepcopy(network).cpu(), dtype).to(self.device)
            self.encoder = None if encoder is None else frozen(encoder).to(self.device, dtype)
        normalise = None if encoder is None else encoder.normalise
        sparse = self.device.type == "cpu"
        steps = _Steps(self.folded, self.encoder, normalise, sparse=sparse)
        size = batch_size(self.config, self.device)
        graphs = self.device.type == "cuda" and self.config.acceleration != "none"
        graphed = [
            Graphed(step, enabled=graphs, most=size)
            for step in (steps.frames, steps.look, steps.answer)
        ]
        self.frames, self.look, self.answer = graphed
        self.batches = Batches(size, partial(_free, graphed))

    @property
    def map_channels(self) -> int:
        """Width of the encoder maps that the network reads."""
        return self.folded.config.map_channels

    @property
    def window(self) -> int:
        """Frames of a window."""
        return self.folded.config.frames

    @property
    def body(self) -> SmplBody:
        """Whose meshes the parameters are."""
        return self.folded.body

    def new_store(self) -> FrameStore:
        """An empty place for what is kept of frames."""
        return FrameStore(self.folded, self.device, self.batches.size)

    def keep(self, store: FrameStore, slots: Tensor, crops: Tensor) -> None:
        """Puts frames (N, ...), as `_Steps.frames` takes them, into slots (N,) of a store."""
        store.write(slots, *self.frames(crops))

    def recover(self, store: FrameStore, slots: Tensor) -> Tensor:
        """Parameters (W, 157) of windows (W, T), or of targets that stand alone (W, 1)."""
        before, vectors = store.averaged(slots), store.vectors[slots]
        linear, second, params, *corners = self.look(before, vectors)
        sampled = store.sampled(slots, linear, Corners(*corners))
        return self.answer(sampled, second, params)[0]


class _Steps:
    """The functions that may be captured.  Nothing here knows who runs them, so that nothing is a
    cycle that keeps networks on the device."""

    def __init__(
        self,
        folded: FoldedStaf,
        encoder: torch.nn.Module | None,
        normalise: Callable[[Tensor], Tensor] | None,
        *,
        sparse: bool,
    ) -> None:
        self.folded, self.encoder, self.normalise, self.sparse = folded, encoder, normalise, sparse

    def frames(self, crops: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What is kept of frames: stage-1 rows before the ReLU (N, 196, C), vectors (N, V), linear
        maps (N, 784, 197).

        Args:
            crops: (N, 224, 224, 3) uint8, or normalised images, or encoder maps.
        """
        if crops.dtype == torch.uint8:
            assert self.normalise is not None
            crops = self.normalise(crops)
        if crops.shape[-1] != MAP_PX:
            assert self.encoder is not None
            crops = self.encoder(crops)
        before = self.folded.before_relu(crops)
        rows, _ = self.folded.frame_rows(before)
        return before.float(), rows.vectors, rows.linear

    def look(self, before: Tensor, vectors: Tensor) -> tuple[Tensor, ...]:
        """Stage 1 of windows.

        Args:
            before: (W, 196, C) the windows' averages before the ReLU.
            vectors: (W, T, V) of the windows' frames; the middle one's are not read.

        Returns:
            Linear maps (W, 784, 197) and stage-2 rows (W, 784, C) of the averaged targets, their
            parameters (W, 157), index and weight (W, T, P, 4) of the cells to look at.
        """
        rows, second = self.folded.frame_rows(before)
        middle = vectors.shape[1] // 2
        parts = (vectors[:, :middle], rows.vectors[:, None], vectors[:, middle + 1 :])
        params, corners = self.folded.first_bodies(torch.cat(parts, 1))
        return rows.linear, second, params, corners.place, corners.weight

    def answer(self, sampled: Tensor, second: Tensor, params: Tensor) -> tuple[Tensor]:
        """Parameters (W, 157); arguments as `FoldedStaf.last_bodies` has them."""
        return (self.folded.last_bodies(sampled, params, second, sparse=self.sparse),)


def _free(steps: Sequence[Graphed]) -> None:
    """Gives back all memory that is not needed for what is kept."""
    for step in steps:
        step.forget()
    free_memory()
