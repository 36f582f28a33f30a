# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend as a child process that speaks `protocol`.  Knows nothing of Blender.

A reader thread for each stream moves lines into a short queue; `poll` takes them out in the
caller's thread and never waits.  `supervisor.py` stands between, so that nothing outlives us.

However the command behaves, a process comes to an end: after its last word, after the end of its
streams and after `cancel` it has some seconds, and then its whole process group is killed.
"""

import contextlib
import math
import os
import queue
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from ..user_error import UserError
from .protocol import (
    PROTOCOL,
    BackendError,
    Failure,
    Line,
    Progress,
    Result,
    Start,
    event_of,
    lines_of,
    one_line,
    other_protocol,
    too_long,
)

_LOG_LINES, _LOG_CHARACTERS = 2000, 2000
"""What is kept of the log.  Chosen: 4 MB at most."""
_QUEUED_LINES = 64
"""Lines waiting for `poll`; whoever says more waits.  Chosen: 64 MB at the longest lines."""
_POLL_S = 0.01
"""The longest that `poll` takes lines in.  Chosen: not seen in a window of 60 pictures a second."""
_GRACE_S = 2.0
"""From asking a command to stop to killing it, and from there to not waiting for it any more."""
LAST_WORD_S = 10.0
"""The longest that a command may live on once it can say nothing more.  Chosen: unloading PyTorch
takes about 1 s."""
START_S = 120.0
"""The longest to a command's first word.  Chosen: starting Python took 20 s on a slow disk."""
SHORT_COMMAND_S = 120.0
"""The longest that Blender's window waits for an answer.  Chosen: reading the largest body file
takes about 20 s on a slow disk."""
# ONNX Runtime must not report to its maker, whichever version of the backend loads it
_ENVIRONMENT = {"PYTHONIOENCODING": "utf-8", "ORT_DISABLE_TELEMETRY": "1"}
_SUPERVISOR = Path(__file__).with_name("supervisor.py")


class Cancelled(UserError):
    """The user cancelled."""


@dataclass(frozen=True)
class Command:
    """A command line of the backend."""

    python: str
    arguments: tuple[str, ...]
    """Such as ("convert", "clip.mp4", "-o", "clip.npz")."""
    module: str | None = "staf_backend"
    """Run with -m; None: the arguments are a program of their own that speaks no protocol."""
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def command_line(self) -> list[str]:
        """The whole command line."""
        if self.module is None:
            return [self.python, *self.arguments]
        # -P: what lies in Blender's current folder is no part of the backend
        return [self.python, "-P", "-m", self.module, *self.arguments, "--progress", "json"]


