"""Run the command `staf` as a user does: a process of its own, in a folder of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
