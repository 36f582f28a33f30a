"""The quality card tells what is wrong, where, and by how much."""

import dataclasses
import json

import numpy as np
import pytest

from staf_backend.body import load_body
from staf_backend.geometry import SMPL, FocalSource
from staf_backend.motion import ContactSpan, Motion
from staf_backend.world import quality_card, with_card
from tests.support.sample_motions import sample_motion

BODY = load_body("open-neutral")
FEET = ("left_heel", "left_toe", "right_heel", "right_toe")


def standing(slide_m: np.ndarray, sink_m: float = 0.0) -> Motion:
    """A T-pose on the floor for 40 keys, all feet in contact, moved along x by `slide_m`."""
    betas = np.zeros(10)
    rest = BODY.rest_vertices_m(betas)
    root = BODY.rest_joints_m(betas)[0] - [0, rest[:, 1].min() + sink_m, 0]
    motion = sample_motion(np.tile(np.eye(3), (40, len(SMPL), 1, 1)), betas=betas)
    first, last = motion.times_s[[0, -1]]
    spans = tuple(ContactSpan(part, first, last, 0.0) for part in FEET)
    path = root + slide_m[:, None] * [1.0, 0, 0]
    seen = np.ones(40, bool)
    return dataclasses.replace(motion, root_m=path, contacts=spans, observed=seen)


def test_feet_that_stand_are_not_spoken_of():
    card = quality_card(standing(np.zeros(40)), BODY)
    assert card.numbers["feet_slide_mm_per_contact_frame"] == pytest.approx(0, abs=1e-6)
    assert card.numbers["penetration_mm"] == pytest.approx(0, abs=8)
    assert not any("slide" in word or "below" in word for word in card.words)
    assert card.worst == ()


def test_a_slide_is_told_with_its_time_and_speed():
    slide = np.cumsum(np.where((np.arange(40) >= 10) & (np.arange(40) < 25), 0.04 / 30, 0))
    motion = standing(slide)
    card = quality_card(motion, BODY)
    first, last = motion.times_s[[9, 24]]
    assert f"Feet slide 4 cm/s between {first:.1f} and {last:.1f} s." in card.words
    assert card.numbers["feet_slide_mm_per_contact_frame"] == pytest.approx(0.04e3 / 30 * 15 / 39)
    (worst,) = card.worst
    assert worst.value == pytest.approx(4, abs=0.01)
    assert motion.frames[9] <= worst.frame <= motion.frames[24]


def test_a_slide_within_a_tenth_of_a_second_is_told_with_one_time():
    slide = np.cumsum(np.where(np.arange(40) == 15, 0.04 / 30, 0))
    card = quality_card(standing(slide), BODY)
    assert "Feet slide 4 cm/s at 3.0 s." in card.words


@pytest.mark.parametrize(
    ("unseen", "words"),
    [
        ([15], "1 of 40 frames is filled in, at 3.0 s."),
        ([3, 4, 5, 6, 7, 8], "6 of 40 frames are filled in, between 2.6 and 2.8 s."),
        (
            [2, 3, 10, 11, 12, 13, 14, 15, 20, 21, 30, 31, 35, 36, 38],
            "15 of 40 frames are filled in, the longest stretch of them between 2.8 and 3.0 s.",
        ),
    ],
)
def test_frames_that_nobody_saw_are_told_once(unseen, words):
    observed = ~np.isin(np.arange(40), unseen)
    card = quality_card(dataclasses.replace(standing(np.zeros(40)), observed=observed), BODY)
    assert words in card.words


def test_a_foot_below_the_floor_is_told():
    level = quality_card(standing(np.zeros(40)), BODY).numbers["penetration_mm"]
    card = quality_card(standing(np.zeros(40), sink_m=0.05), BODY)
    assert card.numbers["penetration_mm"] == pytest.approx(50 + level, abs=8)
    assert any("below its floor" in word for word in card.words)


@pytest.mark.parametrize(
    ("source", "assumed", "words"),
    [
        ("given", False, "is the one given."),
        ("metadata", False, "is read from the file."),
        ("phone", False, "is that of the phone which the file names, about."),
        ("lens", False, "is that of the kind of lens named, about."),
        ("walk", True, "is assumed, and corrected by how somebody walks."),
        ("assumed", True, "is assumed."),
        ("unknown", True, "is assumed."),
        ("unknown", False, "is known."),
    ],
)
def test_the_card_says_how_the_lens_is_known(source: FocalSource, assumed: bool, words: str):
    motion = sample_motion()
    camera = dataclasses.replace(motion.camera, focal_assumed=assumed, focal_source=source)
    card = quality_card(dataclasses.replace(motion, camera=camera), BODY)
    assert card.words[-1] == f"The focal length ({camera.focal_px:.0f} px) {words}"


def test_the_card_travels_as_json_and_keeps_what_was_said():
    motion = dataclasses.replace(sample_motion(), card={"words": ["No feet are seen."]})
    card = with_card(motion, BODY).card
    assert json.loads(json.dumps(card)) == card
    assert card["words"][0] == "No feet are seen."
    assert card["numbers"]["filled_frames"] == (~motion.observed).sum()


def test_one_key_has_a_card():
    one = sample_motion().keys(slice(0, 1))
    card = quality_card(one, BODY)
    assert "jitter_10m_per_s3" not in card.numbers
