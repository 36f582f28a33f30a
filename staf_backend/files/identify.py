"""Say in words what a file is, by its content: the half of an error message that helps."""

import zipfile
from collections.abc import Collection
from pathlib import Path

from staf_backend.files.limits import shown
from staf_backend.files.regular import open_file

_MAGIC = (
    (b"\x93NUMPY", "a single NumPy array (.npy)"),
    (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", "a PyTorch checkpoint (old format)"),
    (b"glTF", "a binary glTF model (.glb)"),
    (b"Kaydara FBX Binary", "an FBX model"),
    (b"BLENDER", "a Blender file"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive (or a compressed Blender file)"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x89HDF\r\n", "an HDF5 file"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"%PDF", "a PDF document"),
    (b"RIFF", "a RIFF file (WAV, AVI or WebP)"),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
)
"""How files of a kind begin, by the formats' own documents."""
_MOST_NAMES = 4
"""Of an archive's files in a sentence.  Chosen: one line of a terminal."""


def describe_file(path: Path) -> str:
    """A phrase such as "a Python pickle" or "an HTML page"; never raises for odd content.

    Raises:
        OSError: it cannot be read, or is a pipe or a device.
    """
    if path.is_dir():
        return "a folder"
    with open_file(path) as file:
        head = file.read(4096)
    if not head:
        return "an empty file"
    for magic, words in _MAGIC:
        if head.startswith(magic):
            return words
    if head[4:8] == b"ftyp":
        return "an MP4 or QuickTime video"
    if head.startswith(b"PK"):
        return _describe_zip(path)
    if is_pickle(head):
        return "a Python pickle"
    return _describe_text(head)


def is_pickle(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a pickle of any protocol."""
    binary = head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")
    return binary or head.startswith((b"(dp", b"(lp", b"}q", b"(d"))


def describe_arrays(names: Collection[str]) -> str:
    """What an archive of NumPy arrays with these names is."""
    names = set(names)
    if {"kind", "format", "header", "times_s"} <= names:
        return "a STAF motion"
    if "poses" in names and names & {"trans", "mocap_framerate", "mocap_frame_rate"}:
        return "an AMASS motion"
    if {"pose", "shape", "cam"} <= names:
        return "a file of SMPL mean parameters"
    if "v_template" in names:
        return "a body or face model of the SMPL family"
    if {"A", "U", "D"} <= names:
        return "a mesh downsampling file"
    if names & {"vt", "uv"} and names & {"ft", "f_uv", "faces_uv"}:
        return "an SMPL UV file (texture coordinates only)"
    return f"a NumPy archive with {_listed(sorted(names)) or 'nothing in it'}"


def _describe_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return "a damaged or truncated zip archive (.npz files are such archives)"
    if any(name.endswith("data.pkl") for name in names):
        return "a PyTorch checkpoint"
    if names and all(name.endswith(".npy") for name in names):
        return describe_arrays([name.removesuffix(".npy") for name in names])
    return f"a zip archive with {_listed(names)} (unpack it first)"


def _describe_text(head: bytes) -> str:
    try:
        text = head.decode("utf-8", errors="strict" if len(head) < 4096 else "ignore")
    except UnicodeDecodeError:
        return "a file of unknown kind"
    start = text.lstrip("\ufeff \t\r\n").lower()
    if start.startswith(("<!doctype html", "<html")):
        return "an HTML page (often a log-in page that was saved instead of the file)"
    if start.startswith("<"):
        return "an XML file"
    if start.startswith("hierarchy"):
        return "a BVH motion"
    if start.startswith("version https://git-lfs"):
        return "a Git LFS pointer, not the file itself"
    if any(f"\n{word} " in f"\n{start}" for word in ("v", "vt", "mtllib")):
        return "a Wavefront OBJ mesh"
    if start.startswith(("{", "[")):
        return "a JSON text"
    return "a text file" if "\0" not in text else "a file of unknown kind"


def _listed(names: Collection[str]) -> str:
    first = ", ".join(shown(name) for name in list(names)[:_MOST_NAMES])
    return first + (f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else "")
