"""The zip archive that a PyTorch checkpoint is, checked before anything is taken out of it.

    NAME/data.pkl  NAME/data/0  NAME/data/1 ...

PyTorch stores its entries as they are.  A compressed entry, or entries that lie over one another,
can hold more than the file has bytes: such an archive is refused, and so is one whose entries are
too many to list.
"""

import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

_LARGEST_DIRECTORY_BYTES = 8_000_000
"""Chosen: that of a checkpoint of 10 000 tensors has about 1.5 MB; listing this takes a second."""
_CONTENT = "data.pkl"
_END = struct.Struct("<4s8xLLH")
"""Of the archive: signature, size and place of the directory, length of a comment"""
_END_64 = struct.Struct("<4s36xQ8x")
"""The same for archives over 4 GB, which stands before it and its locator"""
_LOCATOR_64_BYTES = 20
"""Sizes and signatures are those of PKWARE's APPNOTE, 4.3."""


class ArchiveError(ValueError):
    """The archive is damaged or no checkpoint's; the reason is fit to show."""


class CheckpointArchive:
    """An open archive.  Use as a context.

    Args:
        path: of the file.

    Raises:
        ArchiveError: no checkpoint, or it would unpack to more than it is.
        zipfile.BadZipFile, OSError: damaged.
    """

    def __init__(self, path: Path) -> None:
        _check_directory_size(path)
        self._archive = zipfile.ZipFile(path)
        try:
            self._entries, self._folder = _checked_entries(self._archive, path.stat().st_size)
        except BaseException:
            self._archive.close()
            raise

    def __enter__(self) -> "CheckpointArchive":
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def content(self) -> bytes:
        """The pickle.

        Raises:
            ArchiveError: it was written by a machine that stores numbers the other way round.
        """
        order = self._entries.get(self._folder + "byteorder")
        if order is not None and self._archive.read(order) != b"little":
            raise ArchiveError("its numbers are stored in another order than this machine's")
        return self._archive.read(self._entries[self._folder + _CONTENT])

    def read_storage(self, key: str, into: memoryview) -> None:
        """Fill `into` with the numbers of a storage.

        Raises:
            ArchiveError: there is none of that name and size.
        """
        entry = self._entries.get(f"{self._folder}data/{key}")
        if entry is None or entry.file_size != len(into):
            raise ArchiveError("numbers that its content names are not there")
        into[:] = self._archive.read(entry)


def _checked_entries(
    archive: zipfile.ZipFile, file_bytes: int
) -> tuple[Mapping[str, zipfile.ZipInfo], str]:
    """Entries by name, and the folder that all lie in."""
    listed = archive.infolist()
    entries = {entry.filename: entry for entry in listed}
    if len(entries) != len(listed):
        raise ArchiveError("two entries of one name")
    if any(e.compress_type != zipfile.ZIP_STORED or e.flag_bits & 1 for e in listed):
        raise ArchiveError("compressed entries, which PyTorch does not write")
    if sum(entry.file_size for entry in listed) > file_bytes:
        raise ArchiveError("entries larger than the file")
    folders = [n.removesuffix(_CONTENT) for n in entries if n.endswith("/" + _CONTENT)]
    if len(folders) != 1:
        raise ArchiveError(f"it has no {_CONTENT}")
    return entries, folders[0]


def _check_directory_size(path: Path) -> None:
    """Refuse a list of millions of entries, before it is read."""
    size = path.stat().st_size
    before = _LOCATOR_64_BYTES + _END_64.size
    with path.open("rb") as file:
        file.seek(max(size - before - _END.size, 0))
        tail = file.read().rjust(before + _END.size, b"\0")
    signature, directory_bytes, _place, comment_bytes = _END.unpack(tail[before:])
    signature_64, directory_64_bytes = _END_64.unpack(tail[: _END_64.size])
    if signature != b"PK\5\6" or comment_bytes:
        raise ArchiveError("it does not end as PyTorch's files do")
    if signature_64 == b"PK\6\6":
        directory_bytes = max(directory_64_bytes, directory_bytes % 0xFFFFFFFF)
    if directory_bytes > _LARGEST_DIRECTORY_BYTES:
        raise ArchiveError("too many entries")
