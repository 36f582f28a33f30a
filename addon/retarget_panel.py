# SPDX-License-Identifier: GPL-3.0-or-later
"""The sidebar's section "My Own Rig": the list of bones, and Retarget."""

import bpy

from .panels import InSidebar
from .retarget.joints import REQUIRED
from .retarget.live import is_linked
from .retarget_operators import (
    GuessBones,
    LinkRig,
    LoadBoneMap,
    Retarget,
    SaveBoneMap,
    UnlinkRig,
)
from .scene.character import characters


class BoneList(bpy.types.UIList):
    """Joints of the body with the bones of the rig"""

    bl_idname = "STAF_UL_bones"

    def draw_item(
        self, _context, layout, rig, line, _icon, _active_data, _active_property, _index=0, _flag=0
    ) -> None:
        row = layout.split(factor=0.4)
        row.alert = line.name in REQUIRED and not line.bone
        row.label(text=line.name)
        row.prop_search(line, "bone", rig.id_data.data, "bones", text="")


class RetargetPanel(InSidebar, bpy.types.Panel):
    """Motion onto the active rig"""

    bl_idname = "STAF_PT_retarget"
    bl_label = "My Own Rig"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 10

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        rig = context.view_layer.objects.active
        if rig is None or rig.type != "ARMATURE":
            layout.label(text="Select the rig that shall move.", icon="INFO")
            return
        layout.label(text=rig.name, icon="ARMATURE_DATA")
        shown = rig.staf_bone_map
        if shown.bones:
            layout.template_list(
                BoneList.bl_idname, "", shown, "bones", shown, "chosen", rows=8, maxrows=16
            )
        row = layout.row(align=True)
        row.operator(GuessBones.bl_idname, icon="VIEWZOOM")
        row.operator(LoadBoneMap.bl_idname, text="", icon="FILE_FOLDER")
        row.operator(SaveBoneMap.bl_idname, text="", icon="FILE_TICK")
        self._draw_sources(context, rig)

    def _draw_sources(self, context: bpy.types.Context, rig: bpy.types.Object) -> None:
        column = self.layout.column(align=True)
        for other in characters(context.scene):
            if other != rig:
                row = column.row(align=True)
                text = f"Retarget from {other.name}"
                row.operator(Retarget.bl_idname, text=text, icon="PLAY").source = other.name
                row.operator(LinkRig.bl_idname, text="", icon="LINKED").source = other.name
        if is_linked(rig):
            column.operator(UnlinkRig.bl_idname, icon="UNLINKED")
        column.operator_context = "INVOKE_DEFAULT"
        column.operator(Retarget.bl_idname, text="Retarget Motion Files", icon="IMPORT")


CLASSES = (BoneList, RetargetPanel)
