"""What is known of a person's landmarks and rotations as feature maps.

    27 landmarks ─┬─ a bump at each, by its visibility            27 channels
                  └─ the same bumps times their depth             27
    24 rotations ─── 6D, over the limb that the joint moves      144
    10 betas     ─── over the trunk                               10
    all of these ─── as plain numbers, a few on each cell          5 ─► maps (213, 7, 7)

A network that samples maps at mesh points finds a limb's rotation on the limb (after the fields of
3D directions along limbs of Xiang, Joo and Sheikh, "Monocular Total Capture", CVPR 2019), and one
that samples a fixed grid finds every number at its fixed place, wherever the person is.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from staf_backend.body.markers import COUNT, indices
from staf_backend.staf.config import BETAS, JOINTS, MAP_PX, POSE_6D
from staf_backend.staf.encoders.frame_lifter import check_landmarks, rest_6d

PLAIN = 5
"""The last channels, of plain numbers: rotations, betas, three of each landmark."""
CHANNELS = 2 * COUNT + POSE_6D + BETAS + PLAIN
"""Of the maps."""

_SPREAD = 0.75 * 2 / MAP_PX  # of a bump, in crop coordinates: three quarters of a cell
_PLATEAU = 1.6  # limbs are even on the cells that they cross
_DEPTH = 2.0  # half a metre counts as one
_FAINT, _LOUD = 0.4, 4.0  # of the fields and of the plain numbers, which are few
_HIPS, _SHOULDERS, _EARS = (COUNT + k for k in range(3))  # middles, behind the landmarks
_TRUNK = (_HIPS, _SHOULDERS)


def _at(name: str) -> int:
    return int(indices(name)[0])


def _limbs() -> list[tuple[int, int]]:
    """The line over which each joint's rotation is painted, in the skeleton's order."""
    limbs = [_TRUNK] * JOINTS
    limbs[12], limbs[15] = (_SHOULDERS, _EARS), (_EARS, _at("nose"))
    of_side = {
        1: ("hip", "knee"),
        4: ("knee", "ankle"),
        7: ("heel", "foot_index"),
        10: ("heel", "foot_index"),
        16: ("shoulder", "elbow"),
        18: ("elbow", "wrist"),
        20: ("wrist", "index"),
        22: ("wrist", "pinky"),
    }
    for side, name in enumerate(("left", "right")):
        limbs[13 + side] = (_SHOULDERS, _at(f"{name}_shoulder"))
        for joint, (start, end) in of_side.items():
            limbs[joint + side] = (_at(f"{name}_{start}"), _at(f"{name}_{end}"))
    return limbs


_LIMBS = _limbs()


def paint(landmarks: Tensor, pose6d: Tensor, betas: Tensor) -> Tensor:
    """Maps (N, CHANNELS, 7, 7), float32.

    Args:
        landmarks: (N, 27, 6), see `frame_lifter.NUMBERS`.
        pose6d: (N, 144) rotations.
        betas: (N, 10).

    Raises:
        ValueError: landmarks of another shape.
    """
    check_landmarks(landmarks)
    landmarks = landmarks.float()
    points = landmarks[..., :2]
    heat = _bumps(points, points)
    ends = _with_middles(points)
    starts, stops = (torch.stack([ends[:, point] for point in line], 1) for line in zip(*_LIMBS))
    limbs = (_bumps(starts, stops) * _PLATEAU).clamp(max=1)
    turned = (pose6d - rest_6d(pose6d.device)).unflatten(1, (-1, 6))
    depth = landmarks[..., 4] * _DEPTH
    fields = [
        heat * landmarks[..., 5, None],
        heat * depth[..., None],
        (limbs[:, :, None] * turned[..., None]).flatten(1, 2),
        limbs[:, :1] * betas[..., None],
    ]
    plain = torch.cat([turned.flatten(1), betas / 2, points.flatten(1), depth], 1)
    plain = F.pad(plain, (0, PLAIN * MAP_PX**2 - plain.shape[1])).unflatten(1, (PLAIN, -1))
    maps = torch.cat([torch.cat(fields, 1) * _FAINT, plain * _LOUD], 1)
    return maps.unflatten(-1, (MAP_PX, MAP_PX))


def _with_middles(points: Tensor) -> Tensor:
    """Points (N, 27, 2) with the middles of hips, shoulders and ears behind them."""
    middles = [
        (points[:, _at(f"left_{name}")] + points[:, _at(f"right_{name}")])[:, None] / 2
        for name in ("hip", "shoulder", "ear")
    ]
    return torch.cat([points, *middles], 1)


def _bumps(start: Tensor, end: Tensor) -> Tensor:
    """How near each cell is to lines from start to end (N, L, 2): 1 on it, (N, L, 49)."""
    line = (torch.arange(MAP_PX, device=start.device) + 0.5) * (2 / MAP_PX) - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    cells = torch.stack([x, y], -1).view(-1, 2)
    along, to = (end - start)[:, :, None], cells - start[:, :, None]
    share = (to * along).sum(-1) / (along * along).sum(-1).clamp(min=1e-9)
    away = to - share.clamp(0, 1)[..., None] * along
    return torch.exp(away.square().sum(-1) / (-2 * _SPREAD**2))
