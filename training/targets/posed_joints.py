"""The 49 joints straight from betas and rotations, by posing only the vertices they hang on.

Joints need 21 landmark vertices and those that SPIN's regressor reads, of thousands: a training
step with every frame of every window supervised can then afford them.
"""

import torch
from torch import Tensor, nn

from staf_backend.devices import indices_on
from staf_backend.staf.body import JOINTS_49 as PICKS
from staf_backend.staf.body import LANDMARK_VERTICES, BodyTables, SmplBody
from training.targets.body_joints import BodyJoints


class PosedJoints(nn.Module):
    """`BodyJoints` of a posed body, without the rest of the body."""

    def __init__(self, tables: BodyTables) -> None:
        super().__init__()
        whole = BodyJoints(tables)
        nine = whole.get_buffer("nine")
        used = set(nine.any(0).nonzero()[:, 0].tolist()) if whole.exact else set()
        keep = sorted(used | set(LANDMARK_VERTICES))
        self.exact = whole.exact
        self.body = SmplBody(tables, keep)
        self.landmarks = tuple(keep.index(vertex) for vertex in LANDMARK_VERTICES)
        self.register_buffer("nine", nine[:, keep] if whole.exact else nine, persistent=False)

    def forward(self, betas: Tensor, rotations: Tensor) -> Tensor:
        """Joints (N, 49, 3) in metres of betas (N, 10) and rotations (N, 24, 3, 3), float32."""
        points = self.body(betas, rotations)
        device = betas.device
        landmarks_m = points.vertices_m[:, indices_on(self.landmarks, device)]
        known = torch.cat([points.joints_m, landmarks_m], 1)
        source = points.vertices_m if self.exact else known
        nine = torch.matmul(self.get_buffer("nine"), source)
        return torch.cat([known, nine], 1)[:, indices_on(PICKS, device)]
