"""Open what a user names: a file, never a pipe or a device, which may have no end."""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

_WITHOUT_WAITING = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""A pipe is opened at once, not when somebody writes into it."""


def real_path(path: Path) -> Path:
    """Where links lead; a loop of links, at which `Path.resolve` fails, leads to itself."""
    return Path(os.path.realpath(path))


def open_file(path: Path) -> BufferedReader:
    """A file, to read bytes from; close it after use.

    Raises:
        OSError: it cannot be read, or is a folder, a pipe or a device.
    """
    number = os.open(path, _WITHOUT_WAITING)
    try:
        mode = os.fstat(number).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is no file but a pipe or a device", str(path))
        return os.fdopen(number, "rb")
    except BaseException:
        os.close(number)
        raise
