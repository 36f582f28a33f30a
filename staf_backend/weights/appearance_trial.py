"""Somebody else's network, tried in a process of its own: it may run for ever, or fill the memory.

add_appearance ── {"network", "path", "words", "most_s"} ──► this module, a program with limits
               ◄─ {"sizes", "ms_a_crop"}  or  {"message", "advice"}
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from staf_backend.assets import AssetError
from staf_backend.files import shown
from staf_backend.people import AppearanceNetwork
from staf_backend.runtime import open_network
from staf_backend.weights.appearance_info import LARGEST_PX, SMALLEST_PX, AppearanceInfo
from staf_backend.weights.error import WeightsError

INTERFACE = (
    "It must take one picture, (1, 3, height, width) float32 of fixed height and width, "
    f"{SMALLEST_PX} to {LARGEST_PX} pixels, and give one list of numbers, (1, N) float32."
)
_TRIES = 4
"""Crops of noise that are asked.  Chosen: enough to time one."""
_ALIKE = 0.999999
"""Cosine above which answers to different crops are one.  Chosen."""
_LONGEST_S, _PROCESSOR_S = 60, 8
"""On the clock, and of the processor where the system counts it.  Chosen: opening a network and
four crops take a second."""
_LARGEST_BYTES = 1_500_000_000
"""Of its memory, where the system limits it.  Chosen: ONNX Runtime and published networks take a
third of it."""
_HEAVY = "An appearance network answers in some milliseconds and takes some hundred megabytes."

Sizes = tuple[int, int, int]
"""Width and height of crops, and how many numbers an answer has."""


def tried_apart(network: Path, path: Path, words: Mapping[str, Any]) -> tuple[Sizes, float]:
    """Open a network, look at its interface, and let it answer.

    Args:
        network: an ONNX file, alone in its folder.
        path: what the user calls it.
        words: fields of `AppearanceInfo` that the user tells.

    Returns:
        its sizes, and milliseconds a crop on one thread.

    Raises:
        WeightsError: it is no network, takes or gives something else, or needs too much.
    """
    order = {"network": str(network), "path": str(path), "words": words, "most_s": _PROCESSOR_S}
    try:
        ended = subprocess.run(
            [sys.executable, "-P", "-c", f"from {__name__} import main; main()"],
            input=json.dumps(order),
            capture_output=True,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            timeout=_LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise WeightsError(f"{path} does not answer.", _HEAVY) from None
    try:
        told = json.loads(ended.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        reason = f"{path} takes too long or too much memory, or ends the program that runs it."
        raise WeightsError(reason, _HEAVY) from None
    if "message" in told:
        raise WeightsError(told["message"], told["advice"])
    width, height, dimensions = told["sizes"]
    return (width, height, dimensions), told["ms_a_crop"]


def main() -> None:
    """Follow the order on standard input."""
    order = json.loads(sys.stdin.read())
    _limit(order["most_s"])
    path = Path(order["path"])
    try:
        session = _opened(Path(order["network"]), path)
        sizes = _sizes(session, path)
        info = replace(AppearanceInfo("tried", path.name, "0" * 64, *sizes), **order["words"])
        each_ms = _tried(AppearanceNetwork(session, info.crops, info.scale), path)
        answer = {"sizes": sizes, "ms_a_crop": each_ms}
    except WeightsError as error:
        answer = {"message": error.message, "advice": error.advice}
    sys.stdout.write(json.dumps(answer) + "\n")


def _limit(most_s: int) -> None:
    """Where the system knows no limits, the clock alone ends this."""
    with contextlib.suppress(ImportError):
        import resource

        for kind, most in (
            (resource.RLIMIT_CPU, most_s),
            (resource.RLIMIT_DATA, _LARGEST_BYTES),
        ):
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(kind, (most, most))


def _opened(kept: Path, path: Path) -> Any:
    """A session of the copy: a network that needs files beside the original is none."""
    try:
        return open_network(kept, device="cpu", threads=1)
    except AssetError as error:
        reason = shown(str(error.__cause__ or error).split("\n")[0])
        advice = "It is damaged, no ONNX file, or needs other files or operators than its own."
        raise WeightsError(f"{path} does not open as a network: {reason}.", advice) from error


def _sizes(session: Any, path: Path) -> tuple[int, int, int]:
    """Width and height of what a network takes, and how many numbers it gives; both checked."""
    takes, gives = session.get_inputs(), session.get_outputs()
    fits = (
        len(takes) == len(gives) == 1
        and takes[0].type == gives[0].type == "tensor(float)"
        and len(takes[0].shape) == 4
        and len(gives[0].shape) == 2
        and takes[0].shape[0] in (1, None, str(takes[0].shape[0]))
        and takes[0].shape[1] == 3
        and all(
            type(side) is int and SMALLEST_PX <= side <= LARGEST_PX for side in takes[0].shape[2:]
        )
        and type(gives[0].shape[1]) is int
        and gives[0].shape[1] >= 2
    )
    if not fits:
        reason = f"it takes {_told(takes)} and gives {_told(gives)}"
        raise WeightsError(f"{path} is no appearance network: {reason}.", INTERFACE)
    height, width = takes[0].shape[2:]
    return width, height, gives[0].shape[1]


def _told(values: Any) -> str:
    """Inputs or outputs in words."""
    return shown(
        ", ".join(f"{v.type} ({', '.join(str(side) for side in v.shape)})" for v in values)
        or "nothing"
    )


def _tried(network: AppearanceNetwork, path: Path) -> float:
    """Milliseconds a crop; refuses a network whose answer no crop changes."""
    rng = np.random.default_rng(0)
    shape = (_TRIES, network.crops.height_px, network.crops.width_px, 3)
    crops = rng.integers(0, 256, shape, np.uint8) // np.arange(1, _TRIES + 1)[:, None, None, None]
    began = time.perf_counter()
    try:
        found = np.array([network.of_crop(crop.astype(np.uint8)) for crop in crops])
    except AssetError as error:
        raise WeightsError(f"{path}: {error.message}", INTERFACE) from error
    except Exception as error:  # ONNX Runtime's own errors share no public base class
        reason = shown(str(error).split("\n")[0])
        raise WeightsError(f"{path} does not run: {reason}.", INTERFACE) from error
    each_ms = 1e3 * (time.perf_counter() - began) / _TRIES
    if (found @ found.T).min() > _ALIKE:
        reason = f"{path} gives one answer, whatever it is shown."
        raise WeightsError(reason, "Give a network whose answer tells people apart.")
    return each_ms
