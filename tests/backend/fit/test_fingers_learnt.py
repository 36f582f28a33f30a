"""The learned correction of fingers: alike for both sides and any turn, and bounded."""

import numpy as np
import pytest

from staf_backend.fit.fingers_frame import fit_frames
from staf_backend.fit.fingers_learnt import FEATURES, corrected, corrector, features_of
from tests.backend.fit.test_fingers import HANDS, gestures, made


def test_mirrored_hands_are_described_alike():
    left, right = HANDS["left"], HANDS["right"]
    points, world = made(left, *gestures(left, 20, seed=4))
    mirrored = points * [-1, 1] + [1280, 0], world * [-1, 1, 1]
    one = features_of(left, fit_frames(left, points, world), points, world)
    other = features_of(right, fit_frames(right, *mirrored), *mirrored)
    assert one.shape == (20, FEATURES)
    np.testing.assert_allclose(one[:, :106], other[:, :106], atol=1e-9)
    assert np.median(np.abs(one - other)) < 1e-3  # the fit stops near the same place


def test_turned_and_enlarged_pictures_are_described_alike():
    hand = HANDS["right"]
    points, world = made(hand, *gestures(hand, 20, seed=5))
    cosine, sine = np.cos(2.0), np.sin(2.0)
    turn = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    other = 1.7 * points @ turn[:2, :2].T + 40, world @ turn.T
    one = features_of(hand, fit_frames(hand, points, world), points, world)
    found = features_of(hand, fit_frames(hand, *other), *other)
    np.testing.assert_allclose(one[:, :106], found[:, :106], atol=1e-9)
    assert np.median(np.abs(one - found)) < 1e-3


@pytest.mark.parametrize("side", ["left", "right"])
def test_rubbish_is_corrected_within_bounds_and_doubted(side: str):
    hand, rng = HANDS[side], np.random.default_rng(2)
    points, world = rng.uniform(0, 300, (40, 21, 2)), rng.normal(0, 0.05, (40, 21, 3))
    angles, doubt_m = corrected(hand, fit_frames(hand, points, world), points, world)
    assert (angles >= hand.limits_rad[0] - 1e-9).all()
    assert (angles <= hand.limits_rad[1] + 1e-9).all()
    clear = made(hand, *gestures(hand, 40))
    sure_m = corrected(hand, fit_frames(hand, *clear), *clear)[1]
    assert np.median(doubt_m) > 1.5 * np.median(sure_m)
    assert (doubt_m < 0.4).all()


def test_the_correction_is_small_where_hands_are_clear():
    hand = HANDS["left"]
    angles, palm = gestures(hand, 40)
    points, world = made(hand, angles, palm)
    found = corrected(hand, fit_frames(hand, points, world), points, world)[0]
    assert np.degrees(np.abs(found - angles)).mean() < 10


def test_the_shipped_numbers_are_whole():
    shipped = corrector()
    assert [weight.shape for weight in shipped.weights] == [(192, FEATURES), (192, 192), (26, 192)]
    assert all(np.isfinite(one).all() for one in (*shipped.weights, *shipped.biases))
    assert (shipped.deviation > 0).all()
