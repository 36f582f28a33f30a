"""Train the lifting network: landmarks of a window to rotations, shape, up and contacts.

    python -m training.lifting.train_windows --mocap MOTION.npz --out FOLDER --minutes 45
    python -m training.lifting.train_windows --mocap MOTION.npz --out FOLDER --evaluate

Motion capture, varied (`moves.variety`), is put before cameras (`moves.scenes`) and seen through a
landmark network's errors (`landmark_noise`); no image is used.  Beside `lift.onnx` a `lift.json`
tells the configuration, the seed, the log and the numbers on held-out subjects.
"""

import argparse
import copy
import json
import logging
import math
import sys
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from staf_backend import StafError
from staf_backend.assets import sha256
from staf_backend.landmarks.windows import features, turns
from training.command import command_line
from training.lifting import evaluation
from training.lifting.losses import Shape, Targets, Weights, losses, targets
from training.lifting.network import LiftNetwork, Size, export
from training.moves.mocap import Clip, Sampler, split
from training.moves.scenes import Cameras, Figure, figure_of, open_clips, place
from training.moves.variety import Variety, vary
from training.simulated.landmark_noise import Noise, observe

_log = logging.getLogger(__name__)
_REPORT_EVERY = 200
_WARM_UP = 200


class TrainingError(StafError):
    """A run's folder does not hold what it should."""

    kind = "training"
    exit_code = 6


@dataclass(frozen=True)
class Config:
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
    held_out: tuple[str, ...] = ("03", "07", "10", "12")
    body: str = "open-neutral"
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


@dataclass(frozen=True)
class Batch:
    """What a step learns from: input features (N, W, 196) and the truth."""

    features: Tensor
    truth: Targets


def draw_batch(sampler: Sampler, figure: Figure, config: Config, rng: np.random.Generator) -> Batch:
    """New windows: nobody ever sees the same one twice."""
    moves = vary(sampler.draw(config.batch, rng), sampler, config.variety, rng)
    scenes = place(moves, figure, config.cameras, rng)
    windows = observe(scenes, config.noise, config.cameras.focal_error, rng)
    with_world = rng.random(config.batch) >= config.no_world
    turn = turns(windows)
    seen = windows.observed.any(-1)
    inputs = torch.from_numpy(features(windows, turn, with_world))
    return Batch(inputs, targets(scenes, turn, seen))


