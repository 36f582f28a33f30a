"""The 49 joints of a posed body, SMPL's or another with its vertex slots.

SMPL proper gets nine of them from SPIN's regressor, which a user has with the weights or not at
all.  Without it those nine are composed of the joints and vertices that every body has: what a
synthetic set renders and what a network trained on it predicts are then the same points by
construction.  They are not SPIN's points: scores on real sets need the regressor.
"""

import numpy as np
import torch
from torch import Tensor, nn

from staf_backend.staf.body import JOINTS, JOINTS_49, LANDMARK_VERTICES, BodyPoints, BodyTables

_NOSE = 24
# The nine as weighted sums of joints and landmark vertices: right hip, left hip, neck, head top,
# pelvis, thorax, spine, jaw, head.  The head's top lies as far above the ears as the neck below.
_COMPOSED: tuple[dict[int, float], ...] = (
    {2: 1.0},
    {1: 1.0},
    {12: 0.5, 16: 0.25, 17: 0.25},
    {27: 0.9, 28: 0.9, 12: -0.8},
    {0: 1.0},
    {16: 0.5, 17: 0.5},
    {3: 0.5, 6: 0.5},
    {15: 0.7, _NOSE: 0.3},
    {27: 0.5, 28: 0.5},
)


class BodyJoints(nn.Module):
    """Posed points to the 49 joints, on the module's device."""

    def __init__(self, tables: BodyTables) -> None:
        super().__init__()
        self.exact = tables.extra_regressor is not None
        nine = tables.extra_regressor if self.exact else _composed()
        self.register_buffer("nine", torch.from_numpy(np.asarray(nine, np.float32)), False)

    def forward(self, points: BodyPoints) -> Tensor:
        """Joints (N, 49, 3) in metres, in the space of the points.

        Args:
            points: the body's full mesh (N, V, 3) and its 24 joints (N, 24, 3).
        """
        landmarks = points.vertices_m[:, list(LANDMARK_VERTICES)]
        known = torch.cat([points.joints_m, landmarks], 1)
        nine = self.get_buffer("nine")
        regressed = torch.matmul(nine, points.vertices_m if self.exact else known)
        return torch.cat([known, regressed], 1)[:, list(JOINTS_49)]


def _composed() -> np.ndarray:
    rows = np.zeros((len(_COMPOSED), JOINTS + len(LANDMARK_VERTICES)))
    for row, parts in zip(rows, _COMPOSED):
        for index, weight in parts.items():
            row[index] = weight
    return rows
