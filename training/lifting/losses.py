"""What the lifting network is asked for: joints in metres, rotations and directions in radians."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from staf_backend.geometry import SMPL, TO_Y_UP
from staf_backend.staf.body import joints_about_root
from training.lifting.network import Lifting
from training.moves import Figure, Scenes

_SEEN, _UNSEEN = 1.0, 0.25
"""Weights of frames of which the network saw something, and nothing (chosen: gaps are to be filled,
but a quarter as hard)."""
_HINGES = torch.tensor(
    [
        SMPL.indices(f"{side}_{a}", f"{side}_{b}", f"{side}_{c}")
        for a, b, c in (("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist"))
        for side in ("left", "right")
    ]
).T
"""(3, 4) the joints before, at and behind each knee and elbow."""
_BEND_RAD = 0.12
"""Errors of a bend above this count less and less (chosen: 7 degrees, as far as two people who
stand straight differ)."""


@dataclass(frozen=True)
class Weights:
    """Weights of the losses, chosen when the first network was trained (LOG.md, 2026-11-22).

    Attributes:
        joints: per metre of joint error on the true bones.
        own_joints: per metre of joint error on the bones of the network's betas.
        turns: per radian of rotation error.
        steps: per metre of error of a joint's step from frame to frame.
        betas: per square beta, to keep them small.
        deviation: of the log likelihood of rotation errors, and of up errors.
        up: per radian of error of the up direction.
        contact: of the cross entropy of contacts.
        bends: per radian of small errors of how far knees and elbows are bent, see `bend_losses`.
    """

    joints: float = 10.0
    own_joints: float = 3.0
    turns: float = 1.5
    steps: float = 10.0
    betas: float = 0.005
    deviation: float = 0.05
    up: float = 1.0
    contact: float = 0.4
    bends: float = 3.0


class WindowTruth(NamedTuple):
    """The truth of N windows in the network's axes, as tensors.

    rotations (N, W, 24, 3, 3), joints_m (N, W, 24, 3) about the pelvis, bones_m (N, 24, 3) rest
    vectors from each parent, up (N, 3), contact (N, W, 4), contact_known (N,), seen (N, W).
    """

    rotations: Tensor
    joints_m: Tensor
    bones_m: Tensor
    up: Tensor
    contact: Tensor
    contact_known: Tensor
    seen: Tensor


def window_truth(scenes: Scenes, turn: np.ndarray, seen: np.ndarray) -> WindowTruth:
    """The truth of scenes whose windows were turned by `turn` (N, 3, 3).

    Args:
        scenes: N windows.
        turn: from the camera's axes to those that look straight at the person.
        seen: (N, W) bool, whether any marker was.
    """
    to_network = (TO_Y_UP.astype("float32") @ turn)[:, None]
    tensor = torch.from_numpy
    return WindowTruth(
        tensor(to_network[:, None] @ scenes.rotations),
        tensor(scenes.joints_m @ to_network.swapaxes(-1, -2)),
        tensor(scenes.bones_m),
        tensor((to_network[:, 0] @ scenes.up[..., None])[..., 0]),
        tensor(scenes.contact.astype("float32")),
        tensor(scenes.contact_known.astype("float32")),
        tensor(seen),
    )


class Shape:
    """Rest bones of the mean body and per beta, as tensors."""

    def __init__(self, figure: Figure) -> None:
        parents = list(SMPL.parents[1:])
        bones, per_beta = figure.joints_m.copy(), figure.joints_per_beta.copy()
        bones[1:] -= figure.joints_m[parents]
        per_beta[1:] -= figure.joints_per_beta[parents]
        self._bones = torch.from_numpy(bones).float()
        self._per_beta = torch.from_numpy(per_beta).float()

    def bones_m(self, betas: Tensor) -> Tensor:
        """Rest bones (N, 24, 3) of betas (N, 10)."""
        return self._bones + torch.einsum("jcb,nb->njc", self._per_beta, betas)


def angles(one: Tensor, other: Tensor) -> Tensor:
    """Angles (...) in radians between rotations (..., 3, 3), with gradients at zero too.

    The chord |A - B| = 2 sqrt(2) sin(angle / 2).
    """
    chord = ((one - other) ** 2).sum((-1, -2)).clamp(min=1e-10).sqrt()
    return 2 * torch.asin((chord / 8**0.5).clamp(max=0.9999))


def weighted_losses(
    lifting: Lifting, truth: WindowTruth, shape: Shape, weights: Weights
) -> dict[str, Tensor]:
    """Each loss, weighted; their sum is what training lowers."""
    frames = torch.where(truth.seen, _SEEN, _UNSEEN)
    placed = _joints(lifting.rotations, truth.bones_m)
    joints = placed - truth.joints_m
    own = _joints(lifting.rotations, shape.bones_m(lifting.betas)) - truth.joints_m
    turn = angles(lifting.rotations, truth.rotations)
    off = torch.linalg.vector_norm(lifting.up - truth.up, dim=-1)
    contact = functional.binary_cross_entropy_with_logits(
        lifting.contact, truth.contact, reduction="none"
    ).mean(-1)
    both = frames[:, 1:] * frames[:, :-1]
    return {
        "joints": weights.joints * _mean(_length(joints).mean(-1), frames),
        "own_joints": weights.own_joints * _mean(_length(own).mean(-1), frames),
        "turns": weights.turns * _mean(turn.mean(-1), frames),
        "steps": weights.steps * _mean(_length(joints[:, 1:] - joints[:, :-1]).mean(-1), both),
        "betas": weights.betas * (lifting.betas**2).mean(),
        "deviation": weights.deviation
        * (
            _mean(_negative_log_likelihood(turn.detach(), lifting.deviation_rad).mean(-1), frames)
            + _negative_log_likelihood(off.detach(), lifting.up_deviation_rad).mean()
        ),
        "up": weights.up * off.mean(),
        "contact": weights.contact * _mean(contact, frames * truth.contact_known[:, None]),
        "bends": weights.bends * _mean(bend_losses(placed, truth.joints_m), frames),
    }


def bends(joints_m: Tensor) -> Tensor:
    """How far knees and elbows (..., 4) are from straight, radians, of joints (..., 24, 3)."""
    before, at, behind = (joints_m[..., joints, :] for joints in _HINGES)
    inner, outer = (
        functional.normalize(at - before, dim=-1),
        functional.normalize(behind - at, dim=-1),
    )
    return 2 * torch.asin((_length(inner - outer) / 2).clamp(max=0.9999))


def bend_losses(joints_m: Tensor, true_m: Tensor) -> Tensor:
    """What wrong bends cost (N, W), in radians while they are small.

    A limb that points at the camera looks the same straight and bent a little, and a bend is never
    below zero: its mean, and the median that other losses lead to, are never straight.  This one
    leads to the most frequent bend: beyond `_BEND_RAD` being wrong still further costs ever less
    (the log likelihood of Cauchy's distribution, scaled to a slope of at most 1).
    """
    off = (bends(joints_m) - bends(true_m)) / _BEND_RAD
    return _BEND_RAD * torch.log1p(off**2).mean(-1)


def _joints(rotations: Tensor, bones_m: Tensor) -> Tensor:
    """Joints (N, W, 24, 3) about the pelvis, of global rotations and rest bones (N, 24, 3)."""
    return joints_about_root(rotations, bones_m[:, None], SMPL.parents)


def _negative_log_likelihood(error: Tensor, expected: Tensor) -> Tensor:
    """Negative log likelihood of an error whose mean is expected: exponentially distributed."""
    return error / expected + expected.log()


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum() / weights.sum().clamp(min=1e-6)


def _length(vectors: Tensor) -> Tensor:
    return (vectors**2).sum(-1).clamp(min=1e-12).sqrt()
