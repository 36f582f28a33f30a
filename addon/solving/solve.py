# SPDX-License-Identifier: GPL-3.0-or-later
"""Solving videos one after another, without ever holding the window.

    waiting ─► process ─► motion files ─► footage, then characters, one for each tick of the timer
       └── more videos can join at any time; cancel ends the running one and forgets the others

The state is plain Python, so undo does not touch it.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import bpy

from ..scene import character, footage
from ..scene.body_file import OPEN_BODIES
from ..scene.first_look import look_through
from ..scene.motion_file import MotionClip, read_motion
from ..storage import bodies_folder, user_folder
from ..user_error import UserError, unforeseen
from .job import SolveRequest, discard, job_folder, motions_of
from .process import SHORT_COMMAND_S, Cancelled, Command, Process
from .protocol import Progress

MOTION_KEY = "staf_motion"
"""Custom property of a character: the motion file it was made from."""


@dataclass(eq=False)
class Work:
    """One video on its way."""

    request: SolveRequest
    options: character.ImportOptions
    python: str
    folder: Path | None = None
    commands: deque[Command] = field(default_factory=deque)
    """What the backend still has to do."""
    motions: deque[Path] = field(default_factory=deque)
    """Motion files not yet imported."""
    footage: Literal["closed", "open", "new"] = "closed"
    """Whether Blender has the video open, and did not before."""
    used: bool = False
    """Whether a character of the scene was made from the folder, which stays then."""


@dataclass(eq=False)
class Solver:
    """The queue and what is running.  `step` is called from the main thread only."""

    waiting: deque[Work] = field(default_factory=deque)
    work: Work | None = None
    process: Process | None = None
    failure: UserError | None = None
    """The last failure, until the next start."""
    notice: str = ""
    """The last good news."""
    log: str = ""
    made: list[str] = field(default_factory=list)
    """Names of the armatures made since the queue was last empty."""
    stop_asked: bool = False
    longest_tick_s: float = 0.0
    """The longest that one step held Blender, without the imports."""
    longest_import_s: float = 0.0

    @property
    def busy(self) -> bool:
        return self.work is not None or bool(self.waiting)

    @property
    def progress(self) -> Progress:
        if self.work and self.work.motions:
            return Progress("import", 0, 1, "making characters")
        return self.process.progress if self.process else Progress()

    def add(self, work: Work) -> None:
        """Queue a video."""
        if not self.busy:
            self.failure, self.notice, self.made = None, "", []
            self.longest_tick_s = self.longest_import_s = 0.0
        self.waiting.append(work)

    def step(self, context: bpy.types.Context) -> bool:
        """Do a little; returns whether there is more to do.  Failures go to `failure`."""
        began = time.perf_counter()
        importing = bool(self.work and self.work.motions)
        try:
            self._step(context)
        except Cancelled as end:
            self._drop(end.message)
        except Exception as fault:
            error = fault if isinstance(fault, UserError) else unforeseen(fault)
            self.failure = error
            self.log = error.log or self.log
            self._drop("")
        spent = time.perf_counter() - began
        if importing:
            self.longest_import_s = max(self.longest_import_s, spent)
        else:
            self.longest_tick_s = max(self.longest_tick_s, spent)
        return self.busy

    def cancel(self) -> None:
        """Stop the running video, forget the waiting ones.  The rest happens in later steps."""
        self.waiting.clear()
        if self.process:
            self.stop_asked = True
            self.process.cancel()
        elif self.work:
            self._drop("cancelled.")

    def shut_down(self) -> None:
        """Blender is closing: end everything now."""
        self.waiting.clear()
        if self.work:
            self._drop("")

    def _step(self, context: bpy.types.Context) -> None:
        if self.work is None:
            self._begin()
        elif self.process is not None:
            self._listen()
        elif self.work.footage == "closed":
            self._open_footage(self.work)
        elif self.work.motions:
            self._bring_in(context, self.work)
        if self.work and self.process is None and not self.work.motions:
            self.work = None

    def _begin(self) -> None:
        if not self.waiting:
            return
        self.stop_asked = False
        self.work = work = self.waiting.popleft()
        work.folder = job_folder(user_folder("motions"), work.request.video.stem)
        body = export_body(work.request.body, work.python)
        convert = work.request.convert(work.python, work.folder)
        work.commands = deque([convert] if body is None else [body, convert])
        self.process = Process(work.commands.popleft())

    def _listen(self) -> None:
        assert self.process is not None
        assert self.work is not None
        result = self.process.poll()
        if result is None:
            return
        self.log = self.process.log
        commands = self.work.commands
        self.process = Process(commands.popleft()) if commands else None
        if self.process is None:
            assert self.work.folder is not None
            self.work.motions = deque(motions_of(result, self.work.folder))

    def _open_footage(self, work: Work) -> None:
        """In a tick of its own: it takes about as long as making a character."""
        before, video = len(bpy.data.movieclips), work.options.video
        if work.options.background and video and video.is_file():
            footage.load_movie(video)
        work.footage = "new" if len(bpy.data.movieclips) > before else "open"

    def _bring_in(self, context: bpy.types.Context, work: Work) -> None:
        if context.mode.startswith("EDIT"):
            self.notice = "ready: leave Edit Mode to see the character"
            return
        path = work.motions.popleft()
        made = import_motion_file(context, path, work.options, work.python)
        work.used = True
        self.made.append(made.rig.name)
        notes = " ".join(made.notes)
        self.notice = f"{', '.join(self.made)} ready. {notes}".strip()
        if not bpy.app.background:
            bpy.ops.ed.undo_push(message=f"STAF: {made.action.name}")

    def _drop(self, notice: str) -> None:
        """Forget the running video and what it left on disk."""
        process, work = self.process, self.work
        self.process, self.work, self.stop_asked = None, None, False
        self.notice = notice or self.notice
        if process is not None:
            self.log = process.log or self.log
            process.kill()
        if work is not None and work.folder is not None and not work.used:
            discard(work.folder)
        if work is not None and work.footage == "new":
            footage.forget_unused(work.options.video)


SOLVER = Solver()
"""The one queue of this Blender."""


def import_motion_file(
    context: bpy.types.Context, path: Path, options: character.ImportOptions, python: str
) -> character.Character:
    """Read a motion file and make or change its character.

    Args:
        python: the backend's, to fetch a user's own body; may be empty.

    Raises:
        UserError: the reason.
    """
    clip = read_motion(path)
    if options.mesh:
        fetch_body(clip, python)
    made = character.import_clip(context, clip, options)
    made.rig[MOTION_KEY] = str(path)
    if made.new and made.camera is not None and not bpy.app.background:
        look_through(context)
    return made


def fetch_body(clip: MotionClip, python: str) -> None:
    """Have the backend write a user's own body as plain arrays, unless that was done before.

    Raises:
        UserError: it cannot.
    """
    command = export_body(clip.body, python) if python else None
    if command is not None:
        Process(command).wait(most_s=SHORT_COMMAND_S)


def export_body(name: str, python: str) -> Command | None:
    """The command that writes a body as plain arrays where imports look; None where it is there."""
    path = bodies_folder() / f"{name}.npz"
    if name in OPEN_BODIES or path.is_file():
        return None
    return Command(python, ("body", "export", name, "-o", str(path)))


def wait_for(context: bpy.types.Context, works: list[Work]) -> list[str]:
    """Solve to the end, for scripts and background mode.

    Returns:
        names of the armatures made.

    Raises:
        UserError: the first failure; later videos are not tried.
    """
    if SOLVER.busy:
        raise UserError("another video is being solved.", "Wait for it, or cancel it.")
    for work in works:
        SOLVER.add(work)
    try:
        while SOLVER.step(context):
            if SOLVER.failure:
                break
            if not (SOLVER.work and SOLVER.work.motions):
                time.sleep(0.02)
    except BaseException:
        SOLVER.shut_down()
        raise
    if SOLVER.failure:
        SOLVER.waiting.clear()
        raise SOLVER.failure
    return list(SOLVER.made)


def state() -> dict[str, Any]:
    """Plain numbers about the queue, for tests and bug reports."""
    progress = SOLVER.progress
    return {
        "busy": SOLVER.busy,
        "waiting": len(SOLVER.waiting),
        "stage": progress.stage,
        "share": progress.share,
        "notice": SOLVER.notice,
        "failure": str(SOLVER.failure) if SOLVER.failure else "",
        "made": list(SOLVER.made),
        "longest_tick_s": SOLVER.longest_tick_s,
        "longest_import_s": SOLVER.longest_import_s,
        "pid": SOLVER.process.pid if SOLVER.process else 0,
    }
