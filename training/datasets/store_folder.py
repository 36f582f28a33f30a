"""A folder that appears under its name only when it is complete, and is half made until then.

Nothing is removed for it but what this program made: not a user's folder of a neighbouring name,
and not a folder in which more lies than an index of ours lists.
"""

import contextlib
import shutil
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from staf_backend.files import put_in_place, read_json_file, real_path

_MARK = ".half-made"
"""A file in every half made folder: one of that name without it is a user's."""
INDEX_BYTES = 256_000_000
"""Most of an index.  Chosen: a cache names its sequences there, in 100 bytes each."""


def half_made(folder: Path) -> Path:
    """Where a folder is made before it takes its place; there after a run that was killed."""
    folder = real_path(folder)  # "." has no name
    return folder.with_name(f"{folder.name}.partial")


def occupied(folder: Path, index: str, also: Collection[str] = ()) -> bool:
    """Whether something lies there that is not ours, or one stands there: nobody must remove it.

    Args:
        folder: to be made anew.
        index: name of our JSON file, which lists the other files.
        also: names of ours that it does not list.

    Raises:
        OSError: nobody may look there.
    """
    if not folder.exists():
        return False
    if not folder.is_dir() or real_path(folder) == Path.cwd():
        return True
    found = {entry.name for entry in folder.iterdir()}
    return not found <= _names(folder / index, also)


def _names(index: Path, also: Collection[str]) -> set[str]:
    try:
        content = read_json_file(index, INDEX_BYTES)
        return {_MARK, index.name, *also, *content["files"]} if "format" in content else set()
    except (OSError, ValueError, LookupError, TypeError):
        return set()


def begin_half(folder: Path) -> Path:
    """The empty `half_made` folder; what a killed run left there is removed.

    Raises:
        OSError: it cannot be made, or a folder of that name is a user's.
    """
    new = half_made(folder)
    drop_half(new)
    new.mkdir(parents=True)
    (new / _MARK).touch()
    return new


def finish_half(new: Path, folder: Path) -> None:
    """Let it take the folder's place.

    Raises:
        OSError: it cannot; what was there is there again.
    """
    folder = real_path(folder)
    put_in_place(new, folder, folder.with_name(f"{folder.name}.{uuid.uuid4().hex[:12]}.old"))
    (folder / _MARK).unlink()


def drop_half(new: Path) -> None:
    """Remove a half made folder if there is one."""
    if (new / _MARK).is_file():
        shutil.rmtree(new, ignore_errors=True)
    with contextlib.suppress(OSError):  # of a run that was killed before it made its mark
        new.rmdir()


@contextmanager
def made_whole(folder: Path) -> Iterator[Path]:
    """Gives the empty `half_made` folder, which takes the folder's place when the block ends well.

    On any failure what was at `folder` stays as it was, and the half made one is removed.

    Raises:
        OSError: the disk is full, the place is not writable, or a user's folder is in the way.
    """
    new = half_made(folder)
    try:  # what ends the program may come as soon as it is there
        begin_half(folder)
        yield new
        finish_half(new, folder)
    finally:
        drop_half(new)
