# SPDX-License-Identifier: GPL-3.0-or-later
"""Bone maps that the user saved, found again by the names of a rig's bones."""

import hashlib
from collections.abc import Collection
from pathlib import Path

from .map_file import BoneMap, read_map, write_map


def path_of(folder: Path, bones: Collection[str]) -> Path:
    """Where the map of a rig with these bones is kept."""
    text = "\n".join(sorted(bones))
    return folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"


def keep(folder: Path, bones: Collection[str], bone_map: BoneMap, rig: str) -> Path:
    """Keep a map for the next time.

    Raises:
        RetargetError: it cannot be written.
    """
    path = path_of(folder, bones)
    write_map(path, bone_map, rig)
    return path


def find(folder: Path, bones: Collection[str]) -> BoneMap | None:
    """The map that was kept for a rig with these bones.

    Raises:
        RetargetError: there is one, which cannot be used.
    """
    path = path_of(folder, bones)
    return read_map(path) if path.exists() else None
