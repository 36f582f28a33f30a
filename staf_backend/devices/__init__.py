"""PyTorch's devices: which one computes and in what precision, its memory, what is copied there
and replayed on it.
"""

from staf_backend.devices.copies import download_together, indices_on, upload_together
from staf_backend.devices.device import (
    DeviceError,
    Precision,
    choose_device,
    choose_precision,
    full_precision,
    is_built_for,
    numerics,
    precisions_of,
    storage_type,
    torch_devices,
    upload,
    user_word,
)
from staf_backend.devices.graphs import Graphed, row_class
from staf_backend.devices.memory import Batches, enough_memory, free_memory, is_out_of_memory

__all__ = [
    "Batches",
    "DeviceError",
    "Graphed",
    "Precision",
    "choose_device",
    "choose_precision",
    "download_together",
    "enough_memory",
    "free_memory",
    "full_precision",
    "indices_on",
    "is_built_for",
    "is_out_of_memory",
    "numerics",
    "precisions_of",
    "row_class",
    "storage_type",
    "torch_devices",
    "upload",
    "upload_together",
    "user_word",
]
