"""CUDA graphs: a network's hundreds of launches as one."""

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from staf_backend.runtime.torch_memory import is_out_of_memory

_log = logging.getLogger(__name__)

_WARM_UP_CALLS = 3
"""Before a capture: first calls set up libraries, which cannot be captured (PyTorch's notes on CUDA
graphs take as many)."""


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
                _log.warning("CUDA graphs are not possible here (%s); running without", error)
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
            with torch.cuda.stream(side):
                for _ in range(_WARM_UP_CALLS):
                    self.function(*own)
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=pool, stream=side):
                result = self.function(*own)
            return graph, own, result
