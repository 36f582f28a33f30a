# SPDX-License-Identifier: GPL-3.0-or-later
"""The sidebar tab "STAF", in the order of work; menus; drag and drop."""

import bpy

from .export_operators import ExportClips
from .file_choice import VIDEO_ENDINGS
from .import_operators import AddFootage, ImportMotion
from .on_character import take_of
from .panels import InSidebar
from .people_operators import EditPeople, ScanPeople, UndoEditPeople
from .quality import GoTo, places_of, words_of
from .reporting import draw_text
from .settings import backend_python, scanned_people
from .solve_operators import Cancel, ImportVideo, ShowLog, Solve, progress_text
from .solving.solve import SOLVER
from .storage import package_preferences
from .user_error import UserError

_EDIT_ICONS = (
    *(("name", "GREASEPENCIL"), ("merge", "AUTOMERGE_ON"), ("swap", "UV_SYNC_SELECT")),
    *(("split", "UNLINKED"), ("fill", "LINKED"), ("drop", "X")),
)
"""Buttons of each person."""


class VideoPanel(InSidebar, bpy.types.Panel):
    """Which video, which part, whom"""

    bl_idname = "STAF_PT_video"
    bl_label = "Video"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.staf
        layout.prop(settings, "video", text="")
        layout.use_property_split = True
        layout.use_property_decorate = False
        column = layout.column(align=True)
        column.prop(settings, "start_s")
        column.prop(settings, "end_s")
        layout.prop(settings, "person")
        if settings.person == "LIST":
            _draw_people(layout, settings)


class SolvePanel(InSidebar, bpy.types.Panel):
    """From video to motion"""

    bl_idname = "STAF_PT_solve"
    bl_label = "Solve"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.staf
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(settings, "estimator")
        layout.prop(settings, "preset")
        if settings.estimator == "staf":
            layout.prop(settings, "precision")
        layout.prop(settings, "lens")
        layout.prop(settings, "focal_mm")
        layout.prop(settings, "body")
        preferences = package_preferences()
        if settings.body == "OWN" and preferences:
            layout.prop_search(settings, "own_body", preferences, "known_bodies")
        if SOLVER.busy:
            _draw_progress(layout)
        else:
            row = layout.row()
            row.scale_y = 1.4
            row.operator(Solve.bl_idname, icon="PLAY")
        _draw_outcome(layout, context)


class CharacterPanel(InSidebar, bpy.types.Panel):
    """How motions become characters"""

    bl_idname = "STAF_PT_character"
    bl_label = "Character"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.staf
        layout.use_property_split = True
        layout.use_property_decorate = False
        for name in ("height_cm", "onto", "replace"):
            layout.prop(settings, name)
        layout.operator(ImportMotion.bl_idname, text="Import Motion File", icon="IMPORT")


class DetailsPanel(InSidebar, bpy.types.Panel):
    """What most people leave as it is"""

    bl_idname = "STAF_PT_details"
    bl_label = "Details"
    bl_parent_id = CharacterPanel.bl_idname
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.staf
        layout.use_property_split = True
        layout.use_property_decorate = False
        for name in ("fingers", "mesh", "look", "root_motion", "bone_names", "axes"):
            layout.prop(settings, name)
        column = layout.column(heading="Bring In")
        for name in ("camera", "background", "plane", "sound", "match_scene", "shape_keys", "nla"):
            column.prop(settings, name)
        for name in ("scene_fps", "keys", "start_frame"):
            layout.prop(settings, name)


class QualityPanel(InSidebar, bpy.types.Panel):
    """What the active character's take says of itself"""

    bl_idname = "STAF_PT_quality"
    bl_label = "Quality"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return take_of(context.active_object) is not None

    def draw(self, context: bpy.types.Context) -> None:
        take = take_of(context.active_object)
        if take is None:
            return
        self.layout.label(text=take.name, icon="ACTION")
        for sentence in words_of(take) or ["Nothing to complain of."]:
            draw_text(self.layout, context, sentence)
        for place in places_of(take):
            row = self.layout.row()
            row.operator(GoTo.bl_idname, text=place.text, icon="TIME").frame = place.frame


class ExportPanel(InSidebar, bpy.types.Panel):
    """Clips for other programs"""

    bl_idname = "STAF_PT_export"
    bl_label = "Export"

    def draw(self, _context: bpy.types.Context) -> None:
        self.layout.operator_context = "INVOKE_DEFAULT"
        for ending, label in ((".glb", "glTF Clips"), (".fbx", "FBX"), (".bvh", "BVH")):
            self.layout.operator(
                ExportClips.bl_idname, text=label, icon="EXPORT"
            ).file_format = ending


class ObjectMenu(bpy.types.Menu):
    """Object > STAF, which is also what F3 searches"""

    bl_idname = "STAF_MT_object"
    bl_label = "STAF"

    def draw(self, _context: bpy.types.Context) -> None:
        layout = self.layout
        layout.operator_context = "INVOKE_DEFAULT"
        layout.operator(Solve.bl_idname, text="Solve Video (STAF)")
        layout.operator(ScanPeople.bl_idname, text="Find People in Video (STAF)")
        layout.operator(ImportMotion.bl_idname, text="Import Motion (STAF)")
        layout.operator(AddFootage.bl_idname, text="Add Footage (STAF)")
        layout.operator(ExportClips.bl_idname, text="Export Clips (STAF)")


