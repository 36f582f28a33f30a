"""A .blend of each clip: the add-on in a Blender without a window, as a child of the clip's worker.

motions ─► motion files ─► blender --background (or Python with bpy) ─► stem.blend
"""

import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from staf_backend import StafError
from staf_backend.blender.error import BlenderError
from staf_backend.blender.extension import extension, write_zip
from staf_backend.blender.program import usable_blenders
from staf_backend.motion.file import save_motion
from staf_backend.motion.motion import Motion

_SCRIPT = "staf_blend.py"
"""Of the add-on, for inside Blender."""
_START_S = 120.0
"""That Python may take to load bpy.  Chosen: 20 s on a slow disk."""


class BlendError(StafError):
    """Blender refused a clip; `passing` where another try may go well."""

    kind = "blender"
    exit_code = 9

    def __init__(self, message: str, advice: str = "", *, passing: bool = False) -> None:
        super().__init__(message, advice)
        self.passing = passing


@dataclass(frozen=True)
class Program:
    """What makes .blend files.

    Attributes:
        path: a Blender, or a Python that has the bpy module.
        module: whether it is such a Python.
        name: as "Blender 5.2.3".
    """

    path: str
    module: bool
    name: str

    def command(self, script: Path, order: Path) -> list[str]:
        """To run a script with one word."""
        if self.module:
            return [self.path, str(script), str(order)]
        words = ["--background", "--factory-startup", "--python-exit-code", "1", "--python"]
        return [self.path, *words, str(script), "--", str(order)]


def find_program(given: Path | None) -> Program:
    """The Blender to use: the one given, else one that is installed, else the module bpy here.

    Raises:
        BlenderError: there is none, or the given one is none.
    """
    if given is not None and (name := _bpy_of(given)):
        return Program(str(given.absolute()), True, name)
    try:
        blender = usable_blenders(given)[0]
    except BlenderError:
        if given is None and importlib.util.find_spec("bpy"):
            return Program(sys.executable, True, _bpy_of(Path(sys.executable)))
        raise
    return Program(str(blender.program), False, blender.name)


def _bpy_of(python: Path) -> str:
    """The version of Blender that is a module of this Python; "" where it is no Python or has none.

    Asked by name first: no stranger's program is run with words that it may not understand.
    """
    if not python.name.lower().startswith("python"):
        return ""
    command = [str(python), "-c", "import bpy; print('Blender', bpy.app.version_string)"]
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=_START_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ended.stdout.strip().split("\n")[-1] if ended.returncode == 0 else ""


def write_blend(
    path: Path,
    motions: Sequence[Motion],
    video: Path,
    kept: Path | None,
    program: Program,
    log: IO[Any],
) -> None:
    """Write a .blend with all people of a clip, their camera and the footage behind it.

    Args:
        path: the file to write; its folder is used for what it takes meanwhile.
        motions: of the clip.
        video: the footage; a folder of pictures is left out.
        kept: the folder in which the motion files will lie; None where they are not kept.
        program: what to run.
        log: gets what Blender says.

    Raises:
        BlendError: Blender refuses, or dies.
    """
    work = path.with_name(f"{path.stem}.for-blender")
    work.mkdir()
    files = []
    for motion in motions:
        file = work / f"{motion.name}.npz"
        save_motion(file, motion)
        files.append({"file": str(file), "kept": str(kept / file.name) if kept else ""})
    order = work / "order.json"
    values = {
        "addon": str(_addon_in(work)),
        "motions": files,
        "video": str(video.resolve()) if video.is_file() else "",
        "blend": str(path),
    }
    order.write_text(json.dumps(values), encoding="utf-8")
    script = extension().folder / _SCRIPT
    _run(program, script, order, log)
    if not path.is_file():
        raise BlendError(f"{program.name} ended well, but wrote no file.")


def _addon_in(work: Path) -> Path:
    """The add-on with its bodies: that of a clone as it lies, that of a wheel unpacked."""
    made = extension()
    if (made.folder / "bodies").is_dir():
        return made.folder
    archive = work / made.zip_name
    write_zip(archive)
    folder = work / "staf_addon"
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
    return folder


def _run(program: Program, script: Path, order: Path, log: IO[Any]) -> None:
    """As a child of this process, so that whoever ends it ends Blender, too."""
    said = order.with_suffix(".txt")
    environment = {**os.environ, "STAF_BACKEND_PYTHON": sys.executable}
    try:
        with said.open("wb") as words:
            ended = subprocess.run(
                program.command(script, order),
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=subprocess.STDOUT,
                env=environment,
                check=False,
            )
    except OSError as error:
        raise BlendError(f"{program.path} cannot be run: {error.strerror}.") from error
    text = said.read_text(encoding="utf-8", errors="replace")
    log.write(text)
    if ended.returncode < 0:
        raise BlendError(f"{program.name} ended by signal {-ended.returncode}.", passing=True)
    if ended.returncode:
        lines = [line for line in text.splitlines() if line.strip()] or ["it said nothing."]
        told = [line for line in lines if line.startswith("staf_blend: ")] or lines
        raise BlendError(f"{program.name}: {told[-1].removeprefix('staf_blend: ')}")
