"""Arrays in a NumPy archive, without pickles, equal arrays giving equal bytes."""

import os
import zipfile
from collections.abc import Mapping
from typing import Any

from staf_backend.files.atomic import replace_atomically


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
                np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=False)
