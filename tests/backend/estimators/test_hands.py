"""Fingers of a shot: where hands are looked for, and what a motion says of them."""

import dataclasses

import numpy as np
import pytest

from staf_backend.body import BodyError, load_body
from staf_backend.estimators import (
    EstimatorSettings,
    Shot,
    chosen_body,
    hand_networks,
    with_seen_fingers,
)
from staf_backend.estimators import hands as room
from staf_backend.estimators.hands import NO_HANDS, wanted_of
from staf_backend.landmarks.names import NAMES
from staf_backend.motion import Motion
from staf_backend.video import open_video
from tests.support.make_body_files import model_arrays, write_npz
from tests.support.places import FOOTAGE
from tests.support.sample_motions import sample_motion


def motion_with(confidence: float, frames: int = 6) -> Motion:
    """Wrists, little and index fingers of both hands lie in the picture; the person is seen."""
    keypoints = np.zeros((frames, len(NAMES), 3), np.float32)
    for name, place in (("left", (300, 200)), ("right", (200, 200))):
        for point, shift in (("wrist", (0, 0)), ("pinky", (8, 25)), ("index", (-8, 25))):
            keypoints[:, NAMES.index(f"{name}_{point}"), :2] = np.add(place, shift)
    keypoints[..., 2] = confidence
    motion = sample_motion().keys(slice(0, frames))
    return dataclasses.replace(
        motion,
        frames=np.arange(frames),
        observed=np.ones(frames, bool),
        keypoints_px=keypoints,
        keypoint_names=NAMES,
    )


def test_hands_are_looked_for_where_the_pose_has_them():
    motion = motion_with(0.9)
    wanted = wanted_of(motion)
    np.testing.assert_array_equal(wanted.points_px[0, 0], [[300, 200], [308, 225], [292, 225]])
    np.testing.assert_array_equal(wanted.points_px[0, 1], [[200, 200], [208, 225], [192, 225]])


def test_nobody_looks_where_the_pose_is_not_seen():
    assert np.isnan(wanted_of(motion_with(0.0)).points_px).all()
    hidden = dataclasses.replace(motion_with(0.9), observed=np.zeros(6, bool))
    assert np.isnan(wanted_of(hidden).points_px).all()
    assert np.isnan(wanted_of(sample_motion()).points_px).all()


def test_joints_of_smpl_serve_as_well():
    motion = motion_with(0.9)
    names = ("L_Wrist", "L_Hand", "R_Wrist", "R_Hand")
    points = motion.keypoints_px
    assert points is not None
    smpl = dataclasses.replace(motion, keypoints_px=points[:, :4], keypoint_names=names)
    found = wanted_of(smpl).points_px
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found[:, :, 1], found[:, :, 2])


def test_without_a_hand_the_motion_stays_as_it_was():
    """The far side of an empty stretch of the picture: nothing there is a hand."""
    video = open_video(FOOTAGE / "balance_cam02.mp4")
    motion = motion_with(0.9)
    points = np.array(motion.keypoints_px)
    points[..., :2] -= [180, 180]  # a corner of the room
    motion = dataclasses.replace(motion, keypoints_px=points)
    body, fingers = load_body(motion.body), load_body(motion.body, fingers=True)
    told = []
    found, stands_on = with_seen_fingers(
        [motion],
        Shot(video, range(6), motion.camera),
        body,
        fingers,
        hand_networks("cpu", 1),
        lambda *words: told.append(words[0]),
    )
    assert stands_on is body
    np.testing.assert_array_equal(found[0].rotations_wxyz, motion.rotations_wxyz)
    assert found[0].card["words"] == [NO_HANDS]
    assert set(told) == {"hands"}


def test_a_motion_tells_how_often_its_hands_were_seen():
    motion = dataclasses.replace(
        sample_motion(), quality={"left_hand_seen": 0.25, "right_hand_seen": 0.75}
    )
    sentence = room._told(motion).card["words"][-1]
    assert "left hand in 25%" in sentence
    assert "right hand in 75%" in sentence
    seen = dataclasses.replace(motion, quality={"left_hand_seen": 0.9, "right_hand_seen": 0.6})
    assert room._told(seen).card == motion.card


def test_fingers_of_a_body_without_any_are_refused(tmp_path):
    path = write_npz(tmp_path / "SMPL_MALE.npz", model_arrays("smpl"))
    settings = EstimatorSettings(body=str(path), hands="auto")
    with pytest.raises(BodyError, match="no finger joints"):
        chosen_body(settings, "landmarks", fingers=True)
