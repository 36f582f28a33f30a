"""What training and evaluation are fed with, whatever the data comes from.

    prepared set ─┐                    ┌─ ImageSource ──────────► stage_image
    synthetic ────┴─ crops + Targets ──┤
                                       └─ SequenceSource ─► feature_cache ─► stage_video, evaluate

Arrays are numpy float32 in a source and torch tensors in a batch; the leading axes are the
caller's: (T,) frames of a sequence, (B,) images, (B, T) windows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from torch import Tensor

from staf_backend.body.markers import COUNT as MARKERS
from staf_backend.staf import BETAS, CROP_PX, JOINTS
from staf_backend.staf.encoders.frame_lifter import NUMBERS
from training.joints import COUNT

CROP_SCALE = 1.2
"""Side of the crop over the side of the person's box (paper; SPIN)."""


class Targets(NamedTuple):
    """What a person does, as far as it is known; unknown entries are zero with confidence zero.

    Attributes:
        keypoints: (..., 49, 3) x, y on the crop, which spans -1..1 (x right, y down), confidence.
        joints_m: (..., 49, 4) camera axes (x right, y down, z away), about the middle of the hips
            as far as they are known, and confidence.
        rotations: (..., 24, 3, 3) parent-relative, joint 0 in camera axes.
        betas: (..., 10) of the source's body.
        has_pose, has_betas: (...,) 1 where rotations, betas are known.
    """

    keypoints: Any
    joints_m: Any
    rotations: Any
    betas: Any
    has_pose: Any
    has_betas: Any

    def map(self, function: Any) -> "Targets":
        """The same function of every field."""
        return Targets(*(function(field) for field in self))


_SEEN = ((np.uint8, (CROP_PX, CROP_PX, 3)), (np.float32, (MARKERS, NUMBERS)))
TARGET_SHAPES = Targets((COUNT, 3), (COUNT, 4), (JOINTS, 3, 3), (BETAS,), (), ())
"""Shape of each field without its leading axes."""


@dataclass(frozen=True)
class CropSequence:
    """Consecutive crops of one person.

    Attributes:
        name: unique in its source.
        images: (T, 224, 224, 3) uint8 RGB; or, of simulated people, landmarks (T, 27, 6) float32.
        targets: of each frame, numpy.
        times_s: (T,) increasing.
        valid: (T,) bool, frames that scores count (MPI-INF-3DHP leaves some out).
    """

    name: str
    images: np.ndarray
    targets: Targets
    times_s: np.ndarray
    valid: np.ndarray

    def __post_init__(self) -> None:
        frames = len(self.images)
        if (self.images.dtype, self.images.shape[1:]) not in _SEEN:
            raise ValueError(f"{self.name}: images must be (T, 224, 224, 3) uint8")
        for name, array, shape in zip(Targets._fields, self.targets, TARGET_SHAPES):
            if array.shape != (frames, *shape):
                raise ValueError(f"{self.name}: {name} must be {(frames, *shape)}")
        if self.times_s.shape != (frames,) or self.valid.shape != (frames,):
            raise ValueError(f"{self.name}: times_s and valid must be ({frames},)")


class SequenceSource(Protocol):
    """Videos of single people.  `body` names whose betas the targets hold ("open-neutral", ...)."""

    name: str
    body: str

    def __len__(self) -> int: ...

    def parts(self, index: int) -> Iterator[CropSequence]:
        """Sequence `index`, in parts of bounded length that follow each other in time."""
        ...


class ImageSource(Protocol):
    """Single crops, changed anew at every draw from `rng` (augmentation, or a new rendering)."""

    name: str
    body: str

    def __len__(self) -> int: ...

    def image(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, Targets]:
        """Crop (224, 224, 3) uint8 RGB, or landmarks (27, 6), and targets without leading axes."""
        ...


class ImageBatch(NamedTuple):
    """Crops (B, 224, 224, 3) uint8 RGB, which the encoder normalises, or landmarks (B, 27, 6)
    float32, and targets (B, ...)."""

    images: Tensor
    targets: Targets


class WindowBatch(NamedTuple):
    """Encoder maps (B, T, C, 7, 7) of windows and targets (B, T, ...) of all their frames."""

    maps: Tensor
    targets: Targets
