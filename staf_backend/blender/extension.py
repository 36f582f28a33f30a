"""The add-on as a Blender extension: its files, and the zip that Blender installs.

A wheel carries the files as data in `blender/addon_files`, without the open bodies, which are made
from those of `assets`; in a clone they are the folder `addon`.  They are GPL-3.0-or-later (their
LICENSE lies beside them) and run inside Blender only: nothing here imports them.
"""

import fnmatch
import json
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from staf_backend.blender.error import BlenderError
from staf_backend.files import replace_atomically, sha256

_PACKED = Path(__file__).with_name("addon_files")
_CLONE = Path(__file__).parents[2] / "addon"
_LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""Of every file in the zip, so that equal files give equal zips.  The earliest that zip knows."""
BESIDE = "backend.json"
"""Inside the zip: name and SHA-256 of the wheel that lies beside it, for Set Up Backend."""


@dataclass(frozen=True)
class Extension:
    """The add-on's files."""

    folder: Path
    name: str
    version: str

    @property
    def zip_name(self) -> str:
        return f"{self.name}-{self.version}.zip"


def extension() -> Extension:
    """The add-on of this installation.

    Raises:
        BlenderError: it is not there.
    """
    folder = next((f for f in (_PACKED, _CLONE) if (f / "blender_manifest.toml").is_file()), None)
    if folder is None:
        advice = "Install staf-backend from its wheel, or from a clone of the project."
        raise BlenderError("this installation lacks the add-on.", advice)
    manifest = _manifest(folder)
    return Extension(folder, manifest["id"], manifest["version"])


def write_zip(path: Path, wheel: Path | None = None) -> None:
    """Write the zip that Blender's "Install from Disk" takes, whole or not at all.

    Args:
        path: of the zip.
        wheel: of staf-backend, which will lie beside the zip, or where its address leads.

    Raises:
        BlenderError: the add-on is not there.
        OutputError: the zip cannot be written.
    """
    made = extension()
    with tempfile.TemporaryDirectory() as scratch, replace_atomically(path) as part:
        files = dict(_files(made.folder))
        if not any(name.startswith("bodies/") for name in files):
            files |= _bodies(Path(scratch))
        with zipfile.ZipFile(part, "w") as archive:
            contents = {name: file.read_bytes() for name, file in sorted(files.items())}
            if wheel is not None:
                told = {"wheel": wheel.name, "sha256": sha256(wheel)}
                contents[BESIDE] = json.dumps(told).encode()
            for name, content in contents.items():
                entry = zipfile.ZipInfo(name, _LONG_AGO)
                archive.writestr(entry, content, zipfile.ZIP_DEFLATED)


def _bodies(folder: Path) -> dict[str, Path]:
    from staf_backend.blender.bodies import write_bodies  # NumPy and the bodies: not for --help

    return {f"bodies/{path.name}": path for path in write_bodies(folder)}


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Name in the zip and place of each file that belongs into it."""
    rules = _manifest(folder)["build"]["paths_exclude_pattern"]
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not any(_excluded(name, rule) for rule in rules):
            yield name, path


def _excluded(name: str, rule: str) -> bool:
    """Whether a rule of the manifest names a file: "/a" at the top, "a/" a folder, "*.a" a kind."""
    places = name.split("/")
    parts = places[:-1] if rule.endswith("/") else places
    wanted = rule.strip("/")
    parts = parts[:1] if rule.startswith("/") else parts
    return any(fnmatch.fnmatchcase(part, wanted) for part in parts)


def _manifest(folder: Path) -> dict:
    return tomllib.loads((folder / "blender_manifest.toml").read_text(encoding="utf-8"))
