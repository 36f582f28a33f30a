"""How both lifters are trained: by two optimisers, with a running average of the weights.

The average is what is exported: it errs less than the weights of any single step.
"""

import copy
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from training.lifting.muon import Muon
from training.run import Feed, Machine, Progress, Run, RunError, Validate, train

Network = TypeVar("Network", bound=nn.Module)
CLIP_NORM = 1.0
"""Longest gradient (chosen: what transformers are usually trained with)."""
_SOON = 50
"""Steps after which the average keeps half of what it was (chosen: weights mean nothing before)."""
_ADAM_BETAS = (0.9, 0.98)
"""As Vaswani et al. 2017 have them for transformers."""


class Averaged(nn.Module, Generic[Network]):
    """An objective's network and its average; subclasses say what is lowered.

    Args:
        network: to be trained.
        kept: largest share of the average that is kept a step.
    """

    def __init__(self, network: Network, kept: float) -> None:
        super().__init__()
        self.network = network
        self.average = copy.deepcopy(network).requires_grad_(False)
        self._kept = kept

    @torch.no_grad()
    def follow(self, done: int) -> None:
        """Moves the average after `done` steps; quickly at first."""
        share = min(self._kept, done / (done + _SOON))
        for average, now in zip(self.average.parameters(), self.network.parameters(), strict=True):
            average.lerp_(now, 1 - share)

    def begin_from(self, path: Path, prefix: str = "") -> None:
        """Takes the weights of an earlier run, whose names begin with `prefix`.

        Raises:
            RunError: they cannot be read or belong to another network.
        """
        try:
            weights = {name.removeprefix(prefix): one for name, one in load_file(path).items()}
            self.network.load_state_dict(weights, strict=True)
            self.average.load_state_dict(weights, strict=True)
        except (OSError, SafetensorError, RuntimeError) as error:
            message = f"{path} cannot be begun from: {str(error).splitlines()[0]}"
            raise RunError(message, "Give the weights of a run with the same sizes.") from error


def optimisers(network: nn.Module, rate: float, decay: float) -> list[torch.optim.Optimizer]:
    """AdamW for all but the matrices inside the blocks, and Muon for those.

    At equal steps and nearly equal time Muon is 1.5 times as far along as AdamW alone (LOG.md).
    """
    inner = [p for name, p in network.named_parameters() if p.ndim == 2 and "blocks" in name]
    chosen = {id(p) for p in inner}
    outer = [p for p in network.parameters() if id(p) not in chosen]
    return [
        torch.optim.AdamW(outer, rate, _ADAM_BETAS, weight_decay=decay, fused=True),
        Muon(inner, rate, decay),
    ]


def train_averaged(
    objective: Averaged,
    config: Any,
    feed: Feed,
    folder: Path,
    *,
    stage: str,
    resume: bool,
    validate: Validate | None = None,
    watch: str = "",
) -> Progress:
    """Trains on the CPU, see `training.run.loop.train`; the objective then holds the last state.

    Args:
        objective: begun, and trained in place.
        config: with `loop`, a LoopConfig.
        feed: batches by step.
        folder: of the run.
        stage: what is trained.
        resume: go on with the run in the folder.
        validate: scores of the average.
        watch: the one by which the best state is kept beside the last.

    Raises:
        RunError, OutputError: see `training.run.loop.train`.
    """
    loop = config.loop
    progress = train(
        Run(
            folder=folder,
            stage=stage,
            config=config,
            objective=objective,
            optimisers=optimisers(objective.network, loop.learning_rate, loop.weight_decay),
            feed=feed,
            machine=Machine(torch.device("cpu")),
            validate=validate,
            watch=watch,
            after_step=objective.follow,
            resume=resume,
        )
    )
    objective.eval()
    return progress
