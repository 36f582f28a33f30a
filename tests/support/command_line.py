"""Run the command `staf` as a user does, in a folder of its own: as a process, or in this one."""

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO
from unittest import mock

from staf_backend.__main__ import main
from tests.support.places import FOOTAGE, REPOSITORY

BALANCE = FOOTAGE / "balance_cam02.mp4"
PART = ("--start", 0.5, "--end", 1.0, "--largest", "--threads", 1)


def environment(**changes: str) -> dict[str, str]:
    """This process's, with the checkout importable and one thread a library."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return {**os.environ, **threads, "PYTHONPATH": str(REPOSITORY), **changes}


def _fresh_signals() -> None:
    """A shell that runs the tests in the background has Ctrl-C ignored; a user has not."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def staf(
    *words: object,
    cwd: Path,
    env: dict[str, str] | None = None,
    before: Callable[[], object] | None = None,
    timeout_s: float = 300,
) -> subprocess.CompletedProcess[str]:
    """Run to the end; `before` runs in the new process, before the program."""
    return subprocess.run(
        [sys.executable, "-m", "staf_backend", *map(str, words)],
        cwd=cwd,
        env=env or environment(),
        preexec_fn=before,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def staf_here(
    *words: object, cwd: Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """What `staf` answers, without the second or three that a process takes to load its modules.

    Everything that reaches the two streams counts, libraries' own writing, log lines and warnings
    included.
    """
    command = ["staf", *map(str, words)]
    with (
        contextlib.chdir(cwd),
        mock.patch.dict(os.environ, env or environment(), clear=True),
        mock.patch.object(sys, "argv", command),
        _signals_kept(),
        _stream_kept("stdout") as told,
        _stream_kept("stderr") as errors,
        _plain_logging(),
        _plain_warnings(),
    ):
        code = main()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        texts = [_whole(stream) for stream in (told, errors)]
    return subprocess.CompletedProcess(command, code, *texts)


@contextlib.contextmanager
def _stream_kept(name: str) -> Iterator[TextIO]:
    """A file that takes what is written to a standard stream, by Python or by a library in C."""
    number = {"stdout": 1, "stderr": 2}[name]
    before = os.dup(number)
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="surrogateescape") as file:
        os.dup2(file.fileno(), number)
        try:
            with (
                open(number, "w", encoding="utf-8", errors="backslashreplace", closefd=False) as to,
                mock.patch.object(sys, name, to),
            ):
                yield file
        finally:
            os.dup2(before, number)
            os.close(before)


def _whole(file: TextIO) -> str:
    file.seek(0)
    return file.read()


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


@contextlib.contextmanager
def _plain_logging() -> Iterator[None]:
    """As a new process finds it: without the test runner's handlers."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers[:] = []
    try:
        yield
    finally:
        root.handlers[:] = before
        root.setLevel(level)


@contextlib.contextmanager
def _plain_warnings() -> Iterator[None]:
    """As a new process has them: shown on standard error, but for those meant for developers."""
    with warnings.catch_warnings():
        warnings.resetwarnings()
        for kind in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", kind)
        with mock.patch.object(warnings, "showwarning", _show):
            yield


def _show(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    text = warnings.formatwarning(message, category, filename, lineno, line)
    print(text, end="", file=file or sys.stderr)


def start(*words: object, cwd: Path) -> subprocess.Popen[str]:
    """Start and leave running, with pipes."""
    return subprocess.Popen(
        [sys.executable, "-m", "staf_backend", *map(str, words)],
        cwd=cwd,
        env=environment(),
        preexec_fn=_fresh_signals,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def events(text: str) -> list[dict[str, Any]]:
    """The JSON objects of protocol 1, after checking the order that it promises."""
    told = [json.loads(line) for line in text.splitlines()]
    kinds = [one["event"] for one in told]
    assert kinds[0] == "start", text
    assert told[0]["protocol"] == 1
    assert set(kinds[1:-1]) <= {"progress"}, text
    assert kinds[-1] in ("result", "error"), text
    for one in told[1:-1]:
        assert one.keys() >= {"stage", "done", "total", "message"}
        assert 0 <= one["done"] <= one["total"]
    return told


def one_line(text: str) -> str:
    """The only line of an error, without the program's name."""
    assert "Traceback" not in text, text
    (line,) = text.splitlines()
    assert line.startswith("staf: ")
    return line.removeprefix("staf: ")
