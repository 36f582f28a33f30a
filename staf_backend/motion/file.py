"""The motion file.

A NumPy .npz archive without pickles that describes itself, so that a reader needs no table of any
body.  T keys, J joints, B shape numbers, K key points, C parts in contact.  Members, of which those
below the line are optional:

| member           | type, shape          | meaning                                               |
|------------------|----------------------|-------------------------------------------------------|
| `format`         | int64 ()             | 2; 1 lacks what is marked 2, else the same            |
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
|------------------|----------------------|-------------------------------------------------------|
| `keypoints_px`   | float32 (T, K, 3)    | x, y, confidence in the upright image                 |
| `keypoint_names` | str (K,)             | with `keypoints_px`                                   |
| `camera_rotations_wxyz` | float32 (T, 4) | 2: camera axes into the motion's, at each key        |
| `camera_positions_m`    | float64 (T, 3) | 2: with `camera_rotations_wxyz`                      |
| `contact_probability`   | float32 (T, C) | 2: that a part stays on its spot, 0..1               |
| `contact_names`         | str (C,)       | 2: with `contact_probability`; see `contacts.PARTS`  |
| `raw_rotations_wxyz`    | float32 (T, J, 4) | 2: before grounding, in the same axes             |
| `raw_root_m`            | float64 (T, 3) | 2: with `raw_rotations_wxyz`                         |
| `hand_seen`             | bool (T, 2)    | 2: left, right; False where fingers were filled in   |

The header holds `name` (of the clip), `body`, `gender`, `source` (file name), `source_fps`,
`person`, `estimator`, `version` (of this software), `quality` (word to number) and `camera`:
`focal_px`, `focal_assumed`, `width_px`, `height_px`, `principal_point_px` (2), `rotation_wxyz` (4),
`position_m` (3), `rotation_deg`, `motion`; see `Camera`.  It may hold `contacts`, a list of
`part`, `start_s`, `end_s`, `floor_m` (see `ContactSpan`), `card`, an object, and `configuration`,
the name of STAF's network in the paper.  Unknown members and header words are ignored, and what is
beyond `ranges` is refused.  Equal motions give equal bytes.
"""

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from staf_backend import __version__
from staf_backend.files import (
    ArchiveError,
    PickledError,
    check_values,
    describe_file,
    read_arrays,
    read_json_text,
    shown,
    write_arrays,
)
from staf_backend.geometry import Camera, CameraPath, Skeleton
from staf_backend.motion.contacts import ContactSpan
from staf_backend.motion.motion import TEXT_FIELDS, Motion, MotionError
from staf_backend.motion.ranges import KINDS, check_header, check_members

FORMAT = 2
"""The layout above, and the highest number that is read."""
KIND = "staf-motion"
_CONVERT_AGAIN = "Convert the video again."
_LONGEST_REASON = 300
"""Characters of a message.  Chosen: the longest list of our own words has 200."""


def save_motion(path: str | os.PathLike[str], motion: Motion) -> None:
    """Write a motion file (layout at the head of this module), whole or not at all.

    Raises:
        MotionError: it holds what `load_motion` refuses; nothing is written.
        OutputError: the file cannot be written.
    """
    words = json.dumps(_header(motion), sort_keys=True, allow_nan=False)
    members = _members(motion, words)
    try:
        check_members(members)
        check_header(json.loads(words))
    except ValueError as error:
        reason = shown(str(error), _LONGEST_REASON)
        message = f"cannot write {path}: no motion file holds this: {reason}."
        raise MotionError(message) from None
    write_arrays(path, members)


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
        reason = shown(error.message, _LONGEST_REASON)
        raise MotionError(f"{path} is not a sound motion: {reason}", error.advice) from None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        reason = shown(reason, _LONGEST_REASON)
        raise MotionError(f"{path} is not a sound motion: {reason}.", _CONVERT_AGAIN) from error


def _header(motion: Motion) -> dict[str, Any]:
    header = {name: getattr(motion, name) for name in TEXT_FIELDS}
    header |= {"source_fps": motion.source_fps, "person": motion.person}
    header |= {"quality": dict(motion.quality), "camera": _camera_header(motion.camera)}
    if motion.configuration:
        header["configuration"] = motion.configuration
    if motion.contacts:
        header["contacts"] = [dataclasses.asdict(span) for span in motion.contacts]
    if motion.card:
        header["card"] = dict(motion.card)
    return header


