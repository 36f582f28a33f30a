"""Landmarks of a single frame to a first guess of all rotations and the shape.

A residual network of our own; `field_maps` paints what it says.  Unlike `landmarks.lift`, which
looks at a second of motion, it sees one frame: what frames say of each other is the fusion's to
find out.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from staf_backend.body.markers import COUNT, indices
from staf_backend.staf.config import BETAS, JOINTS, POSE_6D

NUMBERS = 6
"""Of a landmark: x, y on the crop, which spans -1..1 (x right, y down); x, y, z in metres about
the middle of the hips, in the crop's axes (x right, y down, z away); visibility 0..1."""

_INPUTS = 8 * COUNT
_WORLD = 2.0
"""Of metres: half a metre counts as one.  Chosen: inputs are then of one size."""
_HIPS = slice(int(indices("left_hip")[0]), int(indices("right_hip")[0]) + 1)


class FrameLifter(nn.Module):
    """Landmarks (N, 27, NUMBERS) to 6D rotations (N, 144) and betas (N, 10)."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.first = nn.Linear(_INPUTS, width)
        self.blocks = nn.Sequential(*(_Block(width) for _ in range(blocks)))
        self.norm = nn.LayerNorm(width)
        self.last = nn.Linear(width, POSE_6D + BETAS)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, landmarks: Tensor) -> tuple[Tensor, Tensor]:
        """Rotations, parent-relative, joint 0 in the crop's axes, and betas; float32.

        Raises:
            ValueError: landmarks of another shape.
        """
        check_landmarks(landmarks)
        inputs = _inputs(landmarks.float()).to(self.first.weight.dtype)
        found = self.last(self.norm(self.blocks(self.first(inputs)))).float()
        return found[:, :POSE_6D] + rest_6d(found.device), found[:, POSE_6D:]


def check_landmarks(landmarks: Tensor) -> None:
    """Refuses landmarks of another shape.

    Raises:
        ValueError: naming the shape.
    """
    if landmarks.shape[1:] != (COUNT, NUMBERS):
        shape = tuple(landmarks.shape)
        raise ValueError(f"landmarks must be (N, {COUNT}, {NUMBERS}), not {shape}")


def rest_6d(device: torch.device) -> Tensor:
    """Rotations (144,) of a body that stands upright before a camera whose y is down."""
    rest = torch.eye(3, 2, device=device).flatten().repeat(JOINTS)
    rest[3].neg_()  # of the root; a number of Python's would be copied from the CPU
    return rest


def _inputs(landmarks: Tensor) -> Tensor:
    """Places on the crop, and about the hips over the person's size; world points; visibility."""
    points = landmarks[..., :2]
    about = points - points[:, _HIPS].mean(1, keepdim=True)
    size = about.square().sum(-1).mean(1).sqrt().clamp(min=1e-3)[:, None, None]
    parts = [points, about / size, landmarks[..., 2:5] * _WORLD, landmarks[..., 5:]]
    return torch.cat(parts, -1).flatten(1)


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.wide = nn.Linear(width, 2 * width)
        self.back = nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.back(F.gelu(self.wide(self.norm(x))))
