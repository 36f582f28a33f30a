"""Read body model files of the SMPL family, told apart by content, never by name.

Read: the open body; SMPL, SMPL-H and SMPL-X as .npz or as the official .pkl.  Whatever the file,
`BodyArrays` holds SMPL's 24 joints, or SMPL-H's 52 where fingers are asked for; those that SMPL-H
and SMPL-X have beyond are folded into them (`fingers`).
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from staf_backend import StafError
from staf_backend.body.fingers import SKELETONS, WITH_FINGERS, fold, shared_joints, without_face
from staf_backend.body.params import SHAPE_COUNT
from staf_backend.body.pickles import RefusedNameError, read_pickled_arrays
from staf_backend.files import describe_arrays, describe_file, is_pickle, shown
from staf_backend.geometry import SMPL, Skeleton, check_parents

_NEEDED = (
    *("v_template", "f", "J_regressor", "weights", "kintree_table"),
    *("shapedirs", "posedirs"),
)
_OPTIONAL = ("uv", "f_uv", "vt", "ft", "vids_431", "license")
"""Members of an .npz or keys of a .pkl, by their official names."""
_FAMILY = {6890: "SMPL", 10475: "SMPL-X"}
"""By vertices: what to call a file that lacks something."""
_KINDS = {
    (vertices, len(SKELETONS[kind])): kind
    for vertices, kind in ((6890, "smpl"), (6890, "smplh"), (10475, "smplx"))
}
"""By vertices and joints."""
_STRANGERS = {778: "a MANO hand model", 5023: "a FLAME head model", 3889: "a SMAL animal model"}
"""By vertices: models of the same makers that are no bodies."""
_ADVICE = (
    "Give a model file from smpl.is.tue.mpg.de, mano.is.tue.mpg.de or smpl-x.is.tue.mpg.de, "
    "as .npz or .pkl, or leave the option out for the open body."
)
NO_FINGERS = "Use --hands off, or a body with fingers: the open ones, SMPL-H or SMPL-X."
_LARGEST_FILE_BYTES = 2_000_000_000
"""As it is, and unpacked.  Chosen: SMPL-X's largest, with 400 shapes, has about 540 MB."""
_LARGEST_NUMBER = 1e10
"""Metres, shares or places in a table.  Chosen: the largest real one is SMPL's 2^32 - 1, the parent
of the root; beyond this, sums and single precision overflow."""


class BodyError(StafError):
    """A body model cannot be read or found."""

    kind = "body"
    exit_code = 7


@dataclass(frozen=True, eq=False)
class BodyArrays:
    """A model file's numbers, checked.  V vertices, J joints: SMPL's 24, or 52 with fingers."""

    kind: str
    """"open", "smpl", "smplh" or "smplx"."""
    gender: str
    sha256: str
    template_m: np.ndarray
    """(V, 3) float64"""
    faces: np.ndarray
    """(F, 3) int32"""
    regressor: np.ndarray
    """(J, V) float64, rows sum to 1"""
    weights: np.ndarray
    """(V, J) float64, rows sum to 1"""
    shape_directions: np.ndarray
    """(V, 3, 10) float32"""
    pose_directions: np.ndarray | None
    """(V, 3, 9 (J - 1)) float32, or None where all are zero"""
    uvs: np.ndarray | None
    """(U, 2) float32, origin at the lower left"""
    uv_faces: np.ndarray | None
    """(F, 3) int32 into `uvs`"""
    reduced_vertices: np.ndarray | None
    """(431,) int64, where the file names them"""
    skeleton: Skeleton = SMPL
    """J joints"""


def read_body_file(path: Path, *, fingers: bool = False) -> BodyArrays:
    """Read and check a model file.

    Args:
        path: the file.
        fingers: keep the finger joints of SMPL-H and SMPL-X.

    Raises:
        BodyError: no such file; not a body (the message says what it is); something is missing,
            not finite or of the wrong shape; a pickle that asks for more than arrays; fingers of a
            file that has none.
    """
    arrays, digest = _read_arrays(path)
    kind = _identify(path, arrays)
    _check(path, kind, arrays)
    weights, regressor = (np.asarray(arrays[n], float) for n in ("weights", "J_regressor"))
    poses = np.asarray(arrays["posedirs"])
    if kind in ("smplh", "smplx"):
        folded = without_face if fingers else fold
        weights, regressor, poses = folded(kind, weights, regressor, poses)
    elif fingers:
        raise BodyError(f"{path} has no finger joints.", NO_FINGERS)
    uvs, uv_faces = _texture(path, arrays)
    reduced = _reduced_vertices(path, arrays)
    return BodyArrays(
        kind=kind,
        gender=_gender_in_name(path),
        sha256=digest,
        template_m=np.asarray(arrays["v_template"], np.float64),
        faces=np.asarray(arrays["f"], np.int32),
        regressor=regressor,
        weights=weights / weights.sum(1, keepdims=True),
        shape_directions=np.asarray(arrays["shapedirs"][..., :SHAPE_COUNT], np.float32),
        pose_directions=poses.astype(np.float32) if poses.any() else None,
        uvs=uvs,
        uv_faces=uv_faces,
        reduced_vertices=reduced,
        skeleton=WITH_FINGERS if fingers else SMPL,
    )


