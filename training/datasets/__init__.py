"""Readers of data sets as their authors distribute them; each gives `store.Annotations` in parts.

A reader is a function `parts(request) -> Iterator[Annotations]`; `training.prepare` lists them.
"""

from training.datasets.head_points import HEADS
from training.datasets.readers import READERS, Reader, layouts
from training.datasets.rows import SMALLEST_PX, Request
from training.datasets.store import (
    GENDERS,
    INDEX_FILE,
    REPORT_FILE,
    Annotations,
    PreparedSet,
    SetError,
    check_free,
    open_set,
    write_set,
)
from training.datasets.store_arrays import ArrayWriter, map_array
from training.datasets.store_folder import (
    INDEX_BYTES,
    begin_half,
    drop_half,
    finish_half,
    half_made,
    occupied,
)

__all__ = [
    "GENDERS",
    "HEADS",
    "INDEX_BYTES",
    "INDEX_FILE",
    "READERS",
    "REPORT_FILE",
    "SMALLEST_PX",
    "Annotations",
    "ArrayWriter",
    "PreparedSet",
    "Reader",
    "Request",
    "SetError",
    "begin_half",
    "check_free",
    "drop_half",
    "finish_half",
    "half_made",
    "layouts",
    "map_array",
    "occupied",
    "open_set",
    "write_set",
]
