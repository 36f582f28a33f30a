"""Whether seen hands are those of their arms: over a track, wary where looks contradict."""

import numpy as np
import pytest

from staf_backend.landmarks.hands_sides import own_hand

TIMES = np.arange(60) / 30


def track(*pieces: tuple[int, float, float]) -> np.ndarray:
    """Log odds (T, 2) of both hands, of pieces (frames, left, right)."""
    return np.concatenate([np.tile([[left, right]], (count, 1)) for count, left, right in pieces])


def test_hands_that_look_like_their_sides_are_own():
    assert own_hand(track((60, 2.5, 2.5)), TIMES).all()
    assert own_hand(track((60, 0.8, np.nan)), TIMES)[5:-10, 0].all()


def test_exchanged_hands_are_refused_even_where_a_look_says_otherwise():
    odds = track((60, -2.5, -2.5))
    odds[[10, 30, 31, 32, 50]] = 3.0
    assert not own_hand(odds, TIMES).any()


def test_an_exchange_for_some_frames_is_found():
    found = own_hand(track((25, 3, 3), (15, -3, -3), (20, 3, 3)), TIMES)
    assert not found[24:41].any()
    assert found[:20].all()
    assert found[46:].all()


def test_a_single_contradiction_is_not_an_exchange():
    odds = track((60, 2.5, 2.5))
    odds[30] = -4
    assert own_hand(odds, TIMES).all()


def test_the_other_hand_has_a_say():
    odds = track((25, 3, 3), (10, -2, 3), (25, 3, 3))
    assert own_hand(odds, TIMES).all()
    odds[25:35, 1] = -2
    assert not own_hand(odds, TIMES)[25:35].any()


@pytest.mark.parametrize("fps", [8, 30, 120])
def test_it_is_a_matter_of_time_and_not_of_frames(fps: int):
    """Half a second of an exchange, at any rate of frames."""
    times = np.arange(3 * fps) / fps
    odds = np.where(((times >= 1) & (times < 1.5))[:, None], -3.0, 3.0).repeat(2, 1)
    found = own_hand(odds, times)
    assert not found[(times >= 1) & (times < 1.5)].any()
    assert found[(times < 0.7) | (times > 1.8)].all()


def test_where_nothing_is_seen_nothing_is_believed_for_long():
    odds = np.full((60, 2), np.nan)
    assert not own_hand(odds, TIMES).any()


def test_one_frame_needs_to_be_clear():
    once = np.zeros(1)
    assert own_hand(np.array([[2.9, 2.9]]), once).all()
    assert not own_hand(np.array([[1.0, np.nan]]), once).any()
