"""Train the appearance network's head on drawn looks, and export it.

    python -m training.appearance.train looks --minutes 30 --out appearance.onnx

Tells every two minutes how well the people of clips that it is not trained on are told apart.
Parts that are drawn meanwhile are taken in.
"""

import argparse
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from training.appearance.export import export
from training.appearance.network import Head
from training.appearance.store import Looks
from training.command import command_line

_CLIPS = 3
"""In a batch.  Chosen: 144 looks at 18 people."""
_RATE, _DECAY, _WARM_UP = 3e-3, 0.05, 0.03
"""AdamW's highest rate and weight decay; share of the time until the highest.  Chosen."""
_AVERAGED = 0.995
"""Decay of the averaged weights at last.  Chosen."""
_ALIKE, _SAME_SLOPE, _OTHER_SLOPE = 0.5, 4.0, 16.0
"""The cosine between one person and another; how steep the costs of both kinds of pairs are.
Chosen, as in the paper of `pair_loss`."""
_TELL_S = 120.0


def pair_loss(vectors: Tensor, people: Tensor) -> Tensor:
    """Cost of looks at one person that differ, and of two people's that are alike.

    The multi-similarity loss (Wang et al. 2019, equation 16) on all pairs.

    Args:
        vectors: (N, 128) of unit length.
        people: (N,) whose.
    """
    alike = vectors @ vectors.T
    same = people[:, None] == people
    itself = torch.eye(len(people), dtype=torch.bool)
    never = torch.full_like(alike, -1e9)
    one = torch.zeros(len(people), 1)
    pull = torch.where(same & ~itself, _SAME_SLOPE * (_ALIKE - alike), never)
    push = torch.where(same, never, _OTHER_SLOPE * (alike - _ALIKE))
    near = torch.logsumexp(torch.cat([pull, one], 1), 1) / _SAME_SLOPE
    far = torch.logsumexp(torch.cat([push, one], 1), 1) / _OTHER_SLOPE
    return (near + far).mean()


def told_apart(head: Callable[[Tensor], Tensor], clips: np.ndarray) -> float:
    """Chance that two looks at one person are more alike than at two people of the same clip.

    Args:
        head: of the network.
        clips: (clips, people, looks, 16, 8, 151).
    """
    right, wrong = [], []
    for clip in clips:
        with torch.no_grad():
            vectors = head(torch.from_numpy(clip.astype(np.float32)).flatten(0, 1)).numpy()
        people = np.repeat(np.arange(len(clip)), clip.shape[1])
        one, other = np.triu_indices(len(people), 1)
        alike = (vectors[one] * vectors[other]).sum(-1)
        same = people[one] == people[other]
        right.append(alike[same])
        wrong.append(alike[~same])
    low = np.sort(np.concatenate(wrong))
    return float(np.searchsorted(low, np.concatenate(right)).mean() / len(low))


def train(folder: Path, minutes: float, seed: int = 0) -> Head:
    """The averaged head after training for a time.

    Raises:
        OutputError: there are too few looks.
    """
    torch.manual_seed(seed)
    looks, head = Looks(folder, np.random.default_rng(seed)), Head()
    averaged = deepcopy(head).eval()
    optimizer = torch.optim.AdamW(head.parameters(), _RATE, weight_decay=_DECAY)
    parts, step, told = looks.refresh(), 0, 0.0
    began = time.monotonic()
    while (spent := time.monotonic() - began) < 60 * minutes:
        _set_rate(optimizer, spent / (60 * minutes))
        found, people = looks.batch(_CLIPS)
        cost = pair_loss(head(found), people)
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()
        _average(averaged, head, step)
        step += 1
        if spent - told > _TELL_S:
            told, parts = spent, looks.refresh()
            apart = told_apart(averaged, looks.held_out())
            print(f"{spent:5.0f} s, {step} steps, {parts} parts, AUC {apart:.4f}", flush=True)
    print(f"{step} steps, AUC {told_apart(averaged, looks.held_out()):.4f}", flush=True)
    return averaged


def _set_rate(optimizer: torch.optim.Optimizer, share: float) -> None:
    """Up in a line, down in half a cosine."""
    for group in optimizer.param_groups:
        group["lr"] = _RATE * min(share / _WARM_UP, 1) * 0.5 * (1 + np.cos(np.pi * share))


@torch.no_grad()
def _average(averaged: nn.Module, head: nn.Module, step: int) -> None:
    """Move the averaged weights towards those of now."""
    share = 1 - min(_AVERAGED, (2 + step) / (11 + step))
    for old, new in zip(averaged.state_dict().values(), head.state_dict().values(), strict=True):
        if old.dtype.is_floating_point:
            old.lerp_(new, share)
        else:
            old.copy_(new)


def arguments() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = argparse.ArgumentParser(
        prog="python -m training.appearance.train", description=__doc__
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("looks", type=Path, help="folder that training.appearance.draw wrote")
    parser.add_argument("--out", type=Path, required=True, help="the network, .onnx")
    parser.add_argument("--minutes", type=float, default=30.0, help="how long")
    parser.add_argument("--threads", type=int, default=1, help="of the processor")
    parser.add_argument("--seed", type=int, default=0, help="where randomness begins")
    return parser


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    options = arguments().parse_args(argv)
    torch.set_num_threads(options.threads)
    export(train(options.looks, options.minutes, options.seed), options.out)
    print(f"{options.out}: {options.out.stat().st_size} bytes")


if __name__ == "__main__":
    sys.exit(command_line(main))
