# SPDX-License-Identifier: GPL-3.0-or-later
"""The motion as it was estimated and as it stands on the ground, one above the other in the NLA.

strip "walk"      as it plays now, grounded and edited, with an influence to weigh it
strip "walk raw"  as it was estimated
"""

from __future__ import annotations

import bpy
import numpy as np

from . import keyframes
from .armature import ArmatureError, bone_by_joint, controls_of, rest_frames, root_bone
from .axes import continuous
from .bones import Keys, keys_of, unseen_fingers
from .motion_file import MotionClip
from .size import resized
from .takes import CLIP_KEY, TRAVEL_KEY, clock_of, take_playing
from .timing import frames_of

RAW_KEY = "staf_raw"
"""Custom property of an action: it is the raw motion of a take."""
_SAME_SIZE = 2e-3
"""Of two lengths of all bones.  Chosen: heights are told in millimetres."""


def raw_strip(rig: bpy.types.Object) -> bpy.types.NlaStrip | None:
    """The strip of a character's raw motion, if it has that layer."""
    tracks = rig.animation_data.nla_tracks if rig.animation_data else []
    strips = [strip for track in tracks for strip in track.strips]
    return next((one for one in strips if one.action and RAW_KEY in one.action), None)


def grounded_strip(rig: bpy.types.Object) -> bpy.types.NlaStrip | None:
    """The strip that is weighed against the raw motion."""
    if raw_strip(rig) is None:
        return None
    strips = [strip for track in rig.animation_data.nla_tracks for strip in track.strips]
    weighed = [one for one in strips if one.use_animated_influence and one.action is not None]
    return weighed[-1] if weighed else None


def add_raw(rig: bpy.types.Object, raw: MotionClip) -> bpy.types.NlaStrip:
    """Put the raw motion below what a character plays, which gets an influence.

    Args:
        rig: the character.
        raw: its clip, as it was estimated.

    Returns:
        the strip to weigh.

    Raises:
        ArmatureError: it plays no take of this clip, is linked, or has the layer already.
    """
    take = _check(rig, raw)
    clip = resized(raw, _factor(rig, raw))
    action = bpy.data.actions.new(f"{take.name} raw")
    action[RAW_KEY] = 1
    playing = rig.animation_data.action
    _write(rig, take, action, clip)
    rig.animation_data.action = None
    keyframes.stash(rig, action).extrapolation = "HOLD_FORWARD"
    for track in list(rig.animation_data.nla_tracks):
        if [strip.action for strip in track.strips] == [take]:
            rig.animation_data.nla_tracks.remove(track)
    strip = keyframes.stash(rig, take)
    strip.extrapolation = "HOLD_FORWARD"
    strip.use_animated_influence = True
    strip.fcurves.find("influence").keyframe_points.clear()  # a slider, until somebody keys it
    strip.influence = 1.0
    if playing is not None and playing != take:
        rig.animation_data.action = playing
    return strip


def remove_raw(rig: bpy.types.Object) -> None:
    """Take the raw layer away; the take plays as an action again.

    Raises:
        ArmatureError: there is none.
    """
    raw, grounded = raw_strip(rig), grounded_strip(rig)
    if raw is None:
        raise ArmatureError(f"{rig.name} has no raw layer.")
    take, action = grounded.action if grounded else None, raw.action
    for track in list(rig.animation_data.nla_tracks):
        if any(strip in (raw, grounded) for strip in track.strips) and len(track.strips) == 1:
            rig.animation_data.nla_tracks.remove(track)
    if action is not None:
        bpy.data.actions.remove(action)
    if take is not None and rig.animation_data.action is None:
        keyframes.assign(rig, take)


def refuse_shown(rig: bpy.types.Object) -> None:
    """Refuse a character whose takes are not what it does: controls or a raw layer have a say.

    Raises:
        ArmatureError: it has one of the two.
    """
    for found, what in ((controls_of(rig), "a control rig"), (raw_strip(rig), "a raw layer")):
        if found is not None:
            advice = "Press Bake to Bones in the tab STAF, or remove it."
            raise ArmatureError(f"{rig.name} has {what}.", advice)


def _check(rig: bpy.types.Object, raw: MotionClip) -> bpy.types.Action:
    if rig.library is not None:
        advice = "Make a library override of it first (Object > Library Override)."
        raise ArmatureError(f"{rig.name} is linked from another file.", advice)
    if raw_strip(rig) is not None:
        raise ArmatureError(f"{rig.name} has a raw layer already.")
    take = take_playing(rig)
    if take is None or take.get(CLIP_KEY) != raw.name:
        raise ArmatureError(f"{rig.name} plays no take of {raw.name}.", "Choose one of its takes.")
    clock_of(take)
    if not set(raw.joint_names) <= set(bone_by_joint(rig)):
        raise ArmatureError(f"{rig.name} lacks joints of {raw.name}.")
    if root_bone(rig) is None:
        raise ArmatureError(f"{rig.name} lacks a root bone.")
    return take


def _factor(rig: bpy.types.Object, clip: MotionClip) -> float:
    """How much larger a character is than its clip, as one of a known height may be."""
    heads, _ = rest_frames(rig, [bone_by_joint(rig)[joint] for joint in clip.joint_names])
    parents = np.array(clip.parents[1:])
    lengths = [
        np.linalg.norm(points[1:] - points[parents], axis=1).sum()
        for points in (heads, clip.rest_joints_m)
    ]
    factor = float(lengths[0] / lengths[1])
    return 1.0 if abs(factor - 1) < _SAME_SIZE else factor


def _write(
    rig: bpy.types.Object, take: bpy.types.Action, action: bpy.types.Action, clip: MotionClip
) -> None:
    """The keys, on the take's side of each quaternion, so that the two can be mixed."""
    names = [bone_by_joint(rig)[joint] for joint in clip.joint_names]
    root = root_bone(rig)
    assert root is not None  # of those that `_check` lets through
    heads, axes = rest_frames(rig, [root, *names])
    travel = str(take.get(TRAVEL_KEY, "root"))
    keys: Keys = keys_of(clip, heads[1:], axes[1:], axes[0], travel)
    start, rate = clock_of(take)
    frames = frames_of(clip.times_s, start, rate)
    channels = [
        keyframes.bone_channel(root, "location", keys.root_m),
        keyframes.bone_channel(names[0], "location", keys.pelvis_m),
    ]
    curves = {(c.data_path, c.array_index): c for c in keyframes.curves(take)}
    unseen = unseen_fingers(clip)
    for place, name in enumerate(names):
        turns = continuous(keys.rotations_wxyz[:, place])
        channel = keyframes.bone_channel(name, "rotation_quaternion", turns)
        near = [curves.get((channel.path, index)) for index in range(4)]
        if all(near):
            theirs = np.array([[c.evaluate(float(f)) for c in near if c] for f in frames])
            sides = np.where((theirs * turns).sum(-1) < 0, -1.0, 1.0)
            turns = turns * sides[:, None]
        filled = unseen.get(clip.joint_names[place])
        channels.append(keyframes.bone_channel(name, "rotation_quaternion", turns, filled))
    keyframes.write(rig, action, frames, channels, ~clip.observed)
