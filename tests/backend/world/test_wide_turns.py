"""A camera that goes half round somebody, or turns nearly about: the person goes where they go."""

import dataclasses
import logging

import numpy as np
import pytest

from staf_backend.geometry import nearest_rotation
from staf_backend.motion import joints_m
from staf_backend.world.movement import Movement
from staf_backend.world.odometry import Journey
from staf_backend.world.stretch import Stretch
from tests.backend.world.test_travel import follow, solved, turns_off_deg, way_m
from tests.support.travelling_room import Filmed, film
from tests.support.walker import walker

ARC_DEG = 200
"""From the walker's back to their front, on their right."""


@pytest.fixture(scope="module")
def walk() -> Movement:
    return walker()[0]


@pytest.fixture(scope="module")
def round_about(walk: Movement) -> Filmed:
    """A camera that goes round the middle of the walk, 4 m away from it."""
    angle = np.radians(np.linspace(-ARC_DEG / 2, ARC_DEG / 2, len(walk)))
    arc = 4 * np.stack([np.sin(angle), 0 * angle, np.cos(angle)], -1)
    vectors = np.outer(np.degrees(angle), [0, 1.0, 0])
    return film(walk.root_m.mean(0) * [1, 0, 1] + arc, vectors, closed=True)


def test_a_camera_that_turns_nearly_about_is_followed():
    degrees = np.concatenate([np.linspace(0, 170, 80), np.linspace(170, 160, 10)])
    filmed = film(np.zeros((90, 3)), np.outer(degrees, [0, 1.0, 0]), closed=True)
    follower, frames = follow(filmed)
    assert follower.kind(frames) == "rotating"
    turns = follower.turns(frames)
    assert turns is not None
    assert turns_off_deg(turns, filmed) < 1.5


def test_who_walks_inside_an_orbit_walks_on(walk: Movement, round_about: Filmed):
    for motion in solved(walk, round_about):
        assert motion.camera.motion == "moving"
        found, true = joints_m(motion), walk.posed.joints_m
        mine, theirs = (points - points.mean((0, 1)) for points in (found, true))
        turn = nearest_rotation(np.einsum("tja,tjb->ab", theirs, mine))
        assert np.linalg.norm(mine @ turn.T - theirs, axis=-1).mean() < 0.1
        assert way_m(motion.root_m) == pytest.approx(way_m(walk.root_m), rel=0.06)


def test_of_a_camera_that_travels_round_somebody_its_way_is_known(
    walk: Movement, round_about: Filmed
):
    raw, _ = solved(walk, round_about)
    path = raw.camera_path
    assert path is not None
    away = np.linalg.norm((path.positions_m - raw.root_m)[:, [0, 2]], axis=1)
    true = np.linalg.norm((round_about.place_m - walk.root_m)[:, [0, 2]], axis=1)
    np.testing.assert_allclose(away, true, rtol=0.1)


def test_a_way_so_far_round_that_is_told_in_parts_is_not_taken_for_a_turn(
    round_about: Filmed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    whole = Stretch.journey

    def half(self: Stretch, doubt: float) -> Journey | None:
        found = whole(self, doubt)
        return found and dataclasses.replace(found, known=found.known & (np.arange(90) < 50))

    monkeypatch.setattr(Stretch, "journey", half)
    follower, frames = follow(round_about)
    with caplog.at_level(logging.WARNING):
        assert follower.kind(frames) == "unsure"
    assert "so far round" in caplog.text
