# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a motion file: a NumPy archive without pickles that describes itself.

Axes in the file: y up, metres, seconds; quaternions (w, x, y, z), parent-relative.
T keys, J joints, B shape numbers, K key points.  Of what format 2 has and format 1 lacks, the
camera's path, the contacts, the card, which hands were seen and, on request, the raw motion are
read.  This reader shares no code with the software that writes the file; one test holds the two
together.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..archive import ArchiveError, PickledError, open_file, read_arrays
from ..json_text import read_json_text
from ..names import BODY_NAME, in_a_line, is_plain
from ..user_error import UserError
from .ranges import KINDS, MOST_JOINTS, BeyondRangeError, check_header, check_members

FORMAT = 2
KIND = "staf-motion"
CAMERA_WORDS = "still, rotating, moving, unsure"
_AGAIN = "Convert the video again."


class MotionFileError(UserError):
    """A file is not a motion, or not one that can be used."""


@dataclass(frozen=True, eq=False)
class FilmCamera:
    """The pinhole camera that filmed; looks along its own -z with y up, in the motion's axes."""

    focal_px: float
    width_px: int
    height_px: int
    focal_assumed: bool
    principal_point_px: np.ndarray
    """(2,) x right, y down, from the upright image's outer corner."""
    rotation_wxyz: np.ndarray
    """(4,) camera axes to the motion's."""
    position_m: np.ndarray
    """(3,)"""
    rotation_deg: int
    """Clockwise turn that made the stored frames upright."""
    motion: str = "still"
    """"still", "rotating", "moving", or "unsure"."""
    rotations_wxyz: np.ndarray | None = None
    """(T, 4) where the camera was followed: as `rotation_wxyz`, at each key; else None."""
    positions_m: np.ndarray | None = None
    """(T, 3) with `rotations_wxyz`."""

    def __post_init__(self) -> None:
        sizes = (self.focal_px, self.width_px, self.height_px)
        _require(all(math.isfinite(x) and x > 0 for x in sizes), "camera", "have positive sizes")
        _require(self.rotation_deg in (0, 90, 180, 270), "rotation_deg", "be 0, 90, 180 or 270")
        _check(self, "principal_point_px", (2,), "f")
        _check(self, "rotation_wxyz", (4,), "f")
        _check(self, "position_m", (3,), "f")
        _require_unit(self.rotation_wxyz, "camera rotation")
        _require(
            self.motion in CAMERA_WORDS.split(", "), "camera motion", f"be one of {CAMERA_WORDS}"
        )
        if self.rotations_wxyz is not None:
            keys = len(np.atleast_1d(self.rotations_wxyz))
            _check(self, "rotations_wxyz", (keys, 4), "f")
            _check(self, "positions_m", (keys, 3), "f")
            _require_unit(self.rotations_wxyz, "camera_rotations_wxyz")


@dataclass(frozen=True)
class ContactSpan:
    """A stretch of time in which a part of the body stays on one spot."""

    part: str
    """left_heel, left_toe, right_heel, right_toe, or another part."""
    start_s: float
    end_s: float
    floor_m: float
    """Height of the ground there, in the motion's axes."""

    def __post_init__(self) -> None:
        numbers = (self.start_s, self.end_s, self.floor_m)
        _require(is_plain(self.part), "the part of a contact", "be a plain word")
        _require(all(map(math.isfinite, numbers)), "contacts", "hold finite numbers")
        _require(self.start_s <= self.end_s, "contacts", "end at or after their start")


