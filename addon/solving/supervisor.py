# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a command, and end it with all its children when whoever started this is gone.

    python supervisor.py COMMAND...

Blender holds the other end of standard input.  However Blender ends, by a click, a crash or
`kill -9`, the system closes that end; then the command's whole process group is told to stop, and
five seconds later made to.  Run by the backend's Python: standard library only, imports nothing of
the add-on.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

GRACE_S = 5.0
"""From the request to end until the child is killed.  Chosen."""


def main(command: list[str]) -> int:
    """Returns the command's exit code; negative signal numbers become 128 + number."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    _let_go_of_output()
    threading.Thread(target=_watch, args=(child,), daemon=True).start()
    code = child.wait()
    return code if code >= 0 else 128 - code


def _let_go_of_output() -> None:
    """The streams end when the command's do; whoever reads them need not wait for us."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nothing, stream)
    os.close(nothing)


def _watch(child: subprocess.Popen) -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    if child.poll() is None:
        _end(child)


def _end(child: subprocess.Popen) -> None:
    if os.name == "nt":
        child.kill()
        return
    os.killpg(os.getpgrp(), signal.SIGTERM)
    limit = time.monotonic() + GRACE_S
    while child.poll() is None and time.monotonic() < limit:
        time.sleep(0.05)
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    if hasattr(signal, "SIGTERM"):
        # The group's SIGTERM is for the command; this process lives on to see it obeyed.  A
        # handler, unlike SIG_IGN, is not handed down to the command.
        signal.signal(signal.SIGTERM, lambda *_: None)
    sys.exit(main(sys.argv[1:]))
