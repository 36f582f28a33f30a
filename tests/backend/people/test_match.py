"""Who is who on one frame."""

import numpy as np
import pytest

from staf_backend.people.hits import Hit
from staf_backend.people.match import box_overlap, match
from staf_backend.people.tracklet import Tracklet

POSE = np.random.default_rng(0).uniform(0, 100, (17, 2))


def _hit(frame: int, right_px: float, colour: int, score: float = 0.6, down_px: float = 0) -> Hit:
    """Somebody in a place, 25 frames a second, whose clothes have one colour."""
    keypoints = np.column_stack([POSE + np.array([right_px, down_px]), np.full(17, 0.8)])
    box = np.array([right_px, down_px, right_px + 100, down_px + 100], float)
    clothes = np.zeros((2, 216))
    clothes[:, colour] = 0.6
    clothes[:, -1] = 0.4
    return Hit(frame, frame / 25, box, keypoints, score, clothes)


def test_boxes_overlap_as_they_should():
    one = np.array([[0.0, 0, 10, 10]])
    others = np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30], [0, 0, 0, 0]])
    np.testing.assert_allclose(box_overlap(one, others), [[1, 1 / 3, 0, 0]])


@pytest.mark.parametrize(("away", "crossed"), [(1, False), (10, True)])
def test_who_was_away_is_told_by_their_clothes(away: int, crossed: bool):
    """Two went behind one thing and come out on the other's side; who was seen just now did not."""
    one, other = Tracklet.start(0, _hit(0, 0, 1)), Tracklet.start(0, _hit(0, 30, 2))
    hits = [_hit(away, 0, 2), _hit(away, 30, 1)]
    pairs = dict(match([one, other], hits, away / 25))
    assert pairs == ({0: 1, 1: 0} if crossed else {0: 0, 1: 1})


def test_a_hit_far_less_sure_than_usual_tells_no_velocity():
    person = Tracklet.start(0, _hit(0, 0, 1))
    person.add(_hit(1, 0, 1), True)
    person.add(_hit(2, 0, 1, score=0.1, down_px=60), True)
    assert np.linalg.norm(person.prediction.velocity_px_s) < 1
    person.add(_hit(3, 40, 1, down_px=60), True)
    assert person.prediction.velocity_px_s[0] > 100
