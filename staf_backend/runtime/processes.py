"""Processes apart: started in a group of their own, measured, ended with all their children.

The branches for Windows, macOS and Linux stand here and nowhere else.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import IO, Any, NoReturn


class Terminated(BaseException):
    """SIGTERM, raised where the program stands so that every `finally` runs."""


def listen_for_ends() -> Callable[[], BaseException | None]:
    """From now on SIGTERM is raised as `Terminated`, and Ctrl-C is remembered, too.

    Compiled modules that are being loaded take either for an error of their own.

    Returns:
        what tells which of them came last; None: neither.
    """
    last: BaseException | None = None

    def stop(number: int, _frame: FrameType | None) -> NoReturn:
        nonlocal last
        last = Terminated() if number == signal.SIGTERM else KeyboardInterrupt()
        raise last

    signal.signal(signal.SIGTERM, stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, stop)
    return lambda: last


def start_apart(
    command: Sequence[str], environment: Mapping[str, str], errors: IO[Any] | int
) -> subprocess.Popen[bytes]:
    """Start a program that Ctrl-C in our terminal does not reach, with pipes to talk.

    Args:
        command: the program and its words.
        environment: all of its variables.
        errors: where its standard error goes.

    Raises:
        OSError: it cannot be started.
    """
    new_session, flags = group_options(sys.platform)
    return subprocess.Popen(
        list(command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env=dict(environment),
        start_new_session=new_session,
        creationflags=flags,
    )


def group_options(platform: str) -> tuple[bool, int]:
    """`start_new_session` and `creationflags` of `subprocess.Popen` for a group of its own."""
    if platform == "win32":
        return False, getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0x200)
    return True, 0


def end_group(child: subprocess.Popen[bytes], platform: str = sys.platform) -> None:
    """End a program of `start_apart` and its children at once, and wait for it."""
    if child.poll() is None:
        if platform == "win32":
            kill = ["taskkill", "/T", "/F", "/PID", str(child.pid)]
            subprocess.run(kill, capture_output=True, check=False)
        else:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def is_alive(pid: int, platform: str = sys.platform) -> bool:
    """Whether a process of that number runs, anybody's."""
    if platform == "win32":  # signal 0 would end it there
        return _of_tasklist(_output(_tasklist(pid))) > 0
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def memory_bytes(pid: int, platform: str = sys.platform) -> int:
    """Memory that a process holds now (its resident set); 0 where it is gone.

    On Linux with the programs that it started.
    """
    if platform == "linux":
        return sum(_of_proc(Path(f"/proc/{one}/statm")) for one in [pid, *_descendants(pid)])
    if platform == "win32":
        return _of_tasklist(_output(_tasklist(pid)))
    return _of_ps(_output(["ps", "-o", "rss=", "-p", str(pid)]))


def give_back_heap() -> None:
    """Give back to the system what this process has freed and its C library keeps.

    Only glibc's keeps much: after each part of a long clip tens of megabytes, among which the next
    part's large arrays find no room.
    """
    import ctypes

    trim = None if sys.platform == "win32" else getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _descendants(pid: int) -> list[int]:
    """What a process started, and what that started; not where the kernel does not tell."""
    found, left = [], [pid]
    while left:
        one = left.pop()
        try:
            text = Path(f"/proc/{one}/task/{one}/children").read_text(encoding="ascii")
        except OSError:
            continue
        children = [int(word) for word in text.split()]
        found += children
        left += children
    return found


def _of_proc(statm: Path) -> int:
    try:
        pages = int(statm.read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _tasklist(pid: int) -> list[str]:
    return ["tasklist", "/FI", f"PID eq {pid}", "/FO", "CSV", "/NH"]


def _of_ps(text: str) -> int:
    """`ps` tells KiB."""
    return int(text) * 1024 if text.strip().isdigit() else 0


def _of_tasklist(text: str) -> int:
    """The last column of `tasklist`, as in "123,456 K"; the comma may be another sign."""
    columns = [column for column in text.strip().strip('"').split('","') if column]
    digits = "".join(filter(str.isdigit, columns[-1])) if len(columns) >= 5 else ""
    return int(digits) * 1024 if digits else 0


def _output(command: Sequence[str]) -> str:
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ran.stdout
