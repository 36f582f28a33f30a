"""Teach the network of foot contacts: `foot_contacts.npz`.

    python -m training.contacts.train simulated.npz drawn.npz --shares 2 1 --out foot_contacts.npz

Lessons are those of `training.contacts.lessons` and `training.contacts.simulate`.  How much a file
counts does not depend on how many scenes it has: few drawn ones, in which the landmark network errs
as it does, and many simulated ones.  Every tenth scene of each is kept back and measured on.
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
from staf_backend.world.foot_contacts import MARGIN, SPACING, UNUSUAL, foot_network_of
from staf_backend.world.foot_features import FEATURES, features
from training.command import command_line
from training.contacts.lessons import Lesson, read_lessons
from training.model import TrainedDilated, dilated_arrays
from training.scoring.world_metrics import f1

WIDTH, STEPS, BATCH, RATE = 48, 2000, 48, 3e-3
"""Numbers inside, steps of AdamW, windows in each, and its largest rate.  Chosen."""
_WINDOW = 64
"""Frames of a window that are judged.  Chosen: two seconds, four steps of a walk."""
_DROPOUT, _DECAY, _JITTER = 0.15, 0.02, 0.05
"""Against learning by heart; the last is added to features in their deviations: anew each frame,
and twice that for a whole window.  Chosen."""
_TILTS, _TILT_RAD = 3, 0.2
"""How often each scene is seen tilted, and by how much at most: contacts are asked for before up
is known.  Chosen."""
_EVENER = 0.7
"""Power of a scene's length that is its odds.  Chosen."""
_KEPT_BACK = 10
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Seen:
    """A scene as the network sees it: features (N, 2, F), contacts (N, 4), and its odds."""

    numbers: np.ndarray
    contact: np.ndarray
    odds: float


def fresh() -> TrainedDilated:
    """A network that has learned nothing: logits of heel and toe."""
    return TrainedDilated(FEATURES, WIDTH, 2, SPACING, _DROPOUT)


def seen(lessons: Sequence[Lesson], share: float, rng: np.random.Generator) -> list[Seen]:
    """Scenes as they are and tilted.

    Args:
        lessons: of one file.
        share: sum of the odds.
        rng: where tilts come from.
    """
    found = []
    for lesson in lessons:
        odds = len(lesson.tracks) ** _EVENER
        found.append(Seen(features(lesson.tracks), lesson.contact, odds))
        for _ in range(_TILTS):
            way = rng.uniform(-np.pi, np.pi)
            tilt = rng.uniform(0, _TILT_RAD) * np.array([np.cos(way), 0.0, np.sin(way)])
            numbers = features(lesson.tracks.turned(tilt))
            found.append(Seen(numbers, lesson.contact, odds / _TILTS))
    total = sum(one.odds for one in found)
    return [Seen(one.numbers, one.contact, share * one.odds / total) for one in found]


def learned(scenes: Sequence[Seen], steps: int) -> tuple[TrainedDilated, np.ndarray, np.ndarray]:
    """A network taught by scenes, and the mean and deviation (F,) of their features."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    every = np.concatenate([scene.numbers.reshape(-1, FEATURES) for scene in scenes])
    mean, deviation = every.mean(0), every.std(0) + 1e-3
    network = fresh()
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for _ in range(steps):
        numbers, contact, known = _windows(scenes, mean, deviation, rng)
        logits = network(_disturbed(numbers))
        loss = nn.functional.binary_cross_entropy_with_logits(logits, contact, reduction="none")
        loss = (loss * known).sum() / known.sum() / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval(), mean, deviation


def _windows(
    scenes: Sequence[Seen], mean: np.ndarray, deviation: np.ndarray, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features (B, F, W + 2 `MARGIN`), contacts (B, 2, W), and which frames (B, 1, W) there are."""
    odds = np.array([scene.odds for scene in scenes])
    numbers, contact, known = [], [], []
    for index in rng.choice(len(scenes), BATCH, p=odds / odds.sum()):
        scene, side = scenes[index], int(rng.integers(2))
        count, spare = len(scene.contact), _WINDOW // 4
        first = rng.integers(-spare, max(count - _WINDOW + spare, -spare) + 1)
        rows = np.arange(first - MARGIN, first + _WINDOW + MARGIN)
        inside = rows.clip(0, count - 1)
        judged = slice(MARGIN, MARGIN + _WINDOW)
        numbers.append(((scene.numbers[inside, side] - mean) / deviation).T)
        contact.append(scene.contact[inside[judged], 2 * side : 2 * side + 2].T)
        known.append((rows == inside)[None, judged])
    arrays = (np.stack(one).astype(np.float32) for one in (numbers, contact, known))
    first, second, third = map(torch.from_numpy, arrays)
    return first, second, third


def _disturbed(numbers: torch.Tensor) -> torch.Tensor:
    steady = 2 * _JITTER * torch.randn(*numbers.shape[:2], 1)
    return (numbers + steady + _JITTER * torch.randn_like(numbers)).clamp(-UNUSUAL, UNUSUAL)


def arguments() -> argparse.ArgumentParser:
    """The options of this command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lessons", type=Path, nargs="+", help="files of lessons")
    parser.add_argument("--shares", type=float, nargs="+", help="of each file (alike)")
    parser.add_argument("--out", type=Path, required=True, help="the .npz file to write")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"of training ({STEPS})")
    return parser


def _measured(arrays: dict[str, np.ndarray], lessons: Sequence[Lesson]) -> str:
    """How right the network is on scenes that were kept back, each frame by itself."""
    network, scores = foot_network_of(arrays), []
    for lesson in lessons:
        numbers = features(lesson.tracks)
        rows = np.arange(-MARGIN, len(numbers) + MARGIN).clip(0, len(numbers) - 1)
        scores.append(f1(network(numbers[rows]) > 0.5, lesson.contact))
    return f"F1 of {len(scores)} scenes kept back: {np.nanmedian(scores):.3f} in the median"


def main() -> None:
    """Read lessons, learn and write."""
    parser = arguments()
    given = parser.parse_args()
    shares = given.shares or [1.0] * len(given.lessons)
    if len(shares) != len(given.lessons):
        parser.error("as many --shares as files of lessons")
    rng, scenes, held = np.random.default_rng(0), list[Seen](), list[Lesson]()
    for path, share in zip(given.lessons, shares, strict=True):
        lessons = read_lessons(path)
        held += lessons[::_KEPT_BACK]
        kept = [lesson for k, lesson in enumerate(lessons) if k % _KEPT_BACK]
        scenes += seen(kept, share, rng)
    arrays = dilated_arrays(*learned(scenes, given.steps))
    _log.info("%s", _measured(arrays, held))
    write_arrays(given.out, arrays)


if __name__ == "__main__":
    sys.exit(command_line(main))
