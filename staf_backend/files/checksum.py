"""Which bytes a file holds."""

import hashlib
from pathlib import Path

from staf_backend.files.regular import open_file


def sha256(path: Path) -> str:
    """SHA-256 of a file as 64 hexadecimal digits.

    Raises:
        OSError: it cannot be read, or it is a pipe or a device, which may have no end.
    """
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_digest(source: Path) -> str:
    """SHA-256 of a video, or of all files of a folder of pictures with their names.

    Raises:
        OSError: it cannot be read.
    """
    if not source.is_dir():
        return sha256(source)
    total = hashlib.sha256()
    for path in sorted(path for path in source.iterdir() if path.is_file()):
        total.update(f"{path.name}\0{sha256(path)}\n".encode(errors="surrogateescape"))
    return total.hexdigest()
