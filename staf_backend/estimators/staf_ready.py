"""The network that videos are run through, read, checked and folded once in a process.

The next video takes what the last one left, unless a file of the weights, the body, the device or
the precision has changed.  One network stays: another one goes before the new one is made.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from staf_backend.devices import choose_device, choose_precision
from staf_backend.staf.streaming import ReadyNetwork, StreamConfig, make_ready
from staf_backend.weights import INFO_FILE, WeightsInfo, set_folder
from staf_backend.weights.store import load_weights

if TYPE_CHECKING:
    from staf_backend.body import Body
    from staf_backend.estimators.settings import EstimatorSettings

_kept: dict[tuple, ReadyNetwork] = {}


def ready_network(info: WeightsInfo, body: "Body", settings: "EstimatorSettings") -> ReadyNetwork:
    """The network of a set of weights, as the settings want it.

    Args:
        info: of the set.
        body: of its betas; the one that came with the set goes before it.
        settings: the device and the precision.

    Raises:
        WeightsError: the set is damaged, or its body does not fit.
        DeviceError: the device is absent, does not compute in the precision, or is too small.
    """
    device = choose_device(settings.device)
    config = StreamConfig(
        device=str(device), precision=choose_precision(settings.precision, device)
    )
    other = None if info.has_body else body
    key = (_state(set_folder(info.name), info), other and _digest(other), config)
    if key not in _kept:
        _kept.clear()
        loaded = load_weights(info.name, body=other)
        _kept[key] = make_ready(loaded.network, loaded.encoder, config)
    return _kept[key]


def _state(folder: Path, info: WeightsInfo) -> tuple:
    """What tells that a set's files are those that were read; its checksums took seconds."""
    stats = [(folder / name).stat() for name in sorted({*info.files, INFO_FILE})]
    return folder, *((one.st_ino, one.st_size, one.st_mtime_ns) for one in stats)


def _digest(body: "Body") -> str:
    arrays = (body.template_m, body.shape_directions, body.joint_template_m)
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()
