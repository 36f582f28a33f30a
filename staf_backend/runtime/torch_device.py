"""Where and how exactly the torch networks run: device, precision, memory, CUDA graphs."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from staf_backend import StafError

log = logging.getLogger(__name__)

# PyTorch looks for it once, at the process's first product on CUDA: a deterministic block that
# comes after other work would set it too late
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

Precision = Literal["float32", "tf32", "bfloat16", "float16"]
"""Of the large layers: "tf32" is float32 with the shortened products of CUDA's convolutions.
Attention, rotations, body and projection are float32 in every case."""

_TYPES = {
    "float32": torch.float32,
    "tf32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


_MEMORY_ADVICE = "Close other programs that use it, or choose --device cpu."


class DeviceError(StafError):
    """The device asked for is not in this computer, or its memory is too small."""

    kind = "weights"
    exit_code = 6


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name.

    Args:
        name: "auto" (CUDA, else Apple's MPS, else the CPU), "cpu", "cuda", "cuda:1", "mps".

    Raises:
        DeviceError: it is unknown or absent.
    """
    available = _available()
    if name == "auto":
        return torch.device(available[0])
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"There is no device called {name!r}.", _offer(available)) from error
    if device.type not in available:
        raise DeviceError(f"PyTorch finds no {device.type} device here.", _offer(available))
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(f"There is no {name}.", f"CUDA devices: {torch.cuda.device_count()}.")
    return device


def storage_type(precision: Precision) -> torch.dtype:
    """What the large layers hold and compute in.

    Raises:
        ValueError: the precision is unknown.
    """
    if precision not in _TYPES:
        raise ValueError(f"precision must be one of {', '.join(_TYPES)}, not {precision!r}")
    return _TYPES[precision]


@contextmanager
def numerics(precision: Precision, *, deterministic: bool = False) -> Iterator[None]:
    """PyTorch's global switches for the block, restored after it.

    Args:
        precision: float32 means full float32 products, also on CUDA; tf32 shortens those of
            convolutions alone, since the body and the attention are made of matrix products.
        deterministic: only algorithms whose results repeat bit by bit on the same device.
    """
    cudnn = torch.backends.cudnn
    before = torch.get_float32_matmul_precision(), cudnn.allow_tf32, cudnn.benchmark
    were = torch.are_deterministic_algorithms_enabled()
    try:
        torch.set_float32_matmul_precision("highest")
        cudnn.allow_tf32, cudnn.benchmark = precision == "tf32", not deterministic
        torch.use_deterministic_algorithms(deterministic or were)
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        cudnn.allow_tf32, cudnn.benchmark = before[1:]
        torch.use_deterministic_algorithms(were)


def full_precision(like: Tensor) -> AbstractContextManager:
    """A block without autocast on the tensor's device, for steps that need float32."""
    kind = like.device.type
    if torch.amp.is_autocast_available(kind):
        return torch.autocast(kind, enabled=False)
    return nullcontext()


@contextmanager
def enough_memory() -> Iterator[None]:
    """For work that cannot be made smaller.

    Raises:
        DeviceError: memory ran out in the block.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        reason = "The device's memory cannot hold the network and the frames it keeps."
        raise DeviceError(reason, _MEMORY_ADVICE) from error


@dataclass
class Batches:
    """Runs work in pieces that fit the memory; a piece that does not is halved, once and for all.

    `size` is the largest piece, and shrinks.
    """

    size: int

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"size must be positive, not {self.size}")

    def run(self, count: int, work: Callable[[slice], None]) -> None:
        """Calls `work` with slices that cover `count` items; it must bear being repeated.

        Raises:
            DeviceError: not even one item fits.
        """
        start = 0
        while start < count:
            piece = slice(start, min(start + self.size, count))
            try:
                work(piece)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                self._halve(piece.stop - piece.start, error)
                continue
            start = piece.stop

    def _halve(self, tried: int, error: RuntimeError) -> None:
        if tried == 1:
            reason = "The device's memory cannot hold a single frame."
            raise DeviceError(reason, _MEMORY_ADVICE) from error
        self.size = tried // 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        log.warning("out of memory with %d frames at once; going on with %d", tried, self.size)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error of PyTorch means that memory ran out, on any device."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return "out of memory" in text or "can't allocate memory" in text


class Graphed:
    """A function of tensors, replayed as a CUDA graph: one launch instead of hundreds.

    Captured once for each set of input shapes, all in one pool of memory; results live there and
    are valid until the next call.  Where capturing fails the function runs as it is, and the log
    says so.
    """

    def __init__(self, function: Callable[..., Tensor | None], *, enabled: bool) -> None:
        self.function = function
        self.enabled = enabled
        self._captured: dict[tuple, tuple[torch.cuda.CUDAGraph, tuple[Tensor, ...], object]] = {}
        self._pool: Any = None
        self._side: torch.cuda.Stream | None = None

    def __call__(self, *inputs: Tensor) -> Tensor | None:
        """The function of `inputs`, which are copied into the graph's own."""
        if not self.enabled:
            return self.function(*inputs)
        key = tuple((tensor.shape, tensor.dtype) for tensor in inputs)
        if key not in self._captured:
            try:
                self._captured[key] = self._capture(inputs)
            except RuntimeError as error:
                if is_out_of_memory(error):
                    raise
                log.warning("CUDA graphs are not possible here (%s); running without", error)
                self.enabled = False
                return self.function(*inputs)
        graph, own, result = self._captured[key]
        for mine, given in zip(own, inputs, strict=True):
            mine.copy_(given, non_blocking=True)
        graph.replay()
        return result  # pyright: ignore[reportReturnType]

    def forget(self) -> None:
        """Drops the captures: the tensors that the function closes over have been replaced."""
        self._captured.clear()
        self._pool = None  # PyTorch refuses a pool whose graphs are all gone

    def _capture(self, inputs: tuple[Tensor, ...]) -> tuple:
        # A capture records one stream and its device alone; the stream is also what a capture that
        # fails has to come back to
        with torch.cuda.stream(torch.cuda.current_stream(inputs[0].device)):
            own = tuple(tensor.clone() for tensor in inputs)
            side = self._side = self._side or torch.cuda.Stream()
            pool = self._pool = self._pool or torch.cuda.graph_pool_handle()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):  # first calls set up libraries, which cannot be captured
                for _ in range(3):
                    self.function(*own)
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=pool, stream=side):
                result = self.function(*own)
            return graph, own, result


def upload(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on a device; from pinned memory and without waiting where the device can."""
    if tensor.device == device:
        return tensor
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def _available() -> list[str]:
    found = []
    if torch.cuda.is_available():
        found.append("cuda")
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]


def _offer(available: list[str]) -> str:
    return f"Available: {', '.join(available)}."
