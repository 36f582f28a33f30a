# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes onto a rig: actions with the rig's own bone names; all or nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import bpy
import numpy as np
from mathutils import Matrix

from ..scene import keyframes
from ..scene.axes import continuous
from ..scene.bones import ROOT_MOTIONS
from ..scene.takes import CLIP_KEY, SOURCE_KEY
from ..scene.transaction import all_or_nothing
from .feet import keep_feet
from .fitting import fit_rig
from .joints import ROOT
from .map_file import BoneMap
from .posing import poses_of, rotations_of, travel_of
from .probe import Carried, probe, unposed
from .rig import check_free, is_free, read_shape, size_note
from .rotations import axis_angles, eulers, quaternions
from .shape import RigShape
from .sources import Take
from .twist import twist_bones, with_twist

RIG_KEY = "staf_rig"
"""Custom property of an action: the rig that it was made for."""


@dataclass(frozen=True)
class RetargetOptions:
    """How a motion is put on a rig."""

    travel: str = "root"
    """One of `ROOT_MOTIONS`; on the pelvis where a rig has no root bone."""
    feet: bool = True
    """Hold planted feet on their places."""
    twist: bool = True
    """Spread twist over twist bones."""
    nla: bool = False
    """A track for each take."""

    def __post_init__(self) -> None:
        if self.travel not in ROOT_MOTIONS:
            raise ValueError(f"travel must be one of {', '.join(ROOT_MOTIONS)}: {self.travel!r}")


@dataclass(eq=False)
class Retargeted:
    """What was made."""

    actions: list[bpy.types.Action]
    notes: list[str] = field(default_factory=list)


def put_onto(
    context: bpy.types.Context,
    rig: bpy.types.Object,
    bone_map: BoneMap,
    takes: list[Take],
    options: RetargetOptions,
) -> Retargeted:
    """Make an action of each take; the rig plays the first.  On an error nothing has changed.

    Args:
        context: Blender's.
        rig: `check_rig` let it pass.
        bone_map: of this rig.
        takes: what to put on it.
        options: how.

    Raises:
        UserError: the reason, for the user.
    """
    bone_map.check_fits(rig.data.bones.keys(), rig.name)
    root = bone_map.bones.get(ROOT) if options.travel == "root" else None
    if root is None and options.travel == "root":
        options = replace(options, travel="pelvis")
    check_free(rig, bone_map, options.travel)
    shape = read_shape(rig)
    fits = [fit_rig(shape, bone_map, take.performance) for take in takes]
    twisting = [b for b in twist_bones(shape, fits[0]) if options.twist and is_free(rig, b)]
    turning = list(dict.fromkeys(bone for fit in fits for bone in fit.bones)) + twisting
    pelvis = bone_map.bones["Pelvis"]
    with unposed(rig, [*turning, *filter(None, [root])], bone_map.switches):
        carried = probe(rig, shape, turning, root, pelvis)
    notes = size_note(rig, shape)
    if root and not carried.follows:
        options = replace(options, travel="pelvis")
        notes.append(f"{pelvis} does not follow {root}, so the travel is on {pelvis}.")
    with all_or_nothing(context), _playing(rig):
        keyframes.keep_played(rig)
        made = [_write(rig, shape, bone_map, take, carried, options) for take in takes]
        _show(rig, bone_map, made, turning, options)
    context.view_layer.update()
    return Retargeted(made, notes)


def _write(
    rig: bpy.types.Object,
    shape: RigShape,
    bone_map: BoneMap,
    take: Take,
    carried: Carried,
    options: RetargetOptions,
) -> bpy.types.Action:
    performance = take.performance
    fit = fit_rig(shape, bone_map, performance, carried.carriers)
    poses = poses_of(fit, performance)
    if options.feet:
        poses = keep_feet(fit, poses, performance.stands, performance.times_s)
    fit, poses = with_twist(shape, fit, poses, carried.carriers)
    channels = [
        replace(_rotation_channel(rig, bone, turns), filled=take.unseen.get(joint))
        for joint, bone, turns in zip(
            fit.joints, fit.bones, rotations_of(fit, poses).swapaxes(0, 1), strict=True
        )
    ]
    root, pelvis = travel_of(fit, poses, options.travel)
    moved = {bone_map.bones["Pelvis"]: pelvis}
    if options.travel == "root":
        moved[bone_map.bones[ROOT]] = root
    for bone, shift in moved.items():
        values = shift @ np.linalg.inv(carried.shifts[bone]).T
        channels.append(keyframes.bone_channel(bone, "location", values))
    action = keyframes.new_action(performance.name)
    action[CLIP_KEY], action[SOURCE_KEY] = performance.name, take.source
    action[RIG_KEY] = rig.name
    keyframes.write(rig, action, take.frames, channels, take.filled)
    switches = [
        _switch_channel(switch.bone, switch.property, switch.value) for switch in bone_map.switches
    ]
    keyframes.write(rig, action, take.frames[:1], switches, np.zeros(1, bool))
    return action


def _rotation_channel(rig: bpy.types.Object, bone: str, turns: np.ndarray) -> keyframes.Channel:
    """Turns (T, 3, 3) in the numbers that the bone has: the rig keeps its rotation modes."""
    mode = rig.pose.bones[bone].rotation_mode
    if mode == "QUATERNION":
        return keyframes.bone_channel(bone, "rotation_quaternion", continuous(quaternions(turns)))
    if mode == "AXIS_ANGLE":
        values = axis_angles(continuous(quaternions(turns)))
        return keyframes.bone_channel(bone, "rotation_axis_angle", values)
    return keyframes.bone_channel(bone, "rotation_euler", eulers(turns, mode))


def _switch_channel(bone: str, name: str, value: float) -> keyframes.Channel:
    path = keyframes.bone_channel(bone, name, np.zeros((1, 1))).path.rpartition(".")[0]
    escaped = bpy.utils.escape_identifier(name)
    return keyframes.Channel(f'{path}["{escaped}"]', np.full((1, 1), value), bone)


@contextlib.contextmanager
def _playing(rig: bpy.types.Object) -> Iterator[None]:
    """On an error the rig plays what it played before."""
    data = rig.animation_data
    action = data.action if data else None
    slot = getattr(data, "action_slot", None) if data else None
    try:
        yield
    except BaseException:
        if rig.animation_data:
            rig.animation_data.action = action
            if action is not None and slot is not None:
                rig.animation_data.action_slot = slot
        raise


def _show(
    rig: bpy.types.Object,
    bone_map: BoneMap,
    made: list[bpy.types.Action],
    turning: list[str],
    options: RetargetOptions,
) -> None:
    """Play the first take; what the rig's other bones were posed like no longer shifts it."""
    keyed = {*turning, *bone_map.bones.values()}
    above = {one.name for bone in keyed for one in rig.data.bones[bone].parent_recursive}
    for name in above | keyed:
        rig.pose.bones[name].matrix_basis = Matrix()
    set_switches(rig, bone_map)
    if options.nla:
        for action in made:
            keyframes.assign(rig, action)
            keyframes.push_down(rig, action)
    else:
        keyframes.assign(rig, made[0])


def set_switches(rig: bpy.types.Object, bone_map: BoneMap) -> None:
    """Set the rig's properties that free its mapped bones."""
    for switch in bone_map.switches:
        kind = type(rig.pose.bones[switch.bone][switch.property])
        rig.pose.bones[switch.bone][switch.property] = kind(switch.value)
