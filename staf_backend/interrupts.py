"""Ctrl-C while modules are being loaded."""

import contextlib
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def no_interrupt_lost() -> Iterator[None]:
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
