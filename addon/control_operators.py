# SPDX-License-Identifier: GPL-3.0-or-later
"""Controls for a character: add, switch a limb, bake back, remove."""

from collections.abc import Iterable

import bpy
from bpy.props import BoolProperty, EnumProperty

from .controls.baking import add_controls, bake_back, switch
from .controls.building import remove
from .controls.limbs import LIMBS, limb_of
from .on_character import OnCharacter
from .scene.armature import ArmatureError, controls_of

LIMB_ITEMS = [(limb.label, limb.label, f"Joints {', '.join(limb.joints)}") for limb in LIMBS]


class _Controlling(OnCharacter):
    """Mix-in: work on the active character, from any mode."""

    def rig(self, context: bpy.types.Context) -> bpy.types.Object:
        """The active character, in Object Mode.

        Raises:
            ArmatureError: there is none.
        """
        rig = super().rig(context)
        if context.mode == "POSE":
            bpy.ops.object.mode_set(mode="OBJECT")
        return rig


class AddControls(_Controlling, bpy.types.Operator):
    """Give the character a control rig with IK hands and feet, and its motion baked onto it"""

    bl_idname = "staf.add_controls"
    bl_label = "Add Controls"
    bl_options = {"REGISTER", "UNDO"}

    def perform(self, context: bpy.types.Context) -> Iterable[str]:
        controls = add_controls(context, self.rig(context))
        if not bpy.app.background:
            bpy.ops.object.mode_set(mode="POSE")
        return [f"{controls.name} holds the motion now; Bake to Bones makes it a take."]


class SwitchLimb(_Controlling, bpy.types.Operator):
    """Move a limb by IK or by FK; the other controls take its motion over on every frame"""

    bl_idname = "staf.switch_limb"
    bl_label = "Switch IK and FK"
    bl_options = {"REGISTER", "UNDO"}

    limb: EnumProperty(name="Limb", items=LIMB_ITEMS)
    ik: BoolProperty(name="IK", default=True)

    def perform(self, context: bpy.types.Context) -> Iterable[str]:
        posing = context.mode == "POSE"
        rig = self.rig(context)
        switch(context, rig, limb_of(self.limb), self.ik)
        if posing:
            bpy.ops.object.mode_set(mode="POSE")
        return []


class BakeControls(_Controlling, bpy.types.Operator):
    """Make what the controls do a new take of the character, and take the controls away"""

    bl_idname = "staf.bake_controls"
    bl_label = "Bake to Bones"
    bl_options = {"REGISTER", "UNDO"}

    def perform(self, context: bpy.types.Context) -> Iterable[str]:
        return [f"made {bake_back(context, self.rig(context)).name}"]


class RemoveControls(_Controlling, bpy.types.Operator):
    """Take the controls away, with what was animated on them; the take is as before"""

    bl_idname = "staf.remove_controls"
    bl_label = "Remove Controls"
    bl_options = {"REGISTER", "UNDO"}

    def perform(self, context: bpy.types.Context) -> Iterable[str]:
        rig = self.rig(context)
        if controls_of(rig) is None:
            raise ArmatureError(f"{rig.name} has no control rig.", "Press Add Controls first.")
        context.view_layer.objects.active = rig
        remove(rig)
        rig.select_set(True)
        return []


CLASSES = (AddControls, SwitchLimb, BakeControls, RemoveControls)
