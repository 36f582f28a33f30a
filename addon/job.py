# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of the backend for one video, and what comes back.  Knows nothing of Blender."""

import math
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .problem import Problem
from .process import BackendError, Command

ESTIMATORS = ("auto", "landmarks", "staf")
PRESETS = ("fast", "balanced", "best")


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

    def __post_init__(self) -> None:
        if not self.video.is_file():
            raise Problem(f"the video {self.video} does not exist.", "Choose it again.")
        if self.end_s and self.end_s <= self.start_s:
            raise Problem(f"the clip ends at {self.end_s} s, before it starts.", "Check the times.")
        if not (math.isfinite(self.start_s) and self.start_s >= 0):
            raise Problem(f"the clip cannot start at {self.start_s} s.")
        if not re.fullmatch(r"all|largest|\d+(,\d+)*", self.person):
            raise Problem(f"{self.person!r} names no person.", "Use all, largest, or 1,3.")
        if self.estimator not in ESTIMATORS or self.preset not in PRESETS:
            raise ValueError(f"unknown estimator {self.estimator!r} or preset {self.preset!r}")

    def convert(self, python: str, folder: Path) -> Command:
        """The command that leaves the motion files in a folder."""
        words = ["convert", str(self.video), "-o", str(folder / f"{self.video.stem}.npz")]
        words += ["--person", self.person, "--estimator", self.estimator, "--preset", self.preset]
        return Command(python, (*words, "--body", self.body, *self._common()))

    def people(self, python: str, thumbnails: Path) -> Command:
        """The command that lists who is in the video."""
        words = ("people", str(self.video), "--thumbnails", str(thumbnails))
        return Command(python, (*words, *self._common()))

    def _common(self) -> list[str]:
        words = ["--device", self.device]
        words += ["--start", repr(self.start_s)] if self.start_s else []
        words += ["--end", repr(self.end_s)] if self.end_s else []
        words += ["--threads", str(self.threads)] if self.threads else []
        return words


@dataclass(frozen=True)
class FoundPerson:
    """One person of a quick scan."""

    person: int
    seconds: tuple[float, float]
    coverage: float
    thumbnail: Path | None


def motions_of(result: dict[str, Any]) -> list[Path]:
    """The motion files that a convert command wrote, main person first.

    Raises:
        BackendError: it names none.
    """
    files = [Path(one["motion"]) for one in result.get("people", []) if one.get("motion")]
    if not files:
        raise BackendError("the backend found nobody to animate.", "Try another video.")
    return files


def people_of(result: dict[str, Any]) -> list[FoundPerson]:
    """Who a people command found."""
    return [
        FoundPerson(
            int(one["person"]),
            (float(one["first_s"]), float(one["last_s"])),
            float(one["coverage"]),
            Path(one["thumbnail"]) if one.get("thumbnail") else None,
        )
        for one in result.get("people", [])
    ]


def job_folder(base: Path, stem: str) -> Path:
    """A new folder for one video's results: base/clip, base/clip-2, ...

    Raises:
        Problem: it cannot be made.
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
                raise Problem(f"{base} is not a folder.", "Choose another place.") from None
            number += 1
        except OSError as error:
            reason = error.strerror or str(error)
            raise Problem(f"cannot write to {base}: {reason}.", "Choose another place.") from None


def discard(folder: Path) -> None:
    """Remove a job's folder, whatever is in it."""
    shutil.rmtree(folder, ignore_errors=True)


def bodies_of(doctor: dict[str, Any]) -> list[str]:
    """Names of the bodies that a doctor command found."""
    return [str(one["name"]) for one in doctor.get("bodies", [])]