def _read_arrays(path: Path) -> tuple[Mapping[str, np.ndarray], str]:
    if not path.exists():
        raise BodyError(f"there is no body or file named {path}.", "Check the name or the path.")
    if path.is_dir():
        raise BodyError(f"{path} is a folder.", "Give one model file in it.")
    if not path.is_file():
        raise BodyError(f"{path} is a device, not a file.", _ADVICE)
    try:
        if path.stat().st_size > _LARGEST_FILE_BYTES:
            raise BodyError(f"{path} is larger than any body model.", _ADVICE)
        what, data = shown(describe_file(path)), path.read_bytes()
    except OSError as error:
        raise BodyError(f"cannot read {path}: {error.strerror}.") from error
    digest = hashlib.sha256(data).hexdigest()
    if data.startswith(b"PK\x03\x04") and "body or face model" in what:
        return _read_archive(path), digest
    if is_pickle(data) and what == "a Python pickle":
        return _read_pickle(path, data), digest
    raise BodyError(f"{path} is {what}, not a body model.", _ADVICE)


def _read_archive(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            names = [name for name in (*_NEEDED, *_OPTIONAL) if name in archive.files]
            _check_unpacked_size(path, archive, names)
            arrays = {name: archive[name] for name in names}
    except BodyError:
        raise
    except Exception as error:  # zipfile, zlib, struct and numpy each have their own
        if "Object arrays" in str(error) or "pickle" in str(error):
            reason = "an array in it holds Python objects, which could run code"
            raise BodyError(f"{path} is refused: {reason}.", _ADVICE) from error
        raise BodyError(f"{path} is damaged: {shown(str(error))}.", "Download it again.") from error
    return arrays


def _check_unpacked_size(path: Path, archive: np.lib.npyio.NpzFile, names: list[str]) -> None:
    """A megabyte of a compressed archive can hold a gigabyte of zeros."""
    packed = archive.zip
    assert packed is not None
    size = sum(i.file_size for i in packed.infolist() if i.filename.removesuffix(".npy") in names)
    if size > _LARGEST_FILE_BYTES:
        raise BodyError(f"{path} is larger than any body model once unpacked.", _ADVICE)


def _read_pickle(path: Path, data: bytes) -> dict[str, np.ndarray]:
    try:
        arrays = read_pickled_arrays(data)
    except RefusedNameError as error:
        reason = f"it asks Python for {error.name}, which no body model needs"
        advice = "It is no official model file, and may be malicious. " + _ADVICE
        raise BodyError(f"{path} is refused: {reason}.", advice) from None
    except ValueError as error:
        raise BodyError(f"{path} is a pickle but no body model: {error}.", _ADVICE) from error
    if "v_template" not in arrays:
        what = describe_arrays([shown(name) for name in arrays]).replace("NumPy archive", "pickle")
        raise BodyError(f"{path} is {what}, not a body model.", _ADVICE)
    return arrays


def _identify(path: Path, arrays: Mapping[str, np.ndarray]) -> str:
    vertices = len(arrays["v_template"]) if np.ndim(arrays["v_template"]) == 2 else 0
    if vertices in _STRANGERS:
        raise BodyError(f"{path} is {_STRANGERS[vertices]}, not a body model.", _ADVICE)
    missing = [name for name in _NEEDED if name not in arrays]
    family = _FAMILY.get(vertices, "body model")
    article = "a" if family == "body model" else "an"
    if missing:
        raise BodyError(f"{path} is {article} {family} file without {_list(missing)}.", _ADVICE)
    joints = np.shape(arrays["kintree_table"])[-1] if np.ndim(arrays["kintree_table"]) else 0
    if (vertices, joints) in _KINDS:
        return _KINDS[vertices, joints]
    if joints == len(SMPL) and "CC0" in str(arrays.get("license", "")):
        return "open"
    raise BodyError(
        f"{path} has {vertices} vertices and {joints} joints: not SMPL (6890, 24), "
        "SMPL-H (6890, 52), SMPL-X (10475, 55) or the open body.",
        _ADVICE,
    )


def _check(path: Path, kind: str, arrays: Mapping[str, np.ndarray]) -> None:
    vertices, joints = len(arrays["v_template"]), np.shape(arrays["kintree_table"])[-1]
    shapes = {
        "v_template": (vertices, 3),
        "f": (-1, 3),
        "J_regressor": (joints, vertices),
        "weights": (vertices, joints),
        "kintree_table": (2, joints),
        "shapedirs": (vertices, 3, -1),
        "posedirs": (vertices, 3, 9 * (joints - 1)),
    }
    for name, shape in shapes.items():
        _check_array(path, name, arrays[name], shape)
    faces = np.asarray(arrays["f"], np.int64)
    sums = [
        np.asarray(arrays["weights"], float).sum(1),
        np.asarray(arrays["J_regressor"], float).sum(1),
    ]
    rules = {
        "f names vertices that are not there": faces.min() < 0 or faces.max() >= vertices,
        "weights do not sum to 1": bool((abs(sums[0] - 1) > 1e-2).any()),
        "J_regressor rows do not sum to 1": bool((abs(sums[1] - 1) > 5e-2).any()),
        "shapedirs hold fewer than 10 shapes": arrays["shapedirs"].shape[2] < SHAPE_COUNT,
        "kintree_table is not SMPL's tree": not _has_smpl_tree(kind, arrays["kintree_table"]),
    }
    for words, broken in rules.items():
        if broken:
            raise BodyError(f"{path}: {words}.", _ADVICE)


def _check_array(path: Path, name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    found = np.shape(array)
    if len(found) != len(shape) or any(b not in (-1, a) for a, b in zip(found, shape, strict=True)):
        wanted = tuple("any" if size < 0 else size for size in shape)
        raise BodyError(f"{path}: {name} has shape {found}, expected {wanted}.", _ADVICE)
    if array.dtype.kind not in "biuf" or not array.size or not _is_moderate(array):
        raise BodyError(f"{path}: {name} must hold finite numbers.", _ADVICE)


def _is_moderate(array: np.ndarray) -> bool:
    return float(array.min()) >= -_LARGEST_NUMBER and float(array.max()) <= _LARGEST_NUMBER


def _has_smpl_tree(kind: str, table: np.ndarray) -> bool:
    parents = np.asarray(table)[0].astype(np.int64)
    parents[0] = -1  # stored as 2^32 - 1
    try:
        parents = check_parents(parents.tolist())
    except ValueError:
        return False
    shared = shared_joints(kind)
    return parents[:shared] == SMPL.parents[:shared]


def _texture(
    path: Path, arrays: Mapping[str, np.ndarray]
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Texture coordinates and their faces: `uv`, `f_uv` (open body) or `vt`, `ft` (SMPL-X)."""
    uvs = arrays.get("uv", arrays.get("vt"))
    faces = arrays.get("f_uv", arrays.get("ft"))
    if uvs is None or faces is None or np.shape(faces) != np.shape(arrays["f"]):
        return None, None
    _check_array(path, "uv", uvs, (-1, 2))
    _check_array(path, "f_uv", faces, np.shape(faces))
    if np.min(faces) < 0 or np.max(faces) >= len(uvs):
        raise BodyError(f"{path}: f_uv names texture coordinates that are not there.", _ADVICE)
    scale = 65535 if uvs.dtype.kind == "u" else 1
    return np.asarray(uvs / scale, np.float32), np.asarray(faces, np.int32)


def _reduced_vertices(path: Path, arrays: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """(431,) places of vertices, where the file has them."""
    reduced = arrays.get("vids_431")
    if reduced is None:
        return None
    _check_array(path, "vids_431", reduced, (-1,))
    if reduced.min() < 0 or reduced.max() >= len(arrays["v_template"]):
        raise BodyError(f"{path}: vids_431 names vertices that are not there.", _ADVICE)
    return np.asarray(reduced, np.int64)


def _gender_in_name(path: Path) -> str:
    """The files do not say; the names of the file and its folder do (SMPL_FEMALE, male/model)."""
    words = "female|male|neutral"
    for part, choice in ((path.stem, f"{words}|f|m"), (path.parent.name, words)):
        if found := re.search(rf"(?<![a-z])({choice})(?![a-z])", part.lower()):
            return {"f": "female", "m": "male"}.get(found[1], found[1])
    return "neutral"


def _list(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
