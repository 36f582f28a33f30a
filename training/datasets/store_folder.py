"""A folder that appears under its name only when it is complete, and is half made until then."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from staf_backend.files import put_in_place


def half_made(folder: Path) -> Path:
    """Where a folder is made before it takes its place; there after a run that was killed."""
    return folder.with_name(f"{folder.name}.partial")


def occupied(folder: Path, index: str) -> bool:
    """Whether something that is not ours lies there: a file, or content without our index."""
    if not folder.exists() or (folder / index).is_file():
        return False
    return not folder.is_dir() or any(folder.iterdir())


@contextmanager
def made_whole(folder: Path) -> Iterator[Path]:
    """Gives the empty `half_made` folder, which takes the folder's place when the block ends well.

    On any failure what was at `folder` stays as it was, and the half made one is removed.

    Raises:
        OSError: the disk is full, or the place is not writable.
    """
    new = half_made(folder)
    try:
        shutil.rmtree(new, ignore_errors=True)  # of a run that was killed
        new.mkdir(parents=True)
        yield new
        put_in_place(new, folder, folder.with_name(f"{folder.name}.old"))
    finally:
        shutil.rmtree(new, ignore_errors=True)
