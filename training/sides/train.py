"""Teach the network of sides: `sides.npz`.

    python -m training.sides.train drawn.npz simulated.npz --shares 3 2 --out sides.npz

Lessons are those of `training.sides.lessons` and `training.sides.simulate`.  How much a file counts
does not depend on how many lessons it has.  Every sixth lesson of the first file is kept back and
measured on, as it was read.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from staf_backend.files import write_arrays
from staf_backend.landmarks.sides_network import (
    MARGIN,
    SPACING,
    Read,
    features,
    sides_network_of,
)
from training.command import command_line
from training.model import TrainedDilated, dilated_arrays
from training.sides.exchanges import JUDGED, disturbed, read_of, truth_of
from training.sides.lessons import Lesson, read_lessons

WIDTH, STEPS, BATCH, RATE = 96, 3000, 24, 2e-3
"""Numbers inside, steps of AdamW, windows in each, and its largest rate.  Chosen."""
_WINDOW = 96
"""Frames of a window that are judged.  Chosen: three seconds."""
_DROPOUT, _DECAY = 0.15, 0.03
"""Against learning by heart.  Chosen."""
_EVENER, _EXCHANGED = 0.7, 20.0
"""Power of a lesson's length that is its odds, and how much more often one is drawn of which all
was read exchanged.  Chosen."""
_FEW_FRAMES, _FEW_STEP = 0.2, 2
"""Chance of a window of which only every second frame was read.  Chosen: 15 frames a second."""
_KEPT_BACK = 6
_FIRST_LOOKS = 60
"""Windows by which features are brought to mean 0 and deviation 1.  Chosen."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Taught:
    """A lesson, what the network sees of it, and its odds."""

    lesson: Lesson
    read: Read
    odds: float


def fresh(count: int) -> TrainedDilated:
    """A network that has learned nothing, of so many features."""
    return TrainedDilated(count, WIDTH, len(JUDGED), SPACING, _DROPOUT, dense=2)


def taught(lessons: Sequence[Lesson], share: float) -> list[Taught]:
    """Lessons of one file, whose odds sum to `share`."""
    found = []
    for lesson in lessons:
        read = read_of(lesson)
        exchanged = truth_of(lesson, read)
        often = 1 + _EXCHANGED * (exchanged.exchanged & (exchanged.weight > 0.5)).mean()
        found.append(Taught(lesson, read, len(lesson.times_s) ** _EVENER * often))
    total = sum(one.odds for one in found)
    return [Taught(one.lesson, one.read, share * one.odds / total) for one in found]


def window(one: Taught, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (`_WINDOW` + 2 `MARGIN`, F), and (`_WINDOW`, 3) exchanged and weights."""
    step = _FEW_STEP if rng.random() < _FEW_FRAMES else 1
    every = np.arange(int(rng.integers(step)), len(one.lesson.times_s), step)
    first = int(rng.integers(max(len(every) - _WINDOW, 0) + 1))
    judged = np.arange(first, first + _WINDOW)
    begin, end = max(first - MARGIN, 0), min(first + _WINDOW + MARGIN, len(every))
    sample = disturbed(one.lesson, one.read, every[begin:end], rng)
    wanted = np.arange(first - MARGIN, first + _WINDOW + MARGIN).clip(begin, end - 1) - begin
    inside = judged.clip(max=end - 1) - begin
    weight = np.where((judged < end)[:, None], sample.weight[inside], 0)
    return features(sample.read)[wanted], sample.exchanged[inside], weight


def learned(lessons: Sequence[Taught], steps: int, seed: int) -> dict[str, np.ndarray]:
    """The arrays of a network that learned from lessons, as `sides_network_of` reads them."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    odds = np.array([one.odds for one in lessons])
    odds /= odds.sum()
    draw = lambda count: [window(lessons[k], rng) for k in rng.choice(len(odds), count, p=odds)]
    looks = np.concatenate([numbers for numbers, _, _ in draw(_FIRST_LOOKS)])
    mean, deviation = looks.mean(0), looks.std(0) + 0.05
    network = fresh(looks.shape[1])
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, steps)
    network.train()
    for step in range(1, steps + 1):
        numbers, exchanged, weight = (np.stack(part) for part in zip(*draw(BATCH), strict=True))
        loss = _step(network, (numbers - mean) / deviation, exchanged, weight)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            _log.info("step %d: loss %.4f", step, loss.item())
    return dilated_arrays(network.eval(), mean, deviation)


def _step(
    network: nn.Module, numbers: np.ndarray, exchanged: np.ndarray, weight: np.ndarray
) -> torch.Tensor:
    logits = network(torch.from_numpy(numbers.astype(np.float32)).transpose(1, 2)).transpose(1, 2)
    weights = torch.from_numpy(weight.astype(np.float32))
    target = torch.from_numpy(exchanged.astype(np.float32))
    each = nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (each * weights).sum() / weights.sum()


def measured(arrays: dict[str, np.ndarray], lessons: Sequence[Lesson]) -> str:
    """How often clear sides are told wrong, as read and by the network."""
    network, counts = sides_network_of(arrays), np.zeros((3, len(JUDGED)), int)
    for lesson in lessons:
        read = read_of(lesson)
        truth = truth_of(lesson, read)
        rows = np.arange(-MARGIN, len(lesson.times_s) + MARGIN).clip(0, len(lesson.times_s) - 1)
        said = network(features(read)[rows]) > 0
        clear = truth.weight == 1
        known = clear, truth.exchanged & clear, (said != truth.exchanged) & clear
        counts += np.array([one.sum(0) for one in known])
    told = (f"{n} of {c} (read {r})" for c, r, n in counts.T)
    return ", ".join(f"{limb} {words}" for limb, words in zip(JUDGED, told, strict=True))


def arguments() -> argparse.ArgumentParser:
    """The options of this command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("lessons", type=Path, nargs="+", help="files of lessons, drawn ones first")
    parser.add_argument("--shares", type=float, nargs="+", help="of each file (alike)")
    parser.add_argument("--out", type=Path, required=True, help="the .npz file to write")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"of training ({STEPS})")
    parser.add_argument("--seed", type=int, default=0, help="of its randomness (0)")
    return parser


def main() -> None:
    """Read lessons, learn and write."""
    parser = arguments()
    given = parser.parse_args()
    shares = given.shares or [1.0] * len(given.lessons)
    if len(shares) != len(given.lessons):
        parser.error("as many --shares as files of lessons")
    files = [read_lessons(path) for path in given.lessons]
    held = files[0][::_KEPT_BACK]
    files[0] = [lesson for k, lesson in enumerate(files[0]) if k % _KEPT_BACK]
    lessons = [
        one for file, share in zip(files, shares, strict=True) for one in taught(file, share)
    ]
    arrays = learned(lessons, given.steps, given.seed)
    _log.info("Told wrong of what was kept back: %s", measured(arrays, held))
    write_arrays(given.out, arrays)


if __name__ == "__main__":
    sys.exit(command_line(main))
