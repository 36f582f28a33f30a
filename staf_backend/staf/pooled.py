"""HMR over a window of pooled maps, with the fusions of the paper's Table V.

    maps ─ pooled to 2048 ─ [MoCA] ─┬─ the target as it is   HMR
                                    ├─ mean of the frames    + APM
                                    └─ groups of three       + HAFI
                                         └─ one regressor, three times

MoCA is the attention that TCFM comes from, HAFI the hierarchy that SAFM comes from (MPS-Net, Wei et
al., CVPR 2022).  The paper does not say where APM stands beside MoCA; here it takes HAFI's place.
"""

from torch import Tensor, nn

from staf_backend.staf.body import rotations_from_6d
from staf_backend.staf.config import MAP_PX, PooledConfig
from staf_backend.staf.fusion import Safm, Tcfm
from staf_backend.staf.network import MeanParams, Regressor, StageParams

REGRESSION_STEPS = 3
"""Times that HMR's regressor corrects its answer (Kanazawa et al. 2018)."""


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
