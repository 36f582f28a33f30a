"""CUDA graphs: a network's hundreds of launches as one."""

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from staf_backend.devices.memory import is_out_of_memory

_log = logging.getLogger(__name__)

_WARM_UP_CALLS = 3
"""Before a capture: first calls set up libraries, which cannot be captured (PyTorch's notes on CUDA
graphs take as many)."""


class _Capture(NamedTuple):
    graph: Any
    inputs: tuple[Tensor, ...]
    results: tuple[Tensor, ...]


class Graphed:
    """A function of tensors, replayed as a CUDA graph: one launch instead of hundreds.

    All tensors, given and returned, have one row for each item of a batch.  A function is captured
    once for each class of row counts (`row_class`), all in one pool of memory; rows beyond those
    given hold what was there before, so the function must treat rows apart, and bear zeros.
    Results live in the pool and are valid until the next call.  Where capturing fails the function
    runs as it is, and the log says so.
    """

    def __init__(
        self, function: Callable[..., tuple[Tensor, ...]], *, enabled: bool, most: int
    ) -> None:
        """`most` is the largest number of rows that calls will have."""
        self.function, self.enabled, self.most = function, enabled, most
        self._captured: dict[tuple, _Capture] = {}
        self._pool: Any = None
        self._side: torch.cuda.Stream | None = None

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The function of `inputs`, which are copied into the graph's own."""
        if not self.enabled:
            return self.function(*inputs)
        count = len(inputs[0])
        rows = row_class(count, self.most)
        key = (rows, *((tensor.shape[1:], tensor.dtype) for tensor in inputs))
        if key not in self._captured:
            try:
                self._captured[key] = self._capture(inputs, rows)
            except RuntimeError as error:
                if is_out_of_memory(error):
                    raise
                _log.warning("CUDA graphs are not possible here (%s); running without", error)
                self.enabled = False
                return self.function(*inputs)
        graph, own, results = self._captured[key]
        for mine, given in zip(own, inputs, strict=True):
            mine[:count].copy_(given, non_blocking=True)
        graph.replay()
        return tuple(result[:count] for result in results)

    def forget(self) -> None:
        """Drops the captures and their memory."""
        self._captured.clear()
        self._pool = None  # PyTorch refuses a pool whose graphs are all gone

    def _capture(self, inputs: tuple[Tensor, ...], rows: int) -> _Capture:
        # A capture records one stream and its device alone; the stream is also what a capture that
        # fails has to come back to
        with torch.cuda.stream(torch.cuda.current_stream(inputs[0].device)):
            own = tuple(_with_rows(tensor, rows) for tensor in inputs)
            side = self._side = self._side or torch.cuda.Stream()
            pool = self._pool = self._pool or torch.cuda.graph_pool_handle()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(_WARM_UP_CALLS):
                    self.function(*own)
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=pool, stream=side):
                results = self.function(*own)
            return _Capture(graph, own, results)


def row_class(count: int, most: int) -> int:
    """The least of 1, 2, 3, 4, 6, 8, 12, 16 ... that is no less than `count`, or `most`.

    Few graphs then serve all counts, and no more than a third of the rows are padding.
    """
    power = 1 << (count - 1).bit_length()
    fits = power * 3 // 4 if power >= 4 and count <= power * 3 // 4 else power
    return fits if fits < most or count > most else most


def _with_rows(tensor: Tensor, rows: int) -> Tensor:
    """The tensor's rows, and zeros behind them."""
    own = tensor.new_zeros(rows, *tensor.shape[1:])
    own[: len(tensor)].copy_(tensor)
    return own
