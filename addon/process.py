# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend as a child process that speaks one JSON object a line.  Knows nothing of Blender.

    {"event": "start", "protocol": 1, "version": ..., "command": ...}
    {"event": "progress", "stage": ..., "done": ..., "total": ..., "message": ...}      any number
    {"event": "result", ...}   or   {"event": "error", "message", "advice", "exit_code"}

A reader thread moves lines into a queue; `poll` takes them out in the caller's thread and never
waits.  `warden.py` stands between, so that nothing outlives us.
"""

import contextlib
import json
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

from .problem import Problem

PROTOCOL = 1
_LOG_LINES = 2000
_GRACE_S = 2.0
SHORT_COMMAND_S = 120.0
"""The longest that Blender's window waits for an answer.  Chosen: reading the largest body file
takes about 20 s on a slow disk."""
# ONNX Runtime must not report to its maker, whichever version of the backend loads it
_ENVIRONMENT = {"PYTHONIOENCODING": "utf-8", "ORT_DISABLE_TELEMETRY": "1"}
_WARDEN = Path(__file__).with_name("warden.py")


class BackendError(Problem):
    """The backend is missing, of another version, crashed, or reported an error."""

    def __init__(
        self, message: str, advice: str = "", log: str = "", kind: str = "error", exit_code: int = 1
    ) -> None:
        super().__init__(message, advice, log)
        self.kind = kind
        self.exit_code = exit_code


class Cancelled(Problem):
    """The user cancelled."""


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
class Command:
    """A command line of the backend."""

    python: str
    words: tuple[str, ...]
    """Such as ("convert", "clip.mp4", "-o", "clip.npz")."""
    module: str | None = "staf_backend"
    """Run with -m; None: the words are a program of their own that speaks no protocol."""
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def arguments(self) -> list[str]:
        """The whole command line."""
        if self.module is None:
            return [self.python, *self.words]
        # -P: what lies in Blender's current folder is no part of the backend
        return [self.python, "-P", "-m", self.module, *self.words, "--progress", "json"]


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
        self._lines: queue.SimpleQueue[tuple[str, str | None]] = queue.SimpleQueue()
        self._open_streams = 2
        self._started = False
        self._last: dict[str, Any] | None = None
        self._kill_at_s: float | None = None
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
        self._insist()
        while self._open_streams:
            try:
                stream, line = self._lines.get_nowait()
            except queue.Empty:
                return None
            if line is None:
                self._open_streams -= 1
            elif stream == "stderr" or self.command.module is None:
                self._say(line)
            else:
                self._hear(line)
        code = self._child.poll()
        return None if code is None else self._outcome(code)

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
                message = f"the backend gave no answer within {most_s:.0f} s and was stopped."
                raise BackendError(message, "Try the same in a terminal.", self.log)
            time.sleep(every_s)

    def cancel(self) -> None:
        """Ask the whole process group to stop; later polls insist.  Returns at once."""
        if self._child.poll() is None and self._kill_at_s is None:
            self._kill_at_s = time.monotonic() + _GRACE_S
            self._signal_group(gently=True)

    def kill(self) -> None:
        """End the whole process group now and wait for it."""
        self._kill_at_s = self._kill_at_s or time.monotonic()
        self._signal_group(gently=False)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(5)

    def _start(self) -> subprocess.Popen:
        python = self.command.python
        if not python:
            raise no_backend()
        try:
            return subprocess.Popen(
                [python, str(_WARDEN), *self.command.arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                env={**os.environ, **_ENVIRONMENT, **self.command.environment},
                # a group of its own, so that all of it can be ended at once
                start_new_session=os.name != "nt",
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        except OSError as error:
            reason = error.strerror or str(error)
            raise BackendError(
                f"{python} cannot be started: {reason}.", "Set the backend's Python in Preferences."
            ) from None

    def _read(self, name: str, stream: IO[str]) -> None:
        with contextlib.suppress(ValueError, OSError):
            for line in stream:
                self._lines.put((name, line.rstrip("\n")))
        self._lines.put((name, None))

    def _hear(self, line: str) -> None:
        try:
            event = json.loads(line)
            kind = event["event"]
        except (ValueError, TypeError, KeyError):
            self._say(line)
            return
        if kind == "start":
            self._started = True
            self.version = str(event.get("version", ""))
            self._check_protocol(event.get("protocol"))
        elif kind == "progress":
            self.progress = Progress(
                str(event.get("stage", "")),
                int(event.get("done", 0)),
                int(event.get("total", 0)),
                str(event.get("message", "")),
            )
        elif kind in ("result", "error"):
            self._last = event
            self._say(str(event.get("message", "")))

    def _check_protocol(self, number: Any) -> None:
        if number == PROTOCOL:
            return
        self.kill()
        newer = isinstance(number, int) and number > PROTOCOL
        advice = "Update the add-on." if newer else "Update the backend: Preferences, Set up."
        raise BackendError(
            f"the backend {self.version} speaks protocol {number}, this add-on {PROTOCOL}.",
            advice,
            self.log,
        )

    def _say(self, line: str) -> None:
        self._log.append(line)

    def _outcome(self, code: int) -> dict[str, Any]:
        self._close()
        if self._kill_at_s is not None:
            raise Cancelled("cancelled; nothing was kept.")
        if self.command.module is None:
            if code:
                raise BackendError(self._last_words(code), "", self.log, exit_code=code)
            return {"event": "result", "message": self.log}
        event = self._last
        if event and event["event"] == "error":
            raise BackendError(
                str(event.get("message", "the backend failed.")),
                str(event.get("advice", "")),
                self.log,
                str(event.get("kind", "error")),
                int(event.get("exit_code", code or 1)),
            )
        # doctor ends with a result and an exit code that says what is missing
        if event and (code == 0 or self.command.words[0] == "doctor"):
            return event
        if not self._started:
            raise self._stranger(code)
        raise BackendError(f"the backend crashed: {self._last_words(code)}", "", self.log)

    def _stranger(self, code: int) -> BackendError:
        if "No module named" in self.log and "staf_backend" in self.log:
            message = f"{self.command.python} has no staf-backend."
            return BackendError(message, "Set up the backend in Preferences.", self.log)
        message = f"{self.command.python} is no Python with a working staf-backend"
        return BackendError(
            f"{message}: {self._last_words(code)}",
            "Choose another one in Preferences, or set the backend up.",
            self.log,
        )

    def _last_words(self, code: int) -> str:
        lines = [line.strip() for line in self._log if line.strip()]
        return lines[-1] if lines else f"it ended with code {code}."

    def _insist(self) -> None:
        late = self._kill_at_s is not None and time.monotonic() > self._kill_at_s
        if late and self._child.poll() is None:
            self._signal_group(gently=False)

    def _signal_group(self, gently: bool) -> None:
        if os.name == "nt":
            kill = ["taskkill", "/T", "/F", "/PID", str(self._child.pid)]
            subprocess.run(kill, capture_output=True, check=False)
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGTERM if gently else signal.SIGKILL)

    def _close(self) -> None:
        for stream in (self._child.stdin, self._child.stdout, self._child.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def no_backend() -> BackendError:
    """Nobody has said where the backend is."""
    return BackendError(
        "the backend is not set up.", "Edit > Preferences > Add-ons > STAF Motion > Set up backend."
    )


def run(python: str, words: Sequence[str]) -> dict[str, Any]:
    """Run a short command of the backend to its end, while Blender's window waits.

    Raises:
        BackendError: it failed, or took longer than a short command may.
    """
    return Process(Command(python, tuple(words))).wait(most_s=SHORT_COMMAND_S)
