"""Train the lifter of single frames, which the encoders `...-fields` read landmarks with.

    python -m training.lifting.train_frames --mocap MOTION.npz --out FOLDER --steps 7000
    python -m training.lifting.train_frames --mocap MOTION.npz --out FOLDER --steps 7000 --resume

The same simulated landmarks as for the rest of the network (`simulated`), no image.  FOLDER is
that of a run, see `run.run_folder`; at the end it also holds `lifter.safetensors`, to be given to
stage 1 with --encoder-weights, and `lifter.json` with the configuration, the log and the numbers on
held-out subjects.
"""

import argparse
import json
import logging
import math
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from staf_backend.body import load_body
from staf_backend.files import replace_atomically, sha256
from staf_backend.geometry import SMPL
from staf_backend.landmarks.windows import WINDOW
from staf_backend.staf.body import global_rotations, rotations_from_6d, tables_from_body
from staf_backend.staf.encoders.frame_lifter import FrameLifter
from training.command import command_line
from training.joints import HIPS
from training.lifting.averaged import CLIP_NORM, Averaged, train_averaged
from training.lifting.options import lifting_parser
from training.model.blazepose_plans import LIFTER
from training.moves import HELD_OUT, figure_of, open_clips, split
from training.run import WATCHED, LoopConfig, PositionScores, reports, write_json
from training.simulated.landmark_noise import MEASURED
from training.simulated.simulated import BODY, EACH, Simulation, Simulator, frames_of
from training.targets import PosedJoints, Targets

_log = logging.getLogger(__name__)
STAGE = "frame lifter"
_PREFIX = "lifter."
_WARM_UP = 100
"""Steps in which the rate rises (chosen: some hundredth of the default run)."""
_SCORE_EVERY = 500
"""Steps between scores on held-out subjects (chosen: a minute and a half, LOG.md)."""
_REPORT_EVERY = 100
"""Steps between reports and saves (chosen: a third of a minute, LOG.md)."""
_BLOCK = 64
"""Windows drawn at once (chosen: arrays of some megabytes)."""
_FRAMES = _BLOCK * WINDOW // EACH
"""Frames of a block."""
_VALIDATED = 8
"""Blocks that scores are of (chosen: four thousand frames)."""
_AT_ONCE = 1024
"""Frames that are scored at once (chosen: some megabytes)."""


@dataclass(frozen=True)
class FrameLifterConfig:
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
    held_out: tuple[str, ...] = HELD_OUT
    begun_from: str = ""

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "learning_rate", "width", "blocks"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")

    @property
    def loop(self) -> LoopConfig:
        """How it is trained: scored every 500 steps, or at the end where those do not add up."""
        each = _SCORE_EVERY if self.steps % _SCORE_EVERY == 0 else self.steps
        return LoopConfig(
            seed=self.seed,
            epochs=self.steps // each,
            iterations=each,
            batch=self.batch,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            schedule="cosine",
            warm_up=_WARM_UP,
            clip_norm=CLIP_NORM,
            save_every=_REPORT_EVERY,
            report_every=_REPORT_EVERY,
        )


class FrameBatch(NamedTuple):
    """Landmarks (N, 27, NUMBERS) and the truth (N, ...)."""

    seen: Tensor
    truth: Targets


class FrameObjective(Averaged[FrameLifter]):
    """Landmarks of frames to the loss of what the lifter makes of them."""

    def __init__(self, config: FrameLifterConfig) -> None:
        torch.manual_seed(config.seed)
        super().__init__(FrameLifter(config.width, config.blocks), config.averaging)
        self._config = config
        self._joints = PosedJoints(tables_from_body(load_body(BODY)))

    def forward(self, batch: FrameBatch) -> dict[str, Tensor]:
        """The weighted terms, and "total", their sum."""
        with torch.autocast("cpu", torch.bfloat16):
            pose6d, betas = self.network(batch.seen)
        terms = self._terms(pose6d, betas, batch.truth)
        return {**terms, "total": torch.stack(list(terms.values())).sum()}

    def _terms(self, pose6d: Tensor, betas: Tensor, truth: Targets) -> dict[str, Tensor]:
        """Of 6D rotations (N, 144), betas (N, 10) and truth (N, ...)."""
        config, rotations = self._config, rotations_from_6d(pose6d)
        off = pose6d - truth.rotations[..., :2].flatten(1)
        turned, truly = (
            global_rotations(one, SMPL.parents) for one in (rotations, truth.rotations)
        )
        joints = self._joints(betas, rotations)
        joints = joints - joints[:, list(HIPS)].mean(1, keepdim=True)
        return {
            "local": config.local * off.square().mean(),
            "world": config.world * (turned - truly).square().mean(),
            "joints": config.joints * (joints - truth.joints_m[..., :3]).abs().mean(),
            "betas": config.betas * (betas - truth.betas).square().mean(),
        }

    def score(self, lifter: FrameLifter, batch: FrameBatch) -> dict[str, float]:
        """MPJPE and PA-MPJPE of the fourteen joints, millimetres."""
        scores = PositionScores()
        with torch.inference_mode():
            for part in torch.arange(len(batch.seen)).split(_AT_ONCE):
                pose6d, betas = lifter(batch.seen[part])
                joints = self._joints(betas, rotations_from_6d(pose6d))
                scores.add(joints, batch.truth.joints_m[part])
        return scores.means()


