"""Train the lifter of single frames, which the encoders `...-fields` read landmarks with.

    python -m training.lifting.train_frames --mocap MOTION.npz --out FOLDER --steps 7000

The same simulated landmarks as for the rest of the network (`simulated`), no image.  Writes
`lifter.safetensors`, to be given to stage 1 with --encoder-weights, and `lifter.json` with the
configuration, the log and the numbers on held-out subjects.
"""

import argparse
import copy
import json
import logging
import math
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from staf_backend.assets import sha256
from staf_backend.body.body import load_body
from staf_backend.files.atomic import make_folder, replace_atomically
from staf_backend.geometry.skeleton import PARENTS
from staf_backend.staf.body import rotations_from_6d, tables_from_body
from staf_backend.staf.encoders.frame_lifter import FrameLifter
from training.command import command_line
from training.lifting.train_windows import optimizers
from training.model.blazepose_plans import LIFTER
from training.model.encoder_error import EncoderError
from training.moves.mocap import split
from training.moves.scenes import figure_of, open_clips
from training.run.validation import PositionScores
from training.simulated.landmark_noise import MEASURED
from training.simulated.simulated import BODY, EACH, Simulation, Simulator, frames_of
from training.targets.joints import HIPS
from training.targets.posed_joints import PosedJoints
from training.targets.samples import Targets

_log = logging.getLogger(__name__)
_WARM_UP, _REPORT_EVERY, _BLOCK = 100, 500, 64
_VALIDATED = 8  # blocks


@dataclass(frozen=True)
class Config:
    """A run.

    Attributes:
        seed: of weights and of all draws.
        steps: how many.
        batch: frames a step.
        learning_rate, weight_decay: of both optimisers; the rate falls as a cosine.
        averaging: share of the running average of the weights that is kept a step.
        width, blocks: of the network.
        local, world, joints, betas: weights of the losses: squared entries of parent-relative and
            of global rotations, metres of joints, square betas.
        held_out: subjects that are not trained on.
        begun_from: SHA-256 of the weights that the run began from; empty for fresh ones.
    """

    seed: int = 0
    steps: int = 7000
    batch: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    averaging: float = 0.999
    width: int = LIFTER[0]
    blocks: int = LIFTER[1]
    local: float = 10.0
    world: float = 10.0
    joints: float = 20.0
    betas: float = 0.1
    held_out: tuple[str, ...] = ("03", "07", "10", "12")
    begun_from: str = ""

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "learning_rate", "width", "blocks"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")


