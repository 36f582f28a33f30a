"""A user's own appearance network, taken in: its interface checked, kept with its checksum.

FILE.onnx ──┐ add_appearance   <data folder>/weights/NAME/
FILE.json ──┴───────────────►    appearance.onnx
where it is there                appearance.json    how it takes crops, checksum
"""

import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from staf_backend.assets import AssetError
from staf_backend.files import EditedJson, Place, replace_folder_atomically, sha256, shown
from staf_backend.people import AppearanceNetwork
from staf_backend.runtime import open_network
from staf_backend.weights.appearance_info import (
    INFO_FILE,
    LARGEST,
    LARGEST_PX,
    NETWORK_FILE,
    OWN_APPEARANCE,
    SMALLEST_PX,
    AppearanceInfo,
    appearance_folder,
)
from staf_backend.weights.error import WeightsError
from staf_backend.weights.info import INFO_FILE as SET_FILE

_INTERFACE = (
    "It must take one picture, (1, 3, height, width) float32 of fixed height and width, "
    f"{SMALLEST_PX} to {LARGEST_PX} pixels, and give one list of numbers, (1, N) float32."
)
_BESIDE = EditedJson(
    "JSON",
    WeightsError,
    "docs/staf.md tells what it may say; without the file the network gets RGB, 0 to 255.",
    largest_bytes=100_000,
)
_LARGEST_BYTES = 500_000_000
"""Of a network.  Chosen: many times published ones."""
_TRIES = 4
"""Crops of noise that are asked.  Chosen: enough to time one."""
_ALIKE = 0.999999
"""Cosine above which answers to different crops are one.  Chosen."""


@dataclass(frozen=True)
class Added:
    """A network that was taken in, and what a crop costs it on one thread of this machine."""

    info: AppearanceInfo
    ms_a_crop: float


def add_appearance(path: Path, name: str) -> Added:
    """Take a network in, with the JSON of the same name beside it, where there is one.

    Args:
        path: an ONNX file.
        name: what to call it; a network of the same name is replaced.

    Raises:
        WeightsError: it is none, takes or gives something else, or the JSON is wrong.
        OutputError: it cannot be written.
    """
    folder = appearance_folder(name)
    if name == OWN_APPEARANCE:
        reason = f"The network {name} is part of this software; others cannot have its name."
        raise WeightsError(reason, "Choose another --name.")
    if (folder / SET_FILE).exists():
        reason = f"There are weights of the STAF network called {name}."
        raise WeightsError(reason, "Choose another --name.")
    _check_size(path)
    words = _words_beside(path)
    with replace_folder_atomically(folder) as new:
        shutil.copyfile(path, new / NETWORK_FILE)
        session = _opened(new / NETWORK_FILE, path)
        width, height, dimensions = _sizes(session, path)
        plain = AppearanceInfo(
            name, path.name, sha256(new / NETWORK_FILE), width, height, dimensions
        )
        info = replace(plain, **words)
        each_ms = _tried(AppearanceNetwork(session, info.crops, info.scale), path)
        (new / INFO_FILE).write_text(info.to_json(), encoding="utf-8")
    return Added(info, each_ms)


def _check_size(path: Path) -> None:
    try:
        size = path.stat().st_size
        path.open("rb").close()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise WeightsError(f"{path} cannot be read: {reason}.", "Check the path.") from error
    if size > _LARGEST_BYTES:
        raise WeightsError(f"{path} is too large for an appearance network.", _INTERFACE)


def _words_beside(path: Path) -> dict[str, Any]:
    """What the JSON beside a network says, by fields of `AppearanceInfo`; nothing without one."""
    beside = path.with_suffix(".json")
    return _BESIDE.read(beside, _checked_words) if beside.exists() else {}


def _checked_words(place: Place) -> dict[str, Any]:
    place.only("mean", "deviation", "channels", "other_cosine", "same_cosine")
    words: dict[str, Any] = {}
    for word in {"mean", "deviation"} & set(place.value):
        words[word] = tuple(_number(one) for one in place.at(word).items())
        if len(words[word]) != 3:
            place.at(word).wrong(f'"{word}" must be three numbers, of red, green and blue')
    if min(words.get("deviation", (1,))) <= 0:
        place.at("deviation").wrong('"deviation" must be above 0')
    if "channels" in place.value:
        words["bgr"] = place.at("channels").text() == "BGR"
        if place.value["channels"] not in ("RGB", "BGR"):
            place.at("channels").wrong('"channels" must be "RGB" or "BGR"')
    if {"other_cosine", "same_cosine"} & set(place.value):
        other, same = (_number(place.at(word)) for word in ("other_cosine", "same_cosine"))
        if not -1 <= other < same <= 1:
            place.at("same_cosine").wrong('"same_cosine" must be above "other_cosine", both -1..1')
        words["cosines"] = (other, same)
    return words


def _number(place: Place) -> float:
    if type(place.value) not in (int, float) or not abs(place.value) <= LARGEST:
        place.wrong(f"{place.name} must be a number, not {place.value!r:.40}")
    return float(place.value)


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
        raise WeightsError(f"{path} is no appearance network: {reason}.", _INTERFACE)
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
        raise WeightsError(f"{path}: {error.message}", _INTERFACE) from error
    except Exception as error:  # ONNX Runtime's own errors share no public base class
        reason = shown(str(error).split("\n")[0])
        raise WeightsError(f"{path} does not run: {reason}.", _INTERFACE) from error
    each_ms = 1e3 * (time.perf_counter() - began) / _TRIES
    if (found @ found.T).min() > _ALIKE:
        reason = f"{path} gives one answer, whatever it is shown."
        raise WeightsError(reason, "Give a network whose answer tells people apart.")
    return each_ms
