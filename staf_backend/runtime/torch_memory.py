"""Torch networks that fit the device's memory: pieces that shrink, and an error in plain words."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from staf_backend.runtime.torch_device import DeviceError

_log = logging.getLogger(__name__)

_ADVICE = "Close other programs that use it, or choose --device cpu."


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
        raise DeviceError(reason, _ADVICE) from error


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
            raise DeviceError(reason, _ADVICE) from error
        self.size = tried // 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        _log.warning("out of memory with %d frames at once; going on with %d", tried, self.size)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error of PyTorch means that memory ran out, on any device."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return "out of memory" in text or "can't allocate memory" in text