class MotionDrop(bpy.types.FileHandler):
    """A motion file dropped onto the viewport"""

    bl_idname = "STAF_FH_motion"
    bl_label = "STAF motion"
    bl_import_operator = ImportMotion.bl_idname
    bl_file_extensions = ".npz"

    @classmethod
    def poll_drop(cls, context: bpy.types.Context) -> bool:
        return bool(context.area and context.area.type == "VIEW_3D")


class VideoDrop(bpy.types.FileHandler):
    """A video dropped onto the viewport"""

    bl_idname = "STAF_FH_video"
    bl_label = "Video as motion (STAF)"
    bl_import_operator = ImportVideo.bl_idname
    bl_file_extensions = ";".join(VIDEO_ENDINGS)

    @classmethod
    def poll_drop(cls, context: bpy.types.Context) -> bool:
        return bool(context.area and context.area.type == "VIEW_3D")


def _draw_people(layout: bpy.types.UILayout, settings) -> None:
    layout.operator(ScanPeople.bl_idname, icon="VIEWZOOM")
    if ScanPeople.running:
        progress = ScanPeople.running.progress
        layout.progress(factor=progress.share, text=progress.message)
    people = scanned_people(settings)
    for one in people:
        row = layout.row()
        row.use_property_split = False
        row.prop(one, "use", text="")
        icon = _thumbnail(one.thumbnail)
        if icon:
            row.template_icon(icon_value=icon, scale=3.0)
        column = row.column(align=True)
        column.label(text=one.called or f"Person {one.person}")
        column.label(text=one.label)
        buttons = column.row(align=True)
        buttons.operator_context = "INVOKE_DEFAULT"
        for do, picture in _EDIT_ICONS:
            if len(people) > 1 or do not in ("merge", "swap"):
                edit = buttons.operator(EditPeople.bl_idname, text="", icon=picture)
                edit.do, edit.person = do, one.person
    if people:
        _draw_edits(layout, settings)


def _draw_edits(layout: bpy.types.UILayout, settings) -> None:
    lines = settings.edits.split("\n") if settings.edits else []
    for number, line in enumerate(lines, 1):
        row = layout.row()
        row.label(text=line, icon="DOT")
        if number == len(lines):
            row.operator(UndoEditPeople.bl_idname, text="", icon="LOOP_BACK")


_pictures: list = []


def _thumbnail(path: str) -> int:
    if not path or not _pictures:
        return 0
    pictures = _pictures[0]
    if path not in pictures:
        pictures.load(path, path, "IMAGE")
    return pictures[path].icon_id


def _draw_progress(layout: bpy.types.UILayout) -> None:
    work = SOLVER.work or (SOLVER.waiting[0] if SOLVER.waiting else None)
    if work:
        layout.label(text=work.request.video.name, icon="FILE_MOVIE")
    layout.progress(factor=SOLVER.progress.share, text=progress_text())
    row = layout.row(align=True)
    row.operator(Cancel.bl_idname, icon="CANCEL")
    row.operator(Solve.bl_idname, text="Queue", icon="ADD")
    if SOLVER.waiting:
        layout.label(text=f"{len(SOLVER.waiting)} waiting")


def _draw_outcome(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    if SOLVER.failure:
        box = layout.box()
        box.alert = True
        for line in (SOLVER.failure.message, SOLVER.failure.advice):
            icon = "ERROR" if line == SOLVER.failure.message else "NONE"
            draw_text(box, context, line, icon)
        box.operator(ShowLog.bl_idname, icon="TEXT")
    elif SOLVER.notice:
        draw_text(layout, context, SOLVER.notice, "INFO")
    try:
        backend_python()
    except UserError as error:
        layout.label(text=error.message, icon="ERROR")
        opening = layout.operator("preferences.addon_show", text="Set Up", icon="PREFERENCES")
        opening.module = __package__


def _draw_object(self, _context: bpy.types.Context) -> None:
    self.layout.menu(ObjectMenu.bl_idname)


def _draw_import(self, _context: bpy.types.Context) -> None:
    self.layout.operator(ImportMotion.bl_idname, text="STAF motion (.npz)")
    self.layout.operator(ImportVideo.bl_idname, text="Video as motion (STAF)")


def _draw_export(self, _context: bpy.types.Context) -> None:
    self.layout.operator(ExportClips.bl_idname, text="STAF clips (.glb)")


CLASSES = (
    *(VideoPanel, SolvePanel, QualityPanel, CharacterPanel, DetailsPanel, ExportPanel),
    *(ObjectMenu, MotionDrop, VideoDrop),
)
_PLACES = (
    ("TOPBAR_MT_file_import", _draw_import),
    ("TOPBAR_MT_file_export", _draw_export),
    ("VIEW3D_MT_object", _draw_object),
)


def register() -> None:
    import bpy.utils.previews

    for one in CLASSES:
        bpy.utils.register_class(one)
    for place, draw in _PLACES:
        getattr(bpy.types, place).append(draw)
    _pictures.append(bpy.utils.previews.new())


def unregister() -> None:
    bpy.utils.previews.remove(_pictures.pop())
    for place, draw in _PLACES:
        getattr(bpy.types, place).remove(draw)
    for one in reversed(CLASSES):
        bpy.utils.unregister_class(one)
