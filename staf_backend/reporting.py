"""What a command tells while it runs and at its end: for people, or for programs.

For programs (`--progress json`, protocol 1) every line on standard output is one JSON object:

    {"event": "start", "protocol": 1, "version": ..., "command": ...}
    {"event": "progress", "stage": ..., "done": ..., "total": ..., "message": ...}    any number
    {"event": "item", "done": ..., "total": ..., "message": ...}      one a clip of a batch
    {"event": "result", ...}  or  {"event": "error", "kind", "message", "advice", "exit_code"}
"""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TextIO

from staf_backend import StafError, __version__

Report = Callable[[str, int, int, str], None]
"""How a stage tells its progress: stage, done, total, message for people."""

PROTOCOL = 1
_CUT = 4000
"""Characters of an error's line.  Chosen: a path may have 4096 bytes, and must not fill a screen
twice."""
_SHORTEST_WAIT_S = 0.1
"""Between two lines of progress.  Chosen: a bar that moves smoothly."""


class StreamError(StafError):
    """What a command has to tell cannot be told: the disk behind its standard output is full."""

    kind = "output"
    exit_code = 5


@contextlib.contextmanager
def telling() -> Iterator[None]:
    """Whatever is written to standard output in the block is written, or there is an error.

    Raises:
        StreamError: it cannot be written.
        BrokenPipeError: nobody reads it any more.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        advice = "Free some space, or send the output elsewhere."
        raise StreamError(f"cannot write to standard output: {reason}.", advice) from error


def one_line(text: str) -> str:
    """Text as a terminal may show it: it obeys none of it, and it is one line."""
    cut = text if len(text) <= _CUT else text[:_CUT] + "..."
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "replace").decode()
        for letter in cut
    )


def _to_errors(text: str, end: str = "\n") -> None:
    """To standard error, which may be full: then the exit code alone tells."""
    with contextlib.suppress(OSError):
        print(text, end=end, file=sys.stderr, flush=True)


class Reporter(Protocol):
    """Where a command reports to."""

    def progress(self, stage: str, done: int, total: int, message: str) -> None: ...
    def item(self, done: int, total: int, message: str) -> None: ...
    def result(self, text: str, values: dict[str, Any]) -> None: ...
    def error(self, error: StafError) -> None: ...


class JsonLines:
    """One JSON object a line, flushed at once."""

    def __init__(self, command: str, stream: TextIO | None = None, *, begun: bool = False) -> None:
        self._stream = stream or sys.stdout
        self._last = ("", -1.0)
        if not begun:  # by another process, which wrote to the same stream
            self._write(event="start", protocol=PROTOCOL, version=__version__, command=command)

    def progress(self, stage: str, done: int, total: int, message: str) -> None:
        """Not more often than people can see, but always each stage's first and last step."""
        now = time.monotonic()
        same_stage = self._last[0] == stage
        if same_stage and done < total and now - self._last[1] < _SHORTEST_WAIT_S:
            return
        self._last = (stage, now)
        self._write(event="progress", stage=stage, done=done, total=total, message=message)

    def item(self, done: int, total: int, message: str) -> None:
        """One thing of many is settled."""
        self._write(event="item", done=done, total=total, message=message)

    def result(self, text: str, values: dict[str, Any]) -> None:
        self._write(event="result", message=text, **values)

    def error(self, error: StafError) -> None:
        self._write(
            event="error",
            kind=error.kind,
            message=error.message,
            advice=error.advice,
            exit_code=error.exit_code,
        )

    def _write(self, **values: Any) -> None:
        with telling():
            print(json.dumps(values, allow_nan=False), file=self._stream, flush=True)


class Terminal:
    """Text: results to standard output; a bar, when somebody watches, and errors to the other."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bar = sys.stderr.isatty() and not quiet
        self._open = False
        self._last = ("", -1.0)

    def progress(self, stage: str, done: int, total: int, message: str) -> None:
        """Redraw the bar's line; a finished stage keeps its line."""
        now = time.monotonic()
        if not self._bar or (
            self._last[0] == stage and done < total and now - self._last[1] < _SHORTEST_WAIT_S
        ):
            return
        if self._open and self._last[0] != stage:
            self._end_line()
        self._last = (stage, now)
        filled = 30 * done // max(total, 1)
        bar = "#" * filled + "-" * (30 - filled)
        _to_errors(f"\r{message:<24.24} [{bar}] {done}/{total}", end="")
        self._open = True
        if done >= total:
            self._end_line()

    def item(self, done: int, total: int, message: str) -> None:
        """A line for one thing of many."""
        if not self._quiet:
            with telling():
                print(f"[{done:>{len(str(total))}}/{total}] {message}", flush=True)

    def result(self, text: str, values: dict[str, Any]) -> None:  # noqa: ARG002 - for programs
        if self._open:
            self._end_line()
        with telling():
            print(text, flush=True)

    def error(self, error: StafError) -> None:
        if self._open:
            self._end_line()
        _to_errors("staf: " + one_line(str(error)))

    def _end_line(self) -> None:
        _to_errors("")
        self._open = False
