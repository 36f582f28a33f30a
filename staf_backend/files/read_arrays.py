"""Arrays out of a stranger's NumPy archive: only those asked for, each checked before it is made.

A megabyte of a zip can hold a gigabyte of zeros, and a hundred bytes of an array's head can name
more elements than any machine has, so that sizes are compared with a budget and with each other
before memory is taken, and no more is unpacked than the archive's directory says.
"""

import contextlib
import io
import math
import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from staf_backend.files.limits import ARRAYS_SPARE_BYTES, Budget, shown
from staf_backend.files.regular import open_file

if TYPE_CHECKING:
    import numpy as np

MOST_MEMBERS = 1000
"""Of an archive.  Chosen: a motion has 23, a body 30."""
MOST_DIMENSIONS = 4
"""Of an array.  Chosen: one more than any of a motion."""
_LONGEST_HEAD = 10_000
"""Bytes of an array's head.  That of numpy itself; real ones have 120."""
_PIECE_BYTES = 1 << 20
"""Unpacked at once."""


class ArchiveError(ValueError):
    """An archive is damaged, or holds what no file of ours does; the reason is fit to show."""


class PickledError(ArchiveError):
    """An array holds pickled objects, which could run code."""

    def __init__(self) -> None:
        super().__init__("it holds pickled objects, which could run code")


def read_arrays(path: Path, kinds: Mapping[str, str]) -> dict[str, "np.ndarray"]:
    """Those arrays of an archive that have a known name.

    Args:
        path: of the file.
        kinds: letters of NumPy's kinds of type that an array may have ("fiu"), by name; names that
            are not among them are left unread.

    Returns:
        the arrays that are there, by name; they own their data and cannot be changed.

    Raises:
        ArchiveError: damaged, too large once unpacked, or of another type.
        OSError: it cannot be read, or is no file.
    """
    with open_file(path) as file, _as_damage():
        budget = Budget(os.fstat(file.fileno()).st_size, ARRAYS_SPARE_BYTES)
        with zipfile.ZipFile(file) as archive:
            entries = _entries(archive)
            found = {name: entries[name] for name in kinds if name in entries}
            for entry in found.values():
                budget.spend(entry.file_size)
            return {name: _array(archive, one, name, kinds[name]) for name, one in found.items()}


@contextlib.contextmanager
def _as_damage() -> Iterator[None]:
    try:
        yield
    except (ArchiveError, OSError):
        raise
    except MemoryError:
        raise ArchiveError("it is too large for this machine's memory") from None
    except EOFError as error:
        raise ArchiveError("it ends too early") from error
    except Exception as error:  # zipfile, zlib, numpy, struct, tokenize: each its own for damage
        raise ArchiveError(shown(str(error)) or type(error).__name__) from error


def _entries(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Members by their arrays' names."""
    listed = archive.infolist()
    if len(listed) > MOST_MEMBERS:
        raise ArchiveError(f"it has more than {MOST_MEMBERS} members")
    found = {entry.filename.removesuffix(".npy"): entry for entry in listed}
    if len(found) < len(listed):
        raise ArchiveError("it has two members of one name")
    return found


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str, kinds: str) -> "np.ndarray":
    import numpy as np

    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ArchiveError(f"{name} is packed in a way that NumPy does not pack")
    with archive.open(entry) as file:
        head = io.BytesIO(file.read(_LONGEST_HEAD))
        dtype, shape, fortran = _head(head, name, kinds)
        if head.tell() + math.prod(shape) * dtype.itemsize != entry.file_size:
            raise ArchiveError(f"{name} says another size than it has")
        array = np.empty(shape, dtype, order="F" if fortran else "C")
        flat = (array.T if fortran else array).reshape(-1).view(np.uint8)
        piece, at = head.read(), 0
        while piece:
            flat[at : at + len(piece)] = np.frombuffer(piece, np.uint8)
            at, piece = at + len(piece), file.read(_PIECE_BYTES)
        if at < len(flat):
            raise ArchiveError(f"{name} ends too early")
    array.setflags(write=False)
    return array


def _head(head: BinaryIO, name: str, kinds: str) -> tuple["np.dtype", tuple[int, ...], bool]:
    """An array's type, shape, and whether in Fortran's order; reads to where data begins."""
    import numpy as np

    version = np.lib.format.read_magic(head)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ArchiveError(f"{name} is of a version that is not known")
    shape, fortran, dtype = readers[version](head, max_header_size=_LONGEST_HEAD)
    if dtype.hasobject:
        raise PickledError
    if dtype.kind not in kinds or not dtype.itemsize:
        raise ArchiveError(f"{name} must not be of type {shown(str(dtype))}")
    if len(shape) > MOST_DIMENSIONS or not all(0 <= size < 2**40 for size in shape):
        raise ArchiveError(f"{name} has a shape that no array has")
    return dtype, shape, fortran
