"""How large the network is and what a frame costs: what `staf info --network` prints.

Counted, not written down: parameters of the modules, and multiply-adds of a run on tensors without
data.  Bilinear sampling and elementwise steps are not counted.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from staf_backend.staf.body import SmplBody, placeholder_tables
from staf_backend.staf.config import BETAS, CROP_PX, JOINTS, MAP_PX, STAGES
from staf_backend.staf.encoders import Encoder
from staf_backend.staf.network import Staf, StafConfig, no_means
from staf_backend.staf.streaming.folded import SIDES, FoldedStaf

PLACEHOLDERS = STAGES * 64 * (BETAS + 3 * JOINTS)
"""Parameters that smplx makes for a batch of 64 (betas, root and body poses) in each of the
authors' regressors, and nothing uses."""
_PARTS = {
    "deconv": "deconvolutions",
    "points": "point MLPs",
    "tcfm": "TCFM",
    "safm": "SAFM",
    "regressors": "regressors",
}


@dataclass(frozen=True)
class PartReport:
    """One part: its parameters, and multiply-adds for one target frame in the windowed form."""

    name: str
    parameters: int
    multiply_adds: int

    def __post_init__(self) -> None:
        if self.parameters < 0 or self.multiply_adds < 0:
            raise ValueError("counts cannot be negative")


@dataclass(frozen=True)
class NetworkReport:
    """All parts, and what the streaming form spends on a frame (stage 3 evaluated everywhere)."""

    parts: tuple[PartReport, ...]
    streamed_multiply_adds: int | None

    @property
    def parameters(self) -> int:
        """Parameters of the encoder and the network."""
        return sum(part.parameters for part in self.parts)

    @property
    def parameters_as_published(self) -> int:
        """The same as the authors' classes count: with three unused SMPL placeholders."""
        return self.parameters + PLACEHOLDERS

    @property
    def multiply_adds(self) -> int:
        """Of one window, the encoder run once."""
        return sum(part.multiply_adds for part in self.parts)

    def lines(self) -> tuple[str, ...]:
        """A table for people."""
        rows = [f"{'part':16}{'parameters':>14}{'GMAC a frame':>14}"]
        for part in self.parts:
            rows.append(f"{part.name:16}{part.parameters:14,}{part.multiply_adds / 1e9:14.3f}")
        rows.append(f"{'all':16}{self.parameters:14,}{self.multiply_adds / 1e9:14.3f}")
        rows.append(f"as the authors' classes count: {self.parameters_as_published:,} parameters")
        if self.streamed_multiply_adds is not None:
            streamed = self.streamed_multiply_adds / 1e9
            rows.append(f"streamed: {streamed:.3f} GMAC a frame, less where points share cells")
        return tuple(rows)


def describe_network(config: StafConfig | None = None) -> NetworkReport:
    """Counts parameters and multiply-adds of the encoder and the network of a configuration."""
    config = config or StafConfig()
    with torch.device("meta"):
        encoder, network = Encoder().eval(), _blank(config)
        crop = torch.empty(1, 3, CROP_PX, CROP_PX)
        window = torch.empty(1, config.frames, config.map_channels, MAP_PX, MAP_PX)
        encoder_cost = _flops(encoder, crop)["Global"] // 2
        costs = _flops(network, window)
    counts = {"encoder": (_parameters(encoder), encoder_cost)}
    for name, title in _PARTS.items():
        module = getattr(network, name)
        if module is not None:
            cost = sum(v for key, v in costs.items() if _is_part(key, name, module)) // 2
            counts[title] = (_parameters(module), cost)
    rest = costs["Global"] // 2 - sum(cost for _, cost in counts.values()) + encoder_cost
    counts["bodies"] = (0, rest)
    parts = tuple(PartReport(name, *count) for name, count in counts.items())
    return NetworkReport(parts, _streamed(config, network, encoder_cost))


def _flops(module: nn.Module, *inputs: torch.Tensor) -> dict[str, int]:
    with FlopCounterMode(display=False, depth=4) as counter, torch.no_grad():
        module(*inputs)
    return {name: sum(by_op.values()) for name, by_op in counter.get_flop_counts().items()}


def _is_part(key: str, name: str, module: nn.Module) -> bool:
    """A list is never called itself: its children are counted instead."""
    path = key.split(".")
    if path[:2] != ["Staf", name]:
        return False
    return len(path) == (3 if isinstance(module, nn.ModuleList) else 2)


def _streamed(config: StafConfig, network: Staf, encoder_cost: int) -> int | None:
    """Of one new frame and one window, or None where the network cannot be streamed."""
    if not config.streams:
        return None
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        folded = FoldedStaf(network)
        folding = counter.get_total_flops()
        before = folded.before_relu(torch.empty(1, config.map_channels, MAP_PX, MAP_PX))
        rows, _ = folded.frame_rows(before)
        average, second = folded.frame_rows(before)
        vectors = average.vectors[:, None].expand(-1, config.frames, -1)
        places = torch.zeros(1, config.frames, dtype=torch.long)
        table = rows.linear.expand(config.frames, SIDES[2] ** 2, -1)
        folded.window_params(vectors, table, places, second, sparse=False)
        return (counter.get_total_flops() - folding) // 2 + encoder_cost


def _blank(config: StafConfig) -> Staf:
    body = SmplBody(placeholder_tables(config.mesh_points)).to("meta")
    return Staf(config, body, no_means()).to("meta").eval()


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
