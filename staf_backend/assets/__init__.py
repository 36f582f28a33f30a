"""The files that make the embedded default: open networks and open bodies, each with a checksum.

The open STAF weights, which only PyTorch runs, are a package of their own, `staf-open-weights`,
made from the folder `staf-open` beside this; in a clone that folder itself is used.
"""

import importlib.util
from functools import cache
from pathlib import Path

from staf_backend import StafError
from staf_backend.files import sha256

_FOLDER = Path(__file__).parent
_SUMS = _FOLDER / "SHA256SUMS"
_BESIDE = {"pose_landmark_heavy.onnx": "pose_landmark_heavy.safetensors"}
"""Files whose numbers are in a file of their own, which PyTorch reads too."""
OPEN_WEIGHTS = "staf-open"
"""The folder of the open STAF weights here, and the name of that set."""
_WEIGHTS_PACKAGE = "staf_open_weights"
"""That they come in where they are not here."""
_ADVICE = "Install the package again, from the wheel or the clone that it came from."


class AssetError(StafError):
    """A file of the installation, or weights of the user's, is missing or not what it should be."""

    kind = "weights"
    exit_code = 6


def folder() -> Path:
    """Where the embedded files lie."""
    return _FOLDER


def open_weights_folder() -> Path | None:
    """Where the open STAF weights lie; None where they are not installed."""
    package = importlib.util.find_spec(_WEIGHTS_PACKAGE)
    places = (package.submodule_search_locations or ()) if package else ()
    folders = (_FOLDER / OPEN_WEIGHTS, *map(Path, places))
    return next((one for one in folders if (one / "weights.json").is_file()), None)


def names() -> tuple[str, ...]:
    """The names of all files that are to be there, in order: the open weights' may be left out."""
    lacking = f"{OPEN_WEIGHTS}/" if open_weights_folder() is None else None
    return tuple(name for name in _checksums() if not (lacking and name.startswith(lacking)))


def all_checksums() -> str:
    """Of all embedded files and the open weights, in one text that changes when one of them does.

    Raises:
        AssetError: the list is missing or damaged.
    """
    return " ".join(_checksums().values())


@cache
def asset_path(name: str) -> Path:
    """Path of an embedded file, after its checksum was verified (once per process).

    Args:
        name: as in `names()`, for example "movenet_multipose.onnx".

    Raises:
        AssetError: the file is missing or its bytes are not the published ones.
    """
    published = checksum(name)
    path = _place(name)
    try:
        digest = sha256(path)
    except OSError as error:
        raise AssetError(f"The embedded file {name} cannot be read: {error}.", _ADVICE) from error
    if digest != published:
        raise AssetError(f"The embedded file {name} is damaged (wrong checksum).", _ADVICE)
    if name in _BESIDE:
        asset_path(_BESIDE[name])
    return path


def checksum(name: str) -> str:
    """The published SHA-256 of an embedded file; a name that is not one's leads nowhere.

    Raises:
        AssetError: there is no embedded file of that name.
    """
    try:
        return _checksums()[name]
    except KeyError:
        raise AssetError(f"There is no embedded file {name[:100]!r}.") from None


def _place(name: str) -> Path:
    weights = name.removeprefix(f"{OPEN_WEIGHTS}/")
    folder = open_weights_folder() if weights != name else None
    return folder / weights if folder else _FOLDER / name


@cache
def _checksums() -> dict[str, str]:
    """Raises AssetError where the list is missing or is none."""
    try:
        lines = _SUMS.read_text(encoding="ascii").split("\n")
        found = {name: digest for digest, name in (line.split() for line in lines if line)}
    except (OSError, ValueError):
        found = {}
    if not found:
        raise AssetError(f"The list of checksums {_SUMS} is missing or damaged.", _ADVICE)
    return found
