# SPDX-License-Identifier: GPL-3.0-or-later
"""The active character and the take that it plays: what operators and panels work on."""

import bpy

from .reporting import Reporting
from .scene.armature import CONTROLS_KEY, ArmatureError
from .scene.takes import CARD_KEY


def character_of(item: bpy.types.Object | None) -> bpy.types.Object | None:
    """The character that an object is, or is the mesh or the control rig of."""
    if item is None:
        return None
    part = item.parent is not None and (item.type == "MESH" or CONTROLS_KEY in item)
    rig = item.parent if part else item
    return rig if rig is not None and rig.type == "ARMATURE" else None


def take_of(item: bpy.types.Object | None) -> bpy.types.Action | None:
    """The take that an object's character plays; else its newest strip's."""
    rig = character_of(item)
    data = rig.animation_data if rig is not None else None
    if data is None:
        return None
    strips = [strip.action for track in data.nla_tracks for strip in track.strips]
    found = [one for one in (data.action, *reversed(strips)) if one and CARD_KEY in one]
    return found[0] if found else None


class OnCharacter(Reporting):
    """Mix-in: the character, and its take."""

    def rig(self, context: bpy.types.Context) -> bpy.types.Object:
        """The active character.

        Raises:
            ArmatureError: there is none.
        """
        rig = character_of(context.view_layer.objects.active)
        if rig is None:
            raise ArmatureError("no character is active.", "Select one.")
        return rig

    def take(self, context: bpy.types.Context) -> bpy.types.Action:
        """The take of the active character.

        Raises:
            ArmatureError: there is none.
        """
        take = take_of(context.view_layer.objects.active)
        if take is None:
            raise ArmatureError("no character with a take is active.", "Select one.")
        return take
