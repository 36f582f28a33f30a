"""`python -m staf_backend` and the command `staf`.

Ctrl-C ends the command as documented even while its modules are still being loaded.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

from staf_backend import StafError


def main() -> int:
    """Run the command line; returns its exit code."""
    code = _run()
    # Python remembers an interrupt inside compiled text, as dataclasses are, for one that nobody
    # caught, and would end by the signal; the next text that it runs makes it forget.
    exec("")
    return code


def _run() -> int:
    try:
        _open_streams()
        _quiet_ends()
        with _no_interrupt_lost():
            from staf_backend.cli import main as run

        return _flushed(run())
    except SystemExit as end:  # after --help and --version
        return _flushed(end.code if isinstance(end.code, int) else 0)
    except StafError as error:  # of the stream on which it would be told
        _tell(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        _tell("interrupted; nothing was begun.")
        return 130


@contextlib.contextmanager
def _no_interrupt_lost() -> Iterator[None]:
    """Ctrl-C ends the block at its end at the latest: compiled modules that are being loaded may
    take the exception for one of their own and go on.

    Raises:
        KeyboardInterrupt: somebody pressed it.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield  # ignored, or somebody else's
        return
    pressed = False

    def press(_number: int, _frame: object) -> None:
        nonlocal pressed
        pressed = True
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, press)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if pressed:
        raise KeyboardInterrupt


def _quiet_ends() -> None:
    """Python tells what is raised where nobody can catch it, as while a module is unlocked; of
    signals, which are remembered and told in one line, it need not."""
    told = sys.unraisablehook

    def tell(fault: Any) -> None:
        if issubclass(fault.exc_type, Exception):
            told(fault)

    sys.unraisablehook = tell


def _tell(text: str) -> None:
    with contextlib.suppress(OSError):
        sys.stderr.write(f"staf: {text}\n")
        sys.stderr.flush()


def _open_streams() -> None:
    """A stream that was closed leads nowhere, and no file that is opened later takes its place."""
    while (number := os.open(os.devnull, os.O_RDWR)) < 3:
        pass
    os.close(number)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(nowhere, mode, encoding="utf-8"))


def _flushed(code: int) -> int:
    """The code, or 5 where the last words cannot be written."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _tell("cannot write to standard output.")
        return code or 5
    return code


if __name__ == "__main__":
    sys.exit(main())
