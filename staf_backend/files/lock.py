"""One program at a time: a lock on an open file, which the system lets go when its owner ends."""

import sys
from typing import IO


def lock(file: IO[bytes]) -> bool:
    """Take the lock of a file until it is closed; False where another process has it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0x7FFF0000)  # a byte past all content, so that readers are not locked out
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
