# SPDX-License-Identifier: GPL-3.0-or-later
"""A change to a .glb that Blender's exporter has no setting for.  Standard library only."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

_HEADER, _CHUNK = 12, 8
"""Bytes of the file's header and of a chunk's: glTF 2.0, 4.4."""


def put_skins_at_the_root(path: Path) -> None:
    """Make skinned meshes that hang below something roots of the scene.

    Where they hang means nothing, since their bones alone place them, but the standard asks for
    roots: some programs apply the place of what they hang below a second time.
    """
    data = path.read_bytes()
    start = _HEADER + _CHUNK
    size = int.from_bytes(data[_HEADER : _HEADER + 4], "little")
    document = json.loads(data[start : start + size])
    if not _moved(document):
        return
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    rest = data[start + size :]
    head = struct.pack("<4sII", b"glTF", 2, start + len(text) + len(rest))
    path.write_bytes(head + struct.pack("<I4s", len(text), b"JSON") + text + rest)


def _moved(document: dict[str, Any]) -> bool:
    """Whether something was moved."""
    nodes = document.get("nodes", [])
    skins = {n for n, node in enumerate(nodes) if "skin" in node and not node.get("children")}
    hanging = [child for node in nodes for child in node.get("children", []) if child in skins]
    for node in nodes:
        if skins & set(node.get("children", [])):
            kept = [child for child in node["children"] if child not in skins]
            node["children"] = kept
            if not kept:
                del node["children"]
    for number in hanging:
        for word in ("translation", "rotation", "scale", "matrix"):
            nodes[number].pop(word, None)
    document["scenes"][document.get("scene", 0)]["nodes"] += hanging
    return bool(hanging)
