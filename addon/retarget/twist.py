# SPDX-License-Identifier: GPL-3.0-or-later
"""Twist bones: a limb's turn about itself, spread along it.

collar ──► upper arm (its twist bones turn back, most at the shoulder)
forearm (its twist bones follow the hand, most at the wrist) ──► hand
"""

import dataclasses
import re

import numpy as np

from ..scene.axes import continuous
from .fitting import Fit
from .joints import LIMBS
from .posing import Poses
from .rotations import about, quaternions, twist_rad, unit
from .shape import RigShape

_NAME = re.compile("twist|roll", re.IGNORECASE)
_UPPER, _LOWER = ("Shoulder", "Hip"), ("Elbow", "Knee")


def twist_bones(shape: RigShape, fit: Fit) -> dict[str, tuple[int, float]]:
    """Each twist bone's limb, and how far down the limb it counts: 0 at the top, 1 at the end."""
    by_limb: dict[int, list[int]] = {}
    for place, name in enumerate(shape.names):
        if name in fit.bones or not _NAME.search(name):
            continue
        above = [shape.names[parent] for parent in shape.above(place)]
        nearest = next((fit.bones.index(bone) for bone in above if bone in fit.bones), -1)
        if nearest >= 0 and fit.joints[nearest][2:] in _UPPER + _LOWER:
            by_limb.setdefault(nearest, []).append(place)
    found = {}
    for limb, places in by_limb.items():
        along = unit(_direction(fit, limb)) @ fit.facing
        ordered = sorted(places, key=lambda place: float(shape.heads[place] @ along))
        for number, place in enumerate(ordered, 1):
            found[shape.names[place]] = limb, number / (len(ordered) + 1)
    return found


def with_twist(
    shape: RigShape, fit: Fit, poses: Poses, carriers: dict[str, str | None] | None = None
) -> tuple[Fit, Poses]:
    """The fit and poses with the rig's twist bones, turned by their share.

    Args:
        shape: the rig.
        fit: as mapped.
        poses: of the mapped bones.
        carriers: what carries each twist bone that is to turn; None: all turn, on their limbs.
    """
    found = twist_bones(shape, fit)
    if carriers is not None:
        found = {name: limb for name, limb in found.items() if name in carriers}
    if not found:
        return fit, poses
    names = tuple(found)
    places = [shape.places[name] for name in names]
    turns = [_turned(fit, poses, limb, share) for limb, share in found.values()]
    every = (*fit.bones, *names)
    carried = [
        limb if carriers is None else _index(every, carriers[name])
        for name, (limb, _) in found.items()
    ]
    both = dataclasses.replace(
        fit,
        bones=every,
        joints=(*fit.joints, *("" for _ in names)),
        heads=np.concatenate([fit.heads, shape.heads[places] @ fit.facing.T]),
        tails=np.concatenate([fit.tails, shape.tails[places] @ fit.facing.T]),
        axes=np.concatenate([fit.axes, fit.facing @ shape.axes[places]]),
        aligned=np.concatenate([fit.aligned, np.tile(np.eye(3), (len(names), 1, 1))]),
        carriers=(*fit.carriers, *carried),
    )
    return both, Poses(np.concatenate([poses.turns, np.stack(turns, 1)], 1), poses.hips)


def _turned(fit: Fit, poses: Poses, limb: int, share: float) -> np.ndarray:
    """Turns (T, 3, 3) of a twist bone."""
    joint, turn = fit.joints[limb], poses.turns[:, limb]
    axis = unit(_direction(fit, limb))
    if joint[2:] in _UPPER:
        carrier = fit.carriers[limb]
        before = poses.turns[:, carrier] if carrier >= 0 else np.eye(3)[None]
        return turn @ about(axis, -(1 - share) * _twist(before, turn, axis))
    if LIMBS[joint] not in fit.joints:
        return turn
    after = poses.turns[:, fit.place(LIMBS[joint])]
    return turn @ about(axis, share * _twist(turn, after, axis))


def _twist(before: np.ndarray, after: np.ndarray, axis: np.ndarray) -> np.ndarray:
    relative = before.swapaxes(-1, -2) @ after
    return twist_rad(continuous(quaternions(relative)), axis)


def _direction(fit: Fit, limb: int) -> np.ndarray:
    follower = LIMBS[fit.joints[limb]]
    end = fit.heads[fit.place(follower)] if follower in fit.joints else fit.tails[limb]
    return end - fit.heads[limb]


def _index(names: tuple[str, ...], name: str | None) -> int:
    return names.index(name) if name in names else -1
