"""Fingers: from points of a hand to angles, over time, and onto a motion."""

import numpy as np
import pytest

from staf_backend.body import WITH_FINGERS, finger_joints, load_body
from staf_backend.fit import with_fingers
from staf_backend.fit.fingers import hand_angles, lasting
from staf_backend.fit.fingers_frame import fit_frames
from staf_backend.fit.fingers_hand import Hand, hand_of
from staf_backend.fit.fingers_points import ORDER, points_of
from staf_backend.fit.fingers_time import over_time
from staf_backend.geometry import SMPL, from_axis_angle, from_quaternions
from staf_backend.landmarks import SeenHands
from tests.support.sample_motions import sample_motion

BODY = load_body("open-neutral", fingers=True)
HANDS = {side: hand_of(BODY, np.zeros(10), side) for side in ("left", "right")}
SIDES = pytest.mark.parametrize("side", ["left", "right"])


def made(hand: Hand, angles: np.ndarray, palm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (N, 21, 2) and world points (N, 21, 3) of a hand, without error."""
    places = points_of(hand, palm, angles).places_m
    points = np.empty_like(places)
    points[:, ORDER] = places
    return 900 * points[..., :2] + [640, 360], points


def gestures(hand: Hand, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Angles about a relaxed hand's, and palms turned any way."""
    rng = np.random.default_rng(seed)
    curl = rng.uniform(-0.4, 0.9, (count, 5, 1)) * [0.7, 1, 0.62, 0]
    angles = hand.relaxed_rad + np.concatenate([curl.reshape(count, 20), np.zeros((count, 1))], 1)
    return angles.clip(*hand.limits_rad), from_axis_angle(rng.normal(0, 1, (count, 3)))


def seen_of(hands: dict[str, np.ndarray], usable: np.ndarray) -> SeenHands:
    """Both hands (T, 21) angles, seen without error where usable (T, 2)."""
    count = len(usable)
    points, world = np.full((count, 2, 21, 2), np.nan), np.full((count, 2, 21, 3), np.nan)
    for place, (side, angles) in enumerate(hands.items()):
        palm = np.tile(from_axis_angle(np.array([0.4, 0.3, 0.2])), (count, 1, 1))
        points[:, place], world[:, place] = made(HANDS[side], angles, palm)
    points[~usable], world[~usable] = np.nan, np.nan
    return SeenHands(points, world, np.where(usable, 0.99, 0.0), usable)


@SIDES
def test_a_hand_without_error_is_found(side: str):
    hand = HANDS[side]
    angles, palm = gestures(hand, 40)
    fitted = fit_frames(hand, *made(hand, angles, palm))
    off = np.degrees(np.abs(fitted.angles - angles))
    assert np.median(off) < 4
    assert off.mean() < 7
    assert np.median(fitted.costs[:, 0]) < 2  # of 21 points, 2 mm off at most


@SIDES
def test_a_palm_that_is_turned_over_in_space_is_found_in_the_picture(side: str):
    """As of hands seen from their edge: the network's guess in space turned about the fingers."""
    hand = HANDS[side]
    angles, palm = gestures(hand, 40)
    points, world = made(hand, angles, palm)
    along = hand.bones_m[1, 0] / np.linalg.norm(hand.bones_m[1, 0])
    turned = palm @ from_axis_angle(np.radians(150) * along) @ palm.swapaxes(1, 2)
    fitted = fit_frames(hand, points, world @ turned.swapaxes(1, 2))
    trace = np.trace(fitted.palm.swapaxes(1, 2) @ palm, axis1=1, axis2=2)
    off = np.degrees(np.arccos(((trace - 1) / 2).clip(-1, 1)))
    assert np.mean(off < 20) > 0.9


@SIDES
def test_how_points_move_with_angles(side: str):
    """The derivatives, against differences."""
    hand = HANDS[side]
    angles, palm = gestures(hand, 3)
    points, step = points_of(hand, palm, angles), 1e-6
    for place in range(24):
        turn, change = np.zeros((3, 3)), np.zeros((3, 21))
        if place < 3:
            turn[:, place] = step
        else:
            change[:, place - 3] = step
        moved = points_of(hand, palm @ from_axis_angle(turn), angles + change)
        for name in ("places", "bones"):
            field = "places_m" if name == "places" else name
            found = (getattr(moved, field) - getattr(points, field)) / step
            np.testing.assert_allclose(getattr(points, f"{name}_by")[..., place], found, atol=1e-4)


def test_positive_flexion_closes_a_hand():
    for hand in HANDS.values():
        first, all_three = np.zeros((2, 21))
        first[0], all_three[:3] = 0.5, 1.2
        angles, still = np.stack([np.zeros(21), first, all_three]), np.tile(np.eye(3), (3, 1, 1))
        tips = points_of(hand, still, angles).places_m[:, 4]  # of the index finger
        assert tips[1, 1] < tips[0, 1] - 0.01  # palms look down at rest
        assert np.linalg.norm(tips[2]) < 0.75 * np.linalg.norm(tips[0])


def test_hands_mirror_each_other():
    left, right = HANDS["left"], HANDS["right"]
    angles, palm = gestures(left, 10, seed=3)
    points, world = made(left, angles, palm)
    points += np.random.default_rng(0).normal(0, 4, points.shape)
    mirrored = points * [-1, 1] + [1280, 0], world * [-1, 1, 1]
    one, other = fit_frames(left, points, world), fit_frames(right, *mirrored)
    assert np.degrees(np.abs(one.angles - other.angles)).mean() < 1.5


@SIDES
def test_rubbish_stays_within_the_limits(side: str):
    """Spreads beyond the limit in no frame, whatever the network says."""
    hand, rng = HANDS[side], np.random.default_rng(1)
    fitted = fit_frames(hand, rng.uniform(0, 300, (50, 21, 2)), rng.normal(0, 0.05, (50, 21, 3)))
    assert np.isfinite(fitted.angles).all()
    smooth = over_time(hand, np.arange(50) / 30, fitted.angles, np.ones((50, 5)))
    for angles in (fitted.angles, smooth):
        assert (angles >= hand.limits_rad[0] - 1e-9).all()
        assert (angles <= hand.limits_rad[1] + 1e-9).all()


@SIDES
def test_a_finger_that_jumps_to_and_fro_is_not_believed(side: str):
    """As one with two explanations does, of which each frame takes one by chance."""
    place, count = list(HANDS).index(side), 40
    angles = np.tile(HANDS[side].relaxed_rad, (count, 1))
    angles[np.arange(count) // 3 % 2 == 1, :3] += [0.7, 0.9, 0.5]  # the index finger
    usable = np.zeros((count, 2), bool)
    usable[:, place] = True
    seen = seen_of(dict.fromkeys(HANDS, angles), usable)
    times_s = np.arange(count) / 30
    trust = hand_angles(HANDS[side], times_s, seen, place)[1]
    assert (trust[:, 0] > 0).mean() < 0.2
    assert (trust[:, 1:] > 0).mean() > 0.8


class TestOverTime:
    HAND = HANDS["left"]
    TIMES = np.arange(120) / 30

    def test_what_is_not_seen_is_relaxed(self):
        angles = np.full((120, 21), 9.0)
        found = over_time(self.HAND, self.TIMES, angles, np.zeros((120, 5)))
        np.testing.assert_allclose(found, np.tile(self.HAND.relaxed_rad, (120, 1)), atol=1e-9)

    def test_a_fist_that_is_lost_opens_without_a_pop(self):
        fist = self.HAND.limits_rad[1] * 0.8
        trust = np.tile((self.TIMES < 2.0)[:, None], (1, 5)).astype(float)
        found = over_time(self.HAND, self.TIMES, np.tile(fist, (120, 1)), trust)
        bend = found[:, 1]
        assert np.degrees(np.abs(bend[:55] - fist[1])).max() < 8
        assert np.degrees(np.abs(np.diff(bend))).max() < 12
        later = bend[75:]
        assert (np.diff(later) < 1e-9).all()
        assert bend[-1] < bend[0] - 0.3

    def test_one_wild_frame_hardly_shows(self):
        angles = np.tile(self.HAND.relaxed_rad, (120, 1))
        angles[60] = self.HAND.limits_rad[1]
        found = over_time(self.HAND, self.TIMES, angles, np.ones((120, 5)))
        assert np.degrees(np.abs(found - self.HAND.relaxed_rad)).max() < 6

    def test_a_still_hand_is_still(self):
        """Jitter of a still hand: at most a degree a frame squared."""
        noise = np.random.default_rng(0).normal(0, np.radians(6), (120, 21))
        found = over_time(self.HAND, self.TIMES, self.HAND.relaxed_rad + noise, np.ones((120, 5)))
        assert np.degrees(np.abs(np.diff(found, 2, axis=0))).mean() < 1

    @pytest.mark.parametrize("count", [1, 2, 3])
    def test_the_shortest_clips(self, count: int):
        angles = np.tile(self.HAND.relaxed_rad, (count, 1))
        found = over_time(self.HAND, np.arange(count) / 30, angles, np.ones((count, 5)))
        np.testing.assert_allclose(found, angles, atol=1e-6)


def test_looks_that_do_not_last_are_not_used():
    usable = np.zeros(30, bool)
    usable[[3, 10, 11, 12, 13, 29]] = True
    kept = np.flatnonzero(lasting(usable, np.arange(30) / 30))
    assert kept.tolist() == [10, 11, 12, 13]


def test_a_motion_gets_52_joints_and_keeps_its_body():
    motion = sample_motion()
    count = len(motion.frames)
    angles, _ = gestures(HANDS["left"], 1)
    usable = np.ones((count, 2), bool)
    usable[:, 1] = False
    hands = {side: np.tile(angles, (count, 1)) for side in ("left", "right")}
    made_of = with_fingers(motion, BODY, seen_of(hands, usable))
    assert made_of.skeleton.names == WITH_FINGERS.names
    seen = SMPL.indices("left_elbow", "left_wrist")
    others = [joint for joint in range(22) if joint not in seen]
    np.testing.assert_array_equal(
        made_of.rotations_wxyz[:, others], motion.rotations_wxyz[:, others]
    )
    np.testing.assert_array_equal(made_of.root_m, motion.root_m)
    assert made_of.quality["left_hand_seen"] == 1
    assert made_of.quality["right_hand_seen"] == 0
    assert made_of.hand_seen is not None
    np.testing.assert_array_equal(made_of.hand_seen, usable)
    still = from_quaternions(made_of.rotations_wxyz[:, list(finger_joints("right"))].astype(float))
    own = hand_of(BODY, motion.betas, "right")
    relaxed = own.rotations(own.relaxed_rad[None])
    np.testing.assert_allclose(still, np.tile(relaxed, (count, 1, 1, 1)), atol=1e-6)


def test_angles_of_a_seen_hand_come_back():
    hand, count = HANDS["right"], 60
    angles = np.tile(hand.relaxed_rad, (count, 1))
    wave = np.sin(np.arange(count) / 30 * 2 * np.pi * 0.5)
    angles[:, [0, 4, 8, 12]] += 0.3 * wave[:, None]
    seen = seen_of({"left": angles, "right": angles}, np.ones((count, 2), bool))
    found, trust, _ = hand_angles(hand, np.arange(count) / 30, seen, 1)
    assert (trust > 0.6).all()
    assert np.degrees(np.abs(found - angles)).mean() < 7  # errors are expected, and there are none
