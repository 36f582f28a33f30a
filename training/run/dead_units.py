"""Which stages still see: the share of their point features that are not zero.

A stage's features end in a ReLU of five channels at each point.  At too high a rate all of them can
fall below zero for every picture; the stage then passes on the parameters of the one before it and
gets no gradient any more, and nothing in the losses tells it.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from staf_backend.staf.sampling import PointMlp

_log = logging.getLogger(__name__)

FAINT = 0.01
"""Below this share a stage counts as dead.  Stages that learn have 0.03 to 0.5."""


class FeatureCounts:
    """Counts the features of each stage, first stage first, as batches pass."""

    def __init__(self, stages: int) -> None:
        self.living, self.seen = [0] * stages, [0] * stages

    def add(self, stage: int, features: Tensor) -> None:
        """Features of a stage, of any shape."""
        self.living[stage] += int(torch.count_nonzero(features))
        self.seen[stage] += features.numel()

    def shares(self) -> dict[str, float]:
        """Shares from 0 to 1 by name, "living_1" and so on; none for a network without stages.

        Dead stages are also told in the log.
        """
        counts = enumerate(zip(self.living, self.seen, strict=True), 1)
        shares = {stage: living / max(seen, 1) for stage, (living, seen) in counts}
        for stage, share in shares.items():
            if share < FAINT:
                words = "stage %d passes nothing on: %.2g of its features live; lower the rate"
                _log.warning(words, stage, share)
        return {f"living_{stage}": share for stage, share in shares.items()}


@contextmanager
def watched(network: nn.Module) -> Iterator[FeatureCounts]:
    """Counts what a network's stages see inside the block, which runs without compiled code."""
    stages = [module for module in network.modules() if isinstance(module, PointMlp)]
    counts = FeatureCounts(len(stages))

    hooks = [
        module.register_forward_hook(_counter(counts, stage)) for stage, module in enumerate(stages)
    ]
    try:
        with torch.compiler.set_stance("force_eager"):  # compiled code passes hooks by
            yield counts
    finally:
        for hook in hooks:
            hook.remove()


def _counter(counts: FeatureCounts, stage: int) -> Callable[[nn.Module, Any, Tensor], None]:
    def count(_module: nn.Module, _inputs: Any, features: Tensor) -> None:
        counts.add(stage, features)

    return count
