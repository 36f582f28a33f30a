"""Rigs of other people's making: names, proportions, rest pose, unit and axes of each program.

Positions are metres, z up, facing -y, before `Rig.axes` and `Rig.unit` make them the program's own.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from addon.retarget.joints import CENTRE, PAIRED
from addon.retarget.schemes import SCHEMES
from addon.retarget.shape import RigShape

Bone = tuple[str, str, np.ndarray, np.ndarray]
"""Name, parent's name or nothing, head (3,), tail (3,)."""
Y_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""From z up, front -y, to y up, front z."""
FACING_X = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
"""From front -y to front x."""


@dataclass(frozen=True)
class Rig:
    """What makes one."""

    scheme: str
    thigh_m: float = 0.42
    shin_m: float = 0.42
    arms_down_deg: float = 0.0
    """45 is an A-pose."""
    hips_m: float = 0.18
    """Between the hips."""
    unit: float = 1.0
    axes: np.ndarray = field(default_factory=lambda: np.eye(3))
    root: bool = True
    twist: bool = False


RIGS = {
    "mixamo": Rig("Mixamo", 0.47, 0.40, 45.0, 0.22, 100.0, Y_UP, root=False),
    "vrm": Rig("VRM", 0.33, 0.37, 0.0, 0.14),
    "unreal": Rig("Unreal", 0.44, 0.46, 50.0, 0.2, 100.0, FACING_X, twist=True),
}


def bones_of(rig: Rig) -> list[Bone]:
    """The bones, parents first, in the rig's own unit and axes."""
    found = _body(rig)
    table = next(one for one in SCHEMES if one.label == rig.scheme).names()
    names = {joint: choices[0] for joint, choices in table.items()}
    bones = []
    for joint, parent, head, tail in found:
        if joint == "Root" and not rig.root:
            continue
        above = "" if parent == "Root" and not rig.root else names.get(parent, parent)
        points = (rig.unit * rig.axes @ point for point in (head, tail))
        bones.append((names.get(joint, joint), above, *points))
    return bones


def _aimed(way: np.ndarray) -> Callable[[list[Bone]], list[Bone]]:
    """Bones that all point one way, as long as the first."""

    def aim(bones: list[Bone]) -> list[Bone]:
        length = np.linalg.norm(bones[0][3] - bones[0][2])
        return [(name, above, head, head + length * way) for name, above, head, _ in bones]

    return aim


def _far(bones: list[Bone]) -> list[Bone]:
    return [(name, above, head, head + 100 * (tail - head)) for name, above, head, tail in bones]


IMPORTED_TAILS = {
    "up": _aimed(np.array([0.0, 0.0, 1.0])),
    "aside": _aimed(np.array([0.8, 0.0, -0.6])),
    "far": _far,
}
"""What importers make of joints without bones: the axes of a VRM, of Unreal's, another unit."""


def shape_of(bones: list[Bone]) -> RigShape:
    """The bones as the add-on reads them; a bone's roll is whatever comes."""
    names = tuple(bone[0] for bone in bones)
    parents = tuple(names.index(bone[1]) if bone[1] else -1 for bone in bones)
    heads, tails = np.array([bone[2] for bone in bones]), np.array([bone[3] for bone in bones])
    along = (tails - heads) / np.linalg.norm(tails - heads, axis=1, keepdims=True)
    aside = np.cross(along, [0.36, 0.48, 0.8])
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    axes = np.stack([aside, along, np.cross(aside, along)], -1)
    return RigShape(names, parents, heads, tails, axes)


def _body(rig: Rig) -> list[Bone]:
    ankle = 0.08
    hips = ankle + rig.shin_m + rig.thigh_m
    points = {"Root": (0, 0, 0), "Pelvis": (0, 0.01, hips + 0.06)}
    for number, (joint, rise) in enumerate(
        zip(CENTRE[1:], (0.12, 0.24, 0.36, 0.52, 0.6), strict=True)
    ):
        points[joint] = (0, 0.01 + 0.004 * number, hips + rise)
    down = np.radians(rig.arms_down_deg)
    along = np.array([np.cos(down), 0, -np.sin(down)])
    for side, sign in (("L", 1.0), ("R", -1.0)):
        mirror = np.array([sign, 1, 1])
        thigh = np.array([rig.hips_m / 2, 0, hips])
        leg = {"Hip": thigh, "Knee": thigh - [0, 0.01, rig.thigh_m]}
        leg["Ankle"] = leg["Knee"] + [0.01, 0.02, -rig.shin_m]
        leg["Foot"] = np.array([leg["Ankle"][0] + 0.03, leg["Ankle"][1] - 0.13, 0.02])
        arm = {"Collar": np.array([0.02, 0.02, hips + 0.44])}
        arm["Shoulder"] = np.array([0.17, 0.02, hips + 0.45])
        arm["Elbow"] = arm["Shoulder"] + 0.28 * along
        arm["Wrist"] = arm["Elbow"] + 0.24 * along + [0, -0.01, 0]
        points |= {f"{side}_{joint}": mirror * point for joint, point in (leg | arm).items()}
    bones = [_bone(joint, points) for joint in _ORDER]
    return bones + (_twists(points) if rig.twist else [])


_PARENT = {
    **dict(zip(CENTRE, ("Root", *CENTRE[:-1]), strict=True)),
    **{f"{s}_{j}": f"{s}_{p}" for s in "LR" for j, p in (("Knee", "Hip"), ("Ankle", "Knee"))},
    **{f"{s}_{j}": f"{s}_{p}" for s in "LR" for j, p in (("Foot", "Ankle"), ("Elbow", "Shoulder"))},
    **{
        f"{s}_{j}": f"{s}_{p}"
        for s in "LR"
        for j, p in (("Shoulder", "Collar"), ("Wrist", "Elbow"))
    },
    **{f"{s}_Hip": "Pelvis" for s in "LR"},
    **{f"{s}_Collar": "Spine3" for s in "LR"},
}
_ORDER = ("Root", *CENTRE, *(f"{s}_{j}" for s in "LR" for j in PAIRED))
_NEXT = {
    **{"Pelvis": "Spine1", "Spine1": "Spine2", "Spine2": "Spine3", "Spine3": "Neck"},
    **{"Neck": "Head"},
    **{child[:2] + p[2:]: child for child, p in _PARENT.items() if child[1] == "_" and p[1] == "_"},
}


def _bone(joint: str, points: dict[str, np.ndarray]) -> Bone:
    head = np.array(points[joint], float)
    beyond = {"Root": (0, 0, 0.1), "Head": (0, 0, 0.2)}
    side = 1.0 if joint[0] == "L" else -1.0
    beyond |= {
        f"{joint[:2]}Foot": (0.01 * side, -0.08, -0.015),
        f"{joint[:2]}Wrist": (0.1 * side, 0, -0.05),
    }
    tail = np.array(points[_NEXT[joint]]) if joint in _NEXT else head + beyond[joint]
    return joint, _PARENT.get(joint, ""), head, tail


def _twists(points: dict[str, np.ndarray]) -> list[Bone]:
    bones = []
    for side, word in (("L", "l"), ("R", "r")):
        for limb, end, name in (
            *(("Shoulder", "Elbow", "upperarm"), ("Elbow", "Wrist", "lowerarm")),
            *(("Hip", "Knee", "thigh"), ("Knee", "Ankle", "calf")),
        ):
            top, low = points[f"{side}_{limb}"], points[f"{side}_{end}"]
            half = top + 0.5 * (low - top)
            bones.append(
                (f"{name}_twist_01_{word}", f"{side}_{limb}", half, half + 0.2 * (low - top))
            )
    return bones
