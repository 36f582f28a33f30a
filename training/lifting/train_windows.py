"""Train the lifting network: landmarks of a window to rotations, shape, up and contacts.

    python -m training.lifting.train_windows --mocap MOTION.npz --out FOLDER --minutes 45
    python -m training.lifting.train_windows --mocap MOTION.npz --out FOLDER --minutes 45 --resume
    python -m training.lifting.train_windows --mocap MOTION.npz --out FOLDER --evaluate

Motion capture, varied (`moves.variety`), is put before cameras (`moves.scenes`) and seen through a
landmark network's errors (`simulated.landmark_noise`); no image is used.  FOLDER is that of a run,
see `run.run_folder`; at the end it also holds `lift.onnx` for the product, `lift.safetensors` to
begin another run from, and `lift.json` with the configuration, the log and the numbers on held-out
subjects.
"""

import argparse
import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from staf_backend.files import sha256
from staf_backend.landmarks.features import features, rotations_to_person
from training.command import command_line
from training.lifting import evaluation
from training.lifting.averaged import CLIP_NORM, Averaged, train_averaged
from training.lifting.losses import Shape, Weights, WindowTruth, weighted_losses, window_truth
from training.lifting.network import LiftNetwork, Size, export
from training.lifting.options import lifting_parser
from training.moves import (
    HELD_OUT,
    Cameras,
    Clip,
    Figure,
    Sampler,
    Variety,
    figure_of,
    open_clips,
    place,
    split,
    vary,
)
from training.run import LoopConfig, RunError, reports, write_json
from training.simulated.landmark_noise import Noise, as_cropped, observe

_log = logging.getLogger(__name__)
STAGE = "window lifter"
PRECISIONS = ("bfloat16", "float32")
_REPORT_EVERY = 200
"""Steps between reports and saves (chosen: a minute of one core, LOG.md)."""
_WARM_UP = 200
"""Steps in which the rate rises (chosen: a hundredth of the longest run)."""


@dataclass(frozen=True)
class WindowLifterConfig:
    """Everything a training run depends on, beside the motion.

    Attributes:
        seed: of weights and of all draws.
        steps: optimiser steps.
        minutes: the run also ends after this long; the learning rate follows whichever is nearer.
        batch: windows a step.
        learning_rate, weight_decay: of both optimisers; the rate falls as a cosine.
        averaging: share of the running average of the weights that is kept a step.
        no_world: chance that a window shows no world points (what "2D only" learns from).
        held_out: subjects that are not trained on.
        body: whose joints, markers and betas.
        precision: of the network's products, "bfloat16" or "float32".
        begun_from: SHA-256 of the weights that the run began from; empty for fresh ones.
    """

    seed: int = 0
    steps: int = 20_000
    minutes: float = 45.0
    batch: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    averaging: float = 0.999
    no_world: float = 0.2
    held_out: tuple[str, ...] = HELD_OUT
    body: str = "open-neutral"
    precision: str = "bfloat16"
    begun_from: str = ""
    size: Size = field(default_factory=Size)
    variety: Variety = field(default_factory=Variety)
    cameras: Cameras = field(default_factory=Cameras)
    noise: Noise = field(default_factory=Noise)
    weights: Weights = field(default_factory=Weights)

    def __post_init__(self) -> None:
        for name in ("steps", "minutes", "batch", "learning_rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision must be one of {PRECISIONS}, got {self.precision!r}")

    @property
    def loop(self) -> LoopConfig:
        """How it is trained; there is no validation between the beginning and the end."""
        return LoopConfig(
            seed=self.seed,
            epochs=1,
            iterations=self.steps,
            batch=self.batch,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            schedule="cosine",
            warm_up=_WARM_UP,
            clip_norm=CLIP_NORM,
            budget_minutes=self.minutes,
            save_every=_REPORT_EVERY,
            report_every=_REPORT_EVERY,
        )


class WindowLifterBatch(NamedTuple):
    """What a step learns from: input features (N, W, 196) and the truth."""

    features: Tensor
    truth: WindowTruth


def draw_batch(
    sampler: Sampler, figure: Figure, config: WindowLifterConfig, step: int
) -> WindowLifterBatch:
    """The windows of a step; no two steps have the same."""
    rng = np.random.default_rng([config.seed, step])
    moves = vary(sampler.draw(config.batch, rng), sampler, config.variety, rng)
    scenes = place(moves, figure, config.cameras, rng)
    windows = as_cropped(observe(scenes, config.noise, config.cameras.focal_error, rng))
    with_world = rng.random(config.batch) >= config.no_world
    turn = rotations_to_person(windows)
    inputs = torch.from_numpy(features(windows, turn, with_world))
    return WindowLifterBatch(inputs, window_truth(scenes, turn, np.any(windows.observed, -1)))


