"""Motions to BVH: a skeleton and its channels, as text.

    ROOT Pelvis         Xposition Yposition Zposition Zrotation Xrotation Yrotation
    └── JOINT L_Hip     Zrotation Xrotation Yrotation ...

Y up, metres or centimetres.  Rotations follow each other as the channels are named (R = Z X Y),
which is how most files have them.  The rest pose is the body's T-pose.  The pelvis carries all
travel; its offset is zero, since some readers add it to the position and others do not.  Frames are
at the constant rate nearest to the motion's keys.
"""

import os
from collections.abc import Iterator, Sequence

import numpy as np

from staf_backend.choices import BVH_UNITS, BvhUnit, RootMotion
from staf_backend.export.bone_names import bone_names_of
from staf_backend.export.character import travel
from staf_backend.export.constant_rate import nearest_rate, resample
from staf_backend.export.mesh import tip_m
from staf_backend.files import replace_atomically
from staf_backend.geometry import from_quaternions
from staf_backend.motion import Motion

_TURNS = "Zrotation Xrotation Yrotation"
_PLACE = "Xposition Yposition Zposition"
_PER_METRE = {"m": 1.0, "cm": 100.0}


def write_bvh(
    path: str | os.PathLike[str],
    motion: Motion,
    *,
    bone_names: str = "smpl",
    root_motion: RootMotion = "root",
    unit: BvhUnit = "m",
) -> None:
    """Write one motion, whole or not at all.  Equal input gives equal bytes.

    Args:
        path: the file.
        motion: of SMPL's 24 joints or SMPL-H's 52.
        bone_names: a scheme of `bone_names.BONE_NAMES`.
        root_motion: "in-place" leaves the travel over the ground out; else the pelvis has it.
        unit: of lengths.

    Raises:
        OutputError: the file cannot be written.
        ValueError: another skeleton, or an unknown word.
    """
    if unit not in BVH_UNITS:
        raise ValueError(f"unit must be one of {', '.join(BVH_UNITS)}, got {unit!r}")
    names, scale = bone_names_of(bone_names, motion.skeleton), _PER_METRE[unit]
    rate = nearest_rate(motion.times_s)
    quaternions, root_m = resample(motion, rate)
    rest_m, parents = motion.rest_joints_m, motion.skeleton.parents
    first_m = root_m[0] - rest_m[0]
    place = np.add(*travel(root_m, rest_m[0], root_motion, first_m)) * scale
    order = _depth_first(parents)
    turns = zxy_degrees(from_quaternions(quaternions[:, order]))
    values = np.concatenate([place, turns.reshape(len(turns), -1)], 1)
    head = ["HIERARCHY", *_joint_lines(0, names, rest_m * scale, parents), "MOTION"]
    head += [f"Frames: {len(values)}", f"Frame Time: {1 / rate:.8f}"]
    with replace_atomically(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write("\n".join(head) + "\n")
        line = " ".join(["%.6f"] * values.shape[1]) + "\n"
        file.writelines(line % tuple(row) for row in values)


def zxy_degrees(rotations: np.ndarray) -> np.ndarray:
    """Angles (T, J, 3) about z, x and y with R = Z X Y, each near that of the frame before.

    Args:
        rotations: (T, J, 3, 3).
    """
    r = rotations
    x = np.arcsin(np.clip(r[..., 2, 1], -1, 1))
    z = np.arctan2(-r[..., 0, 1], r[..., 1, 1])
    y = np.arctan2(-r[..., 2, 0], r[..., 2, 2])
    locked = abs(r[..., 2, 1]) > 1 - 1e-9  # only the sum of z and y means something: y is 0
    z = np.where(locked, np.arctan2(r[..., 1, 0], r[..., 0, 0]), z)
    y = np.where(locked, 0.0, y)
    near = np.degrees(np.stack([z, x, y], -1))
    other = near * [1, -1, 1] + 180  # the same turn
    for before, row, far in zip(near[:-1], near[1:], other[1:]):
        both = np.stack([row, far])
        both -= 360 * np.round((both - before) / 360)
        steps = abs(both - before).sum(-1)
        row[:] = np.where((steps[1] < steps[0])[..., None], both[1], both[0])
    return near


def _depth_first(parents: Sequence[int], joint: int = 0) -> list[int]:
    """Joints in the order in which a BVH file lists them."""
    below = [_depth_first(parents, child) for child, p in enumerate(parents) if p == joint]
    return [joint, *(one for branch in below for one in branch)]


def _joint_lines(
    joint: int, names: Sequence[str], rest: np.ndarray, parents: tuple[int, ...], depth: int = 0
) -> Iterator[str]:
    """A joint and all below it."""
    tab, parent = "\t" * depth, parents[joint]
    offset = rest[joint] - rest[parent] if depth else np.zeros(3)
    yield f"{tab}{'JOINT' if depth else 'ROOT'} {names[joint]}"
    yield f"{tab}{{"
    yield f"{tab}\tOFFSET {_numbers(offset)}"
    yield f"{tab}\tCHANNELS " + (f"3 {_TURNS}" if depth else f"6 {_PLACE} {_TURNS}")
    children = [child for child, p in enumerate(parents) if p == joint]
    for child in children:
        yield from _joint_lines(child, names, rest, parents, depth + 1)
    if not children:
        end = _numbers(tip_m(rest, parents, joint))
        yield from (f"{tab}\tEnd Site", f"{tab}\t{{", f"{tab}\t\tOFFSET {end}", f"{tab}\t}}")
    yield f"{tab}}}"


def _numbers(values: np.ndarray) -> str:
    return " ".join(f"{value:.6f}" for value in values)
