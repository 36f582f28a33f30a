"""The networks that the paper compares STAF with, from the same pieces.

Tables IV and VI vary STAF itself and are configurations of it.  Table V puts the fusions on HMR:

    maps ─ pooled to 2048 ─ [MoCA] ─┬─ the target as it is   HMR
                                    ├─ mean of the frames    + APM
                                    └─ groups of three       + HAFI
                                         └─ one regressor, three times

MoCA is the attention that TCFM comes from, HAFI the hierarchy that SAFM comes from (MPS-Net, Wei et
al., CVPR 2022).  The paper does not say where APM stands beside MoCA; here it takes HAFI's place.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from staf_backend.staf.body import rotations_from_6d
from staf_backend.staf.config import MAP_CHANNELS, MAP_PX, StafConfig, check_groups
from staf_backend.staf.fusion import Safm, Tcfm
from staf_backend.staf.network import MeanParams, Regressor, StageParams

REGRESSION_STEPS = 3
"""Times that HMR's regressor corrects its answer (Kanazawa et al. 2018)."""

TABLE_IV = {
    "base": StafConfig(average_target=False, tcfm_stage=None, safm_stage=None),
    "base + APM": StafConfig(tcfm_stage=None, safm_stage=None),
    "base + STAF": StafConfig(average_target=False),
    "base + STAF + APM": StafConfig(),
}
"""What each part brings: configurations by the paper's names."""

TABLE_VI = {
    "TCFM1": StafConfig(tcfm_stage=1, safm_stage=None),
    "TCFM1 + SAFM1": StafConfig(tcfm_stage=1, safm_stage=1),
    "TCFM1 + SAFM2": StafConfig(tcfm_stage=1, safm_stage=2),
    "TCFM1 + SAFM3": StafConfig(tcfm_stage=1, safm_stage=3),
    "TCFM2": StafConfig(tcfm_stage=2, safm_stage=None),
    "TCFM2 + SAFM2": StafConfig(tcfm_stage=2, safm_stage=2),
    "TCFM2 + SAFM3": StafConfig(tcfm_stage=2, safm_stage=3),
    "TCFM3": StafConfig(tcfm_stage=3, safm_stage=None),
    "TCFM3 + SAFM3": StafConfig(tcfm_stage=3, safm_stage=3),
    "SAFM1": StafConfig(tcfm_stage=None, safm_stage=1),
    "SAFM2": StafConfig(tcfm_stage=None, safm_stage=2),
    "SAFM3": StafConfig(tcfm_stage=None, safm_stage=3),
}
"""Where the fusions stand: the paper's twelve, SAFM never before TCFM."""


@dataclass(frozen=True)
class PooledConfig:
    """A network of Table V: how frames become the target's one feature, with or without MoCA."""

    integration: Literal["target", "APM", "HAFI"] = "target"
    moca: bool = False
    frames: int = 9
    map_channels: int = MAP_CHANNELS

    def __post_init__(self) -> None:
        if self.integration not in ("target", "APM", "HAFI"):
            raise ValueError(f"integration must be target, APM or HAFI, not {self.integration!r}")
        if self.frames < 1 or self.frames % 2 == 0:
            raise ValueError(f"frames must be odd, so that a middle exists, not {self.frames}")
        if self.map_channels < 1:
            raise ValueError(f"map_channels must be positive, not {self.map_channels}")
        if self.integration == "HAFI":
            check_groups(self.frames)


TABLE_V = {
    "HMR": PooledConfig(),
    "HMR + HAFI": PooledConfig("HAFI"),
    "HMR + APM": PooledConfig("APM"),
    "MPS-Net without HAFI": PooledConfig(moca=True),
    "MPS-Net with HAFI": PooledConfig("HAFI", moca=True),
    "MPS-Net with APM": PooledConfig("APM", moca=True),
}
"""Fusions on pooled features: configurations of `PooledNetwork` by name."""


class PooledNetwork(nn.Module):
    """HMR over a window of pooled encoder maps (Kanazawa et al., CVPR 2018; STAF Table V)."""

    def __init__(self, config: PooledConfig, mean: MeanParams) -> None:
        super().__init__()
        self.config = config
        self.moca = Tcfm(config.map_channels) if config.moca else None
        self.hafi = Safm(config.map_channels) if config.integration == "HAFI" else None
        self.regressor = Regressor(config.map_channels)
        for name, tensor in mean._asdict().items():
            self.register_buffer(f"mean_{name}", tensor.clone().float())

    def forward(self, maps: Tensor) -> StageParams:
        """Parameters (B, ...) of the middle frames of windows (B, T, C, 7, 7).

        Raises:
            ValueError: maps of any other shape.
        """
        shape = (self.config.frames, self.config.map_channels, MAP_PX, MAP_PX)
        if maps.ndim != 5 or maps.shape[1:] != shape:
            raise ValueError(
                f"maps must be (B, {', '.join(map(str, shape))}), not {tuple(maps.shape)}"
            )
        features = maps.mean((-2, -1))
        if self.moca is not None:
            features, _ = self.moca(features)
        feature, params = self._integrated(features), self._start(len(maps))
        for _ in range(REGRESSION_STEPS):
            params = self.regressor(feature, params)
        return params

    def _integrated(self, features: Tensor) -> Tensor:
        if self.hafi is not None:
            return self.hafi(features)[0]
        if self.config.integration == "APM":
            return features.mean(1)
        return features[:, self.config.frames // 2]

    def _start(self, count: int) -> StageParams:
        pose6d, betas, camera = (
            self.get_buffer(f"mean_{name}").expand(count, -1)
            for name in ("pose6d", "betas", "camera")
        )
        return StageParams(pose6d, betas, camera, rotations_from_6d(pose6d))
