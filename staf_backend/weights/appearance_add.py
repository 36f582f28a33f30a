"""A user's own appearance network, taken in: its interface checked, kept with its checksum.

FILE.onnx ──┐ add_appearance   <data folder>/weights/NAME/
FILE.json ──┴───────────────►    appearance.onnx
where it is there                appearance.json    how it takes crops, checksum
"""

import shutil
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from staf_backend.files import EditedJson, Place, replace_folder_atomically, sha256
from staf_backend.weights.appearance_info import (
    INFO_FILE,
    LARGEST,
    NETWORK_FILE,
    OWN_APPEARANCE,
    AppearanceInfo,
    appearance_folder,
)
from staf_backend.weights.appearance_trial import INTERFACE, tried_apart
from staf_backend.weights.error import WeightsError
from staf_backend.weights.info import INFO_FILE as SET_FILE

_BESIDE = EditedJson(
    "JSON",
    WeightsError,
    "docs/staf.md tells what it may say; without the file the network gets RGB, 0 to 255.",
    largest_bytes=100_000,
)
_LARGEST_BYTES = 500_000_000
"""Of a network.  Chosen: many times published ones."""


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
        sizes, each_ms = tried_apart(new / NETWORK_FILE, path, words)
        plain = AppearanceInfo(name, path.name, sha256(new / NETWORK_FILE), *sizes)
        info = replace(plain, **words)
        (new / INFO_FILE).write_text(info.to_json(), encoding="utf-8")
    return Added(info, each_ms)


def _check_size(path: Path) -> None:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise WeightsError(f"{path} is no file.", "Give an ONNX file.")
        path.open("rb").close()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise WeightsError(f"{path} cannot be read: {reason}.", "Check the path.") from error
    if found.st_size > _LARGEST_BYTES:
        raise WeightsError(f"{path} is too large for an appearance network.", INTERFACE)


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
