# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend's lines, read with a limit and checked word by word.  Knows nothing of Blender.

    {"event": "start", "protocol": 1, "version": ..., "command": ...}
    {"event": "progress", "stage": ..., "done": ..., "total": ..., "message": ...}      any number
    {"event": "result", ...}   or   {"event": "error", "message", "advice", "exit_code"}

Whatever stands at the other end may be broken: a line that is no event belongs to the log, an event
with words of another type is a `BackendError`.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

from ..user_error import UserError

PROTOCOL = 1
MAX_LINE_BYTES = 1 << 20
"""Chosen: the result of a video with a thousand people is shorter."""
_SHORT_CHARACTERS, _LONG_CHARACTERS = 40, 1000
"""The longest name and sentence that are shown.  Chosen: what Blender's window holds."""
_LARGEST = 2**31 - 1
"""What Blender's properties hold."""
_UPDATE = "Update the backend: Preferences, Set Up Backend."


class BackendError(UserError):
    """The backend is missing, of another version, crashed, or reported an error."""

    def __init__(
        self, message: str, advice: str = "", log: str = "", kind: str = "error", exit_code: int = 1
    ) -> None:
        super().__init__(message, advice, log)
        self.kind = kind
        self.exit_code = exit_code


@dataclass(frozen=True)
class Line:
    """A line of text without its end."""

    text: str
    whole: bool = True
    """False: it went on beyond the limit; the rest is lost."""


@dataclass(frozen=True)
class Start:
    """The first line."""

    protocol: int
    version: str


@dataclass(frozen=True)
class Progress:
    """How far a command is."""

    stage: str = ""
    done: int = 0
    total: int = 0
    message: str = "starting"

    @property
    def share(self) -> float:
        """Of the stage, 0 to 1."""
        return min(max(self.done / self.total, 0.0), 1.0) if self.total > 0 else 0.0


@dataclass(frozen=True)
class Result:
    """The last line of a command that went well; its values are the command's own."""

    values: dict[str, Any]


@dataclass(frozen=True)
class Failure:
    """The last line of a command that did not."""

    message: str
    advice: str
    kind: str
    exit_code: int


def lines_of(stream: IO[bytes], limit: int = MAX_LINE_BYTES) -> Iterator[Line]:
    """The lines of a stream; one without an end costs no more memory than the limit, in bytes."""
    while piece := stream.readline(limit):
        whole = len(piece) < limit or piece.endswith(b"\n")
        yield Line(piece.decode("utf-8", "replace").rstrip("\r\n"), whole)
        while not whole:
            piece = stream.readline(limit)
            whole = not piece or piece.endswith(b"\n")


def event_of(text: str) -> Start | Progress | Result | Failure | None:
    """A line's event; None where it holds none, or progress that means nothing.

    Raises:
        BackendError: a start, result or error with words of another type.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return None
    kind = values.get("event") if isinstance(values, dict) else None
    if kind == "start":
        version = text_of(values, "version", _SHORT_CHARACTERS)
        return Start(count_of(values, "protocol", -1), version)
    if kind == "progress":
        return _progress(values)
    if kind == "result":
        text_of(values, "message")
        return Result(values)
    if kind == "error":
        return Failure(
            text_of(values, "message") or "the backend failed.",
            text_of(values, "advice"),
            text_of(values, "kind", _SHORT_CHARACTERS) or "error",
            count_of(values, "exit_code", 1),
        )
    return None


def one_line(text: str, most: int = _LONG_CHARACTERS) -> str:
    """Text from outside as one line of printable characters."""
    return "".join(c if c.isprintable() else " " for c in text[:most]).strip()


def text_of(values: Mapping[str, Any], name: str, most: int = _LONG_CHARACTERS) -> str:
    """A word that is text, as one printable line; empty where it is missing or null.

    Raises:
        BackendError: it is something else.
    """
    text = values.get(name)
    if text is None:
        return ""
    if not isinstance(text, str):
        raise misunderstood(name)
    return one_line(text, most)


def count_of(values: Mapping[str, Any], name: str, otherwise: int) -> int:
    """A word that is a whole number; another where it is missing.

    Raises:
        BackendError: it is something else.
    """
    number = values.get(name, otherwise)
    if isinstance(number, bool) or not isinstance(number, int) or abs(number) > _LARGEST:
        raise misunderstood(name)
    return number


def number_of(values: Mapping[str, Any], name: str) -> float:
    """A word that is a finite number.

    Raises:
        BackendError: it is something else.
    """
    number = values.get(name)
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise misunderstood(name)
    if not (math.isfinite(number) and abs(number) <= _LARGEST):
        raise misunderstood(name)
    return float(number)


def objects_of(values: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """A word that is a list of objects; empty where it is missing.

    Raises:
        BackendError: it is something else.
    """
    found = values.get(name, [])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise misunderstood(name)
    return found


def misunderstood(name: str) -> BackendError:
    """A word of the backend's means nothing here."""
    return BackendError(f'the backend\'s answer has a "{name}" that means nothing here.', _UPDATE)


def too_long() -> BackendError:
    """A line that no backend of ours says."""
    return BackendError(
        f"the backend sent a line of more than {MAX_LINE_BYTES >> 20} MB and was stopped.", _UPDATE
    )


def other_protocol(start: Start) -> BackendError:
    """The two halves are of different age."""
    newer = start.protocol > PROTOCOL
    return BackendError(
        f"the backend {start.version} speaks protocol {start.protocol}, this add-on {PROTOCOL}.",
        "Update the add-on." if newer else _UPDATE,
    )


def _progress(values: Mapping[str, Any]) -> Progress | None:
    try:
        return Progress(
            text_of(values, "stage", _SHORT_CHARACTERS),
            count_of(values, "done", 0),
            count_of(values, "total", 0),
            text_of(values, "message"),
        )
    except BackendError:
        return None
