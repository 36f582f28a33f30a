"""One array a file, in the safetensors format: appended to while its length is not yet known.

    8 bytes: length of the header │ header: JSON, padded with blanks │ raw numbers, row by row

The header is written last, into room kept for it; safetensors readers open the file like any.
"""

import json
from pathlib import Path

import numpy as np

from staf_backend.files import open_file

_HEADER_BYTES = 504  # with the 8 before it 512: rows stay aligned
_TYPES = {
    **{"<f2": "F16", "<f4": "F32", "<f8": "F64", "<i4": "I32", "<i8": "I64"},
    **{"|i1": "I8", "|u1": "U8", "|b1": "BOOL"},
}


def array_path(folder: Path, name: str) -> Path:
    """The file of an array."""
    return folder / f"{name}.safetensors"


class ArrayWriter:
    """Appends rows of one shape and type to a file; `close` makes it readable.

    Args:
        folder: where the file is made.
        name: of the array and the file.
        dtype: numpy's name of the type, one of `_TYPES`.
        shape: of a row.
    """

    def __init__(self, folder: Path, name: str, dtype: str, shape: tuple[int, ...]) -> None:
        self.path, self.count = array_path(folder, name), 0
        self._name, self._dtype, self._shape = name, dtype, shape
        self._file = self.path.open("wb")
        self._file.write(b" " * (8 + _HEADER_BYTES))

    def append(self, rows: np.ndarray) -> None:
        """Add rows (n, *shape).

        Raises:
            ValueError: rows of another shape.
            OSError: the disk is full.
        """
        if rows.shape[1:] != self._shape:
            raise ValueError(f"{self._name}: rows are {rows.shape[1:]}, not {self._shape}")
        self._file.write(np.ascontiguousarray(rows, self._dtype).tobytes())
        self.count += len(rows)

    def close(self) -> None:
        """Write the header and close; only then is it a safetensors file."""
        size = np.dtype(self._dtype).itemsize * self.count * int(np.prod(self._shape, dtype=int))
        entry = {
            "dtype": _TYPES[self._dtype],
            "shape": [self.count, *self._shape],
            "data_offsets": [0, size],
        }
        header = json.dumps({self._name: entry}).encode().ljust(_HEADER_BYTES)
        with self._file:
            self._file.seek(0)
            self._file.write(_HEADER_BYTES.to_bytes(8, "little") + header)


def map_array(folder: Path, name: str, dtype: str) -> np.ndarray:
    """Memory-map an array that `ArrayWriter` wrote.

    Raises:
        ValueError: not such a file, or of another type.
        OSError: it cannot be opened.
    """
    path = array_path(folder, name)
    with open_file(path) as file:
        length = int.from_bytes(file.read(8), "little")
        header = file.read(length) if length == _HEADER_BYTES else b""
    try:
        entry = json.loads(header)[name]
        shape, kind = tuple(entry["shape"]), entry["dtype"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path.name} has no header of an array {name}") from error
    if kind != _TYPES[dtype]:
        raise ValueError(f"{path.name} holds {kind}, not {_TYPES[dtype]}")
    if 0 in shape:
        return np.zeros(shape, dtype)
    return np.memmap(path, dtype, "r", 8 + _HEADER_BYTES, shape)
