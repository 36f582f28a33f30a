"""Devices, precision switches and memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from types import SimpleNamespace

import pytest
import torch

from staf_backend.runtime.torch_device import (
    Batches,
    DeviceError,
    Graphed,
    choose_device,
    is_out_of_memory,
    numerics,
    storage_type,
)


def test_the_cpu_is_always_there() -> None:
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type in ("cpu", "cuda", "mps")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a computer without CUDA")
@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_absent_cuda_is_an_error_and_no_silent_cpu(name: str) -> None:
    with pytest.raises(DeviceError, match="no cuda device") as caught:
        choose_device(name)
    assert "cpu" in caught.value.advice
    assert caught.value.exit_code == 6


@pytest.mark.parametrize("name", ["gpu", "", "cuda:99"])
def test_unknown_devices_are_refused(name: str) -> None:
    with pytest.raises(DeviceError):
        choose_device(name)


def test_switches_are_restored_even_after_an_error() -> None:
    def state():
        return (
            torch.get_float32_matmul_precision(),
            torch.backends.cudnn.allow_tf32,
            torch.backends.cudnn.benchmark,
            torch.are_deterministic_algorithms_enabled(),
        )

    def fail() -> None:
        with numerics("tf32", deterministic=True):
            assert state() == ("highest", True, False, True)
            raise ZeroDivisionError

    before = state()
    with pytest.raises(ZeroDivisionError):
        fail()
    assert state() == before
    with numerics("float32"):
        assert state()[:2] == ("highest", False)


def test_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="precision"):
        storage_type("float8")  # pyright: ignore[reportArgumentType]


def test_a_piece_that_does_not_fit_is_halved_and_said(caplog) -> None:
    done: list[int] = []

    def work(piece: slice) -> None:
        if piece.stop - piece.start > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        done.extend(range(piece.start, piece.stop))

    batches = Batches(16)
    batches.run(20, work)
    assert done == list(range(20))
    assert batches.size == 2
    assert "going on with 8" in caplog.text
    assert "going on with 2" in caplog.text


def test_memory_for_not_even_one_frame_is_an_error() -> None:
    def work(_piece: slice) -> None:
        raise torch.OutOfMemoryError("MPS backend out of memory")

    with pytest.raises(DeviceError, match="single frame"):
        Batches(4).run(5, work)


def test_other_failures_are_not_taken_for_memory() -> None:
    def work(_piece: slice) -> None:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        Batches(4).run(5, work)


def test_the_cpus_own_failure_is_recognised() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**46)
    assert is_out_of_memory(caught.value)


def test_a_disabled_graph_is_the_function_itself() -> None:
    double = Graphed(lambda x: 2 * x, enabled=False)
    torch.testing.assert_close(double(torch.ones(2)), torch.full((2,), 2.0))


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """PyTorch's CUDA graphs as far as `Graphed` sees them; says what was done, and where."""
    told, current = [], ["0 main"]

    class Stream:
        def __init__(self, name: str = "") -> None:
            self.name = name or f"{current[-1][0]} side"

        def wait_stream(self, other: "Stream") -> None:
            told.append(f"{self.name} waits for {other.name}")

    @contextmanager
    def stream(new: Stream) -> Iterator[None]:
        current.append(new.name)
        yield
        current.pop()

    @contextmanager
    def graph(_graph: object, pool: object, stream: Stream) -> Iterator[None]:
        told.append(f"captures {stream.name} into {pool}")
        current.append(stream.name)
        yield
        current.pop()

    pools = count()
    cuda = SimpleNamespace(
        Stream=Stream, stream=stream, graph=graph, graph_pool_handle=lambda: (0, next(pools)),
        current_stream=lambda on=None: Stream(f"{on.index} main" if on else current[-1]),
        CUDAGraph=lambda: SimpleNamespace(replay=lambda: told.append("replays")),
    )  # fmt: skip
    monkeypatch.setattr("staf_backend.runtime.torch_device.torch.cuda", cuda)
    return told


class _OnSecond:
    """A tensor of the second GPU, as far as `Graphed` sees it."""

    shape, dtype, device = (2,), torch.float32, torch.device("cuda:1")

    def clone(self) -> "_OnSecond":
        return _OnSecond()

    def copy_(self, _other: "_OnSecond", *, non_blocking: bool) -> None:
        assert non_blocking


def test_a_graph_is_captured_on_its_tensors_device(recorded: list[str]) -> None:
    step = Graphed(lambda _x: recorded.append("runs"), enabled=True)
    one = _OnSecond()
    step(one)  # pyright: ignore[reportArgumentType]
    assert recorded == [
        "1 side waits for 1 main", *["runs"] * 3, "1 main waits for 1 side",
        "captures 1 side into (0, 0)", "runs", "replays",
    ]  # fmt: skip
    step(one)  # pyright: ignore[reportArgumentType]
    assert recorded[8:] == ["replays"]


def test_graphs_that_were_forgotten_leave_their_memory_behind(recorded: list[str]) -> None:
    step = Graphed(lambda _x: None, enabled=True)
    for _ in range(2):
        step(_OnSecond())  # pyright: ignore[reportArgumentType]
        step.forget()
    captures = [words for words in recorded if words.startswith("captures")]
    assert captures == ["captures 1 side into (0, 0)", "captures 1 side into (0, 1)"]
