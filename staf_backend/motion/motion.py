"""Motion: one person's movement.

Axes: y up, metres, seconds; the camera stands at the origin and looks along -z unless the motion
says otherwise.  T keys, J joints, B shape numbers, K key points, C parts that can be in contact.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from staf_backend import StafError, __version__
from staf_backend.geometry import (
    SMPL,
    Camera,
    CameraPath,
    Skeleton,
    forward_kinematics,
    from_quaternions,
    keep_array,
    require,
    require_unit,
)
from staf_backend.motion.contacts import PARTS, ContactSpan, in_order

TEXT_FIELDS = ("name", "body", "gender", "source", "estimator", "version")
_PER_KEY = (
    *("times_s", "frames", "rotations_wxyz", "root_m", "observed", "keypoints_px"),
    *("camera_path", "contact_probability", "raw_rotations_wxyz", "raw_root_m", "hand_seen"),
)
"""Fields with one row a key; some may be None."""
_SAME_POSE = 1e-3
"""Between the camera and the first key of its path: metres, and parts of a unit quaternion.
Chosen: far above the rounding of float32."""


class MotionError(StafError):
    """A motion is not sound, or a motion file cannot be read."""

    kind = "motion"
    exit_code = 8


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
    skeleton: Skeleton = SMPL
    """J joints."""
    name: str = "motion"
    """Name of the clip."""
    source: str = ""
    """File name of the video."""
    source_fps: float = 0.0
    """The video's nominal rate; 0 where unknown."""
    person: int = 1
    estimator: str = ""
    """What made the poses: "landmarks", or the name of STAF's weights."""
    configuration: str = ""
    """Of the network whose weights they are, by the paper's names; "" of no network."""
    version: str = __version__
    quality: Mapping[str, float] = field(default_factory=dict)
    keypoints_px: np.ndarray | None = None
    """(T, K, 3) x, y, confidence that the estimator reported, or None."""
    keypoint_names: tuple[str, ...] = ()
    camera_path: CameraPath | None = None
    """The camera of every key; None: it stands still as `camera` says."""
    contact_probability: np.ndarray | None = None
    """(T, C) float32, 0..1, that a part of the body stays on its spot; or None."""
    contact_names: tuple[str, ...] = ()
    """C names, of `contacts.PARTS`."""
    contacts: tuple[ContactSpan, ...] = ()
    """When which part stands, and on which level; by part and start, one part's apart."""
    raw_rotations_wxyz: np.ndarray | None = None
    """(T, J, 4) float32 the rotations before grounding, in the same axes; or None."""
    raw_root_m: np.ndarray | None = None
    """(T, 3) float64, only with `raw_rotations_wxyz`."""
    hand_seen: np.ndarray | None = None
    """(T, 2) bool, left and right hand: False where its fingers were filled in; None: not known."""
    card: Mapping[str, Any] = field(default_factory=dict)
    """What the motion says of its own quality, in words and numbers that JSON knows."""

    def __post_init__(self) -> None:
        try:
            self._check()
        except ValueError as error:
            raise MotionError(f"{error}.") from None

    def _check(self) -> None:
        _check_names(self)
        count, joints = np.size(self.times_s), len(self.skeleton)
        require(count > 0, "times_s", "at least one key")
        for name, kind, shape in (
            ("times_s", np.float64, (count,)),
            ("frames", np.int64, (count,)),
            ("rotations_wxyz", np.float32, (count, joints, 4)),
            ("root_m", np.float64, (count, 3)),
            ("observed", np.bool_, (count,)),
            ("betas", np.float64, (np.size(self.betas),)),
            ("rest_joints_m", np.float64, (joints, 3)),
        ):
            keep_array(self, name, kind, shape)
        if self.keypoints_px is not None:
            shape = (count, len(self.keypoint_names), 3)
            keep_array(self, "keypoints_px", np.float32, shape)
        for name in ("times_s", "frames"):
            require(bool((np.diff(getattr(self, name)) > 0).all()), name, "strictly increasing")
        require_unit(self.rotations_wxyz, "rotations_wxyz")
        if self.hand_seen is not None:
            keep_array(self, "hand_seen", np.bool_, (count, 2))
        _check_raw(self, count, joints)
        _check_contacts(self, count)
        _check_camera_path(self, count)
        _check_card(self)

    def to_camera_axes(self, points_m: np.ndarray) -> np.ndarray:
        """Points (T, N, 3) of all keys -> axes of the camera of each: x right, y down, z away."""
        return (self.camera_path or self.camera).to_camera_axes(points_m)

    def keys(self, rows: slice | np.ndarray) -> "Motion":
        """Some of the keys, as a motion without contact spans; the camera is that of the first."""
        changes = {n: getattr(self, n)[rows] for n in _PER_KEY if getattr(self, n) is not None}
        path = changes.get("camera_path")
        if path is not None and len(path):
            pose = {"rotation_wxyz": path.rotations_wxyz[0], "position_m": path.positions_m[0]}
            changes["camera"] = dataclasses.replace(self.camera, **pose)
        return dataclasses.replace(self, **changes, contacts=())


