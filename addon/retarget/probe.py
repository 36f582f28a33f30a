# SPDX-License-Identifier: GPL-3.0-or-later
"""How a rig's bones carry each other, found by moving them once: constraints and all.

Every mapped bone is turned at random.  Where bone b then stands turned by T since rest and has the
rotation B itself, what carried it is C = T (R B Rᵀ)ᵀ (R its rest axes), and that must be the turn
of one of the other mapped bones, or none.  A control rig answers like a plain one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from .map_file import Switch
from .rotations import about, unit
from .shape import RetargetError, RigShape

_TURN_RAD = 0.5
_SAME_DEG = 0.3
"""Chosen: Rigify's arms come within 0.03 degrees, its half-following neck misses by 9."""
_FREE = 1e-3
"""Determinant of how a bone answers to shifts, below which it is not free to move.  Chosen."""


@dataclass(frozen=True, eq=False)
class Carried:
    """What was found."""

    carriers: dict[str, str | None]
    """The mapped bone that each bone takes part in."""
    shifts: dict[str, np.ndarray]
    """(3, 3) of bones that travel: a key's location into armature space."""
    follows: bool
    """Whether the pelvis comes along with the root."""


@contextlib.contextmanager
def unposed(
    rig: bpy.types.Object, bones: list[str], switches: tuple[Switch, ...]
) -> Iterator[None]:
    """The rig without its animation, these bones and all above them at rest, switches set.

    Everything is put back.
    """
    data = rig.animation_data
    played = (data.action, getattr(data, "action_slot", None), data.use_nla) if data else None
    above = {name for bone in bones for name in (bone, *_above(rig, bone))}
    basis = {name: rig.pose.bones[name].matrix_basis.copy() for name in above}
    values = {switch: _value(rig, switch) for switch in switches}
    try:
        if data:
            data.action, data.use_nla = None, False
        for name in above:
            rig.pose.bones[name].matrix_basis = Matrix()
        for switch in switches:
            _set(rig, switch, switch.value)
        yield
    finally:
        for name, matrix in basis.items():
            rig.pose.bones[name].matrix_basis = matrix
        for switch, value in values.items():
            _set(rig, switch, value)
        if data and played:
            data.action, data.use_nla = played[0], played[2]
            if played[0] is not None and played[1] is not None:
                data.action_slot = played[1]
        _update(rig)


def probe(
    rig: bpy.types.Object, shape: RigShape, turning: list[str], root: str | None, pelvis: str
) -> Carried:
    """Move the bones; call inside `unposed`.

    Args:
        rig: the armature.
        shape: it at rest.
        turning: bones that are to turn, the pelvis among them.
        root: the bone that carries the travel, if any.
        pelvis: the bone that goes.

    Raises:
        RetargetError: a bone is held by a constraint, or follows several others in part.
    """
    carriers = _carriers(rig, shape, turning)
    shifts = {name: _shift(rig, shape, name) for name in (root, pelvis) if name}
    follows = root is not None and _follows(rig, shape, root, pelvis, shifts[root])
    return Carried(carriers, shifts, follows)


def _carriers(rig: bpy.types.Object, shape: RigShape, names: list[str]) -> dict[str, str | None]:
    random = np.random.default_rng(0)
    own = about(unit(random.normal(size=(len(names), 3))), np.full(len(names), _TURN_RAD))
    for name, turn in zip(names, own, strict=True):
        rig.pose.bones[name].matrix_basis = Matrix(turn.tolist()).to_4x4()
    _update(rig)
    axes = shape.axes[[shape.places[name] for name in names]]
    rest = axes.swapaxes(-1, -2)
    stands = np.stack([_pure_turn(rig.pose.bones[name].matrix) for name in names]) @ rest
    carried = stands @ axes @ own.swapaxes(-1, -2) @ rest
    for name in names:
        rig.pose.bones[name].matrix_basis = Matrix()
    found: dict[str, str | None] = {}
    for place, name in enumerate(names):
        others = [(_apart_deg(carried[place], np.eye(3)), None)]
        others += [
            (_apart_deg(carried[place], stands[other]), names[other])
            for other in range(len(names))
            if other != place
        ]
        apart, carrier = min(others, key=lambda one: one[0])
        if apart > _SAME_DEG:
            raise _held(rig, name)
        found[name] = carrier
    return found


def _held(rig: bpy.types.Object, name: str) -> RetargetError:
    held = [one.name for one in rig.pose.bones[name].constraints if not one.mute and one.influence]
    if held:
        advice = f"Turn {held[0]} off, or map the control that moves the bone."
        return RetargetError(f"{name} of {rig.name} is held by its constraint {held[0]}.", advice)
    message = f"{name} of {rig.name} follows several bones in part."
    return RetargetError(message, "Set its follow property to 0 or 1, or map another bone.")


def _shift(rig: bpy.types.Object, shape: RigShape, name: str) -> np.ndarray:
    bone = rig.pose.bones[name]
    step = max(float(np.ptp(shape.heads, axis=0).max()), 1e-6)
    rest = _place(rig, name)
    columns = []
    for axis in np.eye(3):
        bone.matrix_basis = Matrix.Translation(axis * step)
        columns.append((_place(rig, name) - rest) / step)
    bone.matrix_basis = Matrix()
    shift = np.stack(columns, -1)
    if abs(np.linalg.det(shift)) < _FREE:
        raise _held(rig, name)
    return shift


def _follows(
    rig: bpy.types.Object, shape: RigShape, root: str, pelvis: str, shift: np.ndarray
) -> bool:
    step = max(float(np.ptp(shape.heads, axis=0).max()), 1e-6)
    before = _place(rig, pelvis)
    rig.pose.bones[root].matrix_basis = Matrix.Translation((step, 0, 0))
    moved = (_place(rig, pelvis) - before) / step
    rig.pose.bones[root].matrix_basis = Matrix()
    return bool(np.linalg.norm(moved - shift[:, 0]) < 0.01)


def _place(rig: bpy.types.Object, name: str) -> np.ndarray:
    _update(rig)
    return np.array(rig.pose.bones[name].head)


def _update(rig: bpy.types.Object) -> None:
    rig.update_tag()
    bpy.context.view_layer.update()


def _pure_turn(matrix: Matrix) -> np.ndarray:
    return np.array(matrix.to_quaternion().to_matrix())


def _apart_deg(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.degrees(2 * np.arcsin(min(1.0, np.linalg.norm(one - other) / np.sqrt(8)))))


def _above(rig: bpy.types.Object, bone: str) -> list[str]:
    return [one.name for one in rig.data.bones[bone].parent_recursive]


def _value(rig: bpy.types.Object, switch: Switch) -> Any:
    bone = rig.pose.bones[switch.bone]
    if switch.property not in bone:
        message = f"{switch.bone} of {rig.name} has no property {switch.property}."
        raise RetargetError(message, "The bone map is of another rig.")
    return bone[switch.property]


def _set(rig: bpy.types.Object, switch: Switch, value: float) -> None:
    kind = type(rig.pose.bones[switch.bone][switch.property])
    rig.pose.bones[switch.bone][switch.property] = kind(value)
