# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's own folders and preferences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy


def package_preferences() -> Any:
    """The add-on's preferences; None where it runs without an entry (`blender --addons`, tests)."""
    entry = bpy.context.preferences.addons.get(__package__)
    return entry.preferences if entry else None


def repository_address() -> str:
    """Address of the index that Blender has this extension from; empty for a file from disk."""
    parts = (__package__ or "").split(".")
    if len(parts) < 3 or parts[0] != "bl_ext":
        return ""
    found = [r for r in bpy.context.preferences.extensions.repos if r.module == parts[1]]
    return found[0].remote_url if found and found[0].use_remote_url else ""


def user_folder(name: str) -> Path:
    """A folder of the add-on's that survives updates."""
    if __package__ and __package__.startswith("bl_ext."):
        return Path(bpy.utils.extension_path_user(__package__, path=name, create=True))
    return Path(bpy.utils.user_resource("DATAFILES", path=f"staf/{name}", create=True))


def bodies_folder() -> Path:
    """Where users' own bodies are kept as plain arrays."""
    return user_folder("bodies")
