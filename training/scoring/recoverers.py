"""A network over one video that comes part by part: each frame's parameters, a few frames late.

    parts of crops or maps ─► Recoverer.push ─► parameters of the frames whose windows are complete
                              Recoverer.finish ─► those of the last frames

The paper's configuration runs in its streaming form, every other one window by window; both keep
only the frames that a later window reads.  Windows near the ends repeat their target (`windows`).
"""

from collections.abc import Iterable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from staf_backend.runtime.torch_device import choose_device, numerics
from staf_backend.staf.encoders.fields import AnyEncoder
from staf_backend.staf.network import Staf, StageParams
from staf_backend.staf.streaming.frame_store import StreamEdges, Stretch, Window
from staf_backend.staf.streaming.stream import Arrival, StafStream, StreamConfig
from training.model.ablations import PooledNetwork

AnyNetwork = Staf | PooledNetwork


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
    """The quickest exact way to run a network in eval mode over videos.

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
    if isinstance(network, Staf) and network.config.streams:
        config = StreamConfig(device=device, edges=edges, batch=batch)
        return StreamRecoverer(StafStream(network, encoder, config))
    return WindowRecoverer(network, encoder, edges, StreamConfig(device=device, batch=batch))


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


class WindowRecoverer:
    """`Recoverer` that runs whole windows: any configuration of STAF, and the pooled networks."""

    def __init__(
        self,
        network: AnyNetwork,
        encoder: AnyEncoder | None,
        edges: StreamEdges,
        config: StreamConfig,
    ) -> None:
        if encoder is not None and encoder.channels != network.config.map_channels:
            raise ValueError(
                f"the network reads {network.config.map_channels} channels, the "
                f"encoder gives {encoder.channels}"
            )
        self.device = choose_device(config.device)
        self.network = network.to(self.device).eval()
        self.encoder = None if encoder is None else encoder.to(self.device).eval()
        self.batch = config.batch or 8
        self._new = lambda: Stretch(network.config.frames, edges)
        self._stretch, self._maps = self._new(), dict[int, Tensor]()

    def push(self, frames: Tensor) -> StageParams:
        found = []
        with torch.inference_mode(), numerics("float32"):
            for part in frames.split(self.batch):
                for single in self._encoded(part.to(self.device)):
                    number = self._stretch.count
                    self._stretch.add(number, number)
                    self._maps[number] = single
                found.append(self._run(ended=False))
        return joined_params(found)

    def finish(self) -> StageParams:
        with torch.inference_mode(), numerics("float32"):
            found = self._run(ended=True)
        self._stretch, self._maps = self._new(), {}
        return found

    def _encoded(self, frames: Tensor) -> Tensor:
        if frames.dtype != torch.uint8:
            return frames.float()
        if self.encoder is None:
            raise ValueError("crops need an encoder; without one, push encoder maps")
        return self.encoder(self.encoder.normalise(frames))

    def _run(self, *, ended: bool) -> StageParams:
        windows = self._stretch.complete(ended=ended)
        found = [
            self._recovered(windows[first : first + self.batch])
            for first in range(0, len(windows), self.batch)
        ]
        for slot in self._stretch.outdated(ended=ended):
            del self._maps[slot]
        return joined_params(found)

    def _recovered(self, windows: list[Window]) -> StageParams:
        length = self.network.config.frames
        maps = torch.stack(
            [
                torch.stack([self._maps[slot] for slot in _repeated(window.slots, length)])
                for window in windows
            ]
        )
        outputs = self.network(maps)
        result = outputs if isinstance(outputs, StageParams) else outputs.result
        return StageParams(*(tensor.float().cpu() for tensor in result))


def joined_params(parts: Iterable[StageParams]) -> StageParams:
    """Parameters (n, ...) of several runs of frames as one; of none, empty ones."""
    kept = [part for part in parts if len(part.betas)]
    if not kept:
        return StageParams(*(torch.empty(0, *shape) for shape in ((144,), (10,), (3,), (24, 3, 3))))
    return StageParams(*(torch.cat(column) for column in zip(*kept, strict=True)))


def _repeated(slots: tuple[int, ...], length: int) -> tuple[int, ...]:
    return slots if len(slots) == length else slots * length
