"""CUDA graphs on the CPU: what a captured function did is done again into the same tensors.

As on a GPU, Python does not run again at a replay: results are those of the recorded operations on
the graph's own inputs, in the memory of the first time.
"""

from collections import Counter
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from staf_backend.devices import Graphed
from staf_backend.devices.graphs import _Capture, _with_rows
from staf_backend.staf.encoders import folded_conv
from staf_backend.staf.streaming import deconvolution
from staf_backend.staf.streaming.inference import InferenceNetwork, _free

STEPS = ("frames", "look", "answer")


class _Recording(TorchDispatchMode):
    """Writes operations down while they run; as a graph, it does them again."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple[Any, tuple, dict, list[Tensor]]] = []

    def __torch_dispatch__(
        self, func: Any, _types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        inputs = {_memory(one) for one in _tensors((args, kwargs))}
        made = [one for one in _tensors(out) if one.numel()]
        # Views and what was written in place are up to date by themselves
        new = [one for one in made if _memory(one) not in inputs]
        self.done.append((func, args, kwargs or {}, new))
        return out

    def replay(self) -> None:
        """All of it, results into the tensors of the recording."""
        for func, args, kwargs, made in self.done:
            again = func(*args, **kwargs)
            if made:
                results = [one for one in _tensors(again) if one.numel()]
                for mine, new in zip(made, results, strict=True):
                    mine.copy_(new)


class Replayed(Graphed):
    """A step that is captured and replayed on the CPU, and counts its rows."""

    def __init__(self, step: Graphed) -> None:
        super().__init__(step.function, enabled=True, most=step.most)
        self.rows: Counter[int] = Counter()

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        self.rows[len(inputs[0])] += 1
        return super().__call__(*inputs)

    def _capture(self, inputs: tuple[Tensor, ...], rows: int) -> _Capture:
        own = tuple(_with_rows(tensor, rows) for tensor in inputs)
        self.function(*own)
        with _Recording() as recording:
            results = self.function(*own)
        return _Capture(recording, own, results)


def with_graphs(network: InferenceNetwork, patch: pytest.MonkeyPatch) -> list[Replayed]:
    """Makes a network on the CPU run as on CUDA: its branches, with graphs."""
    patch.setattr(folded_conv, "_ONEDNN", False)
    patch.setattr(deconvolution, "_PRODUCT_BELOW", 0)
    network.answer.function.__self__.sparse = False  # pyright: ignore[reportFunctionMemberAccess]
    steps = [Replayed(getattr(network, name)) for name in STEPS]
    for name, step in zip(STEPS, steps, strict=True):
        setattr(network, name, step)
    network.batches.free = partial(_free, steps)
    return steps


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def make_memory_scarce(step: Graphed, most: int) -> None:
    """Lets a step run out of memory with more than `most` rows."""
    function = step.function

    def limited(*inputs: Tensor) -> tuple[Tensor, ...]:
        if len(inputs[0]) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return function(*inputs)

    step.function = limited
