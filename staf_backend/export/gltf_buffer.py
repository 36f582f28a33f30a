"""glTF's binary part: arrays become accessors of one buffer."""

from typing import Any

import numpy as np

_COMPONENTS = {"float32": 5126, "uint8": 5121, "uint16": 5123, "uint32": 5125}
_TYPES = {(): "SCALAR", (2,): "VEC2", (3,): "VEC3", (4,): "VEC4", (4, 4): "MAT4"}
VERTICES, INDICES = 34962, 34963
"""Numbers of glTF 2.0: component types, accessor types, and targets of buffer views."""


class Buffer:
    """Collects arrays for one glTF document; `finish` writes the buffer into it.

    Args:
        document: a pygltflib.GLTF2 that receives accessors and buffer views.
    """

    def __init__(self, document: Any) -> None:
        self._document = document
        self._parts: list[bytes] = []
        self._size = 0

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

    def finish(self) -> None:
        """Put the collected bytes into the document as its only buffer."""
        from pygltflib import Buffer as DocumentBuffer

        self._document.buffers = [DocumentBuffer(byteLength=self._size)]
        self._document.set_binary_blob(b"".join(self._parts))

    def _append(self, data: bytes) -> None:
        padding = b"\0" * (-len(data) % 4)
        self._parts += [data, padding]
        self._size += len(data) + len(padding)
