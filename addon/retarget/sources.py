# SPDX-License-Identifier: GPL-3.0-or-later
"""Where motion comes from: motion files, and actions of characters that this add-on made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import bpy
import numpy as np

from ..scene import keyframes
from ..scene.armature import bone_by_joint, rest_frames, root_bone
from ..scene.axes import matrix_of
from ..scene.body_file import read_body
from ..scene.bones import lowest_joint_lift_m, unseen_fingers
from ..scene.character import body_path
from ..scene.motion_file import MotionClip
from ..scene.takes import CLOCK_KEY, SOURCE_KEY, clock_of, contacts_of
from ..scene.timing import frames_of
from ..user_error import UserError
from .joints import canonical
from .performance import Performance, Stand, keys_within, of_clip, turns_of, with_stands
from .rotations import about, from_eulers, unit
from .shape import RetargetError


@dataclass(frozen=True, eq=False)
class Take:
    """A movement with its keys.  T keys."""

    performance: Performance
    frames: np.ndarray
    """(T,) scene frames."""
    filled: np.ndarray
    """(T,) bool, True where nobody saw the pose."""
    source: str
    """The video's file name."""
    unseen: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Joint -> (T,) bool of fingers: True where their hand was not seen."""


def of_file(clip: MotionClip, start_frame: float, rate: float, body_folder: Path | None) -> Take:
    """A motion file's movement.

    Args:
        clip: the motion.
        start_frame: scene frame of second 0.
        rate: scene frames a second.
        body_folder: where bodies of the user's own are.
    """
    try:
        body = read_body(body_path(clip.body, body_folder), clip.body)
        lift_m = -float(body.rest_vertices_m(clip.betas)[:, 1].min())
    except UserError:  # a body that is not at hand has its lowest joint for a sole
        lift_m = lowest_joint_lift_m(clip.rest_joints_m)
    frames = frames_of(clip.times_s, start_frame, rate)
    performance = of_clip(clip, lift_m)
    unseen = {canonical(joint): keys for joint, keys in unseen_fingers(clip).items()}
    return Take(performance, frames, ~clip.observed, clip.source, unseen)


def of_action(rig: bpy.types.Object, action: bpy.types.Action | None, rate: float) -> Take:
    """An action of a character, as edited.

    Args:
        rig: the character.
        action: what it plays; None: the action that it has now.
        rate: scene frames a second.

    Raises:
        RetargetError: it is no character of this add-on, or has no keys.
    """
    bones, root = bone_by_joint(rig), root_bone(rig)
    if not bones or root is None:
        message = f"{rig.name} is no character of this add-on."
        raise RetargetError(message, "Choose one as the source, or a motion file.")
    action = action or (rig.animation_data.action if rig.animation_data else None)
    if action is None:
        raise RetargetError(f"{rig.name} has no action.", "Choose one that holds its motion.")
    curves = {(c.data_path, c.array_index): c for c in _curves(rig, action)}
    names = [root, *bones.values()]
    frames = _frames([c for (path, _), c in curves.items() if _bone_of(path) in names])
    if not len(frames):
        raise RetargetError(f"the action {action.name} has no keys of {rig.name}.")
    performance = _performance(rig, action.name, bones, names, curves, frames, rate)
    stands = _stands(action, frames, rate)
    return Take(
        with_stands(performance, stands),
        frames,
        np.zeros(len(frames), bool),
        str(action.get(SOURCE_KEY, "")),
    )


def _performance(
    rig: bpy.types.Object,
    name: str,
    bones: dict[str, str],
    names: list[str],
    curves: dict[tuple[str, int], bpy.types.FCurve],
    frames: np.ndarray,
    rate: float,
) -> Performance:
    heads, axes = rest_frames(rig, names)
    local = np.stack([_rotations(rig, bone, curves, frames) for bone in names], 1)
    turned = axes @ local @ axes.swapaxes(-1, -2)
    parents = tuple(_parent(rig, bone, names) for bone in names)
    turns = turns_of(turned, parents)
    moved = {
        place: _values(rig, names[place], "location", curves, frames) @ axes[place].T
        for place in (0, 1)
    }
    root = heads[0] + moved[0]
    pelvis = root + (turns[:, 0] @ (heads[1] - heads[0] + moved[1])[..., None])[..., 0]
    return Performance(
        name,
        tuple(canonical(joint) for joint in bones),
        heads[1:],
        turns[:, 1:],
        pelvis,
        frames / rate,
    )


def _parent(rig: bpy.types.Object, bone: str, names: list[str]) -> int:
    above = [one.name for one in rig.data.bones[bone].parent_recursive]
    return next((names.index(name) for name in above if name in names), -1)


def _curves(rig: bpy.types.Object, action: bpy.types.Action) -> list[bpy.types.FCurve]:
    """Curves of the slot that the rig plays, or of all where it plays another action."""
    playing = rig.animation_data and rig.animation_data.action == action
    return list(keyframes.curves(action, rig if playing else None))


def _bone_of(path: str) -> str:
    start, end = path.find('["'), path.rfind('"]')
    name = path[start + 2 : end] if path.startswith("pose.bones") and start > 0 else ""
    return bpy.utils.unescape_identifier(name) if name else ""


def _keys(curve: bpy.types.FCurve) -> np.ndarray:
    """(N, 2) frames and values."""
    points = np.empty(2 * len(curve.keyframe_points), np.float32)
    curve.keyframe_points.foreach_get("co", points)
    return points.reshape(-1, 2).astype(np.float64)


def _frames(curves: list[bpy.types.FCurve]) -> np.ndarray:
    """(T,) every frame with a key."""
    return np.unique(np.concatenate([np.zeros(0), *(_keys(curve)[:, 0] for curve in curves)]))


def _values(
    rig: bpy.types.Object,
    bone: str,
    name: str,
    curves: dict[tuple[str, int], bpy.types.FCurve],
    frames: np.ndarray,
) -> np.ndarray:
    """(T, N) a property of a bone; what has no curve is as it is posed."""
    path = keyframes.bone_channel(bone, name, np.zeros((1, 1))).path
    posed = np.array(getattr(rig.pose.bones[bone], name), np.float64)
    out = np.tile(posed, (len(frames), 1))
    for index in range(len(posed)):
        curve = curves.get((path, index))
        if curve is None:
            continue
        keys = _keys(curve)
        same = len(keys) == len(frames) and np.array_equal(keys[:, 0], frames)
        sampled = keys[:, 1] if same else [curve.evaluate(float(frame)) for frame in frames]
        out[:, index] = sampled
    return out


def _rotations(
    rig: bpy.types.Object,
    bone: str,
    curves: dict[tuple[str, int], bpy.types.FCurve],
    frames: np.ndarray,
) -> np.ndarray:
    """(T, 3, 3) of a bone in its own axes."""
    mode = rig.pose.bones[bone].rotation_mode
    if mode == "QUATERNION":
        return matrix_of(unit(_values(rig, bone, "rotation_quaternion", curves, frames)))
    if mode == "AXIS_ANGLE":
        values = _values(rig, bone, "rotation_axis_angle", curves, frames)
        return about(unit(values[:, 1:]), values[:, 0])
    return from_eulers(_values(rig, bone, "rotation_euler", curves, frames), mode)


def _stands(action: bpy.types.Action, frames: np.ndarray, rate: float) -> tuple[Stand, ...]:
    """The clip's contacts, at the frames where its clock put them."""
    start, own_rate = clock_of(action) if CLOCK_KEY in action else (1.0, rate)
    found = []
    for span in contacts_of(action):
        first, last = (start + second * own_rate for second in (span.start_s, span.end_s))
        stand = Stand(span.part, *keys_within(frames, first - 0.05, last + 0.05), span.floor_m)
        if stand.part.endswith(("_heel", "_toe")) and stand.first <= stand.last:
            found.append(stand)
    return tuple(found)