def draw_block(simulator: Simulator, size: int, seed: int, number: int) -> list[FrameBatch]:
    """The batches of a block of frames by its number; no two blocks have a frame in common."""
    rng = np.random.default_rng([seed, number])
    seen, truth = _frames(*simulator.draw(_BLOCK, rng), int(rng.integers(EACH)))
    return [
        FrameBatch(seen[rows], truth.map(lambda field, rows=rows: field[rows]))
        for rows in torch.from_numpy(rng.permutation(len(seen))).split(size)
    ]


def _frames(seen: np.ndarray, truth: Targets, first: int = 0) -> FrameBatch:
    """Frames (N, ...) of windows."""
    seen, truth = frames_of(seen, truth, first)
    return FrameBatch(torch.from_numpy(seen), truth.map(torch.from_numpy))


def feed(
    simulator: Simulator, config: FrameLifterConfig, first: int, last: int
) -> Iterator[FrameBatch]:
    """Batches of the steps `first` to before `last`; step t depends on t alone."""
    each = math.ceil(_FRAMES / config.batch)
    for number in range(first // each, math.ceil(last / each)):
        block = draw_block(simulator, config.batch, config.seed, number)
        yield from block[max(0, first - number * each) : last - number * each]


def train(
    mocap: list[Path],
    out: Path,
    config: FrameLifterConfig,
    begin: Path | None = None,
    *,
    resume: bool = False,
) -> Path:
    """Trains; returns the file of the weights.

    Args:
        mocap: files of motion capture, see `mocap`.
        out: folder of the run, made where missing.
        config: of the run; its `begun_from` is filled in.
        begin: a `lifter.safetensors` to begin from.
        resume: go on with the run in `out`.

    Raises:
        MocapError: the motion cannot be read.
        RunError, OutputError: the weights to begin from do not fit; or see
            `training.run.loop.train`.
    """
    clips, held = split(open_clips(mocap, figure_of(BODY)), config.held_out)
    simulator, measured = (
        Simulator(clips, Simulation()),
        Simulator(held, Simulation(noise=MEASURED)),
    )
    rng = np.random.default_rng(config.seed)
    kept = _frames(*measured.draw(_BLOCK * _VALIDATED, rng))
    objective = FrameObjective(config)
    if begin is not None:
        objective.begin_from(begin, _PREFIX)
        config = replace(config, begun_from=sha256(begin))
    train_averaged(
        objective,
        config,
        lambda first, last: feed(simulator, config, first, last),
        out,
        stage=STAGE,
        resume=resume,
        validate=lambda: objective.score(objective.average, kept),
        watch=WATCHED,
    )
    log = [{"step": e["step"], **e["scores"]} for e in reports(out) if "scores" in e]
    held_out = objective.score(objective.average, kept)
    with replace_atomically(out / "lifter.safetensors") as temporary:
        tensors = {f"{_PREFIX}{n}": one for n, one in objective.average.state_dict().items()}
        save_file(tensors, temporary)
    write_json(out / "lifter.json", {"config": asdict(config), "held_out": held_out, "log": log})
    _log.info("%s", json.dumps(held_out))
    return out / "lifter.safetensors"


def arguments() -> argparse.ArgumentParser:
    """The command line's options."""
    defaults = FrameLifterConfig()
    return lifting_parser(
        "train_frames",
        __doc__,
        steps=defaults.steps,
        seed=defaults.seed,
        rate=defaults.learning_rate,
    )


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    options = arguments().parse_args(argv)
    torch.set_num_threads(1)
    config = FrameLifterConfig(options.seed, options.steps, learning_rate=options.rate)
    train(options.mocap, options.out, config, options.begin, resume=options.resume)


if __name__ == "__main__":
    sys.exit(command_line(main))
