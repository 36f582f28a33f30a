"""STAF: a window of feature maps in, the body parameters of its middle frame out.

    maps (B, 9, 2048, 7, 7) ─ APM ─ deconv 1 ─ grid points ─ MLP ─ TCFM ─ regressor 1 ─┐ 9 bodies
                                       │                                               │
                                    deconv 2 ─ mesh points ◄───────────────────────────┤
                                       │            └─ MLP ─ SAFM ─ regressor 2 ───────┐ 1 body
                                    deconv 3 ─ mesh points ◄───────────────────────────┤
                                                    └─ MLP ─────── regressor 3 ────────► result

The encoder is apart (`encoders.resnet`), because it is frozen while this part is trained.  This is
the windowed form, also used for training; `stream` gives the same results frame by frame, faster.

Parameters of the paper's configuration with the encoder: 55,496,067, and 55,511,811 as the
authors' classes count, which hold three unused SMPL placeholders of 5,248.  Table II of the paper
says 51.12 M.  No sum of parts as published gives that; leaving out SAFM (815,363) and one of the
two equal regressors (3,579,037) gives 51,117,411, so an older version was probably counted.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from staf_backend.staf.body import SmplBody, project, rotations_from_6d
from staf_backend.staf.config import (
    BETAS,
    CAMERA,
    MAP_PX,
    POSE_6D,
    STAGES,
    StafConfig,
)
from staf_backend.staf.fusion import Attention, Safm, Tcfm, average_target
from staf_backend.staf.sampling import PointMlp, grid_points, sample

HIDDEN = 1024
"""Width of a regressor's two layers (HMR)."""


class StageParams(NamedTuple):
    """Body parameters as tensors with any leading axes.

    `pose6d` (..., 144), `betas` (..., 10), `camera` (..., 3) scale and shift of the crop camera,
    `rotations` (..., 24, 3, 3) of `pose6d`, joint 0 in camera axes.
    """

    pose6d: Tensor
    betas: Tensor
    camera: Tensor
    rotations: Tensor

    def detached(self) -> "StageParams":
        """The same values without gradient history."""
        return StageParams(*(tensor.detach() for tensor in self))

    def flattened(self) -> "StageParams":
        """Two leading axes (B, T) as one."""
        return StageParams(*(tensor.flatten(0, 1) for tensor in self))

    def expanded(self, *axes: int) -> "StageParams":
        """Views repeated over new leading axes."""
        return StageParams(*(tensor.expand(*axes, *tensor.shape) for tensor in self))

    def frame(self, index: int) -> "StageParams":
        """One frame (B, ...) of parameters (B, T, ...)."""
        return StageParams(*(tensor[:, index] for tensor in self))


