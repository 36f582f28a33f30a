# SPDX-License-Identifier: GPL-3.0-or-later
"""Raw and grounded, weighed by an influence; fingers that fade; both taken away again."""

from collections.abc import Iterable
from pathlib import Path

import bpy

from .controls.baking import bake_shown
from .on_character import OnCharacter, character_of
from .panels import InSidebar
from .scene.armature import ArmatureError
from .scene.finger_fade import FADE_KEY, add_fade, finger_bones, remove_fade
from .scene.layers import add_raw, grounded_strip, raw_strip, remove_raw
from .scene.motion_file import read_motion
from .scene.transaction import all_or_nothing
from .solving.solve import MOTION_KEY


class AddRaw(OnCharacter, bpy.types.Operator):
    """Put the motion as it was estimated below the one on the ground, to weigh the two"""

    bl_idname = "staf.add_raw"
    bl_label = "Weigh Raw and Grounded"
    bl_options = {"REGISTER", "UNDO"}

    def perform(self, context: bpy.types.Context) -> Iterable[str]:
        rig = self.rig(context)
        path = Path(str(rig.get(MOTION_KEY, "")))
        if MOTION_KEY not in rig:
            raise ArmatureError(f"{rig.name} was not made from a motion file.")
        raw = read_motion(path, raw=True)
        with all_or_nothing(context):
            add_raw(rig, raw)
        return []


class BakeRaw(OnCharacter, bpy.types.Operator):
    """Make what is seen now, layers and all, a new take, and take the raw layer away"""

    bl_idname = "staf.bake_raw"
    bl_label = "Bake to Bones"
    bl_options = {"REGISTER", "UNDO"}

    def perform(self, context: bpy.types.Context) -> Iterable[str]:
        rig = self.rig(context)
        if raw_strip(rig) is None:
            raise ArmatureError(f"{rig.name} has no raw layer.")
        return [f"made {bake_shown(context, rig, remove_raw).name}"]


class RemoveRaw(OnCharacter, bpy.types.Operator):
    """Take the raw layer away; the take plays whole again"""

    bl_idname = "staf.remove_raw"
    bl_label = "Remove Raw Layer"
    bl_options = {"REGISTER", "UNDO"}

    def perform(self, context: bpy.types.Context) -> Iterable[str]:
        remove_raw(self.rig(context))
        return []


class AddFade(OnCharacter, bpy.types.Operator):
    """Give the character a slider that fades its fingers to how they are held on average"""

    bl_idname = "staf.add_fade"
    bl_label = "Fade Fingers"
    bl_options = {"REGISTER", "UNDO"}

    def perform(self, context: bpy.types.Context) -> Iterable[str]:
        add_fade(self.rig(context))
        return []


class RemoveFade(OnCharacter, bpy.types.Operator):
    """Take the slider of the fingers away"""

    bl_idname = "staf.remove_fade"
    bl_label = "Remove Slider"
    bl_options = {"REGISTER", "UNDO"}

    def perform(self, context: bpy.types.Context) -> Iterable[str]:
        remove_fade(self.rig(context))
        return []


class LayerPanel(InSidebar, bpy.types.Panel):
    """Raw and grounded motion of the active character, and its fingers"""

    bl_idname = "STAF_PT_layers"
    bl_label = "Layers"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 8

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        rig = character_of(context.active_object)
        return rig is not None and MOTION_KEY in rig

    def draw(self, context: bpy.types.Context) -> None:
        rig = character_of(context.active_object)
        if rig is None:
            return
        self._draw_fade(rig)
        strip = grounded_strip(rig)
        if strip is None:
            self.layout.operator(AddRaw.bl_idname, icon="NLA")
            return
        self.layout.prop(strip, "influence", text="Grounded", slider=True)
        self.layout.prop(strip, "mute", text="Raw Alone", toggle=True)
        row = self.layout.row(align=True)
        row.operator(BakeRaw.bl_idname, icon="ACTION")
        row.operator(RemoveRaw.bl_idname, text="", icon="X")

    def _draw_fade(self, rig: bpy.types.Object) -> None:
        if FADE_KEY in rig:
            row = self.layout.row(align=True)
            row.prop(rig, f'["{FADE_KEY}"]', text="Fade Fingers", slider=True)
            row.operator(RemoveFade.bl_idname, text="", icon="X")
        elif finger_bones(rig):
            self.layout.operator(AddFade.bl_idname, icon="VIEW_PAN")


CLASSES = (AddRaw, BakeRaw, RemoveRaw, AddFade, RemoveFade, LayerPanel)
