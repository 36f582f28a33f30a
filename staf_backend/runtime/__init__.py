"""What networks run on: ONNX Runtime sessions for the default, PyTorch devices for STAF."""

from staf_backend.runtime.isolated import is_isolated, run_isolated
from staf_backend.runtime.onnx_session import (
    devices,
    give_back_memory,
    keep_networks_open,
    open_network,
    providers,
    run,
    started_device,
    usable_cores,
)
from staf_backend.runtime.processes import (
    Terminated,
    end_group,
    give_back_heap,
    is_alive,
    listen_for_ends,
    memory_bytes,
    start_apart,
)
from staf_backend.runtime.workers import Job, Workers

__all__ = [
    "Job",
    "Terminated",
    "Workers",
    "devices",
    "end_group",
    "give_back_heap",
    "give_back_memory",
    "is_alive",
    "is_isolated",
    "keep_networks_open",
    "listen_for_ends",
    "memory_bytes",
    "open_network",
    "providers",
    "run",
    "run_isolated",
    "start_apart",
    "started_device",
    "usable_cores",
]
