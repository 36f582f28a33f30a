"""Results in storage that is no folder here: any that fsspec knows, as s3://bucket/folder.

The worker that made a file puts it there.  Object stores show an object whole or not at all; on
others a file is put beside its place and moved.
"""

import importlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from staf_backend.files import OutputError

_OBJECT_STORES = frozenset(("s3", "s3a", "gs", "gcs", "abfs", "az", "oci", "oss"))
"""Protocols that never show half an object."""


@dataclass(frozen=True)
class Store:
    """A place for results.

    Attributes:
        url: as fsspec takes it; keys are read from where the storage's own programs read them.
    """

    url: str

    def check(self) -> None:
        """Write a file, and remove it.

        Raises:
            OutputError: that cannot be; fsspec or the package of the protocol is missing.
        """
        system, root = self._open()
        probe = f"{root}/.staf-{uuid.uuid4().hex[:12]}"
        try:
            system.makedirs(root, exist_ok=True)
            system.pipe_file(probe, b"staf")
            system.rm_file(probe)
        except Exception as error:  # each storage has errors of its own
            raise self._refused(error) from error

    def put(self, files: Mapping[str, Path]) -> None:
        """Put files under their names below the place, each whole or not at all.

        Raises:
            OutputError: one cannot be put.
        """
        system, root = self._open()
        protocols = (system.protocol,) if isinstance(system.protocol, str) else system.protocol
        whole = not _OBJECT_STORES.isdisjoint(protocols)
        for name, path in files.items():
            target = f"{root}/{name}"
            beside = target if whole else f"{target}.{uuid.uuid4().hex[:12]}.part"
            try:
                system.makedirs(target.rpartition("/")[0], exist_ok=True)
                system.put_file(str(path), beside)
                if beside != target:
                    system.mv(beside, target)
            except Exception as error:
                raise self._refused(error) from error

    def holds(self, name: str, size_bytes: int) -> bool:
        """Whether a file of that name and size is there."""
        system, root = self._open()
        try:
            return system.info(f"{root}/{name}")["size"] == size_bytes
        except Exception:  # each storage has errors of its own; what is not sure is made again
            return False

    def remove(self, name: str) -> None:
        """Remove a file, where it is there."""
        system, root = self._open()
        try:
            system.rm_file(f"{root}/{name}")
        except FileNotFoundError:
            return
        except Exception as error:
            raise self._refused(error) from error

    def _open(self) -> tuple[Any, str]:
        try:
            core = importlib.import_module("fsspec.core")
            system, root = core.url_to_fs(self.url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            advice = 'Run: pip install "staf-backend[store]"'
            raise OutputError(f"cannot write to {self.url}: {error}.", advice) from error
        return system, root.rstrip("/")

    def _refused(self, error: Exception) -> OutputError:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        return OutputError(f"cannot write to {self.url}: {reason}.", "Check address and keys.")
