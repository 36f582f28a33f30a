"""Motion: one person's movement; its file; nothing but numpy.

Axes: y up, metres, seconds; the camera stands at the origin and looks along -z unless the motion
says otherwise.  T keys, J joints, B shape numbers, K key points.

The motion file (`save_motion`, `load_motion`) is a NumPy .npz archive without pickles.  It is
self-describing, so that a reader needs no table of any body.  Members:

| member           | type, shape          | meaning                                               |
|------------------|----------------------|-------------------------------------------------------|
| `format`         | int64 ()             | 1; a reader refuses a higher number                   |
| `kind`           | str ()               | always "staf-motion"                                  |
| `header`         | str ()               | JSON text in ASCII, below                             |
| `times_s`        | float64 (T,)         | seconds in the clip, strictly increasing              |
| `frames`         | int64 (T,)           | frame numbers in the video                            |
| `rotations_wxyz` | float32 (T, J, 4)    | unit quaternions, parent-relative; joint 0 global |
| `root_m`         | float64 (T, 3)       | world position of joint 0, the pelvis                 |
| `observed`       | bool (T,)            | False where the pose was filled in, not seen          |
| `betas`          | float64 (B,)         | shape of the body named in the header, of no other    |
| `rest_joints_m`  | float64 (J, 3)       | joints of the shaped body in its T-pose               |
| `joint_names`    | str (J,)             |                                                       |
| `parents`        | int64 (J,)           | -1 for joint 0; parents come before children          |
| `keypoints_px`   | float32 (T, K, 3)    | optional: x, y, confidence in the upright image       |
| `keypoint_names` | str (K,)             | only with `keypoints_px`                              |

The header holds `name` (of the clip), `body`, `gender`, `source` (file name), `source_fps`,
`person`, `estimator`, `version` (of this software), `quality` (word to number) and `camera`:
`focal_px`, `focal_assumed`, `width_px`, `height_px`, `principal_point_px` (2), `rotation_wxyz` (4),
`position_m` (3), `rotation_deg`; see `Camera`.  Unknown members and header words are ignored.
Equal motions give equal bytes.
"""

import dataclasses
import json
import math
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from staf_backend import StafError, __version__
from staf_backend.files.atomic import replace_atomically
from staf_backend.files.identify import describe_file
from staf_backend.geometry.rotations import from_quaternions
from staf_backend.geometry.skeleton import JOINT_NAMES, PARENTS, check_parents, forward_kinematics

FORMAT = 1
KIND = "staf-motion"
_UNIT_TOLERANCE = 1e-3
_TEXT_FIELDS = ("name", "body", "gender", "source", "estimator", "version")


class MotionError(StafError):
    """A motion is not sound, or a motion file cannot be read."""

    kind = "motion"
    exit_code = 8


@dataclass(frozen=True, eq=False)
class Camera:
    """The pinhole camera that saw a motion, in the motion's axes.

    Like glTF's camera it looks along its own -z with y up; by default it stands at the origin
    with no rotation.  Pixels are those of the upright image: x right, y down, (0, 0) the outer
    corner of the first pixel.
    """

    focal_px: float
    width_px: int
    height_px: int
    focal_assumed: bool = True
    """True where the focal length is a guess, False where it was measured or read."""
    principal_point_px: np.ndarray = None  # type: ignore[assignment]  # the image's middle
    """(2,) x, y."""
    rotation_wxyz: np.ndarray = field(default_factory=lambda: np.array([1.0, 0.0, 0.0, 0.0]))
    """(4,) turns camera axes into the motion's."""
    position_m: np.ndarray = field(default_factory=lambda: np.zeros(3))
    """(3,)"""
    rotation_deg: int = 0
    """Clockwise turn that made the stored frames upright: 0, 90, 180 or 270."""

    def __post_init__(self) -> None:
        middle = [self.width_px / 2, self.height_px / 2]
        point = middle if self.principal_point_px is None else self.principal_point_px
        _store(self, "principal_point_px", point, np.float64, (2,))
        _store(self, "rotation_wxyz", self.rotation_wxyz, np.float64, (4,))
        _store(self, "position_m", self.position_m, np.float64, (3,))
        _require(self.width_px > 0 and self.height_px > 0, "width_px and height_px", "positive")
        _require(math.isfinite(self.focal_px) and self.focal_px > 0, "focal_px", "positive")
        _require(self.rotation_deg in (0, 90, 180, 270), "rotation_deg", "0, 90, 180 or 270")
        _require_unit(self.rotation_wxyz, "camera.rotation_wxyz")


