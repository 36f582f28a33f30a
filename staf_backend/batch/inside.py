"""Files below the output folder, in which a stranger may have put links and pipes.

The output folder itself may be a link.  Below it the batch goes behind none: what lies there is not
read, written or removed.  A link in the place of a result is replaced, or removed, itself.
"""

import errno
import os
import stat
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from staf_backend.files import OutputError, make_folder, open_file

_APPENDING = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_JUNCTION = 0xA0000003
"""Windows' tag of a folder that stands for another: IO_REPARSE_TAG_MOUNT_POINT of winnt.h."""
_LONGEST_PART, _LONGEST = 255, 4000
"""Bytes of a name and of a path.  Chosen: what Linux' file systems hold, almost."""


def check_name(name: str) -> None:
    """Refuse a name, with "/" between folders, that no file below a folder can have.

    Raises:
        ValueError: it leads out of the folder, no disk can hold it, or it is empty.
    """
    parts = os.fsencode(name).replace(b"\\", b"/").split(b"/")  # UnicodeError is a ValueError
    first = next((part for part in parts if part not in (b"", b".")), None)
    # the second letter of a drive of Windows is a colon
    if not parts[0] or first is None or b".." in parts or first[1:2] == b":":
        raise ValueError("it leads out of the folder")
    if "\0" in name or max(map(len, parts)) > _LONGEST_PART or len(os.fsencode(name)) > _LONGEST:
        raise ValueError("no disk can hold it")


def own_folder(root: Path, name: str) -> Path:
    """A folder below `root`, made where it is missing.

    Raises:
        OutputError: it cannot be made; it is a link, or one leads to it.
    """
    folder = root / name
    _refuse_link(root, PurePosixPath(name).parts, folder)
    return make_folder(folder)


def check_way(root: Path, name: str) -> Path:
    """Where a file belongs, unless a link leads there.

    Raises:
        OutputError: one does.
    """
    target = root / name
    _refuse_link(root, PurePosixPath(name).parts[:-1], target)
    return target


def place_for(root: Path, name: str) -> Path:
    """Where a file may be put by renaming another to it; the folders above are made.

    Raises:
        OutputError: a link leads there, or a folder cannot be made.
    """
    target = check_way(root, name)
    make_folder(target.parent)
    return target


def clear_place(root: Path, name: str) -> Path:
    """Where a new file may be made; what was there, a link or a pipe too, is gone.

    Raises:
        OutputError: a link leads there, or it cannot be cleared.
    """
    target = place_for(root, name)
    try:
        target.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError.from_os(target, error) from error
    return target


def remove(root: Path, name: str) -> None:
    """Remove a file, or a link itself, where it is there; a folder and what links lead to stay.

    Raises:
        OutputError: the system refuses.
    """
    target = root / name
    status = _status(target)
    behind = _first_link(root, PurePosixPath(name).parts[:-1])
    if behind is not None or status is None or stat.S_ISDIR(status.st_mode):
        return
    try:
        target.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError.from_os(target, error) from error


def plain_file(root: Path, name: str) -> Path:
    """The path of a file to read.

    Raises:
        OSError: it is missing, no plain file, or a link, or one leads to it.
    """
    path = root / name
    link = _first_link(root, PurePosixPath(name).parts)
    if link is not None:
        raise OSError(errno.ELOOP, "it is a link, or one leads to it", str(path))
    if not stat.S_ISREG(path.lstat().st_mode):
        raise OSError(errno.EINVAL, "it is no file", str(path))
    return path


def read(root: Path, name: str, most_bytes: int) -> bytes:
    """The content of a file.

    Raises:
        OSError: as of `plain_file`, or it is larger than `most_bytes`.
    """
    path = plain_file(root, name)
    with open_file(path) as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise OSError(errno.EFBIG, f"it is larger than {most_bytes // 1000} kB", str(path))
    return data


def open_to_append(root: Path, name: str) -> BinaryIO:
    """Open a file for reading and appending; it is made where it is missing.

    Raises:
        OutputError: it cannot be opened; it is no plain file, or a link, or one leads to it.
    """
    path = root / name
    _refuse_link(root, PurePosixPath(name).parts, path)
    status = _status(path)
    if status is not None and not stat.S_ISREG(status.st_mode):
        raise OutputError(f"cannot write {path}: it is no plain file.", "Remove it.")
    try:
        return os.fdopen(os.open(path, _APPENDING | _NO_LINK, 0o666), "ab+")
    except OSError as error:
        raise OutputError.from_os(path, error) from error


def _refuse_link(root: Path, parts: tuple[str, ...], target: Path) -> None:
    link = _first_link(root, parts)
    if link is not None:
        advice = "Remove the link: in its output folder a batch goes behind none."
        raise OutputError(f"cannot write {target}: {link} is a link.", advice)


def _first_link(root: Path, parts: tuple[str, ...]) -> Path | None:
    """The first of a path's parts that is a link."""
    path = root
    for part in parts:
        path = path / part
        status = _status(path)
        if status is None:
            return None
        if stat.S_ISLNK(status.st_mode) or getattr(status, "st_reparse_tag", 0) == _JUNCTION:
            return path
    return None


def _status(path: Path) -> os.stat_result | None:
    """Of what is at a path, links not followed; None where there is nothing to be seen."""
    try:
        return path.lstat()
    except (OSError, ValueError):
        return None