class Training:
    """A run: the network, its running average, the optimisers and the motion."""

    def __init__(self, clips: list[Clip], figure: Figure, config: Config) -> None:
        torch.manual_seed(config.seed)
        self.config, self.figure = config, figure
        self.rng = np.random.default_rng(config.seed)
        self.sampler, self.shape = Sampler(clips), Shape(figure)
        self.network = LiftNetwork(config.size)
        self.average = copy.deepcopy(self.network).eval()
        self.optimizers = optimizers(self.network, config.learning_rate, config.weight_decay)
        self.done = 0

    def begin_from(self, path: Path) -> None:
        """Take the weights of an earlier run.

        Raises:
            TrainingError: they cannot be read or belong to another network.
        """
        try:
            weights = load_file(path)
            self.network.load_state_dict(weights, strict=True)
            self.average.load_state_dict(weights, strict=True)
        except (OSError, SafetensorError, RuntimeError) as error:
            advice = "Give the lift.safetensors of a run with the same size."
            message = f"{path} cannot be begun from: {str(error).splitlines()[0]}"
            raise TrainingError(message, advice) from error

    def step(self, progress: float) -> dict[str, float]:
        """One optimiser step at `progress` 0..1 of the schedule; the losses."""
        batch = draw_batch(self.sampler, self.figure, self.config, self.rng)
        for optimizer in self.optimizers:
            optimizer.zero_grad()
            optimizer.param_groups[0]["lr"] = self._rate(progress)
        with torch.autocast("cpu", torch.bfloat16):
            lifting = self.network(batch.features)
        parts = losses(lifting, batch.truth, self.shape, self.config.weights)
        torch.stack(list(parts.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        self.done += 1
        self._follow()
        return {name: float(value.detach()) for name, value in parts.items()}

    def _rate(self, progress: float) -> float:
        warm = min(1.0, (self.done + 1) / _WARM_UP)
        return self.config.learning_rate * warm * (0.5 + 0.5 * math.cos(math.pi * progress) + 0.005)

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the running average; quickly at first, when the weights still mean nothing."""
        share = min(self.config.averaging, self.done / (self.done + 50))
        for average, now in zip(self.average.parameters(), self.network.parameters(), strict=True):
            average.lerp_(now, 1 - share)

    def run(self) -> list[dict[str, float]]:
        """Train to the end; the log, one entry every 200 steps."""
        log: list[dict[str, float]] = []
        recent: list[dict[str, float]] = []
        begun, progress = time.monotonic(), 0.0
        while progress < 1:
            recent.append(self.step(progress))
            minutes = (time.monotonic() - begun) / 60
            progress = max(self.done / self.config.steps, minutes / self.config.minutes)
            if self.done % _REPORT_EVERY == 0 or progress >= 1:
                log.append(_summary(recent, self.done, minutes))
                recent.clear()
                _log.info("%s", json.dumps(log[-1]))
        return log


def optimizers(network: torch.nn.Module, rate: float, decay: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the blocks, AdamW for all else.

    At equal steps and nearly equal time Muon is 1.5 times as far along as AdamW alone (LOG.md).
    """
    inner = [p for name, p in network.named_parameters() if p.ndim == 2 and "blocks" in name]
    chosen = {id(p) for p in inner}
    outer = [p for p in network.parameters() if id(p) not in chosen]
    return [
        torch.optim.AdamW(outer, rate, (0.9, 0.98), weight_decay=decay, fused=True),
        torch.optim.Muon(inner, rate, decay, adjust_lr_fn="match_rms_adamw"),
    ]


def _summary(recent: list[dict[str, float]], step: int, minutes: float) -> dict[str, float]:
    means = {name: float(np.mean([entry[name] for entry in recent])) for name in recent[0]}
    total = sum(means.values())
    numbers = {"step": step, "minutes": minutes, "total": total, **means}
    return {name: round(value, 4) for name, value in numbers.items()}


def train(mocap: Path, out: Path, config: Config, begin: Path | None = None) -> Path:
    """Train, export, evaluate; returns the path of the network.

    Writes `lift.onnx` for the product, `lift.safetensors` to go on from, and `lift.json`.

    Args:
        mocap: motion capture, see `mocap`.
        out: folder, made where missing.
        config: of the run.
        begin: a `lift.safetensors` to go on from; the report beside it becomes part of the new one.

    Raises:
        MocapError: the motion cannot be read.
        TrainingError: the weights to begin from cannot be read or do not fit.
    """
    figure = figure_of(config.body)
    clips, held = split(open_clips(mocap, figure), config.held_out)
    training = Training(clips, figure, config)
    if begin is not None:
        training.begin_from(begin)
        config = replace(config, begun_from=sha256(begin))
    log = training.run()
    out.mkdir(parents=True, exist_ok=True)
    network = out / "lift.onnx"
    save_file(training.average.state_dict(), out / "lift.safetensors")
    export(training.average, network)
    report = {
        "config": asdict(config),
        "data": {"clips": [clip.name for clip in clips], "held_out": [clip.name for clip in held]},
        "steps": training.done,
        "held_out": evaluation.evaluate(network, held, figure),
        "log": log,
    }
    if begin is not None and begin.with_suffix(".json").exists():
        report["before"] = json.loads(begin.with_suffix(".json").read_text(encoding="utf-8"))
    _write(report, out / "lift.json")
    return network


def evaluate_again(mocap: Path, out: Path) -> None:
    """Renew the held-out numbers in the report of a finished run.

    Raises:
        MocapError: the motion cannot be read.
        TrainingError: there is no report, or it is not one.
    """
    path = out / "lift.json"
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        held_out, body = report["config"]["held_out"], report["config"]["body"]
    except (OSError, ValueError, KeyError) as error:
        advice = "Train first: python -m training.lifting.train_windows without --evaluate."
        raise TrainingError(f"{path} is not the report of a run: {error}.", advice) from error
    figure = figure_of(body)
    _, held = split(open_clips(mocap, figure), tuple(held_out))
    report["held_out"] = evaluation.evaluate(out / "lift.onnx", held, figure)
    _write(report, path)
    _log.info(json.dumps(report["held_out"], indent=1))


def _write(report: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m training.lifting.train_windows", description=__doc__
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--mocap", type=Path, required=True, help="motion capture, .npz")
    parser.add_argument("--out", type=Path, required=True, help="folder of lift.onnx")
    parser.add_argument("--minutes", type=float, default=Config.minutes)
    parser.add_argument("--steps", type=int, default=Config.steps)
    parser.add_argument("--seed", type=int, default=Config.seed)
    parser.add_argument("--rate", type=float, default=Config.learning_rate, help="learning rate")
    parser.add_argument("--begin", type=Path, help="lift.safetensors to go on from")
    parser.add_argument("--evaluate", action="store_true", help="renew the numbers in lift.json")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    if options.evaluate:
        evaluate_again(options.mocap, options.out)
        return
    config = Config(options.seed, options.steps, options.minutes, learning_rate=options.rate)
    train(options.mocap, options.out, config, options.begin)


if __name__ == "__main__":
    sys.exit(command_line(main))
