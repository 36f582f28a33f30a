# SPDX-License-Identifier: GPL-3.0-or-later
"""Preferences: where the backend is, how to get it, whether it works."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import bpy
from bpy.props import CollectionProperty, EnumProperty, IntProperty, StringProperty

from .reporting import Reporting, draw_text, remember_log
from .scene.body_file import OPEN_BODIES
from .settings import OPEN_BODY_ITEMS, SCHEME_ITEMS, backend_python
from .solving.installing import (
    describe_doctor,
    environment_python,
    explained,
    install_commands,
    tidy,
    wheel_beside,
)
from .solving.job import body_name_of, body_names_of
from .solving.process import Cancelled, Process, run
from .solving.protocol import BackendError
from .storage import bodies_folder, package_preferences, repository_address, user_folder
from .user_error import UserError, unforeseen

DEVICE_ITEMS = [
    ("auto", "Automatic", "The fastest that is there"),
    ("cpu", "CPU", "The processor"),
    ("cuda", "CUDA", "An NVIDIA graphics card"),
]


class StafBodyName(bpy.types.PropertyGroup):
    """A body of the user's own; its name is the group's `name`"""


class StafPreferences(bpy.types.AddonPreferences):
    """Preferences of the add-on"""

    bl_idname = __package__ or "addon"

    backend_python: StringProperty(
        name="Backend Python",
        description="Python of the environment that has staf-backend installed",
        subtype="FILE_PATH",
    )
    install_source: StringProperty(
        name="Install From",
        description="The backend's wheel, a folder of wheels, or the folder of a clone of the "
        "project; empty: the wheel beside which this extension was built",
        subtype="FILE_PATH",
    )
    device: EnumProperty(name="Device", items=DEVICE_ITEMS)
    threads: IntProperty(name="Threads", description="0: all cores", min=0, max=256)
    default_body: EnumProperty(name="Default Body", items=OPEN_BODY_ITEMS)
    default_bone_names: EnumProperty(name="Default Bone Names", items=SCHEME_ITEMS)
    known_bodies: CollectionProperty(type=StafBodyName)
    doctor: StringProperty(options={"HIDDEN"})

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.prop(self, "backend_python")
        layout.prop(self, "install_source")
        row = layout.row()
        if SetUpBackend.status:
            row.label(text=SetUpBackend.status, icon="SORTTIME")
            row.label(text="Esc cancels")
        else:
            row.operator(SetUpBackend.bl_idname, icon="IMPORT")
            row.operator(CheckBackend.bl_idname, icon="CHECKMARK")
        row.operator("staf.show_log", icon="TEXT")
        draw_text(layout, context, SetUpBackend.failure, "ERROR")
        for line in self.doctor.split("\n") if self.doctor else []:
            draw_text(layout, context, line)
        for name in ("device", "threads", "default_body", "default_bone_names"):
            layout.prop(self, name)
        layout.operator(AddBody.bl_idname, icon="ARMATURE_DATA")


class CheckBackend(Reporting, bpy.types.Operator):
    """Ask the backend what it has and what is missing"""

    bl_idname = "staf.check_backend"
    bl_label = "Check"

    def perform(self, _context: bpy.types.Context) -> Iterable[str]:
        lines = keep_doctor_report(run(backend_python(), ["doctor"]))
        if lines[-1] != "ready":
            raise UserError(f"the backend is not ready: {' '.join(lines[-2:-1])}")
        return lines


class SetUpBackend(Reporting, bpy.types.Operator):
    """Make a virtual environment in the add-on's folder and install the backend into it"""

    bl_idname = "staf.setup_backend"
    bl_label = "Set Up Backend"

    source: StringProperty(
        name="Install From", description="See Preferences", options={"SKIP_SAVE"}
    )
    status = ""
    """Of the class: what is going on, for the preferences to show."""
    failure = ""
    """Of the class: why the last try failed."""
    process: Process | None = None
    folder: Path | None = None
    """The new environment's."""

    def perform(self, _context: bpy.types.Context) -> Iterable[str]:
        try:
            self.begin()
            while (result := self.advance(wait=True)) is None:
                pass
        except UserError as error:
            self.abandon(str(error))
            raise
        except BaseException:
            self.abandon()
            raise
        return self.complete(result)

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        if bpy.app.background:
            return self.execute(context)
        if SetUpBackend.status:
            self.report({"ERROR"}, "already setting up.")
            return {"CANCELLED"}
        try:
            self.begin()
        except UserError as error:
            remember_log(error.whole)
            self.report({"ERROR"}, str(error))
            self.abandon(str(error))
            return {"CANCELLED"}
        self.timer = context.window_manager.event_timer_add(0.2, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if event.type == "ESC" and event.value == "PRESS" and self.process:
            self.process.cancel()
            return {"RUNNING_MODAL"}
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        for window in context.window_manager.windows:
            for area in window.screen.areas:
                area.tag_redraw()
        try:
            result = self.advance(wait=False)
            if result is None:
                return {"PASS_THROUGH"}
            self.report({"INFO"}, "; ".join(self.complete(result)))
            answer = {"FINISHED"}
        except Exception as fault:
            error = fault if isinstance(fault, UserError) else unforeseen(fault)
            remember_log(error.whole)
            cancelled = isinstance(error, Cancelled)
            self.abandon("" if cancelled else str(error))
            level = "WARNING" if cancelled else "ERROR"
            self.report({level}, str(error))
            answer = {"CANCELLED"}
        context.window_manager.event_timer_remove(self.timer)
        return answer

    def begin(self) -> None:
        preferences = package_preferences()
        source = self.source or (preferences.install_source if preferences else "")
        source = os.path.expanduser(bpy.path.abspath(source))  # noqa: PTH111 - keeps "://" as it is
        self.folder = folder = _unused_folder()
        beside = wheel_beside(Path(__file__).parent, repository_address())
        self.steps = install_commands(folder, source, bpy.app.online_access, beside)
        self.next()

    def next(self) -> None:
        SetUpBackend.status, command = self.steps.pop(0)
        self.process = Process(command)

    def advance(self, wait: bool) -> dict | None:
        """The last step's result when all are done."""
        assert self.process is not None
        try:
            result = self.process.wait() if wait else self.process.poll()
        except BackendError as failure:
            raise explained(failure) from None
        if result is None:
            return None
        remember_log(self.process.log)
        if not self.steps:
            return result
        self.next()
        return None

    def complete(self, result: dict) -> list[str]:
        """Take the new environment into use, and remove the ones before it."""
        assert self.folder is not None
        SetUpBackend.status = SetUpBackend.failure = ""
        tidy(self.folder)
        for other in self.folder.parent.iterdir():
            if other != self.folder:
                shutil.rmtree(other, ignore_errors=True)
        preferences = package_preferences()
        if preferences:
            preferences.backend_python = str(environment_python(self.folder))
        return [*keep_doctor_report(result), f"installed in {self.folder}"]

    def abandon(self, failure: str = "") -> None:
        SetUpBackend.status, SetUpBackend.failure = "", failure
        if self.process:
            self.process.kill()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


class AddBody(Reporting, bpy.types.Operator):
    """Remember your own SMPL, SMPL-H or SMPL-X file, to animate it"""

    bl_idname = "staf.add_body"
    bl_label = "Add Body File"

    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    filter_glob: StringProperty(default="*.npz;*.pkl", options={"HIDDEN"})

    def perform(self, _context: bpy.types.Context) -> Iterable[str]:
        path = Path(bpy.path.abspath(self.filepath))
        python = backend_python()
        name = body_name_of(run(python, ["body", "add", str(path)]))
        target = bodies_folder() / f"{name}.npz"
        run(python, ["body", "export", name, "-o", str(target)])
        preferences = package_preferences()
        if preferences and name not in preferences.known_bodies:
            preferences.known_bodies.add().name = name
        return [f"added {name}"]

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}


def keep_doctor_report(result: dict) -> list[str]:
    """Keep what the doctor said where the preferences show it; returns it in words."""
    lines = describe_doctor(result)
    preferences = package_preferences()
    if preferences:
        preferences.known_bodies.clear()
        for name in body_names_of(result):
            if name not in OPEN_BODIES:
                preferences.known_bodies.add().name = name
        preferences.doctor = "\n".join(lines)
    return lines


def _unused_folder() -> Path:
    """Environments cannot be moved, so a new one is made in its place beside the one in use."""
    base = user_folder("backend")
    return next(base / str(n) for n in range(1, 10_000) if not (base / str(n)).exists())


CLASSES = (StafBodyName, StafPreferences, CheckBackend, SetUpBackend, AddBody)
