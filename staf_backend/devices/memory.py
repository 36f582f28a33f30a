"""Torch networks that fit the device's memory: pieces that shrink, and an error in plain words."""

import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from staf_backend.devices.device import DeviceError

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


def free_memory() -> None:
    """Gives memory that nothing uses back to the device."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@dataclass
class Batches:
    """Runs work in pieces that fit the memory; a piece that does not is halved, once and for all.

    `size` is the largest piece, and shrinks.  `free` is called before anything is tried again; what
    a single item needs is tried twice.
    """

    size: int
    free: Callable[[], None] = free_memory

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"size must be positive, not {self.size}")

    def run(self, count: int, work: Callable[[slice], None]) -> None:
        """Calls `work` with slices that cover `count` items; it must bear being repeated.

        Raises:
            DeviceError: not even one item fits.
        """
        start, failed_alone = 0, False
        while start < count:
            piece = slice(start, min(start + self.size, count))
            if _fits(work, piece):
                start, failed_alone = piece.stop, False
                continue
            self.free()
            tried = piece.stop - piece.start
            if tried == 1 and failed_alone:
                raise DeviceError("The device's memory cannot hold a single frame.", _ADVICE)
            failed_alone = tried == 1
            self.size = max(tried // 2, 1)
            words = "out of memory with %d frames at once; going on with %d"
            _log.warning(words, tried, self.size)


def _fits(work: Callable[[slice], None], piece: slice) -> bool:
    """Whether there was memory; the error is gone with all that it held when this returns."""
    try:
        work(piece)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return False
    return True


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error of PyTorch means that memory ran out, on any device."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return "out of memory" in text or "can't allocate memory" in text