@dataclass(frozen=True, eq=False)
class MotionClip:
    """One person's movement as the file tells it."""

    name: str
    person: int
    source: str
    """The video's file name."""
    source_fps: float
    """The video's nominal rate; 0 where unknown."""
    estimator: str
    version: str
    body: str
    gender: str
    quality: Mapping[str, float]
    camera: FilmCamera
    times_s: np.ndarray
    """(T,) seconds in the video, strictly increasing."""
    frames: np.ndarray
    """(T,) frame numbers in the video."""
    rotations_wxyz: np.ndarray
    """(T, J, 4) unit, parent-relative; joint 0 in the world."""
    root_m: np.ndarray
    """(T, 3) world position of joint 0."""
    observed: np.ndarray
    """(T,) bool, False where the pose was filled in."""
    betas: np.ndarray
    """(B,)"""
    rest_joints_m: np.ndarray
    """(J, 3)"""
    joint_names: tuple[str, ...]
    parents: tuple[int, ...]
    keypoints_px: np.ndarray | None = None
    """(T, K, 3) x, y, confidence in the upright image."""
    keypoint_names: tuple[str, ...] = ()
    hand_seen: np.ndarray | None = None
    """(T, 2) bool, left and right hand: False where its fingers were filled in; None: not known."""
    contacts: tuple[ContactSpan, ...] = ()
    """When which part stands."""
    card: Mapping[str, Any] = field(default_factory=dict)
    """What the file says of its quality in words and numbers; empty where it says nothing."""

    def __post_init__(self) -> None:
        for name in ("name", "source"):
            _require(is_plain(getattr(self, name)), name, "be a plain name of at most 255 bytes")
        _require(bool(BODY_NAME.fullmatch(self.body)), "body", "be the plain name of a body")
        keys, joints = len(np.atleast_1d(self.times_s)), len(self.joint_names)
        _require(keys > 0, "times_s", "hold a key")
        _require(0 < joints <= MOST_JOINTS, "joint_names", f"hold 1 to {MOST_JOINTS} names")
        _require(len(set(self.joint_names)) == joints, "joint_names", "differ from each other")
        _check_parents(self.parents, joints)
        _check(self, "times_s", (keys,), "f")
        _check(self, "frames", (keys,), "i")
        _check(self, "rotations_wxyz", (keys, joints, 4), "f")
        _check(self, "root_m", (keys, 3), "f")
        _check(self, "observed", (keys,), "b")
        _check(self, "betas", (np.size(self.betas),), "f")
        _check(self, "rest_joints_m", (joints, 3), "f")
        if self.keypoints_px is not None:
            _check(self, "keypoints_px", (keys, len(self.keypoint_names), 3), "f")
        if self.hand_seen is not None:
            _check(self, "hand_seen", (keys, 2), "b")
        _require(bool((np.diff(self.times_s) > 0).all()), "times_s", "increase strictly")
        _require_unit(self.rotations_wxyz, "rotations_wxyz")
        if self.camera.rotations_wxyz is not None:
            path = len(self.camera.rotations_wxyz)
            _require(path == keys, "camera_rotations_wxyz", f"hold {keys} keys, not {path}")
        _require(isinstance(self.card, Mapping), "card", "be an object")
        _require(math.isfinite(self.source_fps) and self.source_fps >= 0, "source_fps", "be a rate")


def read_motion(path: str | Path, raw: bool = False) -> MotionClip:
    """Read and check a motion file.

    Args:
        path: of the file.
        raw: the motion as it was before it was put on the ground.

    Raises:
        MotionFileError: there is no such file; it is not a motion, truncated, of a newer format,
            holds Python objects, breaks a rule (not finite, a wrong count, ...), or has no raw
            motion where that is asked for.
    """
    path = Path(path)
    members = _members(path)
    try:
        _check_kind(members)
        return _clip(_raw(members) if raw else members)
    except (MotionFileError, BeyondRangeError) as error:
        advice = error.advice or _AGAIN
        raise MotionFileError(in_a_line(f"{path.name}: {error.message}"), advice) from None
    except KeyError as error:
        raise MotionFileError(f"{path.name} lacks {error}.", _AGAIN) from None
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        message = in_a_line(f"{path.name} is not a sound motion: {error}")
        raise MotionFileError(f"{message}.", _AGAIN) from None


def _members(path: Path) -> dict[str, np.ndarray]:
    if path.is_dir():
        raise MotionFileError(f"{path} is a folder.", "Choose a motion file (.npz).")
    try:
        with open_file(path) as file:
            head = file.read(4)
        if head[:2] != b"PK":
            raise MotionFileError(f"{path.name} is not a motion file (.npz).", _kind_advice(head))
        return read_arrays(path, KINDS | {"poses": "fiu"})
    except FileNotFoundError:
        raise MotionFileError(f"{path} does not exist.", "Check the path.") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise MotionFileError(f"{path.name} cannot be read: {reason}.") from None
    except PickledError as error:
        raise MotionFileError(f"{path.name} is refused: {error}.", _AGAIN) from None
    except ArchiveError as error:
        message = in_a_line(f"{path.name} is damaged: {error}")
        raise MotionFileError(f"{message}.", _AGAIN) from None


def _kind_advice(head: bytes) -> str:
    if head[:1] == b"\x80":
        return "It looks like a Python pickle, which is never opened."
    if head == b"glTF":
        return "It is a .glb: use Blender's own glTF import."
    return "Give a file that STAF wrote, or use Video as Motion for a video."


