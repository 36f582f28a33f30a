"""Videos for the evaluation's tests: encoder maps and labels that follow from names."""

from collections.abc import Iterator
from functools import cache

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from staf_backend.staf import PooledConfig, StafConfig
from staf_backend.staf.any_network import target_params
from staf_backend.staf.network import StageParams
from staf_backend.staf.pooled import PooledNetwork
from tests.support import parity_network
from tests.support import parity_recipe as recipe
from tests.support.make_feeding import no_targets
from tests.support.windows import windows
from training.scoring.scoring import Part
from training.targets import CropSequence, Targets

WIDTH = 12
"""Channels of the small networks' maps."""
SMALL = StafConfig(channels=16, map_channels=WIDTH)
FPS = 25.0


@cache
def small_network(config: StafConfig | PooledConfig):
    """A lively network on the stand-in body, eval mode; do not change it."""
    if isinstance(config, PooledConfig):
        torch.manual_seed(3)
        network = PooledNetwork(config, parity_network.mean_params())
        torch.nn.init.xavier_uniform_(network.regressor.pose.weight, gain=0.3)
        return network.eval().requires_grad_(False)
    return parity_network.random_staf(config)


def made_labels(name: str, frames: int) -> Targets:
    """Labels of every kind for a video."""

    def numbers(part: str, *shape: int) -> np.ndarray:
        return (2 * recipe.uniform(f"{name}/{part}", shape) - 1).astype(np.float32)

    turns = Rotation.from_rotvec(0.8 * numbers("turns", frames * 24, 3)).as_matrix()
    joints_m = np.concatenate(
        [0.4 * numbers("joints", frames, 49, 3), np.ones((frames, 49, 1))], -1
    )
    return no_targets(frames)._replace(
        joints_m=joints_m.astype(np.float32),
        rotations=turns.reshape(frames, 24, 3, 3).astype(np.float32),
        betas=numbers("betas", frames, 10),
        has_pose=np.ones(frames, np.float32),
        has_betas=np.ones(frames, np.float32),
    )


def made_maps(name: str, frames: int) -> torch.Tensor:
    """Maps (T, WIDTH, 7, 7), non-negative."""
    numbers = recipe.uniform(f"{name}/maps", (frames, WIDTH, 7, 7))
    return torch.from_numpy(np.maximum(2 * numbers - 0.8, 0).astype(np.float32))


class MadeVideos:
    """`scoring.Videos` of given lengths, in parts of `part` frames."""

    name, body, channels = "made", "synthetic", WIDTH

    def __init__(self, *lengths: int, part: int = 7) -> None:
        self.part = part
        self.videos = [
            Part(
                made_maps(f"{n}", count),
                made_labels(f"{n}", count),
                10.0 * n + np.arange(count) / FPS,
                np.ones(count, bool),
            )
            for n, count in enumerate(lengths)
        ]

    def __len__(self) -> int:
        return len(self.videos)

    def parts(self, index: int) -> Iterator[Part]:
        whole = self.videos[index]
        for first in range(0, len(whole.frames), self.part):
            rows = slice(first, first + self.part)
            yield Part(
                whole.frames[rows],
                whole.targets.map(lambda field, rows=rows: field[rows]),
                whole.times_s[rows],
                whole.valid[rows],
            )

    def gender(self, index: int) -> str:
        return ("male", "female")[index % 2]


class Crops:
    """A small `SequenceSource`: pictures of tiles, labels by name."""

    name, body = "crops", "open-neutral"

    def __init__(self, *lengths: int) -> None:
        self.lengths = lengths

    def __len__(self) -> int:
        return len(self.lengths)

    def parts(self, index: int) -> Iterator[CropSequence]:
        count = self.lengths[index]
        images = np.stack([recipe.crop_rgb(f"{index}/{frame}") for frame in range(count)])
        labels, times_s = made_labels(f"{index}", count), np.arange(count) / FPS
        for first in range(0, count, 6):
            rows = slice(first, first + 6)
            yield CropSequence(
                str(index),
                images[rows],
                labels.map(lambda field, rows=rows: field[rows]),
                times_s[rows],
                np.ones(len(times_s[rows]), bool),
            )


def by_windows(network, maps: torch.Tensor, edges: str = "repeat") -> StageParams:
    """Parameters of every frame of one video, each window run as a whole as the paper says."""
    table = windows(len(maps), network.config.frames, edges)  # pyright: ignore[reportArgumentType]
    with torch.no_grad():
        return target_params(network, maps[table])