class StafOutputs(NamedTuple):
    """Every stage's parameters, (B, T_stage, ...) each, and the attention.

    T_stage is the window's length where a later fusion reads the neighbours and 1 elsewhere.
    `attention` is None without TCFM, `scores` (B, 4, 3) is None without SAFM.
    """

    stages: tuple[StageParams, StageParams, StageParams]
    attention: Attention | None
    scores: Tensor | None

    @property
    def result(self) -> StageParams:
        """The last stage's parameters of the target frame, (B, ...)."""
        last = self.stages[-1]
        return last.frame(last.betas.shape[1] // 2)


class MeanParams(NamedTuple):
    """Where regression starts: pose6d (144,), betas (10,), camera (3,)."""

    pose6d: Tensor
    betas: Tensor
    camera: Tensor


def no_means() -> MeanParams:
    """Zeros, until the trained ones are loaded."""
    return MeanParams(torch.zeros(POSE_6D), torch.zeros(BETAS), torch.zeros(CAMERA))


class Regressor(nn.Module):
    """Feature and previous parameters to new parameters; linear but for dropout (HMR's, one step).

    Starts near the identity: decoders at a hundredth of Xavier's scale.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(features + POSE_6D + BETAS + CAMERA, HIDDEN)
        self.fc2 = nn.Linear(HIDDEN, HIDDEN)
        self.drop = nn.Dropout(0.5)
        self.pose = nn.Linear(HIDDEN, POSE_6D)
        self.betas = nn.Linear(HIDDEN, BETAS)
        self.camera = nn.Linear(HIDDEN, CAMERA)
        for decoder in (self.pose, self.betas, self.camera):
            nn.init.xavier_uniform_(decoder.weight, gain=0.01)

    def forward(self, features: Tensor, start: StageParams) -> StageParams:
        """New parameters (..., *) from features (..., S) and parameters with the same axes."""
        x = torch.cat([features, start.pose6d, start.betas, start.camera], -1)
        x = self.drop(self.fc2(self.drop(self.fc1(x))))
        pose6d = start.pose6d + self.pose(x).float()
        betas = start.betas + self.betas(x).float()
        camera = start.camera + self.camera(x).float()
        return StageParams(pose6d, betas, camera, rotations_from_6d(pose6d))


class DeconvBlock(nn.Module):
    """Twice the size: transposed 4x4 convolution, batch norm, ReLU."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(channels, out, 4, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(out)
        nn.init.normal_(self.conv.weight, std=0.001)

    def forward(self, maps: Tensor) -> Tensor:
        return torch.relu(self.norm(self.conv(maps)))


class Staf(nn.Module):
    """The network after the encoder.

    Its state dict holds the trained tensors and the mean parameters; the body is given at
    construction and stays outside, since it has its own licence.
    """

    def __init__(self, config: StafConfig, body: SmplBody, mean: MeanParams) -> None:
        super().__init__()
        points = len(body.tables.alignment_vertices)
        if points != config.mesh_points:
            raise ValueError(f"the body has {points} alignment vertices, not {config.mesh_points}")
        self.config = config
        self.body = body
        self.aligned_body = body.aligned()
        self.register_buffer("mean_pose6d", mean.pose6d.clone().float())
        self.register_buffer("mean_betas", mean.betas.clone().float())
        self.register_buffer("mean_camera", mean.camera.clone().float())
        self.register_buffer("grid", grid_points(), persistent=False)
        widths = [config.map_channels, *[config.channels] * STAGES]
        self.deconv = nn.ModuleList(DeconvBlock(*widths[i : i + 2]) for i in range(STAGES))
        self.points = nn.ModuleList(PointMlp(config.channels) for _ in range(STAGES))
        self.regressors = nn.ModuleList(
            Regressor(config.features(stage)) for stage in range(1, STAGES + 1)
        )
        self.tcfm = self._tcfm(config)
        self.safm = Safm(config.features(config.safm_stage)) if config.safm_stage else None

    def forward(self, maps: Tensor) -> StafOutputs:
        """Recovers the middle frame's body.

        Args:
            maps: (B, T, C, 7, 7) encoder maps of consecutive frames of one person each; T and C
                are the configuration's `frames` and `map_channels`.  Not written to.

        Returns:
            Parameters of every stage and the attention weights; float32.

        Raises:
            ValueError: maps of any other shape.
        """
        self.check_maps(maps)
        config = self.config
        x = average_target(maps) if config.average_target else maps
        params = self.mean_params().expanded(len(maps), config.frames)
        stages, attention, scores = [], None, None
        for stage in range(1, STAGES + 1):
            if not config.carries_all(stage):
                x, params = _middle(x), StageParams(*map(_middle, params))
            x = self._deconv(stage, x)
            params = params.detached()
            features = self._features(stage, x, params)
            if self.tcfm is not None and config.tcfm_stage == stage:
                features, attention = self.tcfm(features)
            if self.safm is not None and config.safm_stage == stage:
                fused, scores = self.safm(features)
                features = self._with_target(stage, features, fused)
                params = StageParams(*(_like(tensor, features) for tensor in params))
            params = self.regressors[stage - 1](features, params)
            stages.append(params)
        return StafOutputs((stages[0], stages[1], stages[2]), attention, scores)

    def mean_params(self) -> StageParams:
        """The start values as a stage's parameters of one body, on the network's device."""
        pose6d, betas, camera = (
            self.get_buffer(f"mean_{name}") for name in ("pose6d", "betas", "camera")
        )
        return StageParams(pose6d, betas, camera, rotations_from_6d(pose6d))

    def check_maps(self, maps: Tensor) -> None:
        """Refuses windows of another shape.

        Raises:
            ValueError: naming the shape that was given and the one that is needed.
        """
        shape = (self.config.frames, self.config.map_channels, MAP_PX, MAP_PX)
        if maps.ndim != 5 or maps.shape[1:] != shape:
            raise ValueError(
                f"maps must be (B, {', '.join(map(str, shape))}), not {tuple(maps.shape)}"
            )

    def _deconv(self, stage: int, x: Tensor) -> Tensor:
        batch, frames = x.shape[:2]
        return self.deconv[stage - 1](x.flatten(0, 1)).unflatten(0, (batch, frames))

    def _features(self, stage: int, maps: Tensor, params: StageParams) -> Tensor:
        """What the point MLP makes of each frame's map: (B, T, S)."""
        batch, frames = maps.shape[:2]
        if stage == 1:
            points = self.get_buffer("grid").expand(batch * frames, -1, -1)
        else:
            points = self._mesh_points(params.flattened())
        sampled = sample(maps.flatten(0, 1), points)
        return self.points[stage - 1](sampled).unflatten(0, (batch, frames))

    def _mesh_points(self, params: StageParams) -> Tensor:
        """Where the alignment vertices fall on the crop, (N, 431, 2); no gradient."""
        with torch.no_grad():
            vertices_m = self.aligned_body(params.betas, params.rotations).vertices_m
            return project(vertices_m, params.camera)

    def _with_target(self, stage: int, features: Tensor, fused: Tensor) -> Tensor:
        """SAFM's result as the only frame, or in the target's place if later stages need all."""
        if stage == STAGES or not self.config.carries_all(stage + 1):
            return fused[:, None]
        middle = self.config.middle
        parts = [features[:, :middle], fused[:, None].to(features.dtype), features[:, middle + 1 :]]
        return torch.cat(parts, 1)

    @staticmethod
    def _tcfm(config: StafConfig) -> Tcfm | None:
        if config.tcfm_stage is None:
            return None
        return Tcfm(config.features(config.tcfm_stage), config.tcfm_batching)


def _middle(tensor: Tensor) -> Tensor:
    """The middle frame (B, 1, ...) of (B, T, ...)."""
    middle = tensor.shape[1] // 2
    return tensor[:, middle : middle + 1]


def _like(tensor: Tensor, features: Tensor) -> Tensor:
    return tensor if features.shape[1] == tensor.shape[1] else _middle(tensor)
