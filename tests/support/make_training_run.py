"""A small run whose every step is known by its number, for tests and for processes they kill."""

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from training.run import LoopConfig, Machine, Progress, Run, checkpoints, train

LOOP = LoopConfig(
    epochs=4,
    iterations=5,
    batch=8,
    learning_rate=1e-2,
    schedule="plateau",
    patience=0,
    save_every=3,
    report_every=2,
)
CPU = Machine(torch.device("cpu"))


class Numbers(NamedTuple):
    """A batch: inputs (B, 3, 4, 4) and what is to come out (B, 2)."""

    inputs: Tensor
    wanted: Tensor


@dataclass(frozen=True)
class SmallConfig:
    """Configuration of the small run."""

    loop: LoopConfig = field(default_factory=lambda: LOOP)
    width: int = 6


class Small(nn.Module):
    """Convolution, batch norm, dropout, linear; the loss in two terms."""

    def __init__(self, width: int, dropout: float = 0.5) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.conv = nn.Conv2d(3, width, 3)
        self.norm = nn.BatchNorm2d(width)
        self.drop = nn.Dropout(dropout)
        self.out = nn.Linear(width, 2)

    def forward(self, batch: Numbers) -> dict[str, Tensor]:
        x = torch.relu(self.norm(self.conv(batch.inputs))).mean((2, 3))
        off = self.out(self.drop(x)) - batch.wanted
        squares, lengths = off.square().mean(), off.abs().mean()
        return {"squares": squares, "lengths": lengths, "total": squares + lengths}


def numbers(step: int, count: int = 8) -> Numbers:
    """The batch of a step."""
    rng = torch.Generator().manual_seed(1000 + step)
    inputs = torch.randn(count, 3, 4, 4, generator=rng)
    return Numbers(inputs, inputs.mean((2, 3))[:, :2])


def feed(first: int, last: int, bad: int = -1, killed: int = -1) -> Iterator[Numbers]:
    """Batches by number; `bad` holds a NaN, and before `killed` the process is killed."""
    for step in range(first, last):
        if step == killed:
            os.kill(os.getpid(), signal.SIGKILL)
        batch = numbers(step)
        if step == bad:
            batch.inputs[0, 0, 0, 0] = float("nan")
        yield batch


def small_run(folder: Path, *, loop: LoopConfig = LOOP, dropout: float = 0.5, **changes) -> Run:
    """The run, validated by a fixed batch; `changes` go to `Run` and to `feed`."""
    objective = Small(6, dropout)
    given = {name: changes.pop(name) for name in ("bad", "killed") if name in changes}

    def validate() -> dict[str, float]:
        return {"score": objective(numbers(-1))["total"].item()}

    run = Run(
        folder=folder,
        stage="image",
        config=SmallConfig(loop),
        objective=objective,
        optimisers=[loop.adam([{"params": list(objective.parameters())}])],
        feed=lambda first, last: feed(first, last, **given),
        machine=CPU,
        validate=validate,
        watch="score",
    )
    return replace(run, **changes)


def die_while_saving(at: int) -> None:
    """Makes the `at`-th save of this process its last act: killed with half of the file written."""
    save, count = checkpoints.save_file, 0

    def half(tensors, path, metadata):
        nonlocal count
        save(tensors, path, metadata)
        count += 1
        if count == at:
            os.truncate(path, Path(path).stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    checkpoints.save_file = half


def main(folder: str, what: str, number: str) -> Progress:
    """For a process of its own: "killed" before a step, or killed in a "save"."""
    torch.set_num_threads(1)
    if what == "save":
        die_while_saving(int(number))
        return train(small_run(Path(folder)))
    return train(small_run(Path(folder), killed=int(number)))


if __name__ == "__main__":
    main(*sys.argv[1:])
