"""A small reader of .glb files, independent of the writer: JSON, accessors, node matrices.

It knows nothing of bodies or motions; it follows the glTF 2.0 specification alone.
"""

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

_TYPES = {5121: "u1", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_SIZES = {"SCALAR": (), "VEC2": (2,), "VEC3": (3,), "VEC4": (4,), "MAT4": (4, 4)}


@dataclass(frozen=True)
class Glb:
    """A parsed file."""

    json: dict[str, Any]
    binary: bytes

    def array(self, number: int) -> np.ndarray:
        """An accessor's values; matrices as (row, column), normalised numbers as fractions."""
        accessor = self.json["accessors"][number]
        view = self.json["bufferViews"][accessor["bufferView"]]
        start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
        shape = (accessor["count"], *_SIZES[accessor["type"]])
        kind = np.dtype(_TYPES[accessor["componentType"]])
        flat = np.frombuffer(self.binary, kind, int(np.prod(shape)), start).reshape(shape)
        flat = flat.swapaxes(-1, -2) if accessor["type"] == "MAT4" else flat
        return flat / np.iinfo(kind).max if accessor.get("normalized") else flat

    def animation(self, name: str) -> dict[str, Any]:
        """The animation of that name."""
        return next(a for a in self.json["animations"] if a["name"] == name)

    def tracks(self, name: str) -> dict[tuple[int, str], tuple[np.ndarray, np.ndarray]]:
        """(node, path) to key times and values."""
        animation = self.animation(name)
        tracks = {}
        for channel in animation["channels"]:
            sampler = animation["samplers"][channel["sampler"]]
            assert sampler["interpolation"] == "LINEAR"
            target = channel["target"]
            values = self.array(sampler["input"]), self.array(sampler["output"])
            tracks[target["node"], target["path"]] = values
        return tracks

    def world(self, name: str | None = None, key: int = 0) -> np.ndarray:
        """Matrices (nodes, 4, 4) in the rest pose, or at a key of an animation."""
        nodes = self.json["nodes"]
        tracks = {} if name is None else self.tracks(name)
        matrices = np.tile(np.eye(4), (len(nodes), 1, 1))

        def visit(number: int, parent: np.ndarray) -> None:
            node = nodes[number]
            assert not {"scale", "matrix"} & node.keys()
            local = np.eye(4)
            local[:3, :3] = _turn(_value(node, tracks, number, "rotation", key, [0, 0, 0, 1]))
            local[:3, 3] = _value(node, tracks, number, "translation", key, [0, 0, 0])
            matrices[number] = parent @ local
            for child in node.get("children", []):
                visit(child, matrices[number])

        for number in self.json["scenes"][0]["nodes"]:
            visit(number, np.eye(4))
        return matrices

    def joints_m(self, person: int = 0, name: str | None = None, key: int = 0) -> np.ndarray:
        """World positions (J + 1, 3) of a skin's joints, the root bone first."""
        return self.world(name, key)[self.json["skins"][person]["joints"], :3, 3]

    def primitive(self, person: int = 0) -> dict[str, Any]:
        """The only primitive of a person's mesh."""
        (primitive,) = self.json["meshes"][person]["primitives"]
        return primitive

    def attribute(self, name: str, person: int = 0) -> np.ndarray:
        """A vertex attribute."""
        return self.array(self.primitive(person)["attributes"][name])

    def vertices_m(self, person: int = 0, name: str | None = None, key: int = 0) -> np.ndarray:
        """Skinned vertices (N, 3) in the world."""
        skin = self.json["skins"][person]
        bind = self.array(skin["inverseBindMatrices"])
        moves = self.world(name, key)[skin["joints"]] @ bind
        joints = self.attribute("JOINTS_0", person).astype(int)
        blended = (moves[joints] * self.attribute("WEIGHTS_0", person)[..., None, None]).sum(1)
        rest = self.attribute("POSITION", person)[..., None]
        return (blended[:, :3, :3] @ rest)[..., 0] + blended[:, :3, 3]


def read_glb(path: Path) -> Glb:
    """Parse a file, checking the container's lengths."""
    data = path.read_bytes()
    magic, version, length, size, kind = struct.unpack_from("<4sIII4s", data)
    assert (magic, version, length, kind) == (b"glTF", 2, len(data), b"JSON")
    binary_size, binary_kind = struct.unpack_from("<I4s", data, 20 + size)
    assert (binary_kind, 28 + size + binary_size) == (b"BIN\0", length)
    return Glb(json.loads(data[20 : 20 + size]), data[28 + size :])


def _value(
    node: dict[str, Any], tracks: Any, number: int, path: str, key: int, default: list[float]
) -> np.ndarray:
    if (number, path) in tracks:
        values = tracks[number, path][1]
        return values[min(key, len(values) - 1)].astype(float)  # held after the last key
    return np.array(node.get(path, default), float)


def _turn(xyzw: np.ndarray) -> np.ndarray:
    """The rotation matrix of a glTF quaternion: v' = v + 2 w (u x v) + 2 u x (u x v)."""
    x, y, z, w = xyzw
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + 2 * w * cross + 2 * cross @ cross
