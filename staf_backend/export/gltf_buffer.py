"""glTF's binary part: arrays become accessors of one buffer, which waits beside the file."""

import contextlib
import io
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from staf_backend.files import file_without_name

_COMPONENTS = {"float32": 5126, "uint8": 5121, "uint16": 5123, "uint32": 5125}
_TYPES = {(): "SCALAR", (2,): "VEC2", (3,): "VEC3", (4,): "VEC4", (4, 4): "MAT4"}
VERTICES, INDICES = 34962, 34963
"""Numbers of glTF 2.0: component types, accessor types, and targets of buffer views."""


@contextlib.contextmanager
def collected(document: Any, folder: Path) -> Iterator["Buffer"]:
    """A buffer that waits in a file without a name in a folder: a clip may be long.

    In memory where the folder takes no such file.
    """
    parts: IO[bytes] = io.BytesIO()
    with contextlib.suppress(OSError):
        parts = file_without_name(folder)
    with parts:
        yield Buffer(document, parts)


class Buffer:
    """Collects arrays for one glTF document; see `collected`.

    Args:
        document: a pygltflib.GLTF2 that receives accessors and buffer views.
        parts: holds the arrays' bytes.
    """

    def __init__(self, document: Any, parts: IO[bytes]) -> None:
        self._document, self._parts, self._size = document, parts, 0

    def add(
        self,
        array: np.ndarray,
        *,
        target: int | None = None,
        bounds: bool = False,
        normalized: bool = False,
    ) -> int:
        """Append an array (N, ...) and return the number of its accessor.

        Args:
            array: N scalars, vectors or 4x4 matrices (row, column; turned to glTF's column order).
            target: `VERTICES`, `INDICES`, or None for what is neither.
            bounds: write minimum and maximum, which positions and key times must have.
            normalized: whole numbers stand for fractions of their largest.
        """
        from pygltflib import Accessor, BufferView

        shape = array.shape[1:]
        stored = array.swapaxes(-1, -2) if shape == (4, 4) else array
        view = BufferView(buffer=0, byteOffset=self._size, byteLength=array.nbytes, target=target)
        accessor = Accessor(
            bufferView=len(self._document.bufferViews),
            componentType=_COMPONENTS[array.dtype.name],
            count=len(array),
            type=_TYPES[shape],
            normalized=normalized or None,
        )
        if bounds:
            accessor.min = np.atleast_1d(array.min(0)).tolist()
            accessor.max = np.atleast_1d(array.max(0)).tolist()
        self._append(np.ascontiguousarray(stored, array.dtype.newbyteorder("<")).tobytes())
        self._document.bufferViews.append(view)
        self._document.accessors.append(accessor)
        return len(self._document.accessors) - 1

    def write(self, path: Path) -> None:
        """Write the document and its only buffer as a .glb (glTF 2.0, "GLB File Format").

        Raises:
            OSError: the file cannot be written.
        """
        from pygltflib import Buffer as DocumentBuffer

        self._document.buffers = [DocumentBuffer(byteLength=self._size)]
        text = self._document.gltf_to_json(separators=(",", ":"), indent=None).encode()
        text += b" " * (-len(text) % 4)
        self._parts.seek(0)
        with path.open("wb") as file:
            size = 12 + 8 + len(text) + 8 + self._size
            file.write(struct.pack("<4sII", b"glTF", 2, size))
            file.write(struct.pack("<I4s", len(text), b"JSON") + text)
            file.write(struct.pack("<I4s", self._size, b"BIN\0"))
            shutil.copyfileobj(self._parts, file)

    def _append(self, data: bytes) -> None:
        padding = b"\0" * (-len(data) % 4)
        self._parts.write(data)
        self._parts.write(padding)
        self._size += len(data) + len(padding)
