"""The bodies that a user has added: their paths and checksums, never their contents.

SMPL's files are licensed one user at a time, so nothing is copied.  The list is `bodies.json` in
the user's data folder, which STAF_HOME overrides.
"""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from staf_backend.body.files import BodyError
from staf_backend.files import OutputError, read_json_text, replace_atomically

_FORMAT = 1


@dataclass(frozen=True)
class KnownBody:
    """One remembered model file."""

    name: str
    path: str
    sha256: str
    kind: str
    gender: str

    def __post_init__(self) -> None:
        for field, value in asdict(self).items():
            if not isinstance(value, str) or not value:
                raise ValueError(f"{field} must be text, got {value!r}")


def data_folder() -> Path:
    """Where this software keeps what it remembers for the user; may not exist yet."""
    if home := os.environ.get("STAF_HOME"):
        return Path(home).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "staf"


def remembered() -> dict[str, KnownBody]:
    """The remembered bodies by name, in the order they were added.

    Raises:
        BodyError: the list cannot be read.
    """
    path = _list_path()
    try:
        content = read_json_text(path.read_bytes())
        if content["format"] != _FORMAT:
            raise ValueError(f"format {content['format']}, this version reads {_FORMAT}")
        return {entry["name"]: KnownBody(**entry) for entry in content["bodies"]}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        advice = "Delete it and add your bodies again with: staf body add FILE"
        raise BodyError(f"the list of bodies {path} cannot be read: {error}.", advice) from error


def remember(body: KnownBody) -> None:
    """Add a body to the list; one of the same name is replaced.

    Raises:
        BodyError: the list cannot be read.
        OutputError: the list cannot be written.
    """
    _write(remembered() | {body.name: body})


def _write(bodies: Mapping[str, KnownBody]) -> None:
    content = {"format": _FORMAT, "bodies": [asdict(entry) for entry in bodies.values()]}
    path = _list_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError.from_os(path, error) from error
    with replace_atomically(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def forget_below(folder: Path) -> None:
    """Take bodies whose files lie in a folder off the list.

    Raises:
        BodyError: the list cannot be read.
        OutputError: the list cannot be written.
    """
    bodies = remembered()
    left = {n: b for n, b in bodies.items() if not Path(b.path).is_relative_to(folder.resolve())}
    if len(left) < len(bodies):
        _write(left)


def _list_path() -> Path:
    return data_folder() / "bodies.json"
