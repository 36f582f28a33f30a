"""What every estimator answers: a person's pose, shape and place, still in camera axes."""

from dataclasses import dataclass

import numpy as np

from staf_backend.geometry import is_finite

SHAPE_COUNT = 10
"""Betas of a person: the first principal components of SMPL's space of shapes (Loper et al. 2015).
Files that hold more are cut to these, the number that published networks and data sets use."""


@dataclass(frozen=True)
class SmplParams:
    """SMPL parameters of one person over T frames, of a body with J joints.

    Attributes:
        rotations: (T, J, 3, 3) parent-relative; joint 0 from the rest pose (y up, facing +z) to
            camera axes (x right, y down, z away).
        root_m: (T, 3) pelvis joint in camera axes, metres.
        betas: (B,) one shape for all frames, of the body that the estimator used.
    """

    rotations: np.ndarray
    root_m: np.ndarray
    betas: np.ndarray

    def __post_init__(self) -> None:
        frames, joints = len(self.root_m), self.rotations.shape[1] if self.rotations.ndim > 1 else 0
        for name, shape in (("rotations", (frames, joints, 3, 3)), ("root_m", (frames, 3))):
            array = getattr(self, name)
            if array.shape != shape or not is_finite(array):
                raise ValueError(f"SmplParams.{name} must be finite and {shape}")
        if self.betas.ndim != 1 or not np.isfinite(self.betas).all():
            raise ValueError("SmplParams.betas must be finite and (B,)")

    def __len__(self) -> int:
        return len(self.root_m)
