# SPDX-License-Identifier: GPL-3.0-or-later
"""A motion as poses of a fitted rig, and poses as keys.  T keys, B bones, in the motion's frame."""

from dataclasses import dataclass

import numpy as np

from .fitting import Fit
from .performance import Performance


@dataclass(frozen=True, eq=False)
class Poses:
    """Where the rig is."""

    turns: np.ndarray
    """(T, B, 3, 3) of each bone since rest."""
    hips: np.ndarray
    """(T, 3) head of the pelvis bone."""


def poses_of(fit: Fit, performance: Performance) -> Poses:
    """Turn every bone as its joint; stand as high and go as far as the legs are longer.

    The middle between the hips is what goes: m ─► scale · (m - ankles) + the rig's ankles.
    """
    places = [performance.place(joint) for joint in fit.joints]
    turns = performance.turns[:, places] @ fit.aligned
    middle = fit.scale * (performance.middle_m() - [0.0, 0.0, fit.ankles_m])
    middle[:, 2] += fit.ankles + fit.ground
    pelvis = fit.place("Pelvis")
    arm = fit.middle() - fit.heads[pelvis]
    return Poses(turns, middle - turns[:, pelvis] @ arm)


def heads_of(fit: Fit, poses: Poses, bone: int) -> np.ndarray:
    """(T, 3) where a bone's head is."""
    pelvis = fit.place("Pelvis")
    if bone == pelvis:
        return poses.hips
    carrier = fit.carriers[bone]
    carrier = pelvis if carrier < 0 else carrier
    arm = fit.heads[bone] - fit.heads[carrier]
    return heads_of(fit, poses, carrier) + poses.turns[:, carrier] @ arm


def rotations_of(fit: Fit, poses: Poses) -> np.ndarray:
    """(T, B, 3, 3) of bones in their own axes, relative to what carries them: what is keyed."""
    out = np.empty_like(poses.turns)
    for bone, carrier in enumerate(fit.carriers):
        turn = poses.turns[:, bone]
        if carrier >= 0:
            turn = poses.turns[:, carrier].swapaxes(-1, -2) @ turn
        out[:, bone] = fit.axes[bone].T @ turn @ fit.axes[bone]
    return out


def travel_of(fit: Fit, poses: Poses, travel: str) -> tuple[np.ndarray, np.ndarray]:
    """How far (T, 3) the root bone and the pelvis bone are moved from rest, in armature space.

    Args:
        fit: the rig.
        poses: its poses.
        travel: "root": over the ground on the root bone; "pelvis": all on the pelvis; "in-place":
            none over the ground.

    Raises:
        ValueError: no such travel.
    """
    moved = poses.hips - fit.heads[fit.place("Pelvis")]
    ground = moved * [1.0, 1.0, 0.0]
    root = {"root": ground, "pelvis": 0 * ground, "in-place": 0 * ground}
    pelvis = {"root": moved - ground, "pelvis": moved, "in-place": moved - ground}
    if travel not in root:
        raise ValueError(f"travel must be one of {', '.join(root)}, got {travel!r}")
    return root[travel] @ fit.facing, pelvis[travel] @ fit.facing
