# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of strangers: opened only where they have an end, unpacked only as far as they are asked.

A megabyte of a zip can hold a gigabyte of zeros, and a hundred bytes of an array's head can name
more elements than any machine has, so that sizes are compared with each other and with a budget
before memory is taken.
"""

import errno
import io
import math
import os
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

MOST_MEMBERS = 1000
"""Of an archive.  Chosen: a motion has 23, a body 30."""
_SPARE_BYTES, _GROWTH = 128_000_000, 4
"""What an archive may grow to, however small, and how often its own size may come on top.  Chosen:
an hour of somebody who never moves, fingers and all, takes 90 MB."""
_MOST_DIMENSIONS = 4
_LONGEST_HEAD = 10_000
"""Bytes of an array's head.  That of numpy itself; real ones have 120."""
_PIECE_BYTES = 1 << 20
_WITHOUT_WAITING = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""A pipe is opened at once, not when somebody writes into it."""


class ArchiveError(ValueError):
    """An archive is damaged, or holds what no file of ours does."""


class PickledError(ArchiveError):
    """An array holds pickled objects, which could run code."""


class TooLargeError(ValueError):
    """A file is larger than any of its kind."""


def open_file(path: Path) -> BinaryIO:
    """A file, to read bytes from.

    Raises:
        OSError: it cannot be read, or is a folder, a pipe or a device.
    """
    number = os.open(path, _WITHOUT_WAITING)
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise OSError(errno.EINVAL, "it is no file but a folder, a pipe or a device", str(path))
        return os.fdopen(number, "rb")
    except BaseException:
        os.close(number)
        raise


def read_bytes(path: Path, most: int) -> bytes:
    """All of a file.

    Args:
        path: of the file.
        most: bytes that it may have.

    Raises:
        OSError: it cannot be read, or is no file.
        TooLargeError: it is.
    """
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise TooLargeError("it is too large")
        return file.read(size)


def read_arrays(path: Path, kinds: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Those arrays of an archive that have a known name; they cannot be changed.

    Args:
        path: of the file.
        kinds: letters of NumPy's kinds of type that an array may have ("fiu"), by name.

    Raises:
        ArchiveError: damaged, too large once unpacked, or of another type.
        OSError: it cannot be read, or is no file.
    """
    try:
        with open_file(path) as file, zipfile.ZipFile(file) as archive:
            entries = _entries(archive)
            found = {name: entries[name] for name in kinds if name in entries}
            room = _SPARE_BYTES + _GROWTH * os.fstat(file.fileno()).st_size
            if sum(entry.file_size for entry in found.values()) > room:
                raise ArchiveError("it unpacks to far more than it holds")
            return {name: _array(archive, one, name, kinds[name]) for name, one in found.items()}
    except (ArchiveError, OSError):
        raise
    except MemoryError:
        raise ArchiveError("it is too large for this machine's memory") from None
    except Exception as error:  # zipfile, zlib, struct and numpy each have their own for damage
        raise ArchiveError(str(error) or "it ends too early") from None


def _entries(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Members by their arrays' names."""
    listed = archive.infolist()
    if len(listed) > MOST_MEMBERS:
        raise ArchiveError(f"it has more than {MOST_MEMBERS} members")
    found = {entry.filename.removesuffix(".npy"): entry for entry in listed}
    if len(found) < len(listed):
        raise ArchiveError("it has two members of one name")
    return found


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str, kinds: str) -> np.ndarray:
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


def _head(head: BinaryIO, name: str, kinds: str) -> tuple[np.dtype, tuple[int, ...], bool]:
    """An array's type, shape, and whether in Fortran's order; reads to where data begins."""
    version = np.lib.format.read_magic(head)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ArchiveError(f"{name} is of a version that is not known")
    shape, fortran, dtype = readers[version](head, max_header_size=_LONGEST_HEAD)
    if dtype.hasobject:
        raise PickledError("it holds pickled Python objects, which could run code")
    if dtype.kind not in kinds or not dtype.itemsize:
        raise ArchiveError(f"{name} must not be of type {dtype}")
    if len(shape) > _MOST_DIMENSIONS or not all(0 <= size < 2**40 for size in shape):
        raise ArchiveError(f"{name} has a shape that no array has")
    return dtype, shape, fortran
