# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion from a character onto its controls, and back: every frame as Blender evaluates it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence

import bpy
import numpy as np

from ..scene import keyframes
from ..scene.armature import ArmatureError, bone_by_joint, controls_of, root_bone
from ..scene.bone_names import ROOT_BONE
from ..scene.takes import edited_take, take_playing
from ..scene.transaction import all_or_nothing, focus
from .building import SWITCH, build, fk_bones, remove, tie
from .limbs import LIMBS, Limb
from .motion import BoneKeys, Rest, keys_of_bones, keys_of_matrices, poles_m


def add_controls(context: bpy.types.Context, rig: bpy.types.Object) -> bpy.types.Object:
    """Give a character a control rig that moves as it does.  On an error nothing has changed.

    Raises:
        ArmatureError: the reason, for the user.
    """
    frames = frames_of_rig(rig)
    with all_or_nothing(context):
        controls = build(context, rig)
        posed = sampled(context, rig, [ROOT_BONE, *bone_by_joint(rig).values()], frames)
        _write(rig, controls, frames, _all_keys(rig, controls, posed), f"{rig.name} controls")
        tie(rig, controls)
        focus(context, controls, [controls])
    context.view_layer.update()
    return controls


def switch(context: bpy.types.Context, rig: bpy.types.Object, limb: Limb, to_ik: bool) -> None:
    """Let a limb follow its IK control or its FK bones, which first take over how it moves.

    Raises:
        ArmatureError: there is no control rig.
    """
    controls = _controls(rig)
    frames = _range(controls)
    posed = sampled(context, rig, [ROOT_BONE, *bone_by_joint(rig).values()], frames)
    keys = _all_keys(rig, controls, posed)
    mine = (limb.control, limb.pole) if to_ik else tuple(fk_bones(rig, limb))
    action = controls.animation_data.action
    kept = {name: keys[name] for name in mine}
    _write(rig, controls, frames, kept, action.name if action else f"{rig.name} controls")
    controls.pose.bones[limb.control][SWITCH] = float(to_ik)
    controls.update_tag()
    context.view_layer.update()


def bake_back(context: bpy.types.Context, rig: bpy.types.Object) -> bpy.types.Action:
    """A new take of what the controls make the character do, and the controls removed.

    Raises:
        ArmatureError: there is no control rig.
    """
    return bake_shown(context, rig, remove, _range(_controls(rig)))


def bake_shown(
    context: bpy.types.Context,
    rig: bpy.types.Object,
    clear: Callable[[bpy.types.Object], None],
    frames: np.ndarray | None = None,
) -> bpy.types.Action:
    """A new take of what is seen of a character.

    Args:
        context: Blender's.
        rig: the character.
        clear: takes away what has a say beside takes.
        frames: (T,) whole frames; None: those of what it plays.
    """
    frames = frames_of_rig(rig) if frames is None else frames
    names = [root_bone(rig) or ROOT_BONE, *bone_by_joint(rig).values()]
    keys = keys_of_bones(_rest(rig, names), sampled(context, rig, names, frames))
    action = edited_take(rig)
    clear(rig)
    keyframes.write(rig, action, frames, _channels(keys, names[:2]), np.zeros(len(frames), bool))
    focus(context, rig, [rig])
    return action


def is_ik(controls: bpy.types.Object, limb: Limb) -> bool:
    """Whether a limb follows its IK control."""
    return bool(controls.pose.bones[limb.control].get(SWITCH, 0.0) >= 0.5)


def frames_of_rig(rig: bpy.types.Object) -> np.ndarray:
    """Whole frames (T,) of what a character plays.

    Raises:
        ArmatureError: it plays nothing.
    """
    take = take_playing(rig)
    if take is None:
        raise ArmatureError(f"{rig.name} plays no action.", "Give it a take, then add controls.")
    data = rig.animation_data
    ends = [take.frame_range] if data.action else []
    ends += [
        (strip.frame_start, strip.frame_end)
        for track in data.nla_tracks
        if not track.mute
        for strip in track.strips
        if not strip.mute
    ]
    first, last = min(float(e[0]) for e in ends), max(float(e[1]) for e in ends)
    return np.arange(math.floor(first), math.ceil(last) + 1, dtype=float)


