"""A network over one video that comes part by part: each frame's parameters, a few frames late.

    parts of crops or maps ─► Recoverer.push ─► parameters of the frames whose windows are complete
                              Recoverer.finish ─► those of the last frames

It runs exactly what `staf convert` runs (`staf_backend.staf.streaming`), on one track.  Windows
near the ends repeat their target, unless a protocol says otherwise.
"""

from collections.abc import Iterable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from staf_backend.staf.any_network import AnyNetwork
from staf_backend.staf.encoders import AnyEncoder
from staf_backend.staf.network import StageParams
from staf_backend.staf.streaming import Arrival, StafStream, StreamConfig, StreamEdges


class Recoverer(Protocol):
    """Recovers one video at a time."""

    def push(self, frames: Tensor) -> StageParams:
        """The next n frames of the video; gives parameters (k, ...) on the CPU, in order.

        Args:
            frames: crops (n, 224, 224, 3) uint8 RGB, or encoder maps (n, C, 7, 7).
        """
        ...

    def finish(self) -> StageParams:
        """The parameters still owed; the next push begins another video."""
        ...


def make_recoverer(
    network: AnyNetwork,
    encoder: AnyEncoder | None = None,
    *,
    edges: StreamEdges = "repeat",
    device: str = "cpu",
    batch: int = 8,
) -> Recoverer:
    """The quickest exact way to run a network over videos.

    Args:
        network: of any configuration.
        encoder: for crops; without it, only maps are taken.
        edges: what windows near the ends of a video hold.
        device: "cpu", "cuda", "auto".
        batch: frames, and windows, that go through at once.

    Raises:
        ValueError: the encoder gives maps of another width than the network reads.
        DeviceError: the device is absent.
    """
    config = StreamConfig(device=device, edges=edges, batch=batch)
    return StreamRecoverer(StafStream(network, encoder, config))


class StreamRecoverer:
    """`Recoverer` of `staf_backend.staf.streaming.stream`."""

    def __init__(self, stream: StafStream) -> None:
        self._stream, self._track, self._count = stream, stream.open(), 0

    def push(self, frames: Tensor) -> StageParams:
        numbers = np.arange(self._count, self._count + len(frames))
        self._count += len(frames)
        return self._stream.push([Arrival(self._track, numbers, frames)]).params

    def finish(self) -> StageParams:
        self._count = 0
        return self._stream.finish([self._track]).params


def joined_params(parts: Iterable[StageParams]) -> StageParams:
    """Parameters (n, ...) of several runs of frames as one; of none, empty ones."""
    kept = [part for part in parts if len(part.betas)]
    if not kept:
        return StageParams(*(torch.empty(0, *shape) for shape in ((144,), (10,), (3,), (24, 3, 3))))
    return StageParams(*(torch.cat(column) for column in zip(*kept, strict=True)))