class Losses:
    """What the lifter is asked for."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._joints = PosedJoints(tables_from_body(load_body(BODY)))

    def __call__(self, pose6d: Tensor, betas: Tensor, truth: Targets) -> Tensor:
        """The weighted sum, of 6D rotations (N, 144), betas (N, 10) and truth (N, ...)."""
        config = self._config
        rotations = rotations_from_6d(pose6d)
        off = pose6d - truth.rotations[..., :2].flatten(1)
        apart = _global(rotations) - _global(truth.rotations)
        joints = self._joints(betas, rotations)
        joints = joints - joints[:, list(HIPS)].mean(1, keepdim=True)
        return (
            config.local * off.square().mean()
            + config.world * apart.square().mean()
            + config.joints * (joints - truth.joints_m[..., :3]).abs().mean()
            + config.betas * (betas - truth.betas).square().mean()
        )

    def score(self, lifter: FrameLifter, seen: Tensor, truth: Targets) -> dict[str, float]:
        """MPJPE and PA-MPJPE of the fourteen joints, millimetres."""
        scores = PositionScores()
        with torch.inference_mode():
            for part in torch.arange(len(seen)).split(1024):
                pose6d, betas = lifter(seen[part])
                joints = self._joints(betas, rotations_from_6d(pose6d))
                scores.add(joints, truth.joints_m[part])
        return scores.means()


def _global(rotations: Tensor) -> Tensor:
    """Global rotations (N, 24, 3, 3) of parent-relative ones."""
    found = [rotations[:, 0]]
    for joint, parent in enumerate(PARENTS[1:], 1):
        found.append(found[parent] @ rotations[:, joint])
    return torch.stack(found, 1)


def batches(
    simulator: Simulator, size: int, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Targets]]:
    """Frames without end, nobody ever sees the same one twice."""
    while True:
        seen, truth = _tensors(*simulator.draw(_BLOCK, rng), int(rng.integers(EACH)))
        for rows in torch.from_numpy(rng.permutation(len(seen))).split(size):
            yield seen[rows], truth.map(lambda field, rows=rows: field[rows])


def _tensors(seen: np.ndarray, truth: Targets, first: int = 0) -> tuple[Tensor, Targets]:
    """Frames (N, ...) of windows."""
    seen, truth = frames_of(seen, truth, first)
    return torch.from_numpy(seen), truth.map(torch.from_numpy)


def train(mocap: Path, out: Path, config: Config, begin: Path | None = None) -> Path:
    """Trains; returns the file of the weights.

    Args:
        mocap: motion capture, see `mocap`.
        out: folder, made where missing.
        config: of the run.
        begin: a `lifter.safetensors` to go on from.

    Raises:
        MocapError: the motion cannot be read.
        EncoderError: the weights to begin from cannot be read, or are of another width.
        OutputError: the folder cannot be written.
    """
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    clips, held = split(open_clips(mocap, figure_of(BODY)), config.held_out)
    losses, simulator = Losses(config), Simulator(clips, Simulation())
    measured = Simulator(held, Simulation(noise=MEASURED))
    kept = _tensors(*measured.draw(_BLOCK * _VALIDATED, np.random.default_rng(config.seed)))
    lifter = FrameLifter(config.width, config.blocks)
    if begin is not None:
        _begin_from(lifter, begin)
        config = replace(config, begun_from=sha256(begin))
    average = copy.deepcopy(lifter).eval()
    both = optimizers(lifter, config.learning_rate, config.weight_decay)
    log: list[dict[str, Any]] = []
    for done, batch in enumerate(islice(batches(simulator, config.batch, rng), config.steps), 1):
        _step(lifter, both, losses, batch, _rate(config, done - 1))
        _follow(average, lifter, min(config.averaging, done / (done + 50)))
        if done % _REPORT_EVERY == 0:
            log.append({"step": done, **losses.score(average, *kept)})
            _log.info("%s", json.dumps(log[-1]))
    report = {"config": asdict(config), "held_out": losses.score(average, *kept), "log": log}
    make_folder(out)
    with replace_atomically(out / "lifter.safetensors") as temporary:
        save_file({f"lifter.{n}": one for n, one in average.state_dict().items()}, temporary)
    with replace_atomically(out / "lifter.json") as temporary:
        temporary.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    _log.info("%s", json.dumps(report["held_out"]))
    return out / "lifter.safetensors"


def _rate(config: Config, done: int) -> float:
    """Rises over the first steps, falls as a cosine over all."""
    progress = done / config.steps
    warm = min(1.0, (done + 1) / _WARM_UP)
    return config.learning_rate * warm * (0.505 + 0.5 * math.cos(math.pi * progress))


def _begin_from(lifter: FrameLifter, path: Path) -> None:
    try:
        tensors = {name.removeprefix("lifter."): one for name, one in load_file(path).items()}
        lifter.load_state_dict(tensors, strict=True)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise EncoderError(f"{path} cannot be begun from: {str(error).splitlines()[0]}",
                           "Give the lifter.safetensors of such a run.") from error  # fmt: skip


def _step(
    lifter: FrameLifter, both: list[torch.optim.Optimizer], losses: Losses,
    batch: tuple[Tensor, Targets], rate: float,
) -> None:  # fmt: skip
    for one in both:
        one.zero_grad()
        one.param_groups[0]["lr"] = rate
    with torch.autocast("cpu", torch.bfloat16):
        pose6d, betas = lifter(batch[0])
    losses(pose6d, betas, batch[1]).backward()
    torch.nn.utils.clip_grad_norm_(lifter.parameters(), 1.0)
    for one in both:
        one.step()


@torch.no_grad()
def _follow(average: FrameLifter, lifter: FrameLifter, kept: float) -> None:
    """Moves the running average; quickly at first, when the weights still mean nothing."""
    for mean, now in zip(average.parameters(), lifter.parameters(), strict=True):
        mean.lerp_(now, 1 - kept)


def arguments() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = argparse.ArgumentParser(
        prog="python -m training.lifting.train_frames", description=__doc__
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--mocap", type=Path, required=True, help="motion capture, .npz")
    parser.add_argument("--out", type=Path, required=True, help="folder of lifter.safetensors")
    parser.add_argument("--steps", type=int, default=Config.steps)
    parser.add_argument("--seed", type=int, default=Config.seed)
    parser.add_argument("--rate", type=float, default=Config.learning_rate, help="learning rate")
    parser.add_argument("--begin", type=Path, help="lifter.safetensors to go on from")
    return parser


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    options = arguments().parse_args(argv)
    torch.set_num_threads(1)
    config = Config(options.seed, options.steps, learning_rate=options.rate)
    train(options.mocap, options.out, config, options.begin)


if __name__ == "__main__":
    sys.exit(command_line(main))
