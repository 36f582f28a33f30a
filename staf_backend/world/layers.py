"""The ungrounded motion and the grounded one, in the same axes, as one motion."""

import dataclasses

import numpy as np

from staf_backend.body import Body
from staf_backend.estimators import Estimate, Shot
from staf_backend.estimators.to_motion import keys_of, to_motion
from staf_backend.files import long_array, long_copy, stretches
from staf_backend.geometry import (
    Camera,
    CameraPath,
    continuous_signs,
    from_quaternions,
    slerp,
    to_quaternions,
)
from staf_backend.motion import PARTS, ContactSpan, Motion
from staf_backend.world.contacts import Contacts
from staf_backend.world.floors import Floors, footholds, heights_stood_on
from staf_backend.world.movement import Movement


def raw_motion(
    estimate: Estimate, shot: Shot, body: Body, turn: np.ndarray, rise_m: float
) -> Motion:
    """The estimate as it is, in the axes of the world.

    Args:
        estimate: of a track of the shot.
        shot: the footage and its camera.
        body: what was estimated.
        turn: (3, 3) y-up axes of the first key's camera -> the world's.
        rise_m: height of that camera above the floor.
    """
    motion = to_motion(estimate, shot, body)
    del estimate  # of a long clip large, and no more needed
    if np.array_equal(turn, np.eye(3)) and rise_m == 0:
        return motion
    lift = np.array([0.0, rise_m, 0.0])
    rotations = long_copy(motion.rotations_wxyz)
    pelvis = turn @ from_quaternions(rotations[:, 0].astype(float))
    rotations[:, 0] = continuous_signs(to_quaternions(pelvis))
    return dataclasses.replace(
        motion,
        rotations_wxyz=rotations,
        root_m=motion.root_m @ turn.T + lift,
        camera=_turned_camera(motion.camera, turn, lift),
        camera_path=None
        if motion.camera_path is None
        else CameraPath(
            _turned_keys(motion.camera_path.rotations_wxyz, turn),
            motion.camera_path.positions_m @ turn.T + lift,
        ),
    )


def grounded_motion(raw: Motion, movement: Movement, rise_m: float, share: float) -> Motion:
    """Both layers: a share of the way from the raw motion to the grounded movement.

    Args:
        raw: see `raw_motion`.
        movement: grounded, level, the camera of the first key at the origin.
        rise_m: height of that camera above the floor.
        share: 0 is raw, 1 grounded.
    """
    root_m = movement.root_m + np.array([0.0, rise_m, 0.0])
    keys = keys_of(movement.rotations, np.eye(3))
    if share < 1:
        root_m = (1 - share) * raw.root_m + share * root_m
        keys = _between(raw.rotations_wxyz, keys, share)
    return dataclasses.replace(
        raw,
        rotations_wxyz=keys,
        root_m=root_m,
        betas=movement.betas,
        rest_joints_m=movement.body.rest_joints_m(movement.betas),
        raw_rotations_wxyz=raw.rotations_wxyz,
        raw_root_m=raw.root_m,
    )


def with_contacts(
    motion: Motion, contacts: Contacts, floors: Floors, movement: Movement, rise_m: float
) -> Motion:
    """The motion with when each part of the body touches what ground."""
    holds = footholds(movement, contacts, len(PARTS))
    found: list[ContactSpan] = []
    for hold, floor_m in zip(holds, heights_stood_on(holds, floors), strict=True):
        floor = (hold.height_m if floor_m is None else floor_m) + rise_m
        start, end = (float(motion.times_s[frame]) for frame in (hold.first, hold.last - 1))
        found.append(ContactSpan(PARTS[hold.point], start, end, round(floor, 4)))
    return dataclasses.replace(
        motion,
        contact_probability=contacts.probability.astype(np.float32),
        contact_names=PARTS,
        contacts=tuple(found),
    )


def _turned_camera(camera: Camera, turn: np.ndarray, lift: np.ndarray) -> Camera:
    return dataclasses.replace(
        camera,
        rotation_wxyz=_turned_keys(camera.rotation_wxyz[None], turn)[0],
        position_m=turn @ camera.position_m + lift,
    )


def _turned_keys(rotations_wxyz: np.ndarray, turn: np.ndarray) -> np.ndarray:
    return continuous_signs(to_quaternions(turn @ from_quaternions(rotations_wxyz)))


def _between(raw: np.ndarray, keys: np.ndarray, share: float) -> np.ndarray:
    mixed = long_array(raw.shape, raw.dtype)
    for some in stretches(len(raw)):
        part = slerp(raw[some].astype(float), keys[some].astype(float), np.full(1, share))
        mixed[some] = part / np.linalg.norm(part, axis=-1, keepdims=True)
    return continuous_signs(mixed)