def sampled(
    context: bpy.types.Context, rig: bpy.types.Object, names: Sequence[str], frames: np.ndarray
) -> np.ndarray:
    """Bones (T, B, 4, 4) in the armature's space at frames (T,), constraints and all."""
    out = np.empty((len(frames), len(names), 4, 4))
    scene = context.scene
    frame, subframe = scene.frame_current, scene.frame_subframe
    try:
        with _without_skin(rig):
            for number, one in enumerate(frames):
                scene.frame_set(int(one))
                bones = rig.evaluated_get(context.evaluated_depsgraph_get()).pose.bones
                out[number] = [bones[name].matrix for name in names]
    finally:
        scene.frame_set(frame, subframe=subframe)
    return out


@contextlib.contextmanager
def _without_skin(rig: bpy.types.Object) -> Iterator[None]:
    """Meshes need not follow meanwhile."""
    found = [m for child in rig.children for m in child.modifiers if m.type == "ARMATURE"]
    shown = [modifier for modifier in found if modifier.show_viewport]
    for modifier in shown:
        modifier.show_viewport = False
    try:
        yield
    finally:
        for modifier in shown:
            modifier.show_viewport = True


def _all_keys(
    rig: bpy.types.Object, controls: bpy.types.Object, posed: np.ndarray
) -> dict[str, BoneKeys]:
    """Channels of every control from the character's bones (T, B, 4, 4), root first."""
    names = [ROOT_BONE, *bone_by_joint(rig).values()]
    rest, mine = _rest(rig, names), _rest(controls, names)
    moved = posed @ np.linalg.inv(rest.matrices) @ mine.matrices
    keys = keys_of_bones(mine, moved)
    for limb in LIMBS:
        upper, middle, end = (moved[:, names.index(bone)] for bone in fk_bones(rig, limb))
        held, pole = _rest(controls, [limb.control, limb.pole]).matrices
        keys[limb.control] = keys_of_matrices(np.linalg.inv(held) @ end)
        stands = np.tile(pole, (len(posed), 1, 1))
        stands[:, :3, 3] = poles_m(upper, middle[:, :3, 3], end[:, :3, 3], limb.ahead)
        keys[limb.pole] = keys_of_matrices(np.linalg.inv(pole) @ stands)
    return keys


def _rest(item: bpy.types.Object, names: Sequence[str]) -> Rest:
    bones = item.data.bones
    above = [bones[name].parent for name in names]
    parents = tuple(names.index(p.name) if p and p.name in names else -1 for p in above)
    matrices = np.array([bones[name].matrix_local for name in names], np.float64)
    return Rest(tuple(names), parents, matrices)


def _write(
    rig: bpy.types.Object,
    controls: bpy.types.Object,
    frames: np.ndarray,
    keys: dict[str, BoneKeys],
    name: str,
) -> None:
    data = controls.animation_data or controls.animation_data_create()
    action = data.action or bpy.data.actions.new(name)
    pelvis = bone_by_joint(rig)["Pelvis"]
    goes = (ROOT_BONE, pelvis, *(n for limb in LIMBS for n in (limb.control, limb.pole)))
    channels = _channels(keys, goes)
    keyframes.write(controls, action, frames, channels, np.zeros(len(frames), bool))


def _channels(keys: dict[str, BoneKeys], goes: Sequence[str]) -> list[keyframes.Channel]:
    poles = {limb.pole for limb in LIMBS}
    found = []
    for name, one in keys.items():
        if name in goes:
            found.append(keyframes.bone_channel(name, "location", one.location_m))
        if name not in poles:
            found.append(keyframes.bone_channel(name, "rotation_quaternion", one.rotation_wxyz))
    return found


def _controls(rig: bpy.types.Object) -> bpy.types.Object:
    controls = controls_of(rig)
    if controls is None:
        raise ArmatureError(f"{rig.name} has no control rig.", "Press Add Controls first.")
    return controls


def _range(controls: bpy.types.Object) -> np.ndarray:
    """Whole frames (T,) that the controls are keyed on.

    Raises:
        ArmatureError: on none.
    """
    action = controls.animation_data and controls.animation_data.action
    if action is None:
        raise ArmatureError(f"{controls.name} has no action.", "Give it back the one it had.")
    first, last = (float(frame) for frame in action.frame_range)
    return np.arange(math.floor(first), math.ceil(last) + 1, dtype=float)
