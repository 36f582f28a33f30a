"""A command in a process of its own: a decoder that crashes is one sentence, not a lost program.

this process ── the same words ──► staf, a child with our streams
             ◄─ its exit code ───  or the signal that it died of
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from staf_backend import StafError

_LIFELINE = "STAF_LIFELINE"
"""In the child's environment: the number of a pipe that ends when its parent does."""
_CRASHES = 0x8000_0000
"""Exit codes from here on are exceptions on Windows."""


class CrashError(StafError):
    """The process died over a file."""

    kind = "crash"
    exit_code = 3


def is_isolated() -> bool:
    """Whether this process is such a child; from now on it ends when its parent does."""
    number = os.environ.pop(_LIFELINE, "")
    if not number:
        return False
    if number.isdecimal():
        threading.Thread(target=_end_with, args=(int(number),), daemon=True).start()
    return True


def _end_with(lifeline: int) -> None:
    os.read(lifeline, 1)
    os._exit(143)


def run_isolated(words: Sequence[str], tell: Callable[[StafError], None]) -> int:
    """Run `staf` with these words; returns its exit code.

    Args:
        words: of the command line.
        tell: is told where the process died.
    """
    reading, writing = os.pipe()
    posix = sys.platform != "win32"
    root = str(Path(__file__).resolve().parents[2])  # where this package lies, if not installed
    paths = filter(None, (root, os.environ.get("PYTHONPATH")))
    environment = {**os.environ, _LIFELINE: str(reading) if posix else "none"}
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "staf_backend", *words],
        env=environment,
        pass_fds=(reading,) if posix else (),
        start_new_session=posix,
    )
    os.close(reading)

    def pass_on(number: int, _frame: FrameType | None) -> None:
        child.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, pass_on)
    code = child.wait()
    os.close(writing)
    if 0 <= code < _CRASHES:
        return code
    if -code in (signal.SIGINT, signal.SIGTERM):  # before its own handlers were there
        return 128 - code
    how = f"by signal {-code}" if code < 0 else f"with code {code:#x}"
    error = CrashError(f"The process that read the file ended {how}.", "The file may be damaged.")
    tell(error)
    return error.exit_code
