"""How a stream of frames is run."""

from dataclasses import dataclass
from typing import Literal

import torch

from staf_backend.devices import Precision, storage_type

StreamEdges = Literal["repeat", "replicate"]
"""Near the ends of a stretch the target stands alone, or the first and last frames are repeated."""
Acceleration = Literal["auto", "none", "graphs"]
_BATCHES = {"cuda": 64}
_BATCH = 8
"""Frames at once where the user does not say: enough to keep a GPU busy (shared by all people of a
clip), and what a processor's caches hold.  Chosen by measurement on the CPU; a guess on CUDA."""


@dataclass(frozen=True)
class StreamConfig:
    """How a stream runs.

    `batch` frames, and windows, go through the network at once (8 on the CPU, 64 on CUDA by
    default); `vertices` asks for full meshes; `acceleration` is "graphs" on CUDA if "auto".
    """

    device: str = "auto"
    precision: Precision = "float32"
    edges: StreamEdges = "repeat"
    batch: int | None = None
    vertices: bool = False
    deterministic: bool = False
    acceleration: Acceleration = "auto"

    def __post_init__(self) -> None:
        storage_type(self.precision)
        if self.batch is not None and self.batch < 1:
            raise ValueError(f"batch must be positive, not {self.batch}")
        if self.edges not in ("repeat", "replicate"):
            raise ValueError(f"edges must be 'repeat' or 'replicate', not {self.edges!r}")
        if self.acceleration not in ("auto", "none", "graphs"):
            raise ValueError(f"unknown acceleration {self.acceleration!r}")


def batch_size(config: StreamConfig, device: torch.device) -> int:
    """Frames, and windows, that go through the network at once."""
    return config.batch or _BATCHES.get(device.type, _BATCH)
