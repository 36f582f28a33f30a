"""Motion capture of a walker, as the trainers of lifters read it."""

from pathlib import Path
from typing import Any

import numpy as np

from training.simulated.landmark_noise import Noise
from training.simulated.limb_errors import LimbNoise

SILENT = Noise(
    limbs=LimbNoise((0, 0), 0, 0, 0, 0, 0, 0), image=0, occluded=0, cropped=0, gaps=0, swapped=0
)


def steps(frames: int, phase: float) -> tuple[np.ndarray, np.ndarray]:
    """Poses (T, 72) and translation (T, 3) of somebody who marches on the spot, left knee first."""
    t = np.arange(frames) / 30
    poses = np.zeros((frames, 24, 3))
    for hip, knee, shift in ((1, 4, 0.0), (2, 5, np.pi)):
        lift_ = np.maximum(np.sin(2 * np.pi * t + phase + shift), 0)
        poses[:, hip, 0], poses[:, knee, 0] = -1.0 * lift_, 1.6 * lift_
    poses[:, 16, 2], poses[:, 17, 2] = -1.2, 1.2
    return poses.reshape(frames, 72), np.zeros((frames, 3))


def save(path: Path, arrays: dict[str, Any]) -> None:
    np.savez(path, **arrays)