def _check_kind(members: Mapping[str, np.ndarray]) -> None:
    if "kind" not in members or str(members["kind"]) != KIND:
        what = "SMPL poses (AMASS)" if "poses" in members else "another NumPy archive"
        raise MotionFileError(f"it is {what}, not a STAF motion.", "Choose a STAF motion file.")
    number = int(members["format"])
    if number > FORMAT:
        raise MotionFileError(
            f"it has format {number}, and this add-on reads up to {FORMAT}.", "Update the add-on."
        )
    if number < 1:
        raise MotionFileError(f"it has the impossible format number {number}.")


def _raw(members: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    names = ("rotations_wxyz", "root_m")
    if not all(f"raw_{name}" in members for name in names):
        raise MotionFileError("it has no motion from before the ground was found.", _AGAIN)
    return dict(members) | {name: members[f"raw_{name}"] for name in names}


def _clip(members: Mapping[str, np.ndarray]) -> MotionClip:
    header = read_json_text(str(members["header"]))
    check_members(members)
    check_header(header)
    names = ("times_s", "frames", "rotations_wxyz", "root_m", "observed", "betas", "rest_joints_m")
    arrays: dict[str, Any] = {name: members[name] for name in names}
    keypoints = members.get("keypoints_px")
    keypoint_names = members["keypoint_names"] if keypoints is not None else ()
    return MotionClip(
        name=str(header["name"]),
        source=str(header["source"]),
        estimator=str(header["estimator"]),
        version=str(header["version"]),
        body=str(header["body"]),
        gender=str(header["gender"]),
        person=int(header["person"]),
        source_fps=float(header["source_fps"]),
        quality={str(k): float(v) for k, v in header["quality"].items()},
        camera=_camera(header["camera"], members),
        contacts=tuple(contact_of(span) for span in header.get("contacts", ())),
        card=header.get("card", {}),
        **arrays,
        joint_names=tuple(str(name) for name in members["joint_names"]),
        parents=tuple(int(parent) for parent in members["parents"]),
        keypoints_px=keypoints,
        hand_seen=members.get("hand_seen"),
        keypoint_names=tuple(str(name) for name in keypoint_names),
    )


def contact_of(span: Mapping[str, Any]) -> ContactSpan:
    """A contact as JSON has it.

    Raises:
        KeyError, TypeError, ValueError, MotionFileError: it is none.
    """
    times = (float(span[word]) for word in ("start_s", "end_s", "floor_m"))
    return ContactSpan(str(span["part"]), *times)


def _camera(header: Mapping[str, Any], members: Mapping[str, np.ndarray]) -> FilmCamera:
    turns = members.get("camera_rotations_wxyz")
    return FilmCamera(
        focal_px=float(header["focal_px"]),
        width_px=int(header["width_px"]),
        height_px=int(header["height_px"]),
        focal_assumed=bool(header["focal_assumed"]),
        principal_point_px=np.array(header["principal_point_px"], np.float64),
        rotation_wxyz=np.array(header["rotation_wxyz"], np.float64),
        position_m=np.array(header["position_m"], np.float64),
        rotation_deg=int(header["rotation_deg"]),
        motion=str(header.get("motion", "still")),
        rotations_wxyz=turns,
        positions_m=None if turns is None else members["camera_positions_m"],
    )


def _check_parents(parents: tuple[int, ...], joints: int) -> None:
    _require(len(parents) == joints, "parents", f"hold {joints} numbers, as joint_names do,")
    good = parents[0] == -1 and all(0 <= p < j for j, p in enumerate(parents[1:], 1))
    _require(good, "parents", "start with -1 and come before their children")


def _check(owner: Any, name: str, shape: tuple[int, ...], kind: str) -> None:
    """Refuse a wrong shape or type, and what is not finite; keep a read-only array."""
    array = np.asarray(getattr(owner, name))
    kinds = {"f": "fiu", "i": "iu", "b": "b"}[kind]
    _require(array.dtype.kind in kinds, name, f"not be of type {array.dtype}")
    _require(array.shape == shape, name, f"have shape {shape}, not {array.shape}")
    if kind == "f":
        array = array.astype(np.float64)
        _require(bool(np.isfinite(array).all()), name, "be finite, but holds NaN or infinity")
    array.setflags(write=False)
    object.__setattr__(owner, name, array)


def _require(good: bool, name: str, rule: str) -> None:
    if not good:
        raise MotionFileError(f"{name} must {rule}.")


def _require_unit(quaternions: np.ndarray, name: str) -> None:
    length = np.linalg.norm(quaternions, axis=-1)
    _require(bool((np.abs(length - 1) < 1e-3).all()), name, "hold unit quaternions")