class WindowObjective(Averaged[LiftNetwork]):
    """Windows of landmarks to the losses of what the network makes of them."""

    def __init__(self, figure: Figure, config: WindowLifterConfig) -> None:
        torch.manual_seed(config.seed)
        super().__init__(LiftNetwork(config.size), config.averaging)
        self._shape, self._weights = Shape(figure), config.weights
        self._half = config.precision == "bfloat16"

    def forward(self, batch: WindowLifterBatch) -> dict[str, Tensor]:
        """The weighted losses, and "total", their sum."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self._half):
            lifting = self.network(batch.features)
        parts = weighted_losses(lifting, batch.truth, self._shape, self._weights)
        return {**parts, "total": torch.stack(list(parts.values())).sum()}


def train_windows(
    clips: list[Clip],
    objective: WindowObjective,
    figure: Figure,
    config: WindowLifterConfig,
    folder: Path,
    *,
    resume: bool = False,
) -> int:
    """Trains an objective in place, in the folder of a run; the steps done."""
    sampler = Sampler(clips)

    def feed(first: int, last: int) -> Iterator[WindowLifterBatch]:
        return (draw_batch(sampler, figure, config, step) for step in range(first, last))

    return train_averaged(objective, config, feed, folder, stage=STAGE, resume=resume).step


def train(
    mocap: list[Path],
    out: Path,
    config: WindowLifterConfig,
    begin: Path | None = None,
    *,
    resume: bool = False,
) -> Path:
    """Train, export, evaluate; returns the path of the network.

    Args:
        mocap: files of motion capture, see `mocap`.
        out: folder of the run, made where missing.
        config: of the run; its `begun_from` is filled in.
        begin: a `lift.safetensors` to begin from; the report beside it becomes part of the new one.
        resume: go on with the run in `out`.

    Raises:
        MocapError: the motion cannot be read.
        RunError, OutputError: the weights to begin from do not fit; or see
            `training.run.loop.train`.
    """
    figure = figure_of(config.body)
    clips, held = split(open_clips(mocap, figure), config.held_out)
    objective = WindowObjective(figure, config)
    if begin is not None:
        objective.begin_from(begin)
        config = replace(config, begun_from=sha256(begin))
    steps = train_windows(clips, objective, figure, config, out, resume=resume)
    network = out / "lift.onnx"
    save_file(objective.average.state_dict(), out / "lift.safetensors")
    export(objective.average, network)
    report = {
        "config": asdict(config),
        "data": {"clips": [clip.name for clip in clips], "held_out": [clip.name for clip in held]},
        "steps": steps,
        "held_out": evaluation.evaluate(network, held, figure),
        "log": [_summary(entry) for entry in reports(out)],
    }
    if begin is not None and begin.with_suffix(".json").exists():
        report["before"] = json.loads(begin.with_suffix(".json").read_text(encoding="utf-8"))
    write_json(out / "lift.json", report)
    return network


def _summary(entry: dict[str, Any]) -> dict[str, float]:
    """A report of the run in a line."""
    numbers = {"step": entry["step"], **entry["losses"]}
    return {name: round(value, 4) for name, value in numbers.items()}


def evaluate_again(mocap: list[Path], out: Path) -> None:
    """Renew the held-out numbers in the report of a finished run.

    Raises:
        MocapError: the motion cannot be read.
        RunError: there is no report, or it is not one.
    """
    path = out / "lift.json"
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        held_out, body = report["config"]["held_out"], report["config"]["body"]
    except (OSError, ValueError, KeyError) as error:
        advice = "Train first: python -m training.lifting.train_windows without --evaluate."
        raise RunError(f"{path} is not the report of a run: {error}.", advice) from error
    figure = figure_of(body)
    _, held = split(open_clips(mocap, figure), tuple(held_out))
    report["held_out"] = evaluation.evaluate(out / "lift.onnx", held, figure)
    write_json(path, report)
    _log.info(json.dumps(report["held_out"], indent=1))


def arguments() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = lifting_parser(
        "train_windows",
        __doc__,
        steps=WindowLifterConfig.steps,
        seed=WindowLifterConfig.seed,
        rate=WindowLifterConfig.learning_rate,
    )
    parser.add_argument("--minutes", type=float, default=WindowLifterConfig.minutes)
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default=WindowLifterConfig.precision,
        help="of products; float32 is faster on processors without AVX-512 BF16",
    )
    parser.add_argument("--evaluate", action="store_true", help="renew the numbers in lift.json")
    return parser


def main(words: list[str] | None = None) -> None:
    """The command line."""
    options = arguments().parse_args(words)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    if options.evaluate:
        evaluate_again(options.mocap, options.out)
        return
    config = WindowLifterConfig(
        options.seed,
        options.steps,
        options.minutes,
        learning_rate=options.rate,
        precision=options.precision,
    )
    train(options.mocap, options.out, config, options.begin, resume=options.resume)


if __name__ == "__main__":
    sys.exit(command_line(main))
