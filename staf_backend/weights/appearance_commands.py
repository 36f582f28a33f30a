"""The commands about a user's own appearance network.  No PyTorch."""

from pathlib import Path
from typing import Any

from staf_backend.files import shown
from staf_backend.reporting import Reporter
from staf_backend.weights.appearance import appearance_in_use
from staf_backend.weights.appearance_add import add_appearance
from staf_backend.weights.appearance_info import OWN_APPEARANCE, appearance_names, read_appearance
from staf_backend.weights.error import WeightsError


def take_appearance(path: Path, name: str | None, reporter: Reporter) -> int:
    """Verify and keep an ONNX network that tells people apart.

    Args:
        path: of the network.
        name: what to call it; None: as its file.
        reporter: told what was kept.

    Raises:
        WeightsError: it is none, or its interface or the JSON beside it is wrong.
        OutputError: it cannot be kept.
    """
    added = add_appearance(path, path.stem if name is None else name)
    info, used = added.info, added.info.name == _used()
    how = "in use" if used else f"to use it: staf weights use {info.name}"
    text = f"added {info.name}: {info.ability}; {added.ms_a_crop:.1f} ms a crop here; {how}"
    values = {"name": info.name, "can": info.ability, "sha256": info.sha256, "in_use": used}
    reporter.result(text, {**values, "ms_a_crop": added.ms_a_crop})
    return 0


def appearance_values() -> list[dict[str, Any]]:
    """What is told to programs about every network, our own last; a damaged one is told, too."""
    used = _used()
    found = [_values(name, used) for name in appearance_names()]
    own = {"name": OWN_APPEARANCE, "source": "", "can": "tells people apart", "problem": ""}
    return [*found, {**own, "in_use": used == OWN_APPEARANCE, "embedded": True}]


def appearance_line(values: dict[str, Any]) -> str:
    """One network in words."""
    name = values["name"]
    if values["problem"]:
        return f"{name}: damaged: {values['problem']}"
    origin = "comes with this software" if values["embedded"] else f"from {values['source']}"
    return f"{name}: {origin}; {values['can']}" + ("; in use" if values["in_use"] else "")


def _values(name: str, used: str | None) -> dict[str, Any]:
    values: dict[str, Any] = {"name": name, "source": "", "can": "", "problem": ""}
    try:
        info = read_appearance(name)
        values |= {"source": shown(info.source), "can": info.ability}
    except WeightsError as error:
        values["problem"] = error.message
    return {**values, "in_use": name == used, "embedded": False}


def _used() -> str | None:
    """The one in use; None where the choice cannot be read."""
    try:
        return appearance_in_use()
    except WeightsError:
        return None
