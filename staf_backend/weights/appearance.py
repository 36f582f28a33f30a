"""Which appearance network the tracker asks: the one that comes with this software, or a user's."""

from pathlib import Path

from staf_backend.assets import asset_path, checksum
from staf_backend.files import sha256
from staf_backend.people import AppearanceNetwork
from staf_backend.runtime import open_network
from staf_backend.weights.appearance_info import (
    ADD_AGAIN,
    NETWORK_FILE,
    OWN_APPEARANCE,
    appearance_folder,
    appearance_names,
    read_appearance,
)
from staf_backend.weights.choice import Choice
from staf_backend.weights.error import WeightsError
from staf_backend.weights.in_use import delete_folder

_CHOICE = Choice("appearance_in_use.json")
_OWN_FILE = "appearance.onnx"


def open_appearance(device: str) -> AppearanceNetwork:
    """The network in use, its checksum verified.

    Args:
        device: see `open_network`.

    Raises:
        WeightsError: the chosen one is gone, has changed, or the choice cannot be read.
        AssetError: the one that comes with this software is damaged.
    """
    name = appearance_in_use()
    session = open_network(check_appearance(name), device=device, threads=1)
    if name == OWN_APPEARANCE:
        return AppearanceNetwork(session)
    info = read_appearance(name)
    return AppearanceNetwork(session, info.crops, info.scale)


def check_appearance(name: str) -> Path:
    """The file of a network, its checksum verified.

    Raises:
        WeightsError: it is gone, or has changed.
        AssetError: the one that comes with this software is damaged.
    """
    if name == OWN_APPEARANCE:
        return asset_path(_OWN_FILE)
    info, path = read_appearance(name), appearance_folder(name) / NETWORK_FILE
    if not path.is_file() or sha256(path) != info.sha256:
        raise WeightsError(f"{path} is missing or has changed since it was added.", ADD_AGAIN)
    return path


def appearance_in_use() -> str:
    """Name of the network that the tracker asks; raises WeightsError: the choice is unreadable."""
    return _CHOICE.name() or OWN_APPEARANCE


def appearance_digest() -> str:
    """A text that changes when the network in use does, and with it who is who in a clip.

    Raises:
        WeightsError: it is not here, or the choice cannot be read.
    """
    name = appearance_in_use()
    return checksum(_OWN_FILE) if name == OWN_APPEARANCE else read_appearance(name).to_json()


def knows_appearance(name: str) -> bool:
    """Whether an appearance network has this name."""
    return name == OWN_APPEARANCE or name in appearance_names()


def use_appearance(name: str | None) -> None:
    """Have the tracker ask a network from now on; None takes an earlier choice back.

    Raises:
        WeightsError: there is none of that name, or it is damaged.
        OutputError: the choice cannot be kept.
    """
    if name is None or name == OWN_APPEARANCE:
        _CHOICE.forget()
        return
    read_appearance(name)
    _CHOICE.keep(name)


def remove_appearance(name: str) -> None:
    """Delete a network of the user's, a damaged one, too.

    Raises:
        WeightsError: it came with this software.
        OutputError: it cannot be deleted.
    """
    if name == OWN_APPEARANCE:
        reason = f"The network {name} is part of this software and cannot be removed."
        raise WeightsError(reason, "Choose another with: staf weights use NAME")
    delete_folder(appearance_folder(name))
    _CHOICE.forget_if(name)
