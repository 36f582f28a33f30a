"""Arrays in a NumPy archive, without pickles, equal arrays giving equal bytes."""

import os
import zipfile
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any

from staf_backend.files.atomic import replace_atomically
from staf_backend.files.scratch import stretches

if TYPE_CHECKING:
    import numpy as np


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, Any]) -> None:
    """Write an .npz whose bytes depend on the arrays alone (numpy's own carries the clock).

    Raises:
        OutputError: the file cannot be written.
        ValueError: an array holds Python objects.
    """
    import numpy as np

    with replace_atomically(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            entry.create_system = 3
            with archive.open(entry, "w", force_zip64=True) as file:
                _write(file, np.asanyarray(array))


def _write(file: IO[bytes], array: "np.ndarray") -> None:
    """As NumPy does, a stretch at a time where it can be: an array may be of a long clip."""
    from numpy.lib import format as layout

    if array.dtype.hasobject or not array.ndim or not array.flags.c_contiguous:
        layout.write_array(file, array, allow_pickle=False)
        return
    layout.write_array_header_1_0(file, layout.header_data_from_array_1_0(array))
    for rows in stretches(len(array)):
        file.write(array[rows].tobytes())
