# SPDX-License-Identifier: GPL-3.0-or-later
"""File > Export > STAF clips."""

from collections.abc import Iterable
from pathlib import Path

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty
from bpy_extras.io_utils import ExportHelper

from .reporting import Reporting
from .scene.armature import CONTROLS_KEY
from .scene.character import ID_KEY, characters
from .scene.export import ExportError, export_clips
from .scene.layers import refuse_shown
from .scene.staging import ExportOptions
from .settings import absolute

TRAVEL_ITEMS = [
    ("KEEP", "As Animated", "Travel stays on the bones that have it"),
    ("ROOT", "Root Motion", "Travel over the ground on the root bone, for game engines"),
    ("IN_PLACE", "In Place", "No travel over the ground"),
]
FORMAT_ITEMS = [
    (".glb", "glTF (.glb)", "One animation for each take"),
    (".fbx", "FBX (.fbx)", "One stack for each take"),
    (".bvh", "BVH (.bvh)", "The skeleton and one take"),
]


class ExportClips(Reporting, bpy.types.Operator, ExportHelper):
    """Export characters and their takes as clips"""

    bl_idname = "staf.export_clips"
    bl_label = "Export STAF Clips"
    bl_options = {"REGISTER"}

    filename_ext = ""
    check_extension = None
    filter_glob: StringProperty(default="*.glb;*.fbx;*.bvh", options={"HIDDEN"})
    file_format: EnumProperty(name="Format", items=FORMAT_ITEMS)
    selected_only: BoolProperty(
        name="Selected Only", description="Only selected characters; else all", default=True
    )
    all_takes: BoolProperty(
        name="All Takes", description="Every take; off: the one that plays", default=True
    )
    travel: EnumProperty(name="Travel", items=TRAVEL_ITEMS)
    skeleton_only: BoolProperty(
        name="Skeleton Only", description="A thin proxy mesh in place of the body"
    )

    def perform(self, context: bpy.types.Context) -> Iterable[str]:
        path = self.path()
        rigs = self.rigs(context)
        for rig in rigs:
            refuse_shown(rig)
        options = ExportOptions(self.all_takes, self.travel, self.skeleton_only)
        names = export_clips(context, rigs, path, options)
        return [f"wrote {path.name}: {', '.join(names)}"]

    def path(self) -> Path:
        """The chosen file; a known ending in the name wins over the format's button."""
        path = absolute(self.filepath)
        if path is None or not path.name:
            raise ExportError("no file is named.")
        known = [item[0] for item in FORMAT_ITEMS]
        return path if path.suffix.lower() in known else Path(f"{path}{self.file_format}")

    def rigs(self, context: bpy.types.Context) -> list[bpy.types.Object]:
        """The characters to write: selected ones, by themselves or by their mesh; else all."""
        selected = set(context.selected_objects)
        selected |= {item.parent for item in selected if item.parent}
        armatures = [
            item
            for item in context.scene.objects
            if item.type == "ARMATURE" and CONTROLS_KEY not in item
        ]
        chosen = [rig for rig in armatures if rig in selected]
        every = characters(context.scene)
        if not self.selected_only or not chosen:
            chosen = every
        return [rig for rig in chosen if ID_KEY in rig or rig in selected]

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        if not self.filepath:
            rigs = self.rigs(context)
            stem = rigs[0].name if rigs else "clips"
            folder = Path(bpy.data.filepath).parent if bpy.data.filepath else Path.home()
            self.filepath = str(folder / f"{stem}{self.file_format}")
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def draw(self, _context: bpy.types.Context) -> None:
        self.layout.use_property_split = True
        for name in ("file_format", "selected_only", "all_takes", "travel", "skeleton_only"):
            self.layout.prop(self, name)


CLASSES = (ExportClips,)
