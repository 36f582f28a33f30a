"""Wrists and forearms that follow a palm: what turns, what stays, and which palm is believed."""

import dataclasses

import numpy as np
import pytest

from staf_backend.body import load_body
from staf_backend.fit.fingers_frame import fit_frames
from staf_backend.fit.fingers_hand import hand_of
from staf_backend.fit.fingers_points import ORDER, points_of
from staf_backend.fit.fingers_wrist import palms_in_motion, with_seen_wrist
from staf_backend.geometry import (
    SMPL,
    TO_Y_UP,
    forward_kinematics,
    from_axis_angle,
    from_quaternions,
    to_axis_angle,
)
from staf_backend.motion import Motion
from tests.support.sample_motions import sample_motion, with_all

SIDES = pytest.mark.parametrize("side", ["left", "right"])


def turned_of(motion: Motion, rotations_wxyz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotations (T, J, 3, 3) and joints (T, J, 3) in the motion's axes."""
    matrices = from_quaternions(rotations_wxyz.astype(float))
    rest = motion.rest_joints_m.astype(float)
    return forward_kinematics(matrices, rest, motion.root_m, motion.skeleton)


def degrees(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Between rotations (..., 3, 3)."""
    turn = to_axis_angle(one.swapaxes(-1, -2) @ other)
    return np.degrees(np.linalg.norm(turn, axis=-1))


def forearm(motion: Motion, turns: np.ndarray, side: str) -> np.ndarray:
    """(T, 3) unit vectors along it."""
    elbow, wrist = SMPL.indices(f"{side}_elbow", f"{side}_wrist")
    along = motion.rest_joints_m[wrist] - motion.rest_joints_m[elbow]
    return turns[:, elbow] @ (along / np.linalg.norm(along)).astype(float)


@SIDES
def test_a_twisted_palm_twists_the_forearm_and_moves_no_joint(side: str):
    motion = sample_motion()
    turns, joints = turned_of(motion, motion.rotations_wxyz)
    elbow, wrist = SMPL.indices(f"{side}_elbow", f"{side}_wrist")
    twist = from_axis_angle(0.8 * forearm(motion, turns, side))
    palms = twist @ turns[:, wrist]
    made = with_seen_wrist(motion, motion.rotations_wxyz, side, palms, np.ones(len(palms)))
    found, places = turned_of(motion, made)
    np.testing.assert_allclose(places[:, :22], joints[:, :22], atol=1e-5)
    assert degrees(found[:, wrist], palms).max() < 2
    assert degrees(found[:, elbow], twist @ turns[:, elbow]).max() < 2
    others = [j for j in range(24) if j not in (elbow, wrist)]
    np.testing.assert_array_equal(made[:, others], motion.rotations_wxyz[:, others])
    local = degrees(
        *(from_quaternions(m[:, wrist].astype(float)) for m in (made, motion.rotations_wxyz))
    )
    assert local.max() < 2


@SIDES
def test_a_bent_palm_bends_the_wrist_and_leaves_the_forearm(side: str):
    motion = sample_motion()
    turns, _ = turned_of(motion, motion.rotations_wxyz)
    elbow, wrist = SMPL.indices(f"{side}_elbow", f"{side}_wrist")
    local = forearm(motion, turns, side)[0] @ turns[0, elbow]
    across = np.cross(local, [0.3, 0.9, 0.1])
    across = turns[:, elbow] @ (across / np.linalg.norm(across))
    palms = from_axis_angle(0.5 * across) @ turns[:, wrist]
    made = with_seen_wrist(motion, motion.rotations_wxyz, side, palms, np.ones(len(palms)))
    found, _ = turned_of(motion, made)
    assert degrees(found[:, wrist], palms).max() < 2
    assert degrees(found[:, elbow], turns[:, elbow]).max() < 1


def test_what_is_not_trusted_changes_nothing():
    motion = sample_motion()
    palms = np.tile(from_axis_angle(np.array([1.0, 0.5, 0.2])), (len(motion.frames), 1, 1))
    nothing = np.zeros(len(motion.frames))
    made = with_seen_wrist(motion, motion.rotations_wxyz, "left", palms, nothing)
    np.testing.assert_array_equal(made, motion.rotations_wxyz)


def test_the_back_of_a_hand_taken_for_its_palm_is_not_believed():
    motion = sample_motion()
    turns, _ = turned_of(motion, motion.rotations_wxyz)
    wrist = SMPL.index("left_wrist")
    palms = from_axis_angle(3.0 * forearm(motion, turns, "left")) @ turns[:, wrist]
    made = with_seen_wrist(motion, motion.rotations_wxyz, "left", palms, np.ones(len(palms)))
    found, _ = turned_of(motion, made)
    assert degrees(found[:, wrist], turns[:, wrist]).max() < 0.1


def test_a_palm_that_is_lost_fades_without_a_pop():
    motion = sample_motion()
    turns, _ = turned_of(motion, motion.rotations_wxyz)
    wrist, count = SMPL.index("left_wrist"), len(motion.frames)
    palms = from_axis_angle(0.8 * forearm(motion, turns, "left")) @ turns[:, wrist]
    trust = (np.arange(count) < count // 3).astype(float)
    made = with_seen_wrist(motion, motion.rotations_wxyz, "left", palms, trust)
    found, _ = turned_of(motion, made)
    change = degrees(found[:, wrist], turns[:, wrist])
    assert change[: count // 4].min() > 40
    assert change[-1] < 0.7 * change[0]
    assert np.abs(np.diff(change)).max() < 5


@pytest.mark.parametrize("moving", [False, True])
def test_a_palm_aside_of_the_view_is_found_in_the_motions_axes(moving: bool):
    """A hand far from the picture's middle, seen by a camera with perspective, through the fit."""
    motion = with_all() if moving else sample_motion()
    if not moving:
        pose = dataclasses.replace(
            motion.camera, rotation_wxyz=np.array([0.9, 0.1, 0.4, 0.1]) / np.sqrt(0.99)
        )
        motion = dataclasses.replace(motion, camera=pose)
    hand = hand_of(load_body("open-neutral", fingers=True), np.zeros(10), "right")
    count = len(motion.frames)
    true = np.tile(from_axis_angle(np.array([0.5, 0.4, -0.3])), (count, 1, 1))
    places = np.empty((count, 21, 3))
    places[:, ORDER] = points_of(hand, true, np.tile(hand.relaxed_rad, (count, 1))).places_m
    points = motion.camera.project(places + np.array([1.0, -0.3, 2.0]))
    aside = from_axis_angle(
        np.cross([0, 0, 1.0], [1.0, -0.3, 2.0]) / np.linalg.norm([1.0, -0.3, 2.0])
    )
    fitted = fit_frames(hand, points, places @ aside)
    found = palms_in_motion(motion, fitted.palm, points)
    keys = (
        motion.camera.rotation_wxyz
        if motion.camera_path is None
        else motion.camera_path.rotations_wxyz
    )
    assert degrees(found, from_quaternions(keys) @ TO_Y_UP @ true).max() < 6
    unturned = from_quaternions(keys) @ TO_Y_UP @ fitted.palm
    assert degrees(unturned, from_quaternions(keys) @ TO_Y_UP @ true).min() > 15
