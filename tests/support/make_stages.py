"""People whose targets agree with each other, in crops of noise, for tests of both stages."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from staf_backend.geometry import from_axis_angle
from staf_backend.staf import StafConfig
from staf_backend.staf.body import project
from staf_backend.staf.network import StageParams
from training.data.batches import ImageMix
from training.data.feature_cache import FeatureCache, build_cache
from training.joints import HIPS
from training.run import (
    Base,
    ImageStageConfig,
    LoopConfig,
    Machine,
    VideoStageConfig,
    networks,
    open_machine,
)
from training.stage_image import make_objective, train_images
from training.stage_video import VideoCaches, train_video
from training.targets import CropSequence, ImageBatch, PosedJoints, Targets, WindowBatch

CPU = Machine(torch.device("cpu"))
CHANNELS = 16
LOOP = LoopConfig(epochs=1, iterations=4, batch=4, learning_rate=1e-3, save_every=9, report_every=1)
IMAGE = ImageStageConfig(loop=LOOP, encoder="blazepose-full", channels=CHANNELS)


def people(frames: int, seed: int, *, betas: bool = True) -> Targets:
    """Somebody who moves smoothly before a camera; every target known, and true of the others."""
    rng = np.random.default_rng(seed)
    start, speed = rng.normal(0, 0.25, (2, 24, 3))
    angles = start + speed * np.linspace(0, 1, frames)[:, None, None]
    angles[:, 0] = (np.pi, 0, 0) + 0.1 * angles[:, 0]
    rotations = from_axis_angle(angles).astype(np.float32)
    shape = np.tile(rng.normal(0, 0.7, 10), (frames, 1)).astype(np.float32)
    camera = np.tile([rng.uniform(0.8, 1.0), *rng.normal(0, 0.05, 2)], (frames, 1))
    params = StageParams(
        torch.zeros(frames, 144),
        torch.from_numpy(shape),
        torch.from_numpy(camera).float(),
        torch.from_numpy(rotations),
    )
    joints_m = joints_of(params)
    keypoints = project(joints_m, params.camera).numpy()
    centred = (joints_m - joints_m[:, list(HIPS)].mean(1, keepdim=True)).numpy()
    ones = np.ones((frames, 49, 1), np.float32)
    known = np.ones(frames, np.float32)
    return Targets(
        np.concatenate([keypoints, ones], -1),
        np.concatenate([centred, ones], -1),
        rotations,
        shape,
        known,
        known * betas,
    )


def joints_of(params: StageParams) -> torch.Tensor:
    """The open body's 49 joints (N, 49, 3)."""
    return PosedJoints(networks.body_tables("open-neutral"))(params.betas, params.rotations)


def tensors(targets: Targets) -> Targets:
    return targets.map(torch.from_numpy)


class Videos:
    """A `SequenceSource`; every other video has no betas."""

    def __init__(self, count: int, frames: int = 20, name: str = "people", seed: int = 0) -> None:
        self.name, self.body = name, "open-neutral"
        self.count, self.frames, self.seed = count, frames, seed

    def __len__(self) -> int:
        return self.count

    def parts(self, index: int) -> Iterator[CropSequence]:
        rng = np.random.default_rng([self.seed, index])
        coarse = rng.integers(0, 256, (self.frames, 7, 7, 3), np.uint8)
        images = coarse.repeat(32, 1).repeat(32, 2)
        known = people(self.frames, 100 * self.seed + index, betas=index % 2 == 0)
        times_s, valid = np.arange(self.frames) / 30, np.ones(self.frames, bool)
        yield CropSequence(f"{self.name}/{index}", images, known, times_s, valid)


class Photos:
    """An `ImageSource` of the first frames of `Videos`."""

    def __init__(self, count: int, name: str = "photos") -> None:
        self.name, self.body, self.videos = name, "open-neutral", Videos(count, 1, name)

    def __len__(self) -> int:
        return len(self.videos)

    def image(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, Targets]:
        part = next(self.videos.parts(index))
        changed = np.roll(part.images[0], int(rng.integers(224)), 1)
        return changed, part.targets.map(lambda field: field[0])


def base(seed: int = 0) -> Base:
    """A base model with fresh weights."""
    config = replace(IMAGE, dense=None, loop=replace(LOOP, seed=seed))
    objective = make_objective(config, CPU)
    objective.encoder.eval().requires_grad_(False)
    return Base(
        objective.encoder,
        objective.network.state_dict(),
        objective.network.config,
        "open-neutral",
        Path("base"),
        "0" * 64,
    )


def network(given: Base, **changes: Any) -> StafConfig:
    """The paper's network, narrow."""
    wide = given.network.map_channels
    return replace(StafConfig(channels=CHANNELS, map_channels=wide), **changes)


def video_config(given: Base, **changes: Any) -> VideoStageConfig:
    config = VideoStageConfig(loop=LOOP, network=network(given), dropout=0.0, stride=3)
    return replace(config, **changes)


def caches(given: Base, folder: Path, videos: int = 4) -> VideoCaches:
    """Kept maps of some people."""

    def opened(name: str, seed: int) -> FeatureCache:
        place = folder / name
        if place.exists():
            return FeatureCache.open(place, given.encoder)
        return build_cache(Videos(videos, name=name, seed=seed), given.encoder, place)

    return VideoCaches((opened("wild", 1),), (opened("studio", 2),), opened("held-out", 3))


def video_run(folder: Path, out: Path, machine: Machine) -> None:
    """A run of stage 2, in steps so small that rounding does not grow: at 1e-3 losses rise sixfold,
    and changes of 1e-7 are 1e-4 after four."""
    given = base()
    config = video_config(given, loop=replace(LOOP, learning_rate=1e-4))
    train_video(config, caches(given, folder), given, out, machine)


def image_run(_folder: Path, out: Path, machine: Machine) -> None:
    """A run of stage 1, dense head and encoder included.

    In steps so small that rounding does not grow: at 5e-5, changes of 1e-7 are 1e-3 after four.
    """
    config = replace(IMAGE, dropout=0.0, loop=replace(LOOP, learning_rate=1e-6))
    mix = ImageMix([Photos(8), Photos(3, "few")], [0.6, 0.4], config.loop.batch, 0)
    train_images(config, mix, make_objective(config, machine), out, machine)


def main(stage: str, folder: str, out: str) -> None:
    """One process of a run, started as torchrun does."""
    torch.set_num_threads(1)
    with open_machine("cpu") as machine:
        {"video": video_run, "image": image_run}[stage](Path(folder), Path(out), machine)


if __name__ == "__main__":
    main(*sys.argv[1:])


def moved(objective: nn.Module, a_batch: ImageBatch | WindowBatch) -> tuple[set[str], set[str]]:
    """Names of the parameters that one step moved, and of those that it left."""
    before = {name: p.detach().clone() for name, p in objective.named_parameters()}
    optimiser = torch.optim.Adam(objective.parameters(), 1e-3)
    objective.train()
    objective(a_batch)["total"].backward()
    optimiser.step()
    went = {name for name, p in objective.named_parameters() if not torch.equal(p, before[name])}
    return went, before.keys() - went
