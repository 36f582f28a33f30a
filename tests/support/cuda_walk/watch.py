"""CUDA code on tensors that have a device and no data: what it copies, waits for and allocates.

Fake tensors (`torch._subclasses`) carry the real device type "cuda", so that every branch for it
runs; `torch.cuda` is pretended as far as our code asks.  Operations are written down by region:

    setup | push ─┬─ replay ─── warm-up ─── capture
                  └─ what runs between the graphs
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from torch import Tensor
from torch._subclasses import fake_tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from staf_backend.devices import Graphed, indices_on
from staf_backend.staf.encoders import resnet

WAITING = (
    *("aten._local_scalar_dense", "aten.nonzero", "aten.masked_select", "aten._unique2"),
    *("aten.unique_dim", "aten.equal", "aten.is_nonzero", "aten.bincount"),
)
"""Operations whose result the processor needs before it goes on."""


class Event(NamedTuple):
    """Something that costs: in which region, and what of which shape."""

    region: str
    what: str
    detail: str


class Watch(TorchDispatchMode):
    """Writes down copies between devices, waiting, mixed devices, and memory taken in replays."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Event] = []
        self.regions = ["setup"]
        self.operations = 0
        self._pinned: list[Tensor] = []

    @contextmanager
    def region(self, name: str) -> Iterator[None]:
        """A part of the program."""
        self.regions.append(name)
        try:
            yield
        finally:
            self.regions.pop()

    def of(self, region: str) -> list[str]:
        """What happened in a region."""
        return [event.what for event in self.events if event.region == region]

    def pinned(self, tensor: Tensor) -> Tensor:
        """Remembers memory that copies need not wait for."""
        self._pinned.append(tensor)
        return tensor

    def __torch_dispatch__(
        self, func: Any, _types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        name = str(func)
        if name.startswith("prim."):
            return out
        self.operations += 1
        given, made = _tensors((args, kwargs)), _tensors(out)
        devices = {tensor.device.type for tensor in (*given, *made)}
        shape = str(tuple(made[0].shape)) if made else ""
        if len(devices) > 1:
            self._note(self._crossing(name, given, made, args, kwargs), f"{name} {shape}")
        elif "cuda" in devices and name.startswith(WAITING):
            self._note("waits", f"{name} {shape}")
        if self.regions[-1] == "replay" and "cuda" in devices and _is_new(given, made):
            self._note("allocates", f"{name} {shape}")
        return out

    def _crossing(
        self, name: str, given: list[Tensor], made: list[Tensor], args: tuple, kwargs: dict
    ) -> str:
        if not name.startswith(("aten._to_copy", "aten.copy_", "aten.to.")):
            return "mixed devices"
        source, goal = given[-1], made[0]
        if goal.device.type == "cpu":
            return "download"
        unasked = not (kwargs.get("non_blocking") or any(arg is True for arg in args[2:]))
        if unasked or not any(_memory(source) == _memory(one) for one in self._pinned):
            return "blocking upload"
        return "upload"

    def _note(self, what: str, detail: str) -> None:
        self.events.append(Event(self.regions[-1], what, detail))


class _Lifted(TorchFunctionMode):
    """Takes real tensors to the devices as fakes; pinned memory is remembered, not pinned."""

    def __init__(self, mode: FakeTensorMode, watch: Watch) -> None:
        super().__init__()
        self.mode, self.watch = mode, watch

    def __torch_function__(
        self, func: Any, _types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.Tensor.to and isinstance(args[0], Tensor):
            args = (self._fake(args[0]), *args[1:])
        if func is torch.Tensor.pin_memory:
            return self.watch.pinned(self._fake(args[0]))
        if kwargs.pop("pin_memory", False):
            return self.watch.pinned(func(*args, **kwargs))
        return func(*args, **kwargs)

    def _fake(self, tensor: Tensor) -> Tensor:
        return tensor if isinstance(tensor, FakeTensor) else self.mode.from_tensor(tensor)


@contextmanager
def walking() -> Iterator[Watch]:
    """A block in which "cuda" and "cuda:1" are there, and nothing is computed."""
    watch, mode = Watch(), FakeTensorMode(allow_non_fake_inputs=True)
    with ExitStack() as stack:
        for kept in (resnet._on, indices_on):  # fakes of another walk are of no use
            kept.cache_clear()
            stack.callback(kept.cache_clear)
        for place, name, new in (*_pretended(watch), *_marked(watch)):
            stack.enter_context(patch.object(place, name, new))
        for context in (mode, _Lifted(mode, watch), watch):
            stack.enter_context(context)
        yield watch


def _pretended(watch: Watch) -> list[tuple[Any, str, Any]]:
    """What our code asks of `torch.cuda`."""

    @contextmanager
    def nothing(*_: object, **__: object) -> Iterator[None]:
        yield

    @contextmanager
    def captured(*_: object, **__: object) -> Iterator[None]:
        with watch.region("capture"):
            yield

    stream = SimpleNamespace(wait_stream=lambda _other: None)
    answers = {
        "is_available": lambda: True,
        "is_bf16_supported": lambda *_, **__: True,
        "device_count": lambda: 2,
        "get_device_capability": lambda *_: (9, 0),
        "current_stream": lambda *_: stream,
        "Stream": lambda *_: stream,
        "stream": nothing,
        "graph": captured,
        "graph_pool_handle": lambda: (0, 1),
        "CUDAGraph": lambda: SimpleNamespace(replay=lambda: None),
        "empty_cache": lambda: None,
    }
    return [
        *((torch.cuda, name, answer) for name, answer in answers.items()),
        (FakeTensorMode, "avoid_device_init", property(lambda _mode: True)),
        (fake_tensor, "CONSTANT_NUMEL_LIMIT", 0),  # single numbers are fake, too
    ]


def _marked(watch: Watch) -> list[tuple[Any, str, Any]]:
    """Graphs that say which part of them runs."""

    def inside(region: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            with watch.region(region):
                return function(*args)

        return run

    return [
        (Graphed, "__call__", inside("replay", Graphed.__call__)),
        (Graphed, "_capture", inside("warm-up", Graphed._capture)),
    ]


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _is_new(given: list[Tensor], made: list[Tensor]) -> bool:
    known = {_memory(tensor) for tensor in given}
    return any(_memory(tensor) not in known for tensor in made)
