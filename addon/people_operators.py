# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of people: find who is in a video, correct who is who.  Solving then goes by it."""

from collections.abc import Iterable
from pathlib import Path

import bpy
from bpy.props import EnumProperty, IntProperty, StringProperty

from .reporting import Reporting, remember_log
from .settings import StafSettings, backend_python, scan_key, solve_request, tracks_file
from .solve_operators import TICK_S, redraw
from .solving.job import discard, job_folder
from .solving.process import Cancelled, Process
from .solving.solve import SOLVER
from .solving.tracks import Edit, Tracks, read_tracks, with_edit, words_of, write_edits
from .storage import user_folder
from .user_error import UserError, unforeseen

EDIT_ITEMS = [
    ("merge", "Merge", "The person is somebody else of the list"),
    ("split", "Split", "From a frame on it is somebody new"),
    ("swap", "Swap", "Two people are exchanged from a frame on"),
    ("drop", "Drop", "Leave the person out"),
    ("name", "Name", "What the person is called"),
    ("fill", "One Motion", "Parts of the person, however long apart, become one motion"),
]
_ASKED = {"merge": ("other",), "split": ("frame",), "swap": ("other", "frame"), "name": ("name",)}
"""What is asked before an edit."""


class ScanPeople(Reporting, bpy.types.Operator):
    """List who is in the video, to choose from and to correct"""

    bl_idname = "staf.scan_people"
    bl_label = "Find People"
    bl_options = {"REGISTER"}

    process: Process | None = None
    running: Process | None = None
    """Of the class: the scan of this Blender."""

    def perform(self, context: bpy.types.Context) -> Iterable[str]:
        self.begin(context)
        try:
            assert self.process is not None
            return self.take(context, self.process.wait())
        finally:
            self.end()

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        if bpy.app.background:
            return self.execute(context)
        try:
            self.begin(context)
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.timer = context.window_manager.event_timer_add(TICK_S, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        assert self.process is not None
        if event.type == "ESC" and event.value == "PRESS":
            self.process.cancel()
            return {"RUNNING_MODAL"}
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        redraw(context)
        try:
            result = self.process.poll()
            if result is None:
                return {"PASS_THROUGH"}
            self.report({"INFO"}, " ".join(self.take(context, result)))
            answer = {"FINISHED"}
        except Cancelled:
            answer = {"CANCELLED"}
        except Exception as fault:
            error = fault if isinstance(fault, UserError) else unforeseen(fault)
            remember_log(error.whole)
            self.report({"ERROR"}, str(error))
            answer = {"CANCELLED"}
        context.window_manager.event_timer_remove(self.timer)
        self.end()
        redraw(context)
        return answer

    def begin(self, context: bpy.types.Context) -> None:
        if ScanPeople.running or SOLVER.busy:
            raise UserError("another video is being worked on.", "Wait for it, or cancel it.")
        request = solve_request(context.scene.staf)
        self.folder = job_folder(user_folder("tracks"), request.video.stem)
        self.file = self.folder / f"{request.video.stem}.tracks.json"
        try:
            self.process = Process(request.who(backend_python(), self.file))
        except UserError:
            discard(self.folder)
            raise
        ScanPeople.running = self.process

    def take(self, context: bpy.types.Context, _result: dict) -> list[str]:
        settings = context.scene.staf
        found = read_tracks(self.file)
        list_people(settings, found)
        settings.person = "LIST"
        settings.tracks, settings.scanned = str(self.file), scan_key(settings)
        return [f"found {len(found.people)} people"]

    def end(self) -> None:
        if self.process:
            self.process.kill()
        ScanPeople.running = None
        if bpy.context.scene.staf.tracks != str(self.file):
            discard(self.folder)


class EditPeople(Reporting, bpy.types.Operator):
    """Say who is who; the next Solve goes by it"""

    bl_idname = "staf.edit_people"
    bl_label = "Edit People"
    bl_options = {"REGISTER"}

    do: EnumProperty(name="Edit", items=EDIT_ITEMS)
    person: IntProperty(name="Person", min=1, default=1)
    other: IntProperty(name="Other Person", min=0, description="0: the next of the list")
    frame: IntProperty(
        name="Frame", description="Of the video; -1: what the scene shows", min=-1, default=-1
    )
    name: StringProperty(name="Name")

    def perform(self, context: bpy.types.Context) -> Iterable[str]:
        settings = context.scene.staf
        path = listed_file(settings)
        tracks = read_tracks(path)
        write_edits(path, with_edit(tracks, self.edit(context, tracks)))
        list_people(settings, read_tracks(path))
        return []

    def edit(self, context: bpy.types.Context, tracks: Tracks) -> Edit:
        """The edit as the file has it."""
        frame = self.frame if self.frame >= 0 else shown_frame(context, tracks)
        taken = [one.person for one in tracks.people]
        taken += [int(edit.get("new_person", 0)) for edit in tracks.edits]
        others = [number for number in taken if number != self.person]
        other = self.other or (others[0] if others else 0)
        words: dict[str, Edit] = {
            "merge": {"into": other},
            "split": {"at_frame": frame, "new_person": max(taken) + 1},
            "swap": {"with": other, "from_frame": frame},
            "name": {"name": self.name.strip()},
        }
        return {"do": self.do, "person": self.person, **words.get(self.do, {})}

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        if self.do not in _ASKED:
            return self.execute(context)
        try:
            tracks = read_tracks(listed_file(context.scene.staf))
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.frame = shown_frame(context, tracks)
        others = [one.person for one in tracks.people if one.person != self.person]
        self.other = others[0] if others else 0
        return context.window_manager.invoke_props_dialog(self)

    def draw(self, _context: bpy.types.Context) -> None:
        self.layout.use_property_split = True
        self.layout.label(text=f"Person {self.person}")
        for name in _ASKED[self.do]:
            self.layout.prop(self, name)


class UndoEditPeople(Reporting, bpy.types.Operator):
    """Take the last edit of the list of people back"""

    bl_idname = "staf.undo_edit_people"
    bl_label = "Take Back"
    bl_options = {"REGISTER"}

    def perform(self, context: bpy.types.Context) -> Iterable[str]:
        path = listed_file(context.scene.staf)
        edits = read_tracks(path).edits
        if not edits:
            raise UserError("no edit is left to take back.")
        write_edits(path, edits[:-1])
        list_people(context.scene.staf, read_tracks(path))
        return []


def listed_file(settings: StafSettings) -> Path:
    """The tracks file of the list.

    Raises:
        UserError: there is none for this video.
    """
    path = tracks_file(settings)
    if path is None:
        raise UserError("nobody is listed for this video and these seconds.", "Press Find People.")
    return path


def shown_frame(context: bpy.types.Context, tracks: Tracks) -> int:
    """Frame of the video that the scene shows."""
    scene = context.scene
    rate = scene.render.fps / scene.render.fps_base
    return max(0, tracks.frame((scene.frame_current - scene.staf.start_frame) / rate))


def list_people(settings: StafSettings, tracks: Tracks) -> None:
    """Show people, each ticked as before."""
    ticked = {one.person: one.use for one in settings.people}
    settings.people.clear()
    settings.edits = "\n".join(words_of(edit) for edit in tracks.edits)
    for one in tracks.people:
        line = settings.people.add()
        line.person, line.called = one.person, one.name
        line.use = ticked.get(one.person, True)
        first, last = (tracks.second(frame) for frame in one.frames)
        line.label = f"{first:.1f} to {last:.1f} s, {one.coverage:.0%}"
        line.thumbnail = str(one.thumbnail or "")


CLASSES = (ScanPeople, EditPeople, UndoEditPeople)
