"""What both stages lower: Eq. 11 of the paper, each term with its mask.

    stage's parameters ─► joints (49) ─┬─ projected ── keypoints_2d ─┐
                       │               └─ about the hips ─ joints_3d ├─ weighted, summed over the
                       └─► rotations, betas, camera ─ pose, shape ... ┘  supervised stages

The terms are SPIN's and PyMAF's: squared errors, and means, so that a weight does not change its
meaning with the batch.  Unknown entries are cut out before they are squared: whatever stands there,
NaN included, moves no gradient.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from staf_backend.devices import full_precision, indices_on
from staf_backend.staf.body import SmplBody, project
from staf_backend.staf.network import StageParams
from training.joints import ANNOTATED, COUNT, HIPS, LSP_14
from training.model.axis_angle import axis_angle, from_axis_angle
from training.targets import BodyJoints, PosedJoints, Targets

Average = Callable[[Tensor], Tensor]
"""Averages a tensor over the processes that share a batch."""

TERMS = ("keypoints_2d", "joints_3d", "pose", "shape", "camera", "vertices")


@dataclass(frozen=True)
class LossConfig:
    """Weights of the terms, and every way in which the released trainer departs from the paper.

    Attributes:
        keypoints_2d: per square of half a crop, of projected joints.
        joints_3d: per square metre, of joints about the middle of the hips.
        pose: per square entry of a rotation matrix.
        shape: per square beta.
        camera: of exp(-10 s)^2, which keeps the camera's scale positive (stage 1).
        vertices: per metre, of each coordinate of the mesh.
        supervise: sum over all regressors, or the last alone (then the others learn nothing, since
            each stage starts from detached parameters).
        early_frames: of regressors that give every frame of a window: all frames are compared
            with their labels, or the target alone.
        joints_2d_set: "all" 49, or only the 24 "annotated" ones (OpenPose's weigh zero; the mean
            still counts them, as SPIN's does).
        joints_3d_set: the 24 "annotated" joints or the fourteen of "lsp".
        joints_3d_confidence: whether unknown joints are left out; without, they are zeros that
            are learnt from where anything of the sample is known.
        pose_form: rotations compared as "matrix", or after a way through "axis_angle".
        target_type: targets as they are, or rounded to "float16" (rotations as axis-angle).
        smpl_sets: names of the sets whose pose and shape labels count, see `has_smpl`, for who
            makes the batches; None for all that have some.
        foreign_betas: betas of the model's other genders are masked or kept, see `WindowMix`; the
            released trainer keeps 3DPW's on the neutral body.
    """

    keypoints_2d: float = 300.0
    joints_3d: float = 300.0
    pose: float = 60.0
    shape: float = 0.06
    camera: float = 0.0
    vertices: float = 0.0
    supervise: Literal["every", "last"] = "every"
    early_frames: Literal["all", "target"] = "all"
    joints_2d_set: Literal["all", "annotated"] = "all"
    joints_3d_set: Literal["annotated", "lsp"] = "annotated"
    joints_3d_confidence: bool = True
    pose_form: Literal["matrix", "axis_angle"] = "matrix"
    target_type: Literal["float32", "float16"] = "float32"
    smpl_sets: tuple[str, ...] | None = None
    foreign_betas: Literal["mask", "keep"] = "mask"

    def __post_init__(self) -> None:
        for name in TERMS:
            weight = getattr(self, name)
            if not 0 <= weight < float("inf"):
                raise ValueError(f"{name} must be a weight, zero or more, not {weight!r}")
        if not any(getattr(self, name) for name in TERMS):
            raise ValueError("all weights are zero: nothing would be learnt")
        for name, words in _CHOICES.items():
            if getattr(self, name) not in words:
                raise ValueError(f"{name} must be {' or '.join(words)}")

    def has_smpl(self, source: str) -> bool:
        """Whether pose and shape labels of a set count: "3dpw" stands for "3dpw-train" too."""
        if self.smpl_sets is None:
            return True
        return any(source == name or source.startswith(f"{name}-") for name in self.smpl_sets)

    @classmethod
    def paper_image(cls) -> "LossConfig":
        """Stage 1: single frames, all three regressors."""
        return cls(camera=1.0, joints_2d_set="annotated")

    @classmethod
    def paper_video(cls) -> "LossConfig":
        """Stage 2 as the paper has it: everything learns."""
        return cls()

    @classmethod
    def released_video(cls) -> "LossConfig":
        """Stage 2 as the released trainer computes it."""
        return cls(
            supervise="last",
            joints_3d_set="lsp",
            joints_3d_confidence=False,
            pose_form="axis_angle",
            target_type="float16",
            smpl_sets=("3dpw",),
            foreign_betas="keep",
        )


_CHOICES = {
    "supervise": ("every", "last"),
    "early_frames": ("all", "target"),
    "joints_2d_set": ("all", "annotated"),
    "joints_3d_set": ("annotated", "lsp"),
    "pose_form": ("matrix", "axis_angle"),
    "target_type": ("float32", "float16"),
    "foreign_betas": ("mask", "keep"),
}


def keypoints_2d_rows(predicted: Tensor, keypoints: Tensor) -> Tensor:
    """Confidence times squared error, mean over a sample's entries, unknown ones as zero: (N,).

    Samples without any keypoint count as zero too (SPIN's mean is over all entries of a batch).

    Args:
        predicted: (N, 49, 2) on the crop, -1..1.
        keypoints: (N, 49, 3) x, y, confidence.
    """
    confidence = keypoints[..., 2:]
    off = _known(predicted - keypoints[..., :2], confidence > 0)
    return (confidence * off**2).mean((-2, -1))


def joints_3d_rows(predicted_m: Tensor, joints_m: Tensor, hips: tuple[int, int]) -> Tensor:
    """Confidence times squared error about the hips, mean over each sample's entries: (N,).

    Args:
        predicted_m: (N, J, 3).
        joints_m: (N, J, 4) and confidence; see `has_joints` for the samples that count.
        hips: places of the two hips among the J.
    """
    confidence = joints_m[..., 3:]
    truth_m = _known(joints_m[..., :3], confidence > 0)
    off = _centred(predicted_m, hips) - _centred(truth_m, hips)
    return (confidence * _known(off, confidence > 0) ** 2).mean((-2, -1))


def joints_3d_rows_released(predicted_m: Tensor, joints_m: Tensor, hips: tuple[int, int]) -> Tensor:
    """The same without confidence: unknown joints, which are zeros, count like the others."""
    truth_m = _known(joints_m[..., :3], joints_m[..., 3:] > 0)
    off = _centred(predicted_m, hips) - _centred(truth_m, hips)
    return (off**2).mean((-2, -1))


def has_joints(joints_m: Tensor, hips: tuple[int, int]) -> Tensor:
    """(N,) 1 where something and both hips, about which joints are compared, are known."""
    confidence = joints_m[..., 3]
    rooted = (confidence[..., hips[0]] > 0) & (confidence[..., hips[1]] > 0)
    others = tuple(joint for joint in range(joints_m.shape[-2]) if joint not in hips)
    known = confidence[..., indices_on(others, joints_m.device)] > 0
    return (rooted & known.any(-1)).float()


def pose_rows(predicted: Tensor, rotations: Tensor) -> Tensor:
    """Squared error of rotation matrices (N, 24, 3, 3), mean over each sample's entries: (N,)."""
    return ((predicted - rotations) ** 2).mean((-3, -2, -1))


def shape_rows(predicted: Tensor, betas: Tensor) -> Tensor:
    """Squared error of betas (N, 10), mean over each sample's entries: (N,)."""
    return ((predicted - betas) ** 2).mean(-1)


def vertices_rows(predicted_m: Tensor, vertices_m: Tensor) -> Tensor:
    """Absolute error of meshes (N, V, 3), mean over each sample's coordinates: (N,)."""
    return (predicted_m - vertices_m).abs().mean((-2, -1))


def camera_rows(camera: Tensor) -> Tensor:
    """exp(-10 s)^2 of cameras (N, 3): nearly nothing unless the scale nears zero.  (N,)."""
    return torch.exp(-10 * camera[..., 0]) ** 2


def mean_of_known(rows: Tensor, known: Tensor, average: Average | None = None) -> Tensor:
    """Mean of rows (N,) where known (N,) is above 0, weighted by it; zero where nothing is known.

    Args:
        rows: one number a sample; NaN where it is not known does no harm.
        known: weights, usually 0 or 1.
        average: over processes that share the batch; their losses' mean is then the batch's.
    """
    total = known.detach().sum()
    if average is not None:
        total = average(total)
    kept = torch.where(known > 0, rows, torch.zeros_like(rows)) * known
    return kept.sum() / torch.where(total > 0, total, torch.ones_like(total))


def average_over_processes(tensor: Tensor) -> Tensor:
    """The mean over all processes of `torch.distributed`; the tensor itself where there is one.

    Every process must call it.
    """
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return tensor
    total = tensor.clone()
    distributed.all_reduce(total)
    return total / distributed.get_world_size()


class Losses(nn.Module):
    """All terms of a network's stages.

    In training mode under `torch.distributed` the number of labelled samples is that of the whole
    batch, so that the mean of the processes' gradients is the gradient of the whole batch; every
    process must then call it.  In eval mode each process counts its own.
    """

    def __init__(self, body: SmplBody, config: LossConfig) -> None:
        """Poses the body of `body`'s tables; its device is this module's own."""
        super().__init__()
        self.config = config
        self.joints = PosedJoints(body.tables)
        whole = config.vertices > 0
        self.mesh = SmplBody(body.tables) if whole else None
        self.mesh_joints = BodyJoints(body.tables) if whole else None

    def forward(self, stages: Sequence[StageParams], targets: Targets) -> dict[str, Tensor]:
        """The weighted terms, and "total", their sum.

        Args:
            stages: (B, T_stage, ...) each, T_stage being the windows' length or 1, the target; or
                (B, ...) of targets alone.
            targets: tensors (B, T, ...) of all frames of windows, T odd; or (B, ...) of images.

        Raises:
            ValueError: shapes that do not belong together.
        """
        with full_precision(targets.keypoints):
            targets = self._targets(_targets_with_time(targets))
            frames = targets.has_pose.shape[1]
            chosen = stages if self.config.supervise == "every" else stages[-1:]
            sums: dict[str, Tensor] = {}
            for params in chosen:
                params = _stage_with_time(params)
                for name, term in self._terms(*self._matched(params, targets, frames)).items():
                    sums[name] = sums.get(name, 0) + getattr(self.config, name) * term
            return {**sums, "total": torch.stack(list(sums.values())).sum()}

    def _matched(
        self, params: StageParams, targets: Targets, frames: int
    ) -> tuple[StageParams, Targets]:
        """A stage's parameters and the targets of the same frames, (N, ...)."""
        given, middle = params.betas.shape[1], frames // 2
        if given not in (1, frames) or frames % 2 == 0:
            raise ValueError(f"stages of {given} frames do not belong to windows of {frames}")
        if len(params.betas) != len(targets.has_pose):
            raise ValueError(f"{len(params.betas)} results for {len(targets.has_pose)} targets")
        if given == frames and self.config.early_frames == "all":
            return params.flattened(), targets.map(lambda field: field.flatten(0, 1))
        return params.frame(given // 2), targets.map(lambda field: field[:, middle])

    def _terms(self, params: StageParams, targets: Targets) -> dict[str, Tensor]:
        """Each term with a weight, unweighted, of parameters and targets (N, ...)."""
        config, average = self.config, average_over_processes if self.training else None
        terms: dict[str, Tensor] = {}
        every = torch.ones_like(targets.has_pose)
        mesh_m, joints_m = self._posed(params)
        if config.keypoints_2d:
            projected = project(joints_m, params.camera)
            rows = keypoints_2d_rows(projected, self._keypoints(targets.keypoints))
            terms["keypoints_2d"] = mean_of_known(rows, every, average)
        if config.joints_3d:
            terms["joints_3d"] = self._joints_3d(joints_m, targets.joints_m, average)
        if config.pose:
            rows = pose_rows(self._round_trip(params.rotations), targets.rotations)
            terms["pose"] = mean_of_known(rows, targets.has_pose, average)
        if config.shape:
            rows = shape_rows(params.betas, targets.betas)
            terms["shape"] = mean_of_known(rows, targets.has_betas, average)
        if config.camera:
            terms["camera"] = mean_of_known(camera_rows(params.camera), every, average)
        if mesh_m is not None:
            terms["vertices"] = self._vertices(mesh_m, targets, average)
        return terms

    def _posed(self, params: StageParams) -> tuple[Tensor | None, Tensor]:
        if self.mesh is None or self.mesh_joints is None:
            return None, self.joints(params.betas, params.rotations)
        points = self.mesh(params.betas, params.rotations)
        return points.vertices_m, self.mesh_joints(points)

    def _keypoints(self, keypoints: Tensor) -> Tensor:
        if self.config.joints_2d_set == "all":
            return keypoints
        weight = torch.zeros(COUNT, 1, device=keypoints.device)
        weight[ANNOTATED].fill_(1)
        return torch.cat([keypoints[..., :2], keypoints[..., 2:] * weight], -1)

    def _joints_3d(self, predicted_m: Tensor, joints_m: Tensor, average: Average | None) -> Tensor:
        joints = LSP_14 if self.config.joints_3d_set == "lsp" else range(COUNT)[ANNOTATED]
        hips = joints.index(HIPS[0]), joints.index(HIPS[1])
        picked = indices_on(tuple(joints), joints_m.device)
        predicted_m, joints_m = predicted_m[:, picked], joints_m[:, picked]
        if self.config.joints_3d_confidence:
            rows, known = joints_3d_rows(predicted_m, joints_m, hips), has_joints(joints_m, hips)
        else:
            rows = joints_3d_rows_released(predicted_m, joints_m, hips)
            known = (joints_m[..., 3] > 0).any(-1).float()
        return mean_of_known(rows, known, average)

    def _vertices(self, mesh_m: Tensor, targets: Targets, average: Average | None) -> Tensor:
        assert self.mesh is not None
        known = targets.has_pose * targets.has_betas
        with torch.no_grad():
            truth_m = self.mesh(targets.betas, targets.rotations).vertices_m
        return mean_of_known(vertices_rows(mesh_m, truth_m), known, average)

    def _round_trip(self, rotations: Tensor) -> Tensor:
        if self.config.pose_form == "matrix":
            return rotations
        return from_axis_angle(axis_angle(rotations))

    def _targets(self, targets: Targets) -> Targets:
        """Targets as this configuration sees them; samples without labels become finite."""
        targets = targets._replace(
            rotations=_known(targets.rotations, targets.has_pose[..., None, None, None] > 0),
            betas=_known(targets.betas, targets.has_betas[..., None] > 0),
        )
        return _rounded(targets) if self.config.target_type == "float16" else targets


def _rounded(targets: Targets) -> Targets:
    """Through float16, rotations as axis-angle, as the released trainer's files hold them."""
    half = targets.map(lambda field: field.half().float())
    return half._replace(rotations=from_axis_angle(axis_angle(targets.rotations).half().float()))


def _stage_with_time(params: StageParams) -> StageParams:
    """(B, ...) as (B, 1, ...)."""
    missing = params.betas.ndim == 2
    return StageParams(*(tensor[:, None] for tensor in params)) if missing else params


def _targets_with_time(targets: Targets) -> Targets:
    """(B, ...) as (B, 1, ...)."""
    return targets.map(lambda field: field[:, None]) if targets.has_pose.ndim == 1 else targets


def _centred(points_m: Tensor, hips: tuple[int, int]) -> Tensor:
    return points_m - points_m[..., indices_on(hips, points_m.device), :].mean(-2, keepdim=True)


def _known(values: Tensor, known: Tensor) -> Tensor:
    return torch.where(known, values, torch.zeros_like(values))