def joints_m(motion: Motion) -> np.ndarray:
    """Global joint positions (T, J, 3) in metres, float64: forward kinematics of all keys."""
    rotations = from_quaternions(motion.rotations_wxyz.astype(np.float64))
    return forward_kinematics(rotations, motion.rest_joints_m, motion.root_m, motion.skeleton)[1]


def _check_names(motion: Motion) -> None:
    for name in (*TEXT_FIELDS, "configuration"):
        require(isinstance(getattr(motion, name), str), name, "text")
    object.__setattr__(motion, "keypoint_names", tuple(motion.keypoint_names))
    require(motion.body != "", "body", "a name")
    whole = isinstance(motion.person, int | np.integer) and motion.person >= 0
    require(whole, "person", "a whole number")
    object.__setattr__(motion, "person", int(motion.person))
    sound = math.isfinite(motion.source_fps) and motion.source_fps >= 0
    require(sound, "source_fps", "a finite rate, 0 where unknown")
    for word, value in motion.quality.items():
        require(math.isfinite(value), f"quality[{word!r}]", "a finite number")
    numbers = {str(word): float(value) for word, value in motion.quality.items()}
    object.__setattr__(motion, "quality", numbers)


def _check_raw(motion: Motion, count: int, joints: int) -> None:
    layers = (motion.raw_rotations_wxyz, motion.raw_root_m)
    if all(layer is None for layer in layers):
        return
    both = all(layer is not None for layer in layers)
    require(both, "raw_rotations_wxyz and raw_root_m", "given together")
    keep_array(motion, "raw_rotations_wxyz", np.float32, (count, joints, 4))
    keep_array(motion, "raw_root_m", np.float64, (count, 3))
    require_unit(layers[0], "raw_rotations_wxyz")  # type: ignore[arg-type]  # both are there


def _check_contacts(motion: Motion, count: int) -> None:
    names = tuple(motion.contact_names)
    object.__setattr__(motion, "contact_names", names)
    known = all(name in PARTS for name in names) and len(set(names)) == len(names)
    require(known, "contact_names", f"different words of {', '.join(PARTS)}")
    if motion.contact_probability is None:
        require(not names, "contact_names", "given with contact_probability")
    else:
        keep_array(motion, "contact_probability", np.float32, (count, len(names)))
        inside = (motion.contact_probability >= 0) & (motion.contact_probability <= 1)
        require(bool(inside.all()), "contact_probability", "0 to 1")
    spans = in_order(motion.contacts, float(motion.times_s[0]), float(motion.times_s[-1]))
    object.__setattr__(motion, "contacts", spans)


def _check_camera_path(motion: Motion, count: int) -> None:
    path, camera = motion.camera_path, motion.camera
    if path is None:
        return
    require(len(path) == count, "camera_path", f"of {count} keys, not {len(path)}")
    first, turn = path.rotations_wxyz[0], camera.rotation_wxyz
    turned = min(np.abs(first - turn).max(), np.abs(first + turn).max())
    moved = np.abs(path.positions_m[0] - camera.position_m).max()
    same = max(turned, moved) < _SAME_POSE
    require(same, "the first key of camera_path", "the camera's rotation_wxyz and position_m")


def _check_card(motion: Motion) -> None:
    try:
        card = json.loads(json.dumps(motion.card, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"card must be what JSON knows ({error})") from None
    require(isinstance(card, dict), "card", "an object of words and values")
    object.__setattr__(motion, "card", card)
