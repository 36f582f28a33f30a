"""The add-on in a Blender without a window, or in Python with bpy, as a child of this process."""

import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from staf_backend import StafError
from staf_backend.blender.error import BlenderError
from staf_backend.blender.extension import extension, write_zip
from staf_backend.blender.program import usable_blenders

_START_S = 120.0
"""That Python may take to load bpy.  Chosen: 20 s on a slow disk."""


class BlendError(StafError):
    """Blender refused its work; `passing` where another try may go well."""

    kind = "blender"
    exit_code = 9

    def __init__(self, message: str, advice: str = "", *, passing: bool = False) -> None:
        super().__init__(message, advice)
        self.passing = passing


@dataclass(frozen=True)
class Program:
    """What runs the add-on.

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


def run_inside(
    program: Program, script: str, work: Path, order: dict[str, Any], log: IO[str]
) -> None:
    """Run a script of the add-on; whoever ends this process ends Blender, too.

    Args:
        program: what to run.
        script: name of the file; on failure its last words follow its name and a colon.
        work: a folder for what this takes.
        order: what the script reads as JSON; gets `addon`, the add-on's folder.
        log: gets what Blender says.

    Raises:
        BlendError: Blender refuses, or dies.
    """
    words = work / "order.json"
    words.write_text(json.dumps(order | {"addon": str(_addon_in(work))}), encoding="utf-8")
    environment = {**os.environ, "STAF_BACKEND_PYTHON": sys.executable}
    said = words.with_suffix(".txt")
    try:
        with said.open("wb") as file:
            ended = subprocess.run(
                program.command(extension().folder / script, words),
                stdin=subprocess.DEVNULL,
                stdout=file,
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
        name = f"{script.removesuffix('.py')}: "
        told = [line for line in lines if line.startswith(name)] or lines
        raise BlendError(f"{program.name}: {told[-1].removeprefix(name)}")