class Process:
    """A running command.  Use `poll` until it returns an outcome, or raises.

    Raises:
        BackendError: there is no such Python.
    """

    def __init__(self, command: Command) -> None:
        self.command = command
        self.progress = Progress()
        self.version = ""
        self._log: deque[str] = deque(maxlen=_LOG_LINES)
        self._lines: queue.Queue[tuple[str, Line | None]] = queue.Queue(_QUEUED_LINES)
        self._open_streams = 2
        self._started = False
        self._last: Result | Failure | None = None
        self._began_s = time.monotonic()
        self._silent_s: float | None = None
        self._kill_at_s: float | None = None
        self._over = threading.Event()
        self._child = self._start()
        for name in ("stdout", "stderr"):
            stream = getattr(self._child, name)
            threading.Thread(target=self._read, args=(name, stream), daemon=True).start()

    @property
    def log(self) -> str:
        """Everything the command said, the last 2000 lines."""
        return "\n".join(self._log)

    @property
    def pid(self) -> int:
        return self._child.pid

    def poll(self) -> dict[str, Any] | None:
        """Take in what the command said.

        Returns:
            its result once it ended well; None while it runs.

        Raises:
            BackendError: it failed, crashed, or speaks another protocol.
            Cancelled: it ended after `cancel`.
        """
        self._kill_if_late()
        try:
            self._take_lines()
            self._check_start()
        except BackendError as error:
            self.kill()
            error.log = error.log or self.log
            raise
        return self._outcome() if self._ended() else None

    def wait(self, every_s: float = 0.02, most_s: float = math.inf) -> dict[str, Any]:
        """`poll` until there is a result.

        Raises:
            BackendError: also where there is none after `most_s`; the process is ended then.
        """
        last_s = time.monotonic() + most_s
        while True:
            outcome = self.poll()
            if outcome is not None:
                return outcome
            if time.monotonic() > last_s:
                self.kill()
                raise _no_answer(most_s, self.log)
            time.sleep(every_s)

    def cancel(self) -> None:
        """Ask the whole process group to stop; later polls insist.  Returns at once."""
        if self._kill_at_s is None and not self._over.is_set():
            self._kill_at_s = time.monotonic() + _GRACE_S
            self._signal_group(gently=True)

    def kill(self) -> None:
        """End the whole process group now and wait for it, for five seconds at most."""
        if not self._over.is_set():
            self._kill_at_s = self._kill_at_s or time.monotonic()
            self._end(5.0)

    def _start(self) -> subprocess.Popen:
        python = self.command.python
        if not python:
            raise no_backend()
        try:
            return subprocess.Popen(
                [python, str(_SUPERVISOR), *self.command.command_line],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, **_ENVIRONMENT, **self.command.environment},
                # a group of its own, so that all of it can be ended at once
                start_new_session=os.name != "nt",
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise BackendError(
                f"{one_line(python)} cannot be started: {reason}.",
                "Set the backend's Python in Preferences.",
            ) from None

    def _read(self, name: str, stream: IO[bytes]) -> None:
        with contextlib.suppress(ValueError, OSError), stream:
            for line in lines_of(stream):
                self._put(name, line)
                if self._over.is_set():
                    return
        self._put(name, None)

    def _put(self, name: str, line: Line | None) -> None:
        while not self._over.is_set():
            with contextlib.suppress(queue.Full):
                self._lines.put((name, line), timeout=0.2)
                return

    def _take_lines(self) -> None:
        last_s = time.monotonic() + _POLL_S
        while self._open_streams and time.monotonic() < last_s:
            try:
                stream, line = self._lines.get_nowait()
            except queue.Empty:
                return
            if line is None:
                self._open_streams -= 1
            elif stream == "stderr" or self.command.module is None:
                self._keep_line(line.text)
            elif line.whole:
                self._take_event(line.text)
            else:
                raise too_long()

    def _take_event(self, text: str) -> None:
        event = event_of(text)
        if event is None:
            self._keep_line(text)
        elif isinstance(event, Start):
            self._started, self.version = True, event.version
            if event.protocol != PROTOCOL:
                raise other_protocol(event)
        elif isinstance(event, Progress):
            self.progress = event
        elif isinstance(event, Result) and not self._started:
            raise self._not_the_backend("it sent a result without a start.")
        else:
            self._last = event
            message = event.message if isinstance(event, Failure) else event.values.get("message")
            self._keep_line(message or "")

    def _check_start(self) -> None:
        late = time.monotonic() > self._began_s + START_S
        if late and not self._started and self.command.module is not None:
            raise self._not_the_backend(f"it said nothing within {START_S:.0f} s.")

    def _keep_line(self, line: str) -> None:
        self._log.append(line[:_LOG_CHARACTERS])

    def _ended(self) -> bool:
        """Whether nothing more comes, or nothing that would be waited for."""
        now, code = time.monotonic(), self._child.poll()
        if code is not None and not self._open_streams:
            return True
        if self._kill_at_s is not None:
            return now > self._kill_at_s + _GRACE_S
        # a supervisor that was killed leaves its command at work, which is waited for
        ended_itself = code is not None and code >= 0
        if self._last is None and self._open_streams and not ended_itself:
            return False
        self._silent_s = self._silent_s or now
        return now > self._silent_s + LAST_WORD_S

    def _outcome(self) -> dict[str, Any]:
        code = self._end(1.0)
        if self._kill_at_s is not None:
            raise Cancelled("cancelled; nothing was kept.")
        if self.command.module is None:
            if code:
                raise BackendError(self._last_line(code), "", self.log, exit_code=code)
            return {"event": "result", "message": self.log}
        # the last word counts, not how the command, or the supervisor, came to its end after it
        if isinstance(self._last, Result):
            return self._last.values
        if isinstance(self._last, Failure):
            last = self._last
            raise BackendError(last.message, last.advice, self.log, last.kind, last.exit_code)
        if not self._started:
            raise self._not_the_backend(self._last_line(code))
        raise BackendError(f"the backend crashed: {self._last_line(code)}", "", self.log)

    def _not_the_backend(self, reason: str) -> BackendError:
        python = one_line(self.command.python)
        if "No module named" in self.log and "staf_backend" in self.log:
            message = f"{python} has no staf-backend."
            return BackendError(message, "Set up the backend in Preferences.", self.log)
        return BackendError(
            f"{python} is no Python with a working staf-backend: {reason}",
            "Choose another one in Preferences, or set the backend up.",
            self.log,
        )

    def _last_line(self, code: int) -> str:
        lines = filter(None, (one_line(line) for line in reversed(self._log)))
        return next(lines, f"it ended with code {code}.")

    def _kill_if_late(self) -> None:
        if self._kill_at_s is not None and time.monotonic() > self._kill_at_s:
            self._signal_group(gently=False)

    def _signal_group(self, gently: bool) -> None:
        if os.name == "nt":
            if self._child.poll() is None:
                kill = ["taskkill", "/T", "/F", "/PID", str(self._child.pid)]
                subprocess.run(kill, capture_output=True, check=False)
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGTERM if gently else signal.SIGKILL)

    def _end(self, most_s: float) -> int:
        """Kill what is left of the group and let go of it; the exit code."""
        if not self._over.is_set():
            self._signal_group(gently=False)
            self._over.set()  # from here on its number may be another process's
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(most_s)
        if self._child.stdin is not None:
            with contextlib.suppress(OSError):
                self._child.stdin.close()
        return self._child.returncode if self._child.returncode is not None else -1


def _no_answer(most_s: float, log: str) -> BackendError:
    message = f"the backend gave no answer within {most_s:.0f} s and was stopped."
    return BackendError(message, "Try the same in a terminal.", log)


def no_backend() -> BackendError:
    """Nobody has said where the backend is."""
    return BackendError(
        "the backend is not set up.", "Edit > Preferences > Add-ons > STAF Motion > Set up backend."
    )


def run(python: str, arguments: Sequence[str]) -> dict[str, Any]:
    """Run a short command of the backend to its end, while Blender's window waits.

    Raises:
        BackendError: it failed, or took longer than a short command may.
    """
    return Process(Command(python, tuple(arguments))).wait(most_s=SHORT_COMMAND_S)
