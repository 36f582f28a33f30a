"""A place where one clip is converted at a time: a worker process that is watched and replaced.

A decoder that crashes, hangs or eats memory costs one clip and one process.
"""

import json
import os
import queue
import sys
import threading
import time
from pathlib import Path
from subprocess import Popen
from typing import Any

from staf_backend.batch.schedule import Limits
from staf_backend.batch.worker import failed
from staf_backend.files import read_json_text
from staf_backend.runtime import end_group, memory_bytes, start_apart

_LOOK_S = 0.1
"""Between two looks at a worker's memory.  Chosen: memory of 1 GB takes as long to fill."""
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Slot:
    """Runs orders (see `worker.py`), one at a time."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._child: Popen[bytes] | None = None
        self._answers: queue.Queue[bytes] = queue.Queue()
        self._stopped = False

    def run(self, order: dict[str, Any]) -> dict[str, Any]:
        """The worker's answer, or a failure in its place where it died or was ended."""
        if self._child is None or self._child.poll() is not None:
            self._start()
        assert self._child is not None
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(json.dumps(order).encode() + b"\n")
            self._child.stdin.flush()
        except OSError:
            return self._died()
        return self._watched(self._child)

    def rest(self) -> None:
        """End an idle worker; the next order starts another."""
        if self._child is not None:
            end_group(self._child)

    def stop(self) -> None:
        """End the worker now; a clip that it works on is not done.  From any thread."""
        self._stopped = True
        if self._child is not None:
            end_group(self._child)

    def _start(self) -> None:
        self._answers = queue.Queue()
        # sums in another order give other last digits, and the same input must give the same bytes
        environment = {**os.environ, **dict.fromkeys(_THREAD_VARIABLES, "1")}
        command = [sys.executable, "-P", "-m", "staf_backend.batch.worker"]
        # where this package lies, also when it is not installed
        root = str(Path(__file__).resolve().parents[2])
        paths = filter(None, (root, environment.get("PYTHONPATH")))
        environment["PYTHONPATH"] = os.pathsep.join(paths)
        with Path(os.devnull).open("wb") as nowhere:
            self._child = start_apart(command, environment, nowhere)
        reading = (self._child, self._answers)
        threading.Thread(target=_read_answers, args=reading, daemon=True).start()
        if self._stopped:
            end_group(self._child)

    def _watched(self, child: Popen[bytes]) -> dict[str, Any]:
        began, limits = time.monotonic(), self._limits
        while True:
            try:
                line = self._answers.get(timeout=_LOOK_S)
                return read_json_text(line) if line else self._died()
            except queue.Empty:
                pass
            if limits.max_seconds and time.monotonic() - began > limits.max_seconds:
                end_group(child)
                message = f"It took longer than --max-seconds {limits.max_seconds:g}."
                return failed("time", message, "Allow more, or shorten the clip.")
            if limits.max_memory_bytes and memory_bytes(child.pid) > limits.max_memory_bytes:
                end_group(child)
                message = f"It needed more memory than --max-memory {_gb(limits):g}."
                return failed("memory", message, "Allow more, or shorten the clip.")

    def _died(self) -> dict[str, Any]:
        assert self._child is not None
        end_group(self._child)
        if self._stopped:
            return failed("interrupted", "interrupted.", passing=True)
        code = self._child.returncode
        how = f"by signal {-code}" if code < 0 else f"with code {code}"
        return failed("crash", f"The worker ended {how} while it read the clip.", passing=True)


def _gb(limits: Limits) -> float:
    return (limits.max_memory_bytes or 0) / 1e9


def _read_answers(child: "Popen[bytes]", answers: "queue.Queue[bytes]") -> None:
    assert child.stdout is not None
    with child.stdout:
        for line in child.stdout:
            answers.put(line)
    answers.put(b"")
