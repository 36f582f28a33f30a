"""A Blender that can be run: its version, and programs run inside it."""

import json
import os
import platform
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from staf_backend.blender.error import BlenderError
from staf_backend.blender.places import candidates

OLDEST, NEWEST = (4, 2), (5, 2)
"""Versions with which the add-on is tried: the first with extensions, and the last released."""
_LONGEST_S = 180.0
"""That Blender may take to start and do something small.  Chosen: it took 9 s on a slow disk."""
ANSWER = "STAF-BLENDER "
"""Begins the line on which the script inside Blender answers."""
_ADVICE = "Name one with --blender PATH, or install Blender 4.2 or newer."


@dataclass(frozen=True)
class Blender:
    """A program and its version."""

    program: Path
    version: tuple[int, ...]

    @property
    def usable(self) -> bool:
        """Whether it knows extensions."""
        return self.version[:2] >= OLDEST

    @property
    def name(self) -> str:
        return "Blender " + ".".join(map(str, self.version))

    def run(self, words: Sequence[str]) -> str:
        """What it says.

        Raises:
            BlenderError: it cannot be started, takes too long, or ends with an error.
        """
        return _run([str(self.program), *words])

    def ask(self, script: Path, words: Sequence[str]) -> dict[str, Any]:
        """Run a script inside, with the user's preferences; the object that it answers.

        Raises:
            BlenderError: it fails, or says so.
        """
        command = ["--background", "--python-exit-code", "1", "--python", str(script), "--"]
        said = self.run([*command, *words])
        lines = [line for line in said.splitlines() if line.startswith(ANSWER)]
        if not lines:
            raise BlenderError(f"{self.name} ({self.program}) gave no answer.", _last_line(said))
        answer = json.loads(lines[-1].removeprefix(ANSWER))
        if "error" in answer:
            raise BlenderError(f"{self.name} ({self.program}): {answer['error']}", answer["advice"])
        return answer


def blender_at(program: Path) -> Blender:
    """The Blender that a file is.

    Raises:
        BlenderError: it is none.
    """
    if program.is_dir():  # what one drags from a folder: Blender.app, or an unpacked archive
        inner = [program / "Contents/MacOS/Blender", program / "blender", program / "blender.exe"]
        program = next((path for path in inner if path.is_file()), program)
    if not program.is_file():
        raise BlenderError(f"there is no Blender at {program}.", _ADVICE)
    said = _run([str(program), "--version"])
    match = re.search(r"^Blender (\d+(?:\.\d+)+)", said, re.M)
    if not match:
        raise BlenderError(f"{program} is not Blender: it tells no version.", _ADVICE)
    return Blender(program.absolute(), tuple(map(int, match[1].split("."))))


def blenders(given: Path | None = None) -> list[Blender]:
    """The one given, or all that are found; too old ones, too.

    Raises:
        BlenderError: the given one is no Blender.
    """
    if given is not None:
        return [blender_at(given)]
    found = []
    for path in candidates(platform.system(), os.environ, Path.home()):
        try:
            found.append(blender_at(path))
        except BlenderError:  # something of that name
            continue
    return found


def usable_blenders(given: Path | None = None) -> list[Blender]:
    """Those that know extensions.

    Raises:
        BlenderError: there are none.
    """
    found = blenders(given)
    usable = [one for one in found if one.usable]
    if not found:
        raise BlenderError("no Blender was found on this computer.", _ADVICE)
    if not usable:
        names = ", ".join(f"{one.name} ({one.program})" for one in found)
        raise BlenderError(f"{names} is too old for extensions.", _ADVICE)
    return usable


def _run(command: list[str]) -> str:
    try:
        ended = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_LONGEST_S,
            text=True,
            errors="replace",
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BlenderError(f"{command[0]} did not answer in {_LONGEST_S:.0f} s.") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise BlenderError(f"{command[0]} cannot be run: {reason}.", _ADVICE) from None
    if ended.returncode:
        reason = _last_line(ended.stdout)
        raise BlenderError(f"{command[0]} ended with code {ended.returncode}: {reason}")
    return ended.stdout


def _last_line(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    lines = [line for line in lines if line != "Blender quit"]
    return lines[-1][:300] if lines else "it said nothing."
