"""The person whose motion is known, among the people that an estimator found.

    Take, Recording ─► Truth ─────────────────────────────┐
    motions ─► posed, placed ─► one Found for each person ─┴─► the Found of the true one

Everything is in the axes of the whole picture's camera (x right, y down, z away), which do not
turn with the crops.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from staf_backend.body import Body
from staf_backend.geometry import from_quaternions
from staf_backend.motion import Motion
from staf_backend.staf.body import tables_from_body
from training.scoring.protocols import Protocol
from training.scoring.scored_points import BodyReader
from training.synthetic import Recording, Take
from training.targets import crop_turns

_NEAR = 0.25
"""Somebody whose joints are on average farther from the true ones, in sides of the true person's
crop (some two metres), is somebody else."""


class Truth(NamedTuple):
    """What is true of T frames: joints_m (T, J, 3) in camera axes about the hips' middle, joints_px
    (T, J, 2) in the picture, sides_px (T,) of the person's crops, times_s (T,)."""

    joints_m: np.ndarray
    joints_px: np.ndarray
    sides_px: np.ndarray
    times_s: np.ndarray


class Found(NamedTuple):
    """What was found of one person in T frames: joints_m (T, J, 3) in camera axes, joints_px
    (T, J, 2); `there` (T,) bool says where there is a motion, elsewhere joints are zero; `observed`
    (T,) bool where the person was seen."""

    joints_m: np.ndarray
    joints_px: np.ndarray
    there: np.ndarray
    observed: np.ndarray


def truth_of(take: Take, recording: Recording, protocol: Protocol) -> Truth:
    """The exact answer for a recorded take, in the protocol's J joints."""
    squares, joints = take.shot.squares, list(protocol.joints)
    turns = crop_turns(squares, take.shot.camera.focal)
    joints_m = take.targets.joints_m[:, joints, :3] @ turns  # back from the crops' cameras
    joints_px = recording.joints_px(take.targets, squares)[:, joints]
    return Truth(joints_m, joints_px, recording.sides_px(squares), take.times_s)


def match_person(motions: Sequence[Motion], body: Body, truth: Truth, protocol: Protocol) -> Found:
    """What was found of the true person; nothing where that person is not among the motions.

    Args:
        motions: of the recorded video; the parts of a person are joined by their frames.
        body: of all motions.
        truth: says where the person is in the picture.
        protocol: its joints.
    """
    reader = BodyReader(tables_from_body(body), replace(protocol, vertices=False), None)
    people: dict[int, Found] = {}
    for motion in motions:
        found = people.setdefault(motion.person, nobody(truth))
        joints_m = _posed(motion, reader)
        camera, frames = motion.camera, motion.frames
        found.joints_m[frames] = joints_m
        found.joints_px[frames] = camera.project(joints_m)
        found.there[frames], found.observed[frames] = True, motion.observed
    return _nearest(list(people.values()), truth)


def _posed(motion: Motion, reader: BodyReader) -> np.ndarray:
    """Joints (T, J, 3) of a motion, metres in camera axes."""
    rotations = torch.from_numpy(from_quaternions(motion.rotations_wxyz.astype(np.float64)))
    betas = torch.from_numpy(motion.betas.copy()).expand(len(rotations), -1)
    joints_m = reader.read(betas, rotations, torch.device("cpu")).joints_m
    shift_m = motion.root_m - motion.rest_joints_m[0]  # the body is posed about its rest pelvis
    return motion.camera.to_camera_axes(joints_m + shift_m[:, None])


def nobody(truth: Truth) -> Found:
    """Nothing found in any frame."""
    missing = np.zeros(len(truth.times_s), bool)
    empty = np.zeros(truth.joints_m.shape), np.zeros(truth.joints_px.shape)
    return Found(*empty, missing, missing.copy())


def _nearest(people: Sequence[Found], truth: Truth) -> Found:
    """Who is nearest to the true joints in the picture, in most frames."""
    if not people:
        return nobody(truth)
    off = np.stack([_off(one, truth) for one in people])
    near = off.argmin(0)[off.min(0) < _NEAR]
    return people[int(np.bincount(near).argmax())] if len(near) else nobody(truth)


def _off(one: Found, truth: Truth) -> np.ndarray:
    """Mean distance (T,) from the true joints in the picture, in sides of the crop."""
    off_px = np.linalg.norm(one.joints_px - truth.joints_px, axis=-1).mean(-1)
    return np.where(one.there, off_px / truth.sides_px, np.inf)
