# SPDX-License-Identifier: GPL-3.0-or-later
"""What the command `staf blender` runs inside Blender; no part of the add-on imports it.

    blender --background --python staf_blender.py -- look
    blender --background --python staf_blender.py -- install ZIP PYTHON

The answer is one line: STAF-BLENDER, then a JSON object, which has `error` and `advice` where
Blender refuses.
"""

import contextlib
import json
import subprocess
import sys
import tomllib
import uuid
from pathlib import Path

import bpy

ID, REPOSITORY = "staf", "user_default"
_START_S = 120.0
"""The longest that the backend's Python may take to start.  Chosen: 20 s on a slow disk."""


class Refusal(Exception):
    """What is in the way, and what to do."""


def main(words: list[str]) -> dict:
    """Do what the words say."""
    try:
        return look() if words[0] == "look" else install(Path(words[1]), words[2])
    except Refusal as refusal:
        message, advice = refusal.args
        return {"error": message, "advice": advice}


def look() -> dict:
    """Which add-on is there, and which Python it runs."""
    installed = {
        module: version
        for module, folder in _repositories().items()
        if (version := _version(folder)) is not None
    }
    entry = bpy.context.preferences.addons.get(f"bl_ext.{next(iter(installed), REPOSITORY)}.{ID}")
    python = entry.preferences.backend_python if entry and entry.preferences else ""
    return {"installed": installed, "enabled": entry is not None, "python": python}


def install(archive: Path, python: str) -> dict:
    """Install or replace the add-on, enable it, and let it run this Python.

    Raises:
        Refusal: something is in the way; nothing was changed.
    """
    folder = _repositories().get(REPOSITORY)
    if folder is None:
        advice = "Add it: Preferences, Get Extensions, Repositories, Add Local Repository."
        raise Refusal('the repository "User Default" was removed.', advice)
    others = {m for m, f in _repositories().items() if m != REPOSITORY and _version(f)}
    if others:
        advice = "Remove it there first: Preferences, Get Extensions."
        raise Refusal(f"the add-on is installed from {', '.join(sorted(others))}.", advice)
    _check_writable(folder)
    _check_python(python)
    before = _version(folder)
    try:
        bpy.ops.extensions.package_install_files(
            repo=REPOSITORY, filepath=str(archive), enable_on_install=True, overwrite=True
        )
    except RuntimeError as error:
        raise Refusal(f"the add-on cannot be installed: {str(error).strip()}", "") from None
    entry = bpy.context.preferences.addons.get(f"bl_ext.{REPOSITORY}.{ID}")
    if entry is None or _version(folder) is None:
        raise Refusal("the add-on was installed, but cannot be enabled.", "Start Blender and look.")
    entry.preferences.backend_python = python
    bpy.ops.wm.save_userpref()
    return {"before": before, "version": _version(folder), "folder": str(folder / ID)}


def _repositories() -> dict[str, Path]:
    """Folder of each repository of extensions, by the name of its module."""
    repositories = bpy.context.preferences.extensions.repos
    return {one.module: Path(one.directory) for one in repositories if one.enabled}


def _version(folder: Path) -> str | None:
    try:
        return tomllib.loads((folder / ID / "blender_manifest.toml").read_text())["version"]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError):
        return "damaged"


def _check_writable(folder: Path) -> None:
    probe = folder / f".{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
    except OSError as error:
        reason = error.strerror or str(error)
        advice = "Let yourself write there, or start Blender once and try again."
        raise Refusal(
            f"the extensions folder {folder} cannot be written to: {reason}.", advice
        ) from None
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()


def _check_python(python: str) -> None:
    """Blender may see another disk than the command does, as in a sandbox."""
    command = [python, "-c", "import staf_backend"]
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=_START_S, check=False
        )
        reason = ended.stderr.strip().split("\n")[-1] if ended.returncode else ""
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = str(error)
    if reason:
        advice = "A Blender in a sandbox (Flatpak) cannot: use one of blender.org or Snap."
        raise Refusal(f"it cannot run {python}: {reason}.", advice)


if __name__ == "__main__":
    print("STAF-BLENDER " + json.dumps(main(sys.argv[sys.argv.index("--") + 1 :])), flush=True)
