"""Arrays of a whole clip that wait on the disk, not in memory, for the stage that needs them next.

    with scratch_in(folder):              files without a name beside the output
        array = long_array((T, 24, 4))    memory where it is small, or where the disk has no room
        for rows in stretches(T): ...     what was touched goes out of memory after each stretch

A file without a name goes with its array, and with the process, however that ends: nothing is left
to sweep.  The system writes its pages to the disk when it likes, and reads them again when they are
touched.
"""

import contextlib
import errno
import math
import mmap
import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

LEAST_BYTES = 1 << 20
"""Of an array on the disk.  Chosen: ten seconds of a person stay in memory."""
LEFT_BYTES = 256 << 20
"""Of a disk that is left to results.  Chosen: those of an hour of one person take 150 MB."""
STRETCH = 1000
"""Frames worked on at once.  Chosen: a few MB, however long the clip is."""
_ZEROS = bytes(1 << 20)
_PREFIX = ".staf-"

_folder: ContextVar[Path | None] = ContextVar("folder of long arrays", default=None)
_maps: "weakref.WeakSet[mmap.mmap]" = weakref.WeakSet()
_using = threading.Lock()
"""Of `_maps`: programs may convert in several threads."""


@contextlib.contextmanager
def scratch_in(folder: Path) -> Iterator[None]:
    """Long arrays that are made in this block, by its own thread, lie on the disk of a folder."""
    token = _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(token)


def long_array(shape: tuple[int, ...], kind: Any = "float32") -> "np.ndarray":
    """An array of a whole clip, its values not set.

    Args:
        shape: of the array, frames first.
        kind: NumPy type.
    """
    import numpy as np

    folder, size = _folder.get(), math.prod(shape) * np.dtype(kind).itemsize
    if folder is None or size < LEAST_BYTES:
        return np.empty(shape, kind)
    try:
        return np.ndarray(shape, kind, _mapped(folder, size))
    except OSError:  # no room, or no place for files: then as without a folder
        return np.empty(shape, kind)


def long_copy(array: "np.ndarray", kind: Any = None) -> "np.ndarray":
    """A copy as `long_array` makes it, of a NumPy type, by default the array's own."""
    copy = long_array(array.shape, array.dtype if kind is None else kind)
    if not copy.ndim:
        copy[...] = array
        return copy
    for rows in stretches(len(array)):
        copy[rows] = array[rows]
    return copy


def stretches(frames: int, size: int = STRETCH) -> Iterator[slice]:
    """Rows of a clip of so many frames, some at a time; after each, pages are given back."""
    for begin in range(0, frames, size):
        yield slice(begin, min(begin + size, frames))
        give_back_pages()


def give_back_pages() -> None:
    """What long arrays have in memory goes out of it; the arrays stay what they are.

    Only where the system can be told so: elsewhere it takes such pages when memory is short.
    """
    if hasattr(mmap.mmap, "madvise") and hasattr(mmap, "MADV_DONTNEED"):
        with _using:
            maps = list(_maps)
        for one in maps:
            one.madvise(mmap.MADV_DONTNEED)


def file_without_name(folder: Path) -> IO[bytes]:
    """A new file that no folder lists, to write and read; it goes when it is closed.

    Raises:
        OSError: the folder takes none, or lets no open file go, as some shared folders of virtual
            machines do; nothing is left in it.
    """
    if os.name != "posix":
        return tempfile.TemporaryFile(dir=folder, prefix=_PREFIX)
    with contextlib.suppress(OSError, AttributeError):  # not every system or disk has such files
        return os.fdopen(os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600), "w+b")
    number, name = tempfile.mkstemp(dir=folder, prefix=_PREFIX)
    path = Path(name)
    try:
        path.unlink()
    except OSError:
        os.close(number)
        with contextlib.suppress(OSError):
            path.unlink()
        raise
    return os.fdopen(number, "w+b")


def _mapped(folder: Path, size: int) -> mmap.mmap:
    """A new file's bytes.

    Raises:
        OSError: the disk has no room for it, or the folder takes none.
    """
    with file_without_name(folder) as file:
        _take_room(file, folder, size)
        mapped = mmap.mmap(file.fileno(), size)
    with _using:
        _maps.add(mapped)
    return mapped


def _take_room(file: IO[bytes], folder: Path, size: int) -> None:
    """Take the room at once: where a disk is full, touching a page would end the process."""
    if shutil.disk_usage(folder).free < size + LEFT_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
        return
    for begin in range(0, size, len(_ZEROS)):
        file.write(_ZEROS[: size - begin])
    file.flush()