@dataclass(frozen=True, eq=False)
class Motion:
    """One person's movement: y up, metres, seconds.  Arrays are copied, checked and read-only.

    Raises:
        MotionError: a field has the wrong shape, is not finite, or breaks its rule; the message
            names the field.
    """

    times_s: np.ndarray
    """(T,) float64, strictly increasing, T >= 1."""
    frames: np.ndarray
    """(T,) int64 frame numbers in the video, strictly increasing."""
    rotations_wxyz: np.ndarray
    """(T, J, 4) float32 unit quaternions, parent-relative; joint 0 in the world."""
    root_m: np.ndarray
    """(T, 3) float64 world position of the pelvis joint (SMPL's trans is this minus J0)."""
    observed: np.ndarray
    """(T,) bool, False where the pose was filled in."""
    body: str
    """Name of the body that `betas` belong to."""
    betas: np.ndarray
    """(B,) float64, one shape for the clip; B is 10 for every body of ours."""
    rest_joints_m: np.ndarray
    """(J, 3) float64 joints of the shaped body in its T-pose."""
    camera: Camera
    gender: str = "neutral"
    joint_names: tuple[str, ...] = JOINT_NAMES
    parents: tuple[int, ...] = PARENTS
    name: str = "motion"
    """Name of the clip."""
    source: str = ""
    """File name of the video."""
    source_fps: float = 0.0
    """The video's nominal rate; 0 where unknown."""
    person: int = 1
    estimator: str = ""
    """What made the poses: "landmarks" or "staf"."""
    version: str = __version__
    quality: Mapping[str, float] = field(default_factory=dict)
    keypoints_px: np.ndarray | None = None
    """(T, K, 3) x, y, confidence that the estimator reported, or None."""
    keypoint_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_names(self)
        count, joints = np.size(self.times_s), len(self.joint_names)
        _require(count > 0, "times_s", "at least one key")
        for name, kind, shape in (
            ("times_s", np.float64, (count,)),
            ("frames", np.int64, (count,)),
            ("rotations_wxyz", np.float32, (count, joints, 4)),
            ("root_m", np.float64, (count, 3)),
            ("observed", np.bool_, (count,)),
            ("betas", np.float64, (np.size(self.betas),)),
            ("rest_joints_m", np.float64, (joints, 3)),
        ):
            _store(self, name, getattr(self, name), kind, shape)
        if self.keypoints_px is not None:
            shape = (count, len(self.keypoint_names), 3)
            _store(self, "keypoints_px", self.keypoints_px, np.float32, shape)
        for name in ("times_s", "frames"):
            _require(bool((np.diff(getattr(self, name)) > 0).all()), name, "strictly increasing")
        _require_unit(self.rotations_wxyz, "rotations_wxyz")


def joints_m(motion: Motion) -> np.ndarray:
    """Global joint positions (T, J, 3) in metres, float64: forward kinematics of all keys."""
    rotations = from_quaternions(motion.rotations_wxyz.astype(np.float64))
    return forward_kinematics(rotations, motion.rest_joints_m, motion.root_m, motion.parents)[1]


