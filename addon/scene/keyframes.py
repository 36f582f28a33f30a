# SPDX-License-Identifier: GPL-3.0-or-later
"""Actions and their keys, written in bulk, for Blender 4.2 to 5.2.

Actions before 4.4 hold f-curves themselves; from 4.4 a slot of theirs does, and from 5.0 that is
the only way.  `_curve` is the one place that knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

_LINEAR = 1


@dataclass(frozen=True, eq=False)
class Channel:
    """One animated property.  T keys, N components."""

    path: str
    """RNA path from the object, such as pose.bones["Head"].rotation_quaternion"""
    values: np.ndarray
    """(T, N)"""
    group: str
    """The group's name in the dope sheet."""
    filled: np.ndarray | None = None
    """(T,) bool, True where nobody saw this property, beside the keys where nobody saw any."""


def bone_channel(
    bone: str, prop: str, values: np.ndarray, filled: np.ndarray | None = None
) -> Channel:
    """The channel of a pose bone's property."""
    path = f'pose.bones["{bpy.utils.escape_identifier(bone)}"].{prop}'
    return Channel(path, values, bone, filled)


def new_action(name: str) -> bpy.types.Action:
    """An action that stays in the file even when nothing plays it."""
    action = bpy.data.actions.new(name)
    action.use_fake_user = True
    return action


def keep_played(item: bpy.types.Object) -> None:
    """What an object plays stays in the file when it plays something else.

    Appending and duplicating leave actions that would be gone with the file's next saving.
    """
    action = item.animation_data.action if item.animation_data else None
    if action is not None and action.library is None:
        action.use_fake_user = True


def assign(item: bpy.types.Object, action: bpy.types.Action | None) -> None:
    """Make an action the one that an object plays, through its first slot where it has one."""
    data = item.animation_data or item.animation_data_create()
    data.action = action
    if action is not None and hasattr(action, "slots") and data.action_slot is None:
        suitable = [
            slot for slot in action.slots if slot.target_id_type in ("OBJECT", "UNSPECIFIED")
        ]
        if suitable:
            data.action_slot = suitable[0]


def write(
    item: bpy.types.Object,
    action: bpy.types.Action,
    frames: np.ndarray,
    channels: Iterable[Channel],
    filled: np.ndarray,
) -> None:
    """Put keys into an action, in place of those that the same channels had.

    Args:
        item: the object that plays the action; becomes the action's user.
        action: other channels of it are left alone.
        frames: (T,) frames of the keys, increasing.
        channels: what to key; a channel whose values are all zero loses its keys.
        filled: (T,) bool, True where the key type shall say that nobody saw this pose.
    """
    assign(item, action)
    linear = np.full(len(frames), _LINEAR, np.int32)
    points = np.empty((len(frames), 2), np.float32)
    points[:, 0] = frames
    for channel in channels:
        types = _types(filled if channel.filled is None else filled | channel.filled)
        still = channel.path.endswith(".location") and not channel.values.any()
        for index in range(channel.values.shape[1]):
            if still:
                _remove(item, action, channel.path, index)
                continue
            points[:, 1] = channel.values[:, index]
            _fill(_curve(item, action, channel, index), points, linear, types)


def strips_of(item: bpy.types.Object, action: bpy.types.Action) -> list[bpy.types.NlaStrip]:
    """The strips of an object that play an action."""
    tracks = item.animation_data.nla_tracks if item.animation_data else []
    return [strip for track in tracks for strip in track.strips if strip.action == action]


def push_down(item: bpy.types.Object, action: bpy.types.Action) -> None:
    """Move an action to an NLA track of its own name, above the others.

    The strip holds its last pose but does not reach back, so that clips below play until it starts.
    A strip that plays the action already keeps its place and only learns of a new end.
    """
    data = item.animation_data
    start, end = (float(frame) for frame in action.frame_range)
    existing = strips_of(item, action)
    for strip in existing:
        strip.action_frame_start, strip.action_frame_end = start, end
    if not existing:
        stash(item, action).extrapolation = "HOLD_FORWARD"
    if data.action == action:
        data.action = None


def stash(item: bpy.types.Object, action: bpy.types.Action) -> bpy.types.NlaStrip:
    """A strip of an action on a new track of its name."""
    data = item.animation_data or item.animation_data_create()
    track = data.nla_tracks.new()
    track.name = action.name
    start = float(action.frame_range[0])
    strip = track.strips.new(action.name, int(start), action)
    strip.frame_start = start
    if hasattr(strip, "action_slot") and strip.action_slot is None and len(action.slots):
        strip.action_slot = action.slots[0]
    return strip


def curves(action: bpy.types.Action, item: bpy.types.Object | None = None) -> Iterator[Any]:
    """All f-curves of an action; only those of an object's slot where one is given."""
    if not hasattr(action, "layers"):
        yield from action.fcurves
        return
    slot = item.animation_data.action_slot if item and item.animation_data else None
    for layer in action.layers:
        for strip in layer.strips:
            for bag in strip.channelbags:
                if slot is None or bag.slot_handle == slot.handle:
                    yield from bag.fcurves


def _curve(item: bpy.types.Object, action: bpy.types.Action, channel: Channel, index: int) -> Any:
    path, group = channel.path, channel.group
    if not hasattr(action, "fcurve_ensure_for_datablock"):  # before 4.4
        found = action.fcurves.find(path, index=index)
        return found or action.fcurves.new(path, index=index, action_group=group)
    if bpy.app.version >= (5, 0):
        return action.fcurve_ensure_for_datablock(item, path, index=index, group_name=group)
    curve = action.fcurve_ensure_for_datablock(item, path, index=index)
    if curve.group is None:
        curve.group = action.groups.get(group) or action.groups.new(group)
    return curve


def _remove(item: bpy.types.Object, action: bpy.types.Action, path: str, index: int) -> None:
    if not hasattr(action, "layers"):
        found = action.fcurves.find(path, index=index)
        if found:
            action.fcurves.remove(found)
        return
    for layer in action.layers:
        for strip in layer.strips:
            slot = item.animation_data.action_slot
            bag = strip.channelbag(slot) if slot else None
            found = bag.fcurves.find(path, index=index) if bag else None
            if bag and found:
                bag.fcurves.remove(found)


def _fill(curve: Any, points: np.ndarray, linear: np.ndarray, types: np.ndarray | None) -> None:
    keys = curve.keyframe_points
    if len(keys) != len(points):
        keys.clear()
        keys.add(len(points))
    keys.foreach_set("co", points.ravel())
    keys.foreach_set("interpolation", linear)
    if types is not None:
        keys.foreach_set("type", types)
    curve.update()


def _types(filled: np.ndarray) -> np.ndarray | None:
    """Of keys (T,): Blender's "Generated" for the filled; None: all are plain."""
    if not filled.any():
        return None
    kinds = bpy.types.Keyframe.bl_rna.properties["type"].enum_items
    return np.where(filled, kinds["GENERATED"].value, 0).astype(np.int32)
