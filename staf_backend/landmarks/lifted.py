"""A first guess of all rotations, the shape, the up direction and the contacts: the types."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from staf_backend import StafError
from staf_backend.geometry import SMPL, from_quaternions


class LiftError(StafError):
    """Landmarks that cannot be lifted."""

    kind = "landmarks"
    exit_code = 4


@dataclass(frozen=True)
class Lifted:
    """The network's guess for one person's track of T frames, camera axes (x right, y down).

    Attributes:
        rotations_wxyz: (T, 24, 4) global: a person who stands upright and faces the camera has
            (0, 1, 0, 0) everywhere.
        deviation_rad: (T, 24) the angle by which the network expects each rotation to err.
        betas: (10,) of the open neutral body.
        up: (3,) unit vector against gravity, one for the clip.
        up_deviation_rad: the angle by which the network expects `up` to err.
        contact: (T, 4) probability that left heel, left toe, right heel, right toe stand still on
            the ground.
    """

    rotations_wxyz: np.ndarray
    deviation_rad: np.ndarray
    betas: np.ndarray
    up: np.ndarray
    up_deviation_rad: float
    contact: np.ndarray

    def __post_init__(self) -> None:
        frames = len(self.rotations_wxyz)
        shapes = {
            "rotations_wxyz": (frames, len(SMPL), 4),
            "deviation_rad": (frames, len(SMPL)),
            "betas": (10,),
            "up": (3,),
            "contact": (frames, 4),
        }
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} must be {shape}, got {getattr(self, name).shape}")

    @property
    def rotations(self) -> np.ndarray:
        """(T, 24, 3, 3) the same rotations as matrices."""
        return from_quaternions(self.rotations_wxyz)


class Guess(NamedTuple):
    """The network's answer for N windows, camera axes; see `Lifted` for units.

    rotations (N, 32, 24, 3, 3), deviation_rad (N, 32, 24), contact (N, 32, 4), betas (N, 10),
    up (N, 3), up_deviation_rad (N,).
    """

    rotations: np.ndarray
    deviation_rad: np.ndarray
    contact: np.ndarray
    betas: np.ndarray
    up: np.ndarray
    up_deviation_rad: np.ndarray
