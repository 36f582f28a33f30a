"""The lifting network: a small transformer over the frames of a window.

features (N, 32, 196) ─► linear + place in time ─► 4 x [attention, perceptron] ─┬─► each frame:
                                       rotations, their deviation, contact      │
                                       betas, up, its deviation  ◄─ mean frame ─┘
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

from staf_backend.landmarks.features import FEATURES
from staf_backend.landmarks.windows import WINDOW
from staf_backend.staf import BETAS, JOINTS, POSE_6D
from staf_backend.staf.body import rotations_from_6d

OUTPUTS = ("rotations", "deviation_rad", "contact", "betas", "up", "up_deviation_rad")
_FEET = 4
"""Points that may stand: heel and big toe of each foot."""
_PER_FRAME = (POSE_6D, JOINTS, _FEET)
_PER_WINDOW = (BETAS, 3, 1)
_SPREAD = 0.005
"""Deviation of the last layers' first weights (chosen: first answers are nearly the rest pose)."""
_DEVIATION_RAD = (0.01, 0.3, 3.0)
"""Least expected error, that of an untrained network, and largest (chosen: half a degree to nearly
half a turn)."""


@dataclass(frozen=True)
class Size:
    """Width of a frame's vector, blocks, heads of attention, width inside the perceptron."""

    width: int = 256
    blocks: int = 4
    heads: int = 8
    inner: int = 576

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} must be a multiple of heads {self.heads}")


class Lifting(NamedTuple):
    """What the network says, in its own axes (see `staf_backend.landmarks.features`).

    rotations (N, 32, 24, 3, 3) global; deviation_rad (N, 32, 24) expected angle of their error;
    contact (N, 32, 4) logits (probabilities in the ONNX file); betas (N, 10); up (N, 3) unit;
    up_deviation_rad (N,).
    """

    rotations: Tensor
    deviation_rad: Tensor
    contact: Tensor
    betas: Tensor
    up: Tensor
    up_deviation_rad: Tensor


class LiftNetwork(nn.Module):
    """Features of windows (N, 32, 196) to `Lifting`."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.enter = nn.Linear(FEATURES, size.width)
        self.place = nn.Parameter(torch.randn(WINDOW, size.width) * 0.02)
        self.blocks = nn.Sequential(*(_Block(size) for _ in range(size.blocks)))
        self.norm = nn.LayerNorm(size.width)
        self.per_frame = nn.Linear(size.width, sum(_PER_FRAME))
        self.per_window = nn.Linear(size.width, sum(_PER_WINDOW))
        self._begin()

    def _begin(self) -> None:
        """Start upright, facing the camera, unsure, of mean shape."""
        for head in (self.per_frame, self.per_window):
            nn.init.normal_(head.weight, std=_SPREAD)
            nn.init.zeros_(head.bias)
        identity = torch.eye(3)[:, :2].flatten()
        with torch.no_grad():
            self.per_frame.bias[:POSE_6D] = identity.repeat(JOINTS)
            self.per_window.bias[BETAS + 1] = 1.0

    def forward(self, features: Tensor) -> Lifting:
        hidden = self.norm(self.blocks(self.enter(features) + self.place)).float()
        with torch.autocast("cpu", enabled=False):
            columns, spread, contact = self.per_frame(hidden).split(_PER_FRAME, -1)
            betas, up, up_spread = self.per_window(hidden.mean(1)).split(_PER_WINDOW, -1)
        return Lifting(
            rotations_from_6d(columns),
            _deviation(spread),
            contact,
            betas,
            functional.normalize(up, dim=-1),
            _deviation(up_spread)[..., 0],
        )


def _deviation(spread: Tensor) -> Tensor:
    """Any number to an expected error in radians; 0 gives the untrained network's."""
    least, first, largest = _DEVIATION_RAD
    return (first * spread.exp()).clamp(least, largest)


class _Block(nn.Module):
    def __init__(self, size: Size) -> None:
        super().__init__()
        self.heads = size.heads
        self.before = nn.LayerNorm(size.width)
        self.ask = nn.Linear(size.width, 3 * size.width)
        self.answer = nn.Linear(size.width, size.width)
        self.between = nn.LayerNorm(size.width)
        self.widen = nn.Linear(size.width, size.inner)
        self.narrow = nn.Linear(size.inner, size.width)

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = hidden + self.answer(self._attend(self.ask(self.before(hidden))))
        return hidden + self.narrow(functional.gelu(self.widen(self.between(hidden))))

    def _attend(self, asked: Tensor) -> Tensor:
        query, key, value = asked.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        # written out: for 32 frames it trains three times as fast on a CPU as torch's fused kernel
        share = (query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5).softmax(-1)
        return (share.to(value.dtype) @ value).transpose(1, 2).flatten(2)


class _Exported(nn.Module):
    """The network with probabilities of contact, as the product reads it."""

    def __init__(self, network: LiftNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        lifting = self.network(features)
        return tuple(lifting._replace(contact=lifting.contact.sigmoid()))


def export(network: LiftNetwork, path: Path) -> None:
    """Write the network as ONNX, any number of windows at a time."""
    exported = _Exported(network).eval()
    example = torch.zeros(2, WINDOW, FEATURES)
    torch.onnx.export(
        exported,
        (example,),
        str(path),
        input_names=["features"],
        output_names=list(OUTPUTS),
        dynamic_shapes=({0: torch.export.Dim("windows")},),
        opset_version=18,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    model = onnx.load(path)
    forget_origin(model)
    onnx.save(model, path)


def forget_origin(model: onnx.ModelProto) -> None:
    """Take out the exporter's notes on where in whose files each node came from."""
    graph = model.graph
    for owner in (model, graph, *graph.node, *graph.initializer, *graph.value_info):
        owner.doc_string = ""
        del owner.metadata_props[:]
