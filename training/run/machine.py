"""What a run computes on: the device, its precision, and the other processes of the same run.

    python -m training.stage_video ...                          one process
    torchrun --nproc-per-node 8 -m training.stage_video ...     eight that act as one

The only room of the training that knows CUDA and process groups.  A step of several processes
equals the step of one with the whole batch: each takes a slice of the batch (`batches`), batch
norms see everyone's samples (`synchronised`), losses count everyone's labels (`losses`), and
DistributedDataParallel means the gradients.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from staf_backend.devices import choose_device, upload
from training.run.synchronised import synchronise

Precision = Literal["float32", "tf32", "bfloat16"]
"""Of the large layers; see `staf_backend.devices.device`."""

# The others wait while the first process validates, or writes the maps of a whole set: hours,
# where NCCL by itself would give up after ten minutes
_PATIENCE = timedelta(days=7)


@dataclass(frozen=True)
class Machine:
    """One process of a run: its device, its `rank` among `world` processes."""

    device: torch.device
    rank: int = 0
    world: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.world:
            raise ValueError(f"rank must be below {self.world}, not {self.rank}")

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files."""
        return self.rank == 0

    def place(self, module: nn.Module) -> nn.Module:
        """The module on the device, batch norms joined over the processes."""
        module = synchronise(module, self.device) if self.world > 1 else module
        module = module.to(self.device)
        if self.device.type == "cuda":
            module = module.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        return module

    def shared(self, module: nn.Module, *, idle: bool) -> nn.Module:
        """The module with gradients averaged over the processes.

        Args:
            module: already placed; its forward gives the loss.
            idle: whether some parameters get no gradient.
        """
        if self.world == 1:
            return module
        # Batch norms agree already, and the body's tables never change: nothing to broadcast
        return DistributedDataParallel(module, broadcast_buffers=False, find_unused_parameters=idle)

    def seed(self, seed: int, step: int) -> None:
        """Makes dropout of a step a function of the seed, the step and the rank.

        So a run that resumes needs no stored generator to repeat what it would have drawn.
        """
        mixed = 0
        for word in (seed, step, self.rank):
            mixed = _splitmix(mixed ^ word)
        torch.manual_seed(mixed)

    def autocast(self, precision: Precision) -> AbstractContextManager:
        """Large layers in bfloat16 where asked for; float32 weights in every case."""
        if precision != "bfloat16":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def upload(self, batch: Any) -> Any:
        """Tensors, and named tuples of them, on the device."""
        if isinstance(batch, Tensor):
            return upload(batch, self.device)
        return type(batch)(*(self.upload(part) for part in batch))

    def mean(self, values: Tensor) -> Tensor:
        """The mean over all processes."""
        if self.world > 1:
            dist.all_reduce(values)
        return values / self.world

    def agree(self, value: Any) -> Any:
        """The first process's value, everywhere."""
        if self.world == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, device=self.device)
        return box[0]


def _splitmix(word: int) -> int:
    """A well mixed 63-bit number of another (Steele, Lea and Flood 2014)."""
    word = (word + 0x9E3779B97F4A7C15) % 2**64
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    word = (word ^ (word >> 27)) * 0x94D049BB133111EB % 2**64
    return (word ^ (word >> 31)) >> 1


@contextmanager
def open_machine(device: str = "auto") -> Iterator[Machine]:
    """This process's place in the run; under torchrun it joins the others (NCCL or gloo).

    Args:
        device: as `staf_backend.devices.device.choose_device`; "auto" and "cuda" under
            torchrun are this
            process's own GPU.

    Raises:
        DeviceError: there is no such device.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    chosen = choose_device(device) if world == 1 else _own_device(device)
    if chosen.type == "cuda" and chosen.index is not None:
        torch.cuda.set_device(chosen)  # for all that asks PyTorch, not the machine
    if world == 1:
        yield Machine(chosen)
        return
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        yield Machine(chosen, dist.get_rank(), world)
    finally:
        dist.destroy_process_group()


def _own_device(device: str) -> torch.device:
    """The device of one process among several."""
    if device == "cuda" or (device == "auto" and torch.cuda.is_available()):
        return choose_device(f"cuda:{os.environ.get('LOCAL_RANK', '0')}")
    return choose_device("cpu" if device == "auto" else device)
