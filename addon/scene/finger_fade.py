# SPDX-License-Identifier: GPL-3.0-or-later
"""A slider that fades the fingers of a character to how they are held on average.

Each finger bone gets a Limit Rotation that allows one pose alone, the mean of the take's keys; the
slider is its influence.
"""

from __future__ import annotations

import bpy
import numpy as np
from mathutils import Quaternion

from . import keyframes
from .armature import ArmatureError, bone_by_joint
from .bones import finger_places
from .takes import take_playing

FADE_KEY = "fade_fingers"
"""Custom property of a character: 0 as seen, 1 as on average."""
_NAME = "STAF Fade"
_AXES = "xyz"


def add_fade(rig: bpy.types.Object) -> None:
    """Give a character the slider, at 0.

    Raises:
        ArmatureError: it has no fingers, plays nothing, or has the slider already.
    """
    take, fingers = take_playing(rig), finger_bones(rig)
    if not fingers:
        raise ArmatureError(f"{rig.name} has no fingers.", "Solve with Fingers (Details) on.")
    if take is None:
        raise ArmatureError(f"{rig.name} plays no action.", "Give it a take first.")
    if FADE_KEY in rig:
        raise ArmatureError(f"{rig.name} has the slider already.")
    rig[FADE_KEY] = 0.0
    rig.id_properties_ui(FADE_KEY).update(
        min=0.0, max=1.0, description="0: fingers as they were seen; 1: as they are on average"
    )
    curves = {(c.data_path, c.array_index): c for c in keyframes.curves(take)}
    for name in fingers:
        _limit(rig, name, _mean(curves, name))


def remove_fade(rig: bpy.types.Object) -> None:
    """Take the slider away; fingers are as the take has them.

    Raises:
        ArmatureError: there is none.
    """
    if FADE_KEY not in rig:
        raise ArmatureError(f"{rig.name} has no such slider.")
    for name in finger_bones(rig):
        constraints = rig.pose.bones[name].constraints
        for one in [one for one in constraints if one.name == _NAME]:
            one.driver_remove("influence")
            constraints.remove(one)
    del rig[FADE_KEY]


def finger_bones(rig: bpy.types.Object) -> list[str]:
    """Bones of a character's fingers; none where it has none."""
    bones = bone_by_joint(rig)
    joints = tuple(bones)
    return [bones[joints[place]] for place in finger_places(joints)]


def _mean(curves: dict[tuple[str, int], bpy.types.FCurve], name: str) -> Quaternion:
    """The rotation in the middle of a bone's keys: their sum, which is near it for small ones."""
    path = keyframes.bone_channel(name, "rotation_quaternion", np.zeros((1, 4))).path
    found = [curves.get((path, index)) for index in range(4)]
    if not all(found):
        return Quaternion()
    keys = np.array([[key.co[1] for key in curve.keyframe_points] for curve in found if curve])
    keys = keys * np.where(keys[0] < 0, -1.0, 1.0)
    mean = keys.sum(1)
    return Quaternion(mean / max(float(np.linalg.norm(mean)), 1e-9))


def _limit(rig: bpy.types.Object, name: str, held: Quaternion) -> None:
    constraint = rig.pose.bones[name].constraints.new("LIMIT_ROTATION")
    constraint.name, constraint.owner_space = _NAME, "LOCAL"
    for axis, angle in zip(_AXES, held.to_euler("XYZ"), strict=True):
        setattr(constraint, f"use_limit_{axis}", True)
        setattr(constraint, f"min_{axis}", angle)
        setattr(constraint, f"max_{axis}", angle)
    driver = constraint.driver_add("influence").driver
    driver.type = "AVERAGE"  # of one value: no expression, so no question about scripts
    variable = driver.variables.new()
    variable.targets[0].id = rig
    variable.targets[0].data_path = f'["{FADE_KEY}"]'
