"""CUDA graphs without a GPU: what is captured, where, and when again."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from types import SimpleNamespace

import pytest
import torch

from staf_backend.devices import Graphed, row_class


def test_a_disabled_graph_is_the_function_itself() -> None:
    double = Graphed(lambda x: (2 * x,), enabled=False, most=4)
    torch.testing.assert_close(double(torch.ones(3))[0], torch.full((3,), 2.0))


@pytest.mark.parametrize(
    ("most", "classes"),
    [(1, [1]), (8, [1, 2, 3, 4, 6, 8]), (10, [1, 2, 3, 4, 6, 8, 10]), (12, [1, 2, 3, 4, 6, 8, 12])],
)
def test_few_classes_of_rows_waste_no_more_than_a_third(most: int, classes: list[int]) -> None:
    counts = range(1, most + 1)
    assert sorted({row_class(count, most) for count in counts}) == classes
    assert all(count <= row_class(count, most) <= count * 4 / 3 for count in counts)


def test_more_rows_than_were_said_have_a_class_too() -> None:
    assert row_class(9, 8) == 12


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """PyTorch's CUDA graphs as far as `Graphed` sees them; says what was done, and where."""
    done, current = [], ["0 main"]

    class Stream:
        def __init__(self, name: str = "") -> None:
            self.name = name or f"{current[-1][0]} side"

        def wait_stream(self, other: "Stream") -> None:
            done.append(f"{self.name} waits for {other.name}")

    @contextmanager
    def stream(new: Stream) -> Iterator[None]:
        current.append(new.name)
        yield
        current.pop()

    @contextmanager
    def graph(_graph: object, pool: object, stream: Stream) -> Iterator[None]:
        done.append(f"captures {stream.name} into {pool}")
        current.append(stream.name)
        yield
        current.pop()

    pools = count()
    cuda = SimpleNamespace(
        Stream=Stream,
        stream=stream,
        graph=graph,
        graph_pool_handle=lambda: (0, next(pools)),
        current_stream=lambda on=None: Stream(f"{on.index} main" if on else current[-1]),
        CUDAGraph=lambda: SimpleNamespace(replay=lambda: done.append("replays")),
    )
    monkeypatch.setattr("staf_backend.devices.graphs.torch.cuda", cuda)
    return done


class _OnSecond:
    """A tensor of the second GPU, as far as `Graphed` sees it."""

    shape, dtype, device = (2,), torch.float32, torch.device("cuda:1")

    def __len__(self) -> int:
        return 2

    def __getitem__(self, rows: slice) -> "_OnSecond":
        assert rows == slice(None, 2)
        return self

    def new_zeros(self, *_shape: int) -> "_OnSecond":
        return _OnSecond()

    def copy_(self, _other: "_OnSecond", *, non_blocking: bool = False) -> None:
        """Nothing to copy."""


def test_a_graph_is_captured_on_its_tensors_device(recorded: list[str]) -> None:
    step = Graphed(lambda x: (recorded.append("runs"), (x,))[1], enabled=True, most=2)
    one = _OnSecond()
    step(one)  # pyright: ignore[reportArgumentType]
    assert recorded == [
        "1 side waits for 1 main",
        *["runs"] * 3,
        "1 main waits for 1 side",
        "captures 1 side into (0, 0)",
        "runs",
        "replays",
    ]
    step(one)  # pyright: ignore[reportArgumentType]
    assert recorded[8:] == ["replays"]


def test_graphs_that_were_forgotten_leave_their_memory_behind(recorded: list[str]) -> None:
    step = Graphed(lambda x: (x,), enabled=True, most=2)
    for _ in range(2):
        step(_OnSecond())  # pyright: ignore[reportArgumentType]
        step.forget()
    captures = [words for words in recorded if words.startswith("captures")]
    assert captures == ["captures 1 side into (0, 0)", "captures 1 side into (0, 1)"]
