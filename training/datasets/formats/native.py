"""Files that only native libraries read, read in a process apart: its death is one sentence.

    this process ── order ──► native_process: SciPy, h5py, cdflib, within memory and time
                 ◄─ arrays ── an .npz without pickles in a temporary folder

One such process serves all files of a set, so that a thousand cost a thousand reads and one
start.  After its death the next file gets a new one.
"""

import atexit
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from staf_backend.files import shown
from staf_backend.files.limits import (
    NATIVE_GROWTH,
    NATIVE_S_PER_MB,
    NATIVE_SPARE_BYTES,
    NATIVE_SPARE_S,
)
from training.datasets.store import SetError

_START_S = 60.0
"""To start Python and load a library.  Chosen: from a cold network disk."""
_LONGEST_ANSWER = 10_000
"""Bytes of a line."""
_FOLDER = Path(__file__).parents[3]  # where `training` is found


def read_native(reader: str, path: Path, **options: Any) -> dict[str, np.ndarray]:
    """Arrays of a file, by one of `native_readers.READERS`.

    Raises:
        SetError: missing, damaged, of another layout, beyond the limits, or a package is missing.
    """
    if not path.is_file():
        raise SetError(f"{path} is missing.", "Finish the download.")
    with _LOCK, tempfile.TemporaryDirectory(prefix="staf-") as folder:
        out = Path(folder) / "arrays.npz"
        _SERVANT.read(reader, path, {"path": str(path.absolute()), **options}, out)
        try:
            with np.load(out, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
        except (OSError, ValueError, EOFError, MemoryError, BadZipFile) as error:
            raise _damaged(path, "its content could not be taken over") from error


def limits_of(size_bytes: int) -> tuple[int, float]:
    """Bytes of address space and seconds for a file of a size."""
    seconds = NATIVE_SPARE_S + NATIVE_S_PER_MB * size_bytes / 1e6
    return NATIVE_SPARE_BYTES + NATIVE_GROWTH * size_bytes, seconds


def _damaged(path: Path, reason: str) -> SetError:
    return SetError(f"{path} is damaged or cut short: {reason}.", "Fetch it again.")


class _Servant:
    """The process apart, started when it is first needed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._owner = 0  # a forked copy of this process has no share in it

    def read(self, reader: str, path: Path, options: Mapping[str, Any], out: Path) -> None:
        """Have the arrays of a file written to `out`."""
        memory_bytes, seconds = limits_of(path.stat().st_size)
        order = {"reader": reader, "options": options, "out": str(out)}
        order |= {"memory_bytes": memory_bytes, "seconds": seconds}
        try:
            self._must(path, {"reader": reader}, _START_S)
            self._must(path, order, seconds)
        except (KeyboardInterrupt, SystemExit):  # its answer would be taken for the next file's
            self.close()
            raise

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is not None and self._owner == os.getpid():
            process.kill()
            process.communicate()

    def _must(self, path: Path, order: Mapping[str, Any], seconds: float) -> None:
        late = threading.Event()
        answer = self._answer(order, seconds, late)
        if answer == {} and not late.is_set():
            return
        if late.is_set() or answer is None:
            self.close()
        if late.is_set():
            raise _damaged(path, f"reading it took more than {seconds:.0f} s")
        if answer is None:
            raise _damaged(path, "its reader crashed over it")
        if "missing" in answer:
            package = answer["missing"]
            raise SetError(f"{path} needs the package {package}.", f"pip install {package}")
        raise SetError(f"{path} {shown(str(answer.get('error')))}", "Fetch it again.")

    def _answer(
        self, order: Mapping[str, Any], seconds: float, late: threading.Event
    ) -> dict[str, Any] | None:
        """What the process says, or None when it died over it."""
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        timer = threading.Timer(seconds, lambda: (late.set(), process.kill()))
        timer.daemon = True  # a signal may come before its end is sure, and must not wait for it
        try:
            timer.start()
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline(_LONGEST_ANSWER))
        except (OSError, ValueError):
            return None
        finally:
            timer.cancel()
        return answer if isinstance(answer, dict) else None

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._owner != os.getpid():
            # one thread: each would take address space, which is limited
            env = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
            self._process = subprocess.Popen(
                [sys.executable, "-m", "training.datasets.formats.native_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
                cwd=_FOLDER,
                env=env,
            )
            self._owner = os.getpid()
        return self._process


_LOCK = threading.Lock()
_SERVANT = _Servant()
atexit.register(_SERVANT.close)
