"""Motion files as somebody makes them who means harm: each a change to a sound one."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from staf_backend.motion import save_motion
from tests.support.sample_motions import with_all

ESCAPES = "\x1b]0;x\x07\u202e"
"""What a terminal obeys, and what turns a line around."""


def hostile(path: Path, **changes: Any) -> Path:
    """A sound motion file with members replaced, or removed where None.

    Args:
        path: of the file.
        changes: arrays, or bytes that stand for a whole member; `header` and `camera` are words
            that replace those of the header and of its camera.
    """
    save_motion(path, with_all())
    with zipfile.ZipFile(path) as archive:
        members = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    header = json.loads(str(np.load(io.BytesIO(members["header.npy"]))))
    header |= changes.pop("header", {})
    header["camera"] |= changes.pop("camera", {})
    changes["header"] = np.array(json.dumps(header))
    for name, value in changes.items():
        members[f"{name}.npy"] = value if isinstance(value, bytes) else packed(value)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def packed(array: Any) -> bytes:
    """An array as an archive's member holds it."""
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asanyarray(array), allow_pickle=False)
    return stream.getvalue()


def only_a_head(kind: str, shape: str) -> bytes:
    """A member that says a type and a shape, and holds nothing."""
    text = f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}\n".encode("latin-1")
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def with_damaged_member(path: Path, name: str) -> Path:
    """A sound motion file with one more member, whose data are none of what they should be."""
    hostile(path, **{name: b"MARK" * 100})
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo(f"{name}.npy")
    data = bytearray(path.read_bytes())
    start = entry.header_offset + 30 + len(entry.filename)
    data[start : start + entry.compress_size] = b"\xff" * entry.compress_size
    path.write_bytes(bytes(data))
    return path


def lying(path: Path, name: str, unpacked_bytes: int) -> Path:
    """A sound motion file whose directory says another size of a member than it has."""
    hostile(path)
    with zipfile.ZipFile(path) as archive:
        true = archive.getinfo(f"{name}.npy").file_size
    data = path.read_bytes()
    entry = data.rindex(f"{name}.npy".encode()) - 46
    place = entry + 24
    assert data[entry : entry + 4] == b"PK\x01\x02"
    assert data[place : place + 4] == true.to_bytes(4, "little")
    path.write_bytes(data[:place] + unpacked_bytes.to_bytes(4, "little") + data[place + 4 :])
    return path
