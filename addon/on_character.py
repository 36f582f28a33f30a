# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that work on the active character."""

import bpy

from .reporting import Reporting
from .scene.armature import CONTROLS_KEY, ArmatureError


def character_of(item: bpy.types.Object | None) -> bpy.types.Object | None:
    """The character that an object is, or is the mesh or the control rig of."""
    if item is None:
        return None
    part = item.parent is not None and (item.type == "MESH" or CONTROLS_KEY in item)
    rig = item.parent if part else item
    return rig if rig is not None and rig.type == "ARMATURE" else None


class OnCharacter(Reporting):
    """Mix-in: the character."""

    def rig(self, context: bpy.types.Context) -> bpy.types.Object:
        """The active character.

        Raises:
            ArmatureError: there is none.
        """
        rig = character_of(context.view_layer.objects.active)
        if rig is None:
            raise ArmatureError("no character is active.", "Select one.")
        return rig
