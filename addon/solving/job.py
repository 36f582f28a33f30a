# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of the backend for one video, and what comes back.  Knows nothing of Blender."""

import math
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..names import BODY_NAME
from ..user_error import UserError
from .process import Command
from .protocol import (
    BackendError,
    misunderstood,
    objects_of,
    one_line,
)

ESTIMATORS = ("auto", "landmarks", "staf")
PRESETS = ("fast", "balanced", "best")
LENSES = ("auto", "phone", "webcam", "35mm", "tele")
PRECISIONS = ("auto", "float32", "tf32", "bf16", "fp16")
_SHOWN_CHARACTERS = 100
"""Of a path in a message.  Chosen: what is left of a line."""


@dataclass(frozen=True)
class SolveRequest:
    """One video to convert."""

    video: Path
    start_s: float = 0.0
    end_s: float = 0.0
    """0: to the end."""
    person: str = "all"
    """"all", "largest", or numbers such as "1,3"."""
    estimator: str = "auto"
    preset: str = "balanced"
    body: str = "open-neutral"
    device: str = "auto"
    threads: int = 0
    """0: all cores."""
    lens: str = "auto"
    focal_px: float = 0.0
    """0: as `lens` says."""
    precision: str = "auto"
    fingers: bool = False
    """Read them, where hands are near and clear."""
    tracks: Path | None = None
    """Who is where, as the animator corrected it."""
    contacts: Path | None = None
    """When who stands, as the animator corrected it."""

    def __post_init__(self) -> None:
        if not self.video.is_file():
            raise UserError(f"the video {self.video} does not exist.", "Choose it again.")
        if self.end_s and self.end_s <= self.start_s:
            raise UserError(
                f"the clip ends at {self.end_s:g} s, before it starts.", "Check the times."
            )
        if not (math.isfinite(self.start_s) and self.start_s >= 0):
            raise UserError(f"the clip cannot start at {self.start_s} s.")
        if not re.fullmatch(r"all|largest|\d+(,\d+)*", self.person):
            raise UserError(f"{self.person!r} names no person.", "Use all, largest, or 1,3.")
        if self.estimator not in ESTIMATORS or self.preset not in PRESETS:
            raise ValueError(f"unknown estimator {self.estimator!r} or preset {self.preset!r}")
        if self.precision not in PRECISIONS:
            raise ValueError(f"unknown precision {self.precision!r}")
        if self.lens not in LENSES or not (math.isfinite(self.focal_px) and self.focal_px >= 0):
            raise ValueError(f"unknown lens {self.lens!r} or focal length {self.focal_px!r}")

    def convert(self, python: str, folder: Path) -> Command:
        """The command that leaves the motion files in a folder."""
        words = ["convert", str(self.video), "-o", str(folder / f"{self.video.stem}.npz")]
        words += ["--person", self.person, "--estimator", self.estimator, "--preset", self.preset]
        if self.focal_px:
            words += ["--focal-px", repr(self.focal_px)]
        elif self.lens != "auto":
            words += ["--lens", self.lens]
        if self.precision != "auto":
            words += ["--precision", self.precision]
        words += ["--hands", "auto"] if self.fingers else []
        for option, path in (("--tracks", self.tracks), ("--contacts", self.contacts)):
            words += [option, str(path)] if path is not None else []
        return Command(python, (*words, "--body", self.body, *self._common()))

    def who(self, python: str, tracks: Path) -> Command:
        """The command that writes who is where in the video."""
        return Command(python, ("tracks", str(self.video), "-o", str(tracks), *self._common()))

    def _common(self) -> list[str]:
        words = ["--device", self.device]
        words += ["--start", repr(self.start_s)] if self.start_s else []
        words += ["--end", repr(self.end_s)] if self.end_s else []
        words += ["--threads", str(self.threads)] if self.threads else []
        return words


def motions_of(result: dict[str, Any], folder: Path) -> list[Path]:
    """The motion files that a convert command wrote, main person first.

    Raises:
        BackendError: it names none, or one that is not a file in the job's folder.
    """
    named = [one["motion"] for one in objects_of(result, "people") if one.get("motion") is not None]
    if not named:
        raise BackendError("the backend found nobody to animate.", "Try another video.")
    return list(dict.fromkeys(_file_inside(name, folder) for name in named))


def _file_inside(name: Any, folder: Path) -> Path:
    """A file that the backend says it wrote.

    Raises:
        BackendError: it is no name, or not of a file in the folder.
    """
    if not isinstance(name, str):
        raise misunderstood("people")
    try:
        path = (folder / name).resolve()
        good = path.is_file() and path.is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # too long, NUL, links in a circle
        good = False
    if not good:
        shown = one_line(name, _SHOWN_CHARACTERS)
        raise BackendError(f"the backend named {shown}, which is no file in its job's folder.")
    return folder / name


def job_folder(base: Path, stem: str) -> Path:
    """A new folder for one video's results: base/clip, base/clip-2, ...

    Raises:
        UserError: it cannot be made.
    """
    safe = re.sub(r"[^\w.-]+", "_", stem).strip(".") or "video"
    number = 1
    while True:
        folder = base / (safe if number == 1 else f"{safe}-{number}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            if not folder.exists() or not folder.parent.is_dir():
                raise UserError(f"{base} is not a folder.", "Choose another place.") from None
            number += 1
        except OSError as error:
            reason = error.strerror or str(error)
            raise UserError(f"cannot write to {base}: {reason}.", "Choose another place.") from None


def discard(folder: Path) -> None:
    """Remove a job's folder, whatever is in it."""
    shutil.rmtree(folder, ignore_errors=True)


def body_names_of(doctor: dict[str, Any]) -> list[str]:
    """Names of the bodies that a doctor command found.

    Raises:
        BackendError: one is no plain name.
    """
    return [body_name_of(one) for one in objects_of(doctor, "bodies")]


def body_name_of(values: dict[str, Any]) -> str:
    """The body's name in an answer; it becomes the name of a file.

    Raises:
        BackendError: it is no plain name.
    """
    name = values.get("name")
    if not isinstance(name, str) or not BODY_NAME.fullmatch(name):
        raise misunderstood("name")
    return name
