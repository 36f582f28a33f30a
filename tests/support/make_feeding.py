"""Small sources for tests of what feeds training: random people who are told apart exactly."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from training.data.batches import WindowMix
from training.targets import TARGET_SHAPES, CropSequence, Targets


def targets(frames: int, seed: int, *, kind: str = "3d") -> Targets:
    """Random targets of some frames; "2d" knows key points alone."""
    rng = np.random.default_rng(seed)
    fields = (rng.normal(size=(frames, *shape)).astype(np.float32) for shape in TARGET_SHAPES)
    found = Targets(*fields)
    known = np.full(frames, float(kind == "3d"), np.float32)
    return found._replace(has_pose=known, has_betas=known.copy())


def no_targets(*axes: int) -> Targets:
    """Targets of which nothing is known."""
    return Targets(*(np.zeros((*axes, *shape), np.float32) for shape in TARGET_SHAPES))


class Sequences:
    """A `SequenceSource` of given lengths, in parts of seven frames."""

    def __init__(
        self,
        lengths: tuple[int, ...],
        *,
        kind: str = "3d",
        body: str = "open-neutral",
        name: str = "made",
    ) -> None:
        self.name, self.body, self.lengths, self.kind = name, body, lengths, kind

    def __len__(self) -> int:
        return len(self.lengths)

    def whole(self, index: int) -> CropSequence:
        frames = self.lengths[index]
        rng = np.random.default_rng(index)
        images = rng.integers(0, 256, (frames, 224, 224, 3), np.uint8)
        known = targets(frames, index, kind=self.kind)
        times_s = np.arange(frames) / 30
        return CropSequence(f"{self.name}/{index}", images, known, times_s, np.ones(frames, bool))

    def parts(self, index: int) -> Iterator[CropSequence]:
        whole = self.whole(index)
        for first in range(0, len(whole.images), 7):
            rows = slice(first, first + 7)
            known = whole.targets.map(lambda field, rows=rows: field[rows])
            yield CropSequence(
                whole.name, whole.images[rows], known, whole.times_s[rows], whole.valid[rows]
            )


class Images:
    """An `ImageSource`: pixel (0, 0) tells the index, the change is drawn from `rng`."""

    def __init__(self, count: int, mark: int, body: str = "open-neutral") -> None:
        self.name, self.body, self.count, self.mark = f"images-{mark}", body, count, mark

    def __len__(self) -> int:
        return self.count

    def image(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, Targets]:
        picture = np.full((224, 224, 3), rng.integers(256), np.uint8)
        picture[0, 0] = self.mark, index // 256, index % 256
        return picture, targets(1, index).map(lambda field: field[0])


def tiny_encoder(channels: int = 4, seed: int = 0) -> Any:
    """An encoder that costs nothing."""
    return TinyEncoder(channels, seed)


class TinyEncoder(nn.Module):
    """Crops to (N, channels, 7, 7) by pooling and one 1x1 convolution."""

    name = "tiny"

    def __init__(self, channels: int = 4, seed: int = 0) -> None:
        super().__init__()
        self.channels = channels
        self.conv: Any = nn.Conv2d(3, channels, 1)
        generator = torch.Generator().manual_seed(seed)
        nn.init.normal_(self.conv.weight, generator=generator)
        nn.init.normal_(self.conv.bias, generator=generator)

    @staticmethod
    def normalise(crops_u8: Tensor) -> Tensor:
        return crops_u8.permute(0, 3, 1, 2).float() / 255

    def forward(self, images: Tensor) -> Tensor:
        return self.conv(nn.functional.avg_pool2d(images, 32))


ENCODER = tiny_encoder()


class Worn(Sequences):
    """People of both genders, turn by turn."""

    def gender(self, index: int) -> str:
        return ("female", "male")[index % 2]


def starts(mix: WindowMix, steps: range) -> list[tuple[str, int]]:
    """Source and first frame of each window of some steps."""
    samples = chain.from_iterable(mix.samples(step) for step in steps)
    return [(cache.source, start) for cache, start in samples]
