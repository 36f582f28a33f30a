"""ONNX networks on this computer: which execution provider, how many threads.

Results must not depend on how many cores happen to be free, so a session is deterministic for a
given provider; threads only change how long it takes.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from staf_backend.assets import AssetError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_PROVIDERS = {
    "cuda": "CUDAExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "cpu": "CPUExecutionProvider",
}


def devices() -> tuple[str, ...]:
    """What this installation of ONNX Runtime can run on: names for `--device`, fastest first."""
    import onnxruntime

    available = onnxruntime.get_available_providers()
    return tuple(name for name, provider in _PROVIDERS.items() if provider in available)


def open_network(
    path: Path, *, device: str = "auto", threads: int | None = None
) -> "InferenceSession":
    """Open an ONNX file for inference.

    Args:
        path: the network.
        device: "auto" (CUDA where ONNX Runtime has it, else CPU), or a name of `devices()`, also
            with a number as in "cuda:1".
        threads: threads for one call; default: all cores this process may use.

    Raises:
        AssetError: the device is not available, or the file is not a network.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or usable_cores()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    providers = _chosen(device)
    try:
        # Its own way back to the CPU prints into the program's output
        session = onnxruntime.InferenceSession(path, options, providers=providers,
                                               enable_fallback=0)  # fmt: skip
    except Exception as error:  # ONNX Runtime's own errors share no public base class
        raise AssetError(f"{path.name} cannot be opened as a network: {error}.") from error
    if device != "auto" and providers[0][0] not in session.get_providers():
        # Built for the device, but without its driver or libraries the session is the CPU's
        raise AssetError(f"ONNX Runtime could not start on the device {device!r}.",
                         "Look at its driver and libraries, or use: auto, cpu.")  # fmt: skip
    return session


def run(session: "InferenceSession", **inputs: np.ndarray) -> dict[str, np.ndarray]:
    """All outputs of a network by name."""
    names = [output.name for output in session.get_outputs()]
    return {name: np.asarray(value) for name, value in zip(names, session.run(None, inputs))}


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _chosen(device: str) -> list[tuple[str, dict[str, str]]]:
    """Providers and their options, the best first."""
    available = devices()
    if device == "auto":
        return [(_PROVIDERS[name], {}) for name in ("cuda", "cpu") if name in available]
    name, _, number = device.partition(":")
    if name not in available or not (number.isdecimal() or name == device):
        advice = f"Use one of: auto, {', '.join(available)}."
        raise AssetError(f"The device {device!r} is not available to ONNX Runtime here.", advice)
    return [(_PROVIDERS[name], {"device_id": number} if number else {})]
