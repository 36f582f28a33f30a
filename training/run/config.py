"""What a training run is made of: the paper's values as defaults, everything else an option.

`loop` says how long and how fast, the rest what is trained.  A run stores its configuration and
goes on only with the same.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import torch
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR, ReduceLROnPlateau

from staf_backend.staf import RESNET50, AnyConfig, StafConfig
from training.model import DenseConfig, LossConfig
from training.run.machine import Precision

Schedule = Literal["constant", "plateau", "onecycle", "cosine"]
PAPER_RATE = 5e-5
"""Learning rate of Adam in both stages (section IV-B of the paper)."""
DROPOUT = 0.5
"""Share of a regressor's hidden units that is left out (the released code; HMR's)."""
LAST_RATE = 0.005
"""What the cosine schedule ends at, as a share of the rate (chosen: small, but still learning)."""


@dataclass(frozen=True)
class LoopConfig:
    """How a network is trained.

    Attributes:
        seed: of initial weights, dropout, batches and their augmentation.
        epochs, iterations: the run is `epochs` times `iterations` steps; between epochs it
            validates.
        batch: samples a step, over all processes.
        learning_rate, weight_decay: Adam's.
        schedule: "plateau" multiplies the rate by `factor` when more than `patience` epochs have
            passed without a best; "onecycle" warms up and ends near zero (for runs much shorter
            than the paper's); "cosine" rises over `warm_up` steps and falls over the run, by steps
            or by the clock, whichever is nearer to its end; "constant".
        clip_norm: longest gradient; None for no limit, as the paper.
        precision: of the large layers.
        compiled: through torch.compile.
        save_every, report_every: steps.
        warm_up: steps of the cosine schedule's rise; None for none.
        budget_minutes: the run also ends after so much training; None for no such end.
    """

    seed: int = 0
    epochs: int = 45
    iterations: int = 500
    batch: int = 32
    learning_rate: float = PAPER_RATE
    weight_decay: float = 0.0
    schedule: Schedule = "constant"
    factor: float = 0.1
    patience: int = 5
    clip_norm: float | None = None
    precision: Precision = "float32"
    compiled: bool = False
    save_every: int = 500
    report_every: int = 50
    warm_up: int | None = None
    budget_minutes: float | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "iterations", "batch", "save_every", "report_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, not {getattr(self, name)!r}")
        if not 0 < self.learning_rate < float("inf") or self.weight_decay < 0:
            raise ValueError("learning_rate must be above 0 and weight_decay not below")
        if self.clip_norm is not None and self.clip_norm <= 0:
            raise ValueError(f"clip_norm must be above 0, not {self.clip_norm!r}")
        if not 0 < self.factor < 1 or self.patience < 0 or self.seed < 0:
            raise ValueError("factor must be within 0..1, patience and seed not below 0")
        if (self.warm_up or 1) < 1 or (self.budget_minutes or 1) <= 0:
            raise ValueError("warm_up and budget_minutes must be above 0")
        if self.schedule == "onecycle" and self.steps < 4:
            raise ValueError("schedule onecycle needs four steps or more")
        for name, words in (("schedule", get_args(Schedule)), ("precision", get_args(Precision))):
            if getattr(self, name) not in words:
                raise ValueError(f"{name} must be one of {', '.join(words)}")

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole run."""
        return self.epochs * self.iterations

    def adam(self, groups: Iterable[dict[str, Any]]) -> torch.optim.Optimizer:
        """The paper's optimiser, of groups with "params" and possibly an "lr" of their own."""
        return torch.optim.Adam(groups, self.learning_rate, weight_decay=self.weight_decay)

    def make_schedule(
        self, optimiser: torch.optim.Optimizer
    ) -> LRScheduler | ReduceLROnPlateau | None:
        """PyTorch's schedule of that name for an optimiser's groups; None where it has none."""
        if self.schedule == "plateau":
            return ReduceLROnPlateau(optimiser, "min", self.factor, self.patience)
        if self.schedule == "onecycle":
            highest = [group["lr"] for group in optimiser.param_groups]
            warm = max(0.05, 2 / self.steps)
            return OneCycleLR(
                optimiser, highest, total_steps=self.steps, pct_start=warm, cycle_momentum=False
            )
        return None

    def cosine(self, step: int, share: float) -> float:
        """Factor on all rates after `step` steps, which are `share` 0..1 of the run."""
        warm = min(1.0, (step + 1) / (self.warm_up or 1))
        return warm * (0.5 + 0.5 * math.cos(math.pi * share) + LAST_RATE)


@dataclass(frozen=True)
class ImageStageConfig:
    """Stage 1: encoder and base network on single frames (section IV-B of the paper; PyMAF).

    Attributes:
        encoder: name, see `encoders`.
        encoder_weights: SHA-256 of the tensors that the encoder begins with.
        encoder_rate: the encoder's learning rate as a multiple of the rest's.
        channels: of the feature maps after the encoder.
        body: whose betas and mesh.
        begun_from: SHA-256 of the run's checkpoint that it begins with; empty for none.
        dropout: of the regressors.
        linear_start: whether the first regressor begins where `linear_start` puts it.
        losses: Eq. 11.
        dense: the auxiliary head; None for none.
        data: SPEC=SHARE of each source.
        validation: SPEC of the set that decides which state is best; empty for none.
        recipes: SHA-256 of the recipes of synthetic training and validation data.
    """

    loop: LoopConfig = field(default_factory=lambda: LoopConfig(epochs=175, batch=64))
    encoder: str = RESNET50
    encoder_weights: str = ""
    encoder_rate: float = 1.0
    channels: int = 256
    body: str = "open-neutral"
    begun_from: str = ""
    dropout: float = DROPOUT
    linear_start: bool = False
    losses: LossConfig = field(default_factory=LossConfig.paper_image)
    dense: DenseConfig | None = field(default_factory=DenseConfig)
    data: tuple[str, ...] = ()
    validation: str = ""
    recipes: tuple[str, str] = ("", "")

    def __post_init__(self) -> None:
        _check_dropout(self.dropout)
        if self.encoder_rate < 0:
            raise ValueError(f"encoder_rate must not be below 0, not {self.encoder_rate!r}")
        if self.linear_start and self.dropout:
            raise ValueError("a linear start needs dropout 0")

    @classmethod
    def coco(cls) -> "ImageStageConfig":
        """1a: COCO with EFT labels, 175 epochs, batch 64."""
        return cls()

    @classmethod
    def mixed(cls) -> "ImageStageConfig":
        """1b: from 1a, on half Human3.6M, a fifth MPI-INF-3DHP, the rest in the wild; 60 epochs."""
        return replace(cls(), loop=LoopConfig(epochs=60, batch=64))

    def network(self, map_channels: int) -> StafConfig:
        """The base network: one frame through the three stages, no fusion."""
        return StafConfig(
            frames=1,
            channels=self.channels,
            average_target=False,
            tcfm_stage=None,
            safm_stage=None,
            map_channels=map_channels,
        )


@dataclass(frozen=True)
class VideoStageConfig:
    """Stage 2: the whole network on feature maps of a frozen encoder.

    Attributes:
        network: what is trained, STAF or a row of Table V.
        body: whose betas and mesh.
        base: SHA-256 of the stage-1 checkpoint.
        share_2d: of the batch, from sets with 2D labels alone.
        stride: frames between the starts of a video's windows.
        dropout: of the regressors.
        fusion_gain: factor on what the fresh TCFM adds to features; far below 1 it begins by
            leaving the base model's features as they are.
        losses: Eq. 11; `LossConfig.released_video()` is what the released trainer computes.
        data_2d, data_3d, validation: names of the sets.
        recipes: SHA-256 of the recipes of synthetic training and validation data.
    """

    loop: LoopConfig = field(default_factory=lambda: LoopConfig(schedule="plateau"))
    network: AnyConfig = field(default_factory=StafConfig)
    body: str = "open-neutral"
    base: str = ""
    share_2d: float = 0.6
    stride: int = 9
    dropout: float = DROPOUT
    fusion_gain: float = 1.0
    losses: LossConfig = field(default_factory=LossConfig.paper_video)
    data_2d: tuple[str, ...] = ()
    data_3d: tuple[str, ...] = ()
    validation: str = ""
    recipes: tuple[str, str] = ("", "")

    def __post_init__(self) -> None:
        _check_dropout(self.dropout)
        if not 0 <= self.share_2d <= 1:
            raise ValueError(f"share_2d must be within 0..1, not {self.share_2d!r}")
        if self.stride < 1:
            raise ValueError(f"stride must be 1 or more, not {self.stride!r}")
        if not 0 < self.fusion_gain <= 1:
            raise ValueError(f"fusion_gain must be above 0, at most 1, not {self.fusion_gain!r}")


def _check_dropout(share: float) -> None:
    if not 0 <= share < 1:
        raise ValueError(f"dropout must be within 0..1, not {share!r}")
