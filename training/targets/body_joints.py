"""The 49 joints of a posed body, SMPL's or another with its vertex slots.

SMPL proper gets nine of them from SPIN's regressor, which a user has with the weights or not at
all.  Without it those nine are composed of the joints and vertices that every body has: what a
synthetic set renders and what a network trained on it predicts are then the same points by
construction.  They are not SPIN's points: scores on real sets need the regressor.
"""

import numpy as np
import torch
from torch import Tensor, nn

from staf_backend.devices import indices_on
from staf_backend.geometry import SMPL
from staf_backend.staf.body import JOINTS_49 as PICKS
from staf_backend.staf.body import LANDMARK_VERTICES, BodyPoints, BodyTables
from training.joints import JOINTS_49

_COMPOSED: dict[str, dict[str, float]] = {
    "right_hip": {"R_Hip": 1.0},
    "left_hip": {"L_Hip": 1.0},
    "neck": {"Neck": 0.5, "L_Shoulder": 0.25, "R_Shoulder": 0.25},
    "head_top": {"op_right_ear": 0.9, "op_left_ear": 0.9, "Neck": -0.8},
    "pelvis": {"Pelvis": 1.0},
    "thorax": {"L_Shoulder": 0.5, "R_Shoulder": 0.5},
    "spine": {"Spine1": 0.5, "Spine2": 0.5},
    "jaw": {"Head": 0.7, "op_nose": 0.3},
    "head": {"op_right_ear": 0.5, "op_left_ear": 0.5},
}
"""The nine, in the regressor's order, as weighted sums of SMPL's joints and of OpenPose's points
that are vertices.  The head's top lies as far above the ears as the neck below; chosen so that
each point lies where its name says on the open body (tests/training/targets)."""


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
        device = points.vertices_m.device
        landmarks = points.vertices_m[:, indices_on(LANDMARK_VERTICES, device)]
        known = torch.cat([points.joints_m, landmarks], 1)
        nine = self.get_buffer("nine")
        regressed = torch.matmul(nine, points.vertices_m if self.exact else known)
        return torch.cat([known, regressed], 1)[:, indices_on(PICKS, device)]


def _composed() -> np.ndarray:
    """(9, 45) weights of the 24 joints and the 21 landmark vertices."""
    rows = np.zeros((len(_COMPOSED), len(SMPL) + len(LANDMARK_VERTICES)))
    for row, parts in zip(rows, _COMPOSED.values(), strict=True):
        for name, weight in parts.items():
            row[_source(name)] = weight
    return rows


def _source(name: str) -> int:
    """Where a joint of SMPL's, or a vertex by its name among the 49, stands in `PICKS`' source."""
    return SMPL.index(name) if name in SMPL.names else PICKS[JOINTS_49.index(name)]
