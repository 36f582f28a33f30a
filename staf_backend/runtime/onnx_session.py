"""ONNX networks on this computer: which execution provider, how many threads.

Results must not depend on how many cores happen to be free, so a session is deterministic for a
given provider; threads only change how long it takes.
"""

import os
import threading
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, cast
from weakref import WeakSet

from staf_backend.assets import AssetError

if TYPE_CHECKING:
    import numpy as np
    from onnxruntime import InferenceSession

_PROVIDERS = {
    "cuda": "CUDAExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
"""Names for `--device` and ONNX Runtime's, the fastest first."""
_ALONE = ("DmlExecutionProvider", "CoreMLExecutionProvider")
"""Where one thread may run a session at a time: ONNX Runtime's page on DirectML says so, that on
CoreML does not say that more may."""
_ERRORS_ONLY, _NOTHING = 3, 4
"""Of ONNX Runtime's levels of logging."""
_SMALLEST_NETWORK = bytes.fromhex(
    "08083a370a100a017812017922084964656e746974791201675a0f0a0178120a0a08080112040a020801620f0a0179"
    "120a0a08080112040a0208014202100d"
)
"""y = x, one float: an ONNX file (IR 8, opset 13) of one Identity, to see what a device says."""


_kept: dict[tuple[Path, str, int | None], "InferenceSession"] | None = None
"""Sessions that stay open, in a process that asked for it."""


_taking_turns: WeakSet["InferenceSession"] = WeakSet()
_turn = threading.Lock()


_SHRINK = ("memory.enable_memory_arena_shrinkage", "cpu:0")
"""An option of one call: the arena's free regions go back to the system after it (ONNX Runtime,
onnxruntime_run_options_config_keys.h)."""
_SHARE = ("session.use_env_allocators", "1")
"""An option of a session: it uses the process' arena instead of one of its own (ONNX Runtime,
onnxruntime_session_options_config_keys.h)."""
_sharing = threading.Lock()
_has_arena = False
"""Whether this process has an arena that all networks on the CPU share."""


def keep_networks_open() -> None:
    """From now on a network that was opened stays so, for the next clip of this process."""
    global _kept
    _kept = {} if _kept is None else _kept


def providers() -> tuple[str, ...]:
    """What this installation of ONNX Runtime was built for, in its own names."""
    import onnxruntime

    return tuple(onnxruntime.get_available_providers())


def devices() -> tuple[str, ...]:
    """What this installation of ONNX Runtime can run on: names for `--device`, fastest first."""
    available = providers()
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
    if _kept is None:
        return _opened(path, device, threads)
    key = (path, device, threads)
    if key not in _kept:
        _kept[key] = _opened(path, device, threads)
    return _kept[key]


def _opened(path: Path, device: str, threads: int | None) -> "InferenceSession":
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or usable_cores()
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    providers = _chosen(device)
    if [name for name, _ in providers] == [_PROVIDERS["cpu"]]:
        _share_arena()
        options.add_session_config_entry(*_SHARE)
    try:
        # Its own way back to the CPU prints into the program's output
        session = onnxruntime.InferenceSession(
            path, options, providers=providers, enable_fallback=0
        )
    except Exception as error:  # ONNX Runtime's own errors share no public base class
        raise AssetError(f"{path.name} cannot be opened as a network: {error}.") from error
    if device != "auto" and providers[0][0] not in session.get_providers():
        # Built for the device, but without its driver or libraries the session is the CPU's
        raise _not_started(device)
    if session.get_providers()[0] in _ALONE:
        _taking_turns.add(session)
    return session


def started_device(device: str = "auto") -> str:
    """The device, as in `devices()`, that a network asked onto `device` really starts on.

    Raises:
        AssetError: the device is not available, its driver or libraries are missing, or there is
            none of that number.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _NOTHING
    wanted = _chosen(device)
    try:
        session = onnxruntime.InferenceSession(
            _SMALLEST_NETWORK, options, providers=wanted, enable_fallback=0
        )
    except Exception as error:  # ONNX Runtime's own errors share no public base class
        raise _not_started(device) from error
    started = session.get_providers()[0]
    if device != "auto" and started != wanted[0][0]:
        raise _not_started(device)
    return next(name for name, provider in _PROVIDERS.items() if provider == started)


def run(session: "InferenceSession", /, **inputs: "np.ndarray") -> dict[str, "np.ndarray"]:
    """All outputs of a network by name; any thread may call this."""
    names = [output.name for output in session.get_outputs()]
    with _turn if session in _taking_turns else nullcontext():
        values = cast("list[np.ndarray]", session.run(None, inputs))
    return dict(zip(names, values, strict=True))


def give_back_memory(session: "InferenceSession") -> None:
    """Give the memory that networks worked in, but do not need between calls, back to the system.

    It takes one small call of this network; all networks on the CPU share their memory.

    Args:
        session: of a network whose open dimensions may be 1.
    """
    import numpy as np
    import onnxruntime

    if session.get_providers() != [_PROVIDERS["cpu"]]:
        return
    options = onnxruntime.RunOptions()
    options.add_run_config_entry(*_SHRINK)
    smallest = {
        one.name: np.zeros([size if isinstance(size, int) else 1 for size in one.shape], np.float32)
        for one in session.get_inputs()
    }
    session.run(None, smallest, options)


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _share_arena() -> None:
    """Make the arena of this process, once: networks that take turns need it only once."""
    import onnxruntime

    global _has_arena
    with _sharing:
        if _has_arena:
            return
        kinds = onnxruntime.OrtAllocatorType, onnxruntime.OrtMemType
        place = onnxruntime.OrtMemoryInfo("Cpu", kinds[0].ORT_ARENA_ALLOCATOR, 0, kinds[1].DEFAULT)
        onnxruntime.create_and_register_allocator(place, None)
        _has_arena = True


def _chosen(device: str) -> list[tuple[str, dict[str, str]]]:
    """Providers and their options, the best first."""
    available = devices()
    if device == "auto":
        return [(_PROVIDERS[name], {}) for name in ("cuda", "cpu") if name in available]
    name, _, number = device.partition(":")
    is_number = number.isdecimal() and (name != "cpu" or int(number) == 0)
    if name not in available or not (is_number or name == device):
        advice = f"Use one of: auto, {', '.join(available)}."
        raise AssetError(f"The device {device!r} is not available to ONNX Runtime here.", advice)
    return [(_PROVIDERS[name], {"device_id": number} if number and name != "cpu" else {})]


def _not_started(device: str) -> AssetError:
    advice = "Look at its driver and libraries, or use: auto, cpu."
    return AssetError(f"ONNX Runtime could not start on the device {device!r}.", advice)
