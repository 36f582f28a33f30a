# SPDX-License-Identifier: GPL-3.0-or-later
"""Solve and cancel: the backend at work while the window stays free."""

from collections.abc import Iterable
from pathlib import Path

import bpy
from bpy.props import StringProperty

from .file_choice import VIDEO_FILTER, ReadsFiles
from .reporting import Reporting, last_log, remember_log
from .settings import (
    absolute,
    backend_python,
    import_options,
    refuse_other_seconds,
    solve_request,
)
from .solving.solve import SOLVER, Work, wait_for
from .user_error import UserError

TICK_S = 0.1
"""Between two looks at a solve that runs.  Chosen: progress moves smoothly."""


def work_of(context: bpy.types.Context, video: Path | None) -> Work:
    """The scene's settings, as work on a video.

    Raises:
        UserError: something is missing, or the list of people is of other seconds.
    """
    settings = context.scene.staf
    request = solve_request(settings, video)
    if request.video == absolute(settings.video):
        refuse_other_seconds(settings)
    options = import_options(settings, request.video, None)
    return Work(request, options, backend_python())


class Solving(Reporting):
    """Mix-in: queue videos, then watch from a timer in a window, or wait in the background."""

    timer: bpy.types.Timer | None = None

    def works(self, context: bpy.types.Context) -> list[Work]:
        """The videos to queue."""
        raise NotImplementedError

    def perform(self, context: bpy.types.Context) -> Iterable[str]:
        made = wait_for(context, self.works(context))
        return [f"made {', '.join(made)}", SOLVER.notice]

    def start(self, context: bpy.types.Context) -> set[str]:
        """Queue, and watch unless somebody already does."""
        if bpy.app.background:
            return self.execute(context)
        try:
            works = self.works(context)
        except UserError as error:
            self.report({"ERROR"}, str(error))  # type: ignore[attr-defined]
            return {"CANCELLED"}
        watched = SOLVER.busy
        for work in works:
            SOLVER.add(work)
        if watched:
            return {"FINISHED"}
        manager = context.window_manager
        self.timer = manager.event_timer_add(TICK_S, window=context.window)
        manager.modal_handler_add(self)  # type: ignore[arg-type]
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if event.type == "ESC" and event.value == "PRESS":
            SOLVER.cancel()
            return {"RUNNING_MODAL"}
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        more = SOLVER.step(context)
        redraw(context)
        context.workspace.status_text_set(f"STAF: {progress_text()}    Esc: cancel")
        return {"PASS_THROUGH"} if more else self.finish(context)

    def cancel(self, _context: bpy.types.Context) -> None:
        """Blender's call when the window that watches closes: nobody else would go on."""
        if self.timer:
            SOLVER.shut_down()

    def finish(self, context: bpy.types.Context) -> set[str]:
        if self.timer:
            context.window_manager.event_timer_remove(self.timer)
        context.workspace.status_text_set(None)
        if SOLVER.failure:
            remember_log(SOLVER.failure.whole)
            self.report({"ERROR"}, str(SOLVER.failure))  # type: ignore[attr-defined]
            return {"CANCELLED"}
        self.report({"INFO"}, SOLVER.notice or "done")  # type: ignore[attr-defined]
        return {"FINISHED"}


class Solve(Solving, bpy.types.Operator):
    """Turn the video into animated characters; press again for the next video while one runs"""

    bl_idname = "staf.solve"
    bl_label = "Solve"
    bl_options = {"REGISTER"}

    video: StringProperty(
        name="Video",
        description="The video; empty: the one in the panel",
        subtype="FILE_PATH",
        options={"SKIP_SAVE"},
    )

    def works(self, context: bpy.types.Context) -> list[Work]:
        return [work_of(context, absolute(self.video))]

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        return self.start(context)


class ImportVideo(Solving, ReadsFiles, bpy.types.Operator):
    """Turn videos into animated characters, one after another"""

    bl_idname = "staf.import_video"
    bl_label = "Video as Motion"
    bl_options = {"REGISTER"}

    filter_glob: StringProperty(default=VIDEO_FILTER, options={"HIDDEN"})

    def works(self, context: bpy.types.Context) -> list[Work]:
        return [work_of(context, path) for path in self.paths()]

    def execute(self, context: bpy.types.Context) -> set[str]:
        # the file browser ends in execute, where the window must stay free too
        if bpy.app.background or not context.window:
            return Reporting.execute(self, context)
        return self.start(context)

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.staf
        layout.use_property_split = True
        for name in ("person", "estimator", "preset", "body", "mesh", "bone_names", "root_motion"):
            layout.prop(settings, name)


class Cancel(bpy.types.Operator):
    """Stop the running video and forget the waiting ones"""

    bl_idname = "staf.cancel"
    bl_label = "Cancel"
    bl_options = {"INTERNAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        SOLVER.cancel()
        redraw(context)
        return {"FINISHED"}


class ShowLog(bpy.types.Operator):
    """Everything the backend said, in the text editor"""

    bl_idname = "staf.show_log"
    bl_label = "Show Log"
    bl_options = {"INTERNAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        text = bpy.data.texts.get("STAF log") or bpy.data.texts.new("STAF log")
        text.from_string(last_log() or SOLVER.log or "Nothing was said.")
        if not bpy.app.background:
            bpy.ops.wm.window_new()
            area = context.window_manager.windows[-1].screen.areas[0]
            area.type = "TEXT_EDITOR"
            area.spaces.active.text = text
        return {"FINISHED"}


_STAGES = {
    "detect": "finding people",
    "landmarks": "reading poses",
    "lift": "guessing poses",
    "fit": "fitting the body",
    "write": "writing",
}


def progress_text() -> str:
    """What is being done, in a few words."""
    if SOLVER.stop_asked:
        return "cancelling"
    progress = SOLVER.progress
    words = progress.message or _STAGES.get(progress.stage, progress.stage)
    return f"{words} {progress.share:.0%}" if progress.total else words


def redraw(context: bpy.types.Context) -> None:
    """Draw the places that show progress."""
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                area.tag_redraw()


CLASSES = (Solve, ImportVideo, Cancel, ShowLog)
