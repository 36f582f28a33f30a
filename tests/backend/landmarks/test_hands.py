"""Hands: where to look, what is read, and what is believed."""

from functools import cache

import numpy as np
import pytest

from staf_backend.assets import asset_path
from staf_backend.landmarks import HandNetworks, Looks
from staf_backend.landmarks.hands import usable_looks
from staf_backend.landmarks.hands_regions import (
    are_near,
    crop_hands,
    from_hand,
    from_look,
    from_pose,
    to_image,
)
from staf_backend.runtime import open_network
from tests.support.draw_hands import Drawn, draw_person

LEFT, RIGHT = np.array([True]), np.array([False])


@cache
def networks() -> HandNetworks:
    names = ("hand_recrop.onnx", "hand_landmark_full.onnx")
    return HandNetworks(*(open_network(asset_path(name), threads=1) for name in names))


@cache
def drawn() -> Drawn:
    """A left hand that grips, 110 pixels long."""
    return draw_person(np.random.default_rng(5014), "grip", 110, "left")


def look(image: np.ndarray, points: np.ndarray, left: np.ndarray) -> Looks:
    squares = networks().find(image, from_pose(points), left)
    return networks().look(image, squares, left)


def test_a_square_from_the_pose_stands_along_the_hand():
    points = np.array([[[100.0, 200], [110, 160], [90, 160]]])
    x, y, side, angle = from_pose(points)[0]
    assert abs(angle) < 0.1
    assert side == pytest.approx(2.7 * 2 * np.hypot(100 - (2 * 90 + 110) / 3, 40))
    assert y < 160 < 200
    assert 85 < x < 105


def test_squares_turn_with_the_hand():
    points = np.array([[[100.0, 200], [110, 160], [90, 160]]])
    quarter = np.array([[0.0, -1], [1, 0]])
    turned = points @ quarter.T
    one, other = from_pose(points)[0], from_pose(turned)[0]
    np.testing.assert_allclose(other[:2], quarter @ one[:2], atol=1e-9)
    assert other[3] - one[3] == pytest.approx(np.pi / 2)


def test_from_a_look_and_from_a_hand():
    square = from_look(np.array([[[50.0, 60], [50, 80]]]))[0]
    np.testing.assert_allclose(square, [50, 56, 40, 0], atol=1e-9)
    hand = np.random.default_rng(0).uniform(0, 50, (1, 21, 2))
    moved = from_hand(hand + np.array([7, -3])) - from_hand(hand)
    np.testing.assert_allclose(moved, [[7, -3, 0, 0]], atol=1e-9)


def test_near_squares():
    square = np.array([[100.0, 100, 80, 3.1]])
    for change, near in (
        ([20, 0, 0, 0], True),
        ([40, 0, 0, 0], False),
        ([0, 0, 80, 0], False),
        ([0, 0, 0, 0.2], True),
        ([0, 0, 0, 1.0], False),
        ([np.nan] * 4, False),
    ):
        assert are_near(square + change, square)[0] == near, change


def test_crops_and_points_agree():
    image = np.zeros((120, 160, 3), np.uint8)
    image[40, 90] = 255
    square = np.array([[85.0, 45, 64, 0.5]])
    for flipped in (False, True):
        crop = crop_hands(image, square, np.array([flipped]), 224)[0]
        row, column = np.unravel_index(crop[..., 0].argmax(), crop.shape[:2])
        column = 223 - column if flipped else column
        found = to_image(np.array([[[column + 0.5, row + 0.5]]]), square, 224)[0, 0]
        np.testing.assert_allclose(found, [90.5, 40.5], atol=0.6)


def test_a_drawn_hand_is_read():
    hand = drawn()
    points = hand.pose_points("left")[None]
    looks = look(hand.image, points, LEFT)
    assert looks.presence[0] > 0.8
    assert looks.right_side[0] > 0.5
    assert usable_looks(looks, points[:, 0], hand.image.shape)[0]
    knuckles = looks.points_px[0, [5, 9, 17, 13]]
    true = hand.joints_px[22:34:3]
    assert np.linalg.norm(knuckles - true, axis=1).mean() < 0.12 * hand.hand_px


def test_a_mirrored_picture_gives_the_mirrored_hand():
    hand = drawn()
    width = hand.image.shape[1]
    flip = np.ascontiguousarray(hand.image[:, ::-1])
    points = hand.pose_points("left")[None]
    one = look(hand.image, points, LEFT)
    other = look(flip, np.array([width, 0]) + points * [-1, 1], RIGHT)
    np.testing.assert_allclose(other.points_px * [-1, 1] + [width, 0], one.points_px, atol=1.0)
    np.testing.assert_allclose(other.world_m * [-1, 1, 1], one.world_m, atol=3e-3)
    assert other.presence[0] == pytest.approx(one.presence[0], abs=0.02)


def test_asked_for_the_other_hand_it_says_no():
    hand = drawn()
    points = hand.pose_points("left")[None]
    looks = look(hand.image, points, RIGHT)
    assert not usable_looks(looks, points[:, 0], hand.image.shape)[0]


def test_alone_equals_in_a_batch():
    hand = drawn()
    points = np.stack([hand.pose_points("left"), hand.pose_points("left") + 3])
    sides = np.array([True, True])
    both = look(hand.image, points, sides)
    alone = look(hand.image, points[1:], sides[1:])
    np.testing.assert_allclose(both.points_px[1:], alone.points_px, atol=1e-3)
    np.testing.assert_allclose(both.world_m[1:], alone.world_m, atol=1e-5)


GOOD = {"presence": 0.9, "right_side": 0.9, "side": 120.0, "away": 0.0, "move": 0.0}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, True),
        ({"presence": 0.7}, False),
        ({"right_side": 0.4}, False),
        ({"side": 35.0}, False),
        ({"away": 80.0}, False),
        ({"move": -260.0}, False),
    ],
)
def test_gates(change: dict[str, float], expected: bool):
    """Presence, side, size, nearness to the wrist, hands that leave the picture."""
    value = GOOD | change
    points = np.random.default_rng(0).uniform(-40, 40, (1, 21, 2))
    points += np.array([250 + value["move"], 240])
    looks = Looks(
        points,
        np.zeros((1, 21, 3)),
        np.array([value["presence"]]),
        np.array([value["right_side"]]),
        np.array([[250.0, 240, value["side"], 0]]),
    )
    wrist = points[:, 0] + [value["away"], 0]
    assert usable_looks(looks, wrist, (480, 640, 3))[0] == expected
