"""Fingers of drawn people, whose truth is exact: from pixels to angles, as a whole."""

from functools import cache

import numpy as np
import pytest

from staf_backend.assets import asset_path
from staf_backend.body import finger_joints
from staf_backend.fit.fingers_frame import fit_frames
from staf_backend.landmarks.hands import usable_looks
from staf_backend.landmarks.hands_network import HandNetworks, Looks
from staf_backend.landmarks.hands_regions import from_hand, from_pose
from staf_backend.runtime.onnx_session import open_network
from tests.support.draw_hands import GESTURES, Drawn, draw_person, drawn_body

pytestmark = pytest.mark.slow
PEOPLE = 48
SIZES_PX = (45, 70, 110, 160, 200)
FIRST_SEED = 40_000
"""Other people than those that the constants of the fit were chosen on."""


@cache
def looked_at() -> list[tuple[Drawn, Looks]]:
    """Drawn hands of all gestures and sizes that pass the gates, and what was seen."""
    names = ("hand_recrop.onnx", "hand_landmark_full.onnx")
    networks = HandNetworks(*(open_network(asset_path(name), threads=1) for name in names))
    found = []
    for number in range(PEOPLE):
        rng = np.random.default_rng(FIRST_SEED + number)
        gesture, side = list(GESTURES)[number % len(GESTURES)], ("left", "right")[number % 3 % 2]
        drawn = draw_person(rng, gesture, SIZES_PX[number % len(SIZES_PX)], side)
        points = drawn.pose_points(side) + rng.normal(0, 0.05 * drawn.hand_px, (3, 2))
        left = np.array([side == "left"])
        squares = networks.find(drawn.image, from_pose(points[None]), left)
        for _ in range(2):  # the second look is where the first found the hand
            looks = networks.look(drawn.image, squares, left)
            squares = from_hand(looks.points_px)
        if usable_looks(looks, points[None, 0], drawn.image.shape)[0]:
            found.append((drawn, looks))
    return found


def angle_deg(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Degrees between rotations (..., 3, 3)."""
    trace = np.trace(one.swapaxes(-1, -2) @ other, axis1=-2, axis2=-1)
    return np.degrees(np.arccos(((trace - 1) / 2).clip(-1, 1)))


def test_most_drawn_hands_are_usable():
    assert len(looked_at()) >= 0.5 * PEOPLE


def test_joints_of_seen_fingers_are_18_degrees_off_at_most():
    _, hands = drawn_body()
    errors = []
    for drawn, looks in looked_at():
        hand = hands[drawn.side]
        fitted = fit_frames(hand, looks.points_px, looks.world_m)
        assert (fitted.angles >= hand.limits_rad[0] - 1e-9).all()
        assert (fitted.angles <= hand.limits_rad[1] + 1e-9).all()
        true = drawn.rotations[list(finger_joints(drawn.side))]
        errors.append(angle_deg(hand.rotations(fitted.angles)[0], true).mean())
    assert np.mean(errors) <= 18


def test_no_look_is_at_the_other_hand():
    for drawn, looks in looked_at():
        other = "right" if drawn.side == "left" else "left"
        knuckles = looks.points_px[0, [5, 9, 17, 13]]
        own, wrong = (
            np.linalg.norm(knuckles - drawn.joints_px[list(finger_joints(side)[:12:3])], axis=1)
            for side in (drawn.side, other)
        )
        assert own.mean() < 0.4 * drawn.hand_px
        assert own.mean() < wrong.mean()
