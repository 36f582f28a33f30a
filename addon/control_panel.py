# SPDX-License-Identifier: GPL-3.0-or-later
"""The sidebar's section "Controls": IK hands and feet for the active character."""

import bpy

from .control_operators import AddControls, BakeControls, RemoveControls, SwitchLimb
from .controls.baking import is_ik
from .controls.limbs import LIMBS
from .on_character import character_of
from .panels import InSidebar
from .scene.armature import bone_by_joint, controls_of


class ControlPanel(InSidebar, bpy.types.Panel):
    """Controls of the active character"""

    bl_idname = "STAF_PT_controls"
    bl_label = "Controls"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 9

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        rig = character_of(context.active_object)
        return rig is not None and bool(bone_by_joint(rig))

    def draw(self, context: bpy.types.Context) -> None:
        rig = character_of(context.active_object)
        if rig is None:
            return
        controls = controls_of(rig)
        if controls is None:
            self.layout.operator(AddControls.bl_idname, icon="OUTLINER_OB_ARMATURE")
            return
        grid = self.layout.grid_flow(row_major=True, columns=2, even_columns=True)
        for limb in LIMBS:
            following = is_ik(controls, limb)
            text = f"{limb.label}: {'IK' if following else 'FK'}"
            turning = grid.operator(SwitchLimb.bl_idname, text=text, depress=following)
            turning.limb, turning.ik = limb.label, not following
        self._draw_collections(controls)
        row = self.layout.row(align=True)
        row.operator(BakeControls.bl_idname, icon="ACTION")
        row.operator(RemoveControls.bl_idname, text="", icon="X")

    def _draw_collections(self, controls: bpy.types.Object) -> None:
        row = self.layout.row(align=True)
        for collection in controls.data.collections:
            if collection.name != "Followers":
                row.prop(collection, "is_visible", text=collection.name, toggle=True)


CLASSES = (ControlPanel,)
