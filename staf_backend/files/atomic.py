"""Results are written whole or not at all."""

import contextlib
import errno
import os
import shutil
import stat
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from staf_backend import StafError

_WORDS = {
    errno.ENOSPC: ("the disk is full", "Free some space or choose another place."),
    errno.EDQUOT: ("the disk quota is used up", "Free some space or choose another place."),
    errno.EFBIG: ("the file would be too large for this disk", "Choose another disk."),
    errno.EACCES: ("permission denied", "Choose a place that you may write to."),
    errno.EPERM: ("not permitted", "Choose a place that you may write to."),
    errno.EROFS: ("the disk is read-only", "Choose a place that you may write to."),
    errno.EEXIST: ("a file of that name is there", "Choose another name."),
    errno.EISDIR: ("it is a folder", "Give the name of a file."),
    errno.ENOTEMPTY: ("it is a folder", "Give the name of a file."),
    errno.ENOTDIR: ("part of the path is a file, not a folder", "Check the path."),
    errno.ENOENT: ("its folder does not exist", "Create the folder first, or check the path."),
    errno.ENAMETOOLONG: ("the name is too long", "Choose a shorter name."),
    errno.EIO: ("the disk reported an error", "Check the disk or choose another place."),
}
"""The operating system's errors: what happened, and what to do."""


class OutputError(StafError):
    """A result cannot be written."""

    kind = "output"
    exit_code = 5

    @classmethod
    def from_os(cls, path: Path, error: OSError) -> "OutputError":
        """The operating system's refusal in words."""
        default = (error.strerror or str(error) or type(error).__name__, "Choose another place.")
        reason, advice = _WORDS.get(error.errno or 0, default)
        return cls(f"cannot write {path}: {reason}.", advice)


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Make a folder and those above it, unless they are there.

    Raises:
        OutputError: it cannot be made.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError.from_os(folder, error) from error
    return folder


def keep_before(path: Path) -> Path:
    """Keep a file that is about to be replaced, as `NAME.before.SUFFIX` beside it.

    Returns:
        where it is kept.

    Raises:
        OutputError: it cannot be.
    """
    kept = path.with_suffix(f".before{path.suffix}")
    with replace_atomically(kept) as temporary:
        shutil.copyfile(path, temporary)
    return kept


@contextlib.contextmanager
def replace_atomically(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary name in the same folder; rename it to `path` when the block succeeds.

    On any failure, Ctrl-C included, the temporary file is removed and what was at `path` before
    stays as it was.  The temporary name keeps the suffix, for writers that choose a format by it.

    Yields:
        the name to write to; the block must create the file.

    Raises:
        OutputError: the folder is missing or not writable, the disk is full, `path` is a folder.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.stem[:80]}.{uuid.uuid4().hex[:12]}{target.suffix}")
    try:
        _refuse_folder(target)
        mode = _usual_mode(temporary)
        yield temporary
        if temporary.stat().st_mode != mode:
            temporary.chmod(stat.S_IMODE(mode))
        _flush_to_disk(temporary)
        temporary.replace(target)
    except OSError as error:
        _remove(temporary)
        if _concerns(error, target, temporary):
            raise OutputError.from_os(target, error) from error
        raise
    except BaseException:
        _remove(temporary)
        raise


@contextlib.contextmanager
def replace_folder_atomically(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a new, empty folder; when the block succeeds it takes the place of `path`.

    On any failure what was at `path` before stays as it was, and nothing else is left.

    Yields:
        the folder to fill.

    Raises:
        OutputError: the disk is full, or the place is not writable.
    """
    folder = Path(path)
    make_folder(folder.parent)
    try:
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".") as temporary:
            new = Path(temporary) / "new"
            new.mkdir()
            yield new
            for file in new.iterdir():
                _flush_to_disk(file)
            put_in_place(new, folder, Path(temporary) / "old")
    except OSError as error:
        raise OutputError.from_os(folder, error) from error


def put_in_place(new: Path, folder: Path, old: Path) -> None:
    """Rename a finished folder to `folder`; what was there is moved to `old` and removed.

    Raises:
        OSError: it cannot be; what was there is there again.
    """
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.replace(old)
    try:
        new.replace(folder)
    except OSError:
        if old.exists():
            old.replace(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _refuse_folder(target: Path) -> None:
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    if not target.parent.is_dir():
        code = errno.ENOTDIR if target.parent.exists() else errno.ENOENT
        raise OSError(code, os.strerror(code), str(target.parent))


def _usual_mode(temporary: Path) -> int:
    """Mode of a new file in that folder: some writers let nobody but the owner read theirs."""
    temporary.touch()
    mode = temporary.stat().st_mode
    temporary.unlink()
    return mode


def _flush_to_disk(temporary: Path) -> None:
    """Data before name: after a power cut the name must not point to an empty file."""
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())


def _concerns(error: OSError, target: Path, temporary: Path) -> bool:
    """Whether the error is about this output and not about some input read meanwhile."""
    if error.filename is None:
        return error.errno in _WORDS
    return Path(os.fsdecode(error.filename)) in (target, target.parent, temporary)


def _remove(temporary: Path) -> None:
    with contextlib.suppress(OSError):
        temporary.unlink(missing_ok=True)
