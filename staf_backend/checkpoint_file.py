"""Reading PyTorch checkpoints of others: tensors and plain values only, never code.

`torch.load(weights_only=True)` refuses everything but tensors, containers, numbers and strings.
The authors' trainer also stores its validation error as a NumPy scalar, which is let through.
"""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy._core.multiarray import scalar  # what NumPy scalars name in a pickle
from torch import Tensor

from staf_backend.weights_error import WeightsError

_NUMPY_SCALARS = [
    (scalar, "numpy._core.multiarray.scalar"),
    (scalar, "numpy.core.multiarray.scalar"),
    np.dtype,
    type(np.dtype("float32")),
    type(np.dtype("float64")),
]
_AGAIN = "Fetch the file again."


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The dictionary inside a PyTorch checkpoint, tensors on the CPU.

    Raises:
        WeightsError: the file is missing, empty, a web page, not PyTorch's, damaged, or asks for
            code to be run.
    """
    _check_kind(path)
    try:
        with torch.serialization.safe_globals(_NUMPY_SCALARS):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refusal(path, str(error)) from error
    except Exception as error:  # a damaged pickle can raise anything
        reason = str(error).split("\n")[0]
        raise WeightsError(f"{path} is damaged or cut short ({reason}).", _AGAIN) from error
    if not isinstance(content, dict):
        raise WeightsError(
            f"{path} holds a {type(content).__name__}, not a dictionary of tensors.",
            "Give base_model.pt, 3dpw_model_best.pth.tar, or weights made by this software.",
        )
    return content


def state_dicts(content: Mapping[str, Any]) -> list[dict[str, Tensor]]:
    """The state dicts of a checkpoint: its own level and those under the usual names."""
    levels = [content, *(content.get(name) for name in ("gen_state_dict", "model", "state_dict"))]
    tensors = [
        {name: t for name, t in level.items() if isinstance(t, Tensor)}
        for level in levels
        if isinstance(level, Mapping)
    ]
    return [state for state in tensors if state]


def optimised_shapes(content: Mapping[str, Any]) -> set[tuple[int, ...]] | None:
    """Shapes of the parameters that the saved optimiser (Adam) has moved, or None without one."""
    optimiser = content.get("gen_optimizer")
    state = optimiser.get("state") if isinstance(optimiser, Mapping) else None
    if not isinstance(state, Mapping):
        return None
    moments: list[Any] = [
        entry.get("exp_avg") for entry in state.values() if isinstance(entry, Mapping)
    ]
    return {tuple(moment.shape) for moment in moments if isinstance(moment, Tensor)}


def first_bytes(path: Path, count: int = 512) -> bytes:
    """The head of a file.

    Raises:
        WeightsError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError as error:
        reason = error.strerror or str(error)
        raise WeightsError(f"{path} cannot be read: {reason}.", "Check the path.") from error


def _check_kind(path: Path) -> None:
    head = first_bytes(path)
    if not head:
        raise WeightsError(f"{path} is empty.", _AGAIN)
    if re.match(rb"\s*<(!doctype|html|\?xml|head|body)", head, re.IGNORECASE):
        raise WeightsError(
            f"{path} is a web page, not a checkpoint.",
            "The download link led to a page; open it in a browser and save the file itself.",
        )
    if not head.startswith((b"PK\x03\x04", b"\x80")):
        raise WeightsError(f"{path} is not a PyTorch checkpoint.", "Give a .pt or .pth.tar file.")


def _refusal(path: Path, reason: str) -> WeightsError:
    """The error for a pickle that `weights_only` turned down: code, or merely broken."""
    found = re.search(r"(?:GLOBAL|Unsupported class) ([\w.]+)", reason)
    if found:
        return WeightsError(
            f"{path} asks to run code ({found[1]}), which weights never need; it was not run.",
            "Do not use this file unless you know where it comes from.",
        )
    return WeightsError(f"{path} is damaged or cut short.", _AGAIN)