def _members(motion: Motion, header: str) -> dict[str, Any]:
    names = ("times_s", "frames", "rotations_wxyz", "root_m", "observed", "betas", "rest_joints_m")
    members: dict[str, Any] = {"format": np.int64(FORMAT), "kind": KIND, "header": header}
    members |= {name: getattr(motion, name) for name in names}
    members["joint_names"] = np.array(motion.skeleton.names)
    members["parents"] = np.array(motion.skeleton.parents, np.int64)
    if motion.keypoints_px is not None:
        members["keypoints_px"] = motion.keypoints_px
        members["keypoint_names"] = np.array(motion.keypoint_names, np.str_)
    return members | _members_of_format_2(motion)


def _members_of_format_2(motion: Motion) -> dict[str, Any]:
    members: dict[str, Any] = {}
    if motion.camera_path is not None:
        members["camera_rotations_wxyz"] = motion.camera_path.rotations_wxyz.astype(np.float32)
        members["camera_positions_m"] = motion.camera_path.positions_m
    if motion.contact_probability is not None:
        members["contact_probability"] = motion.contact_probability
        members["contact_names"] = np.array(motion.contact_names, np.str_)
    for name in ("raw_rotations_wxyz", "raw_root_m", "hand_seen"):
        if getattr(motion, name) is not None:
            members[name] = getattr(motion, name)
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
        members = read_arrays(path, KINDS)
    except OSError as error:
        raise MotionError(f"cannot read {path}: {error.strerror or error}.") from error
    except PickledError as error:
        raise MotionError(f"{path} is refused: {error}.", _CONVERT_AGAIN) from error
    except ArchiveError as error:
        raise MotionError(f"{path} is damaged: {error}.", _CONVERT_AGAIN) from error
    _check_format(path, members)
    return members


def _check_format(path: Path, members: Mapping[str, np.ndarray]) -> None:
    if any(members[name].shape for name in ("kind", "format", "header")):
        raise MotionError(f"{path} is damaged: its head is a list.", _CONVERT_AGAIN)
    if str(members["kind"]) != KIND:
        raise MotionError(f"{path} says it is {shown(str(members['kind']))}, not a STAF motion.")
    number = int(members["format"])
    if not 1 <= number <= FORMAT:
        raise MotionError(
            f"{path} has format {number}; this version ({__version__}) reads 1 to {FORMAT}.",
            "Update staf-backend." if number > FORMAT else "",
        )


def _from_members(members: Mapping[str, np.ndarray]) -> Motion:
    words = str(members["header"])
    check_values(words)
    header = read_json_text(words)
    check_members(members)
    check_header(header)
    camera_words = {f.name for f in dataclasses.fields(Camera)}
    camera = Camera(**{k: v for k, v in header["camera"].items() if k in camera_words})
    values: dict[str, Any] = {
        f.name: members[f.name] for f in dataclasses.fields(Motion) if f.name in members
    }
    for name in ("keypoint_names", "contact_names"):
        if name in values:
            values[name] = tuple(str(word) for word in values[name])
    values["camera_path"] = _camera_path(members)
    values["contacts"] = tuple(ContactSpan(**_span(span)) for span in header.get("contacts", ()))
    values["card"] = header.get("card", {})
    values["configuration"] = header.get("configuration", "")
    values["skeleton"] = _skeleton(members["joint_names"], members["parents"])
    values |= {name: header[name] for name in (*TEXT_FIELDS, "source_fps", "person", "quality")}
    return Motion(camera=camera, **values)


def _span(span: Any) -> dict[str, Any]:
    """
    Raises:
        ValueError: a contact that is no object, or lacks a word.
    """
    words = [f.name for f in dataclasses.fields(ContactSpan)]
    if not isinstance(span, dict) or any(word not in span for word in words):
        raise ValueError(f"contact {span} must have {', '.join(words)}")
    return {word: span[word] for word in words}


def _camera_path(members: Mapping[str, np.ndarray]) -> CameraPath | None:
    if "camera_rotations_wxyz" not in members:
        return None
    return CameraPath(members["camera_rotations_wxyz"], members["camera_positions_m"])


def _skeleton(names: np.ndarray, parents: np.ndarray) -> Skeleton:
    """
    Raises:
        MotionError: they are no skeleton.
    """
    try:
        return Skeleton(tuple(str(name) for name in names), tuple(int(p) for p in parents))
    except ValueError as error:
        raise MotionError(f"{error}.") from None