def save_motion(path: str | os.PathLike[str], motion: Motion) -> None:
    """Write a motion file (layout at the head of this module), whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    write_arrays(path, _members(motion))


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, Any]) -> None:
    """Write an .npz whose bytes depend on the arrays alone (numpy's own carries the clock).

    Raises:
        OutputError: the file cannot be written.
        ValueError: an array holds Python objects.
    """
    with replace_atomically(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            entry.create_system = 3
            with archive.open(entry, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=False)


def load_motion(path: str | os.PathLike[str]) -> Motion:
    """Read a motion file.

    Raises:
        MotionError: there is no such file, it is truncated, holds pickled objects, was written by
            a newer version, is not a motion, or breaks a rule of `Motion`.
    """
    path = Path(path)
    members = _read_members(path)
    try:
        return _from_members(members)
    except MotionError as error:
        raise MotionError(f"{path} is not a sound motion: {error.message}", error.advice) from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise MotionError(f"{path} is not a sound motion: {reason}.", _CONVERT_AGAIN) from error


_CONVERT_AGAIN = "Convert the video again."


def _members(motion: Motion) -> dict[str, Any]:
    header = {name: getattr(motion, name) for name in _TEXT_FIELDS}
    header |= {"source_fps": motion.source_fps, "person": motion.person}
    header |= {"quality": dict(motion.quality), "camera": _camera_header(motion.camera)}
    names = ("times_s", "frames", "rotations_wxyz", "root_m", "observed", "betas", "rest_joints_m")
    members: dict[str, Any] = {"format": np.int64(FORMAT), "kind": KIND}
    members["header"] = json.dumps(header, sort_keys=True, allow_nan=False)
    members |= {name: getattr(motion, name) for name in names}
    members["joint_names"] = np.array(motion.joint_names)
    members["parents"] = np.array(motion.parents, np.int64)
    if motion.keypoints_px is not None:
        members["keypoints_px"] = motion.keypoints_px
        members["keypoint_names"] = np.array(motion.keypoint_names, np.str_)
    return members


def _camera_header(camera: Camera) -> dict[str, Any]:
    values = {f.name: getattr(camera, f.name) for f in dataclasses.fields(camera)}
    return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}


def _read_members(path: Path) -> dict[str, np.ndarray]:
    if not path.exists():
        raise MotionError(f"{path} does not exist.", "Check the path.")
    try:
        what = describe_file(path)
        if what != "a STAF motion":
            raise MotionError(f"{path} is {what}, not a STAF motion.", "Give a motion.npz file.")
        with np.load(path, allow_pickle=False) as archive:
            _check_format(path, archive)
            return {name: archive[name] for name in archive.files}
    except OSError as error:
        raise MotionError(f"cannot read {path}: {error.strerror or error}.") from error
    except (ValueError, EOFError, zipfile.BadZipFile, zipfile.LargeZipFile) as error:
        if "pickle" in str(error) or "Object arrays" in str(error):
            reason = "it holds pickled objects, which could run code"
            raise MotionError(f"{path} is refused: {reason}.", _CONVERT_AGAIN) from error
        raise MotionError(f"{path} is damaged: {error}.", _CONVERT_AGAIN) from error
    except Exception as error:  # zlib.error, struct.error, NotImplementedError: all mean damage
        if isinstance(error, StafError):
            raise
        raise MotionError(f"{path} is damaged: {error}.", _CONVERT_AGAIN) from error


def _check_format(path: Path, archive: Mapping[str, np.ndarray]) -> None:
    if str(archive["kind"]) != KIND:
        raise MotionError(f"{path} says it is {str(archive['kind'])!r}, not a STAF motion.")
    number = int(archive["format"])
    if number != FORMAT:
        raise MotionError(
            f"{path} has format {number}; this version ({__version__}) reads {FORMAT}.",
            "Update staf-backend." if number > FORMAT else "",
        )


def _from_members(members: Mapping[str, np.ndarray]) -> Motion:
    header = json.loads(str(members["header"]))
    camera_words = {f.name for f in dataclasses.fields(Camera)}
    camera = Camera(**{k: v for k, v in header["camera"].items() if k in camera_words})
    values: dict[str, Any] = {
        f.name: members[f.name] for f in dataclasses.fields(Motion) if f.name in members
    }
    for name in ("joint_names", "keypoint_names"):
        if name in values:
            values[name] = tuple(str(word) for word in values[name])
    values["parents"] = tuple(int(parent) for parent in members["parents"])
    values |= {name: header[name] for name in (*_TEXT_FIELDS, "source_fps", "person", "quality")}
    return Motion(camera=camera, **values)


def _check_names(motion: Motion) -> None:
    for name in _TEXT_FIELDS:
        _require(isinstance(getattr(motion, name), str), name, "text")
    names = motion.joint_names
    _require(len(set(names)) == len(names) > 0, "joint_names", "different words, at least one")
    _require(len(motion.parents) == len(names), "parents", f"{len(names)} numbers")
    try:
        object.__setattr__(motion, "parents", check_parents(motion.parents))
    except ValueError as error:
        raise MotionError(f"{error}.") from None
    object.__setattr__(motion, "joint_names", tuple(names))
    object.__setattr__(motion, "keypoint_names", tuple(motion.keypoint_names))
    _require(motion.body != "", "body", "a name")
    whole = isinstance(motion.person, int | np.integer) and motion.person >= 0
    _require(whole, "person", "a whole number")
    object.__setattr__(motion, "person", int(motion.person))
    sound = math.isfinite(motion.source_fps) and motion.source_fps >= 0
    _require(sound, "source_fps", "a finite rate, 0 where unknown")
    for word, value in motion.quality.items():
        _require(math.isfinite(value), f"quality[{word!r}]", "a finite number")
    numbers = {str(word): float(value) for word, value in motion.quality.items()}
    object.__setattr__(motion, "quality", numbers)


def _store(owner: Any, name: str, value: Any, kind: type, shape: tuple[int, ...]) -> None:
    """Replace a field by a checked, read-only copy of its own; one that is so already is kept."""
    source = np.asarray(value)
    whole = np.issubdtype(kind, np.integer) or kind is np.bool_
    if whole and source.dtype.kind not in "biu":
        raise MotionError(f"{name} must be of type {np.dtype(kind)}, got {source.dtype}.")
    if source.dtype.kind not in "biuf":
        raise MotionError(f"{name} must hold numbers, got {source.dtype}.")
    frozen = source.dtype == kind and source.base is None and not source.flags.writeable
    array = source if frozen else np.array(source, kind)
    if array.shape != shape:
        raise MotionError(f"{name} must have shape {shape}, got {array.shape}.")
    _require(bool(np.isfinite(array).all()), name, "finite (it holds NaN or infinity)")
    array.setflags(write=False)
    object.__setattr__(owner, name, array)


def _require(condition: bool, name: str, rule: str) -> None:
    if not condition:
        raise MotionError(f"{name} must be {rule}.")


def _require_unit(quaternions: np.ndarray, name: str) -> None:
    length = np.sqrt(np.einsum("...i,...i->...", quaternions, quaternions))
    _require(bool((abs(length - 1) <= _UNIT_TOLERANCE).all()), name, "unit quaternions")
