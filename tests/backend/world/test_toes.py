"""Toes stay on the ground while the heel leaves it, and bend nowhere else."""

import dataclasses

import numpy as np
import pytest

from staf_backend.geometry import SMPL, from_axis_angle, to_axis_angle
from staf_backend.motion import PARTS
from staf_backend.world.contacts import Contacts
from staf_backend.world.legs import legs_of
from staf_backend.world.movement import Movement
from staf_backend.world.toes import bent
from tests.support.walker import BODY, movement

FRAMES, STAND = 30, slice(5, 20)
TOE, FOOT = PARTS.index("left_toe"), SMPL.index("left_foot")
RISE_DEG = 40.0


def pushing_off(heading_deg: float = 0.0, knee_rad: float = 1.2) -> Movement:
    """A left heel that leaves the ground and comes back, its toe's point on the ground."""
    times = np.arange(FRAMES) / 30
    rise = np.radians(RISE_DEG) * np.sin(np.pi * np.linspace(0, 1, FRAMES)) ** 2
    rotations = np.tile(np.eye(3), (FRAMES, 24, 1, 1))
    left = legs_of(BODY.skeleton)[0]
    turn = lambda angle: from_axis_angle(np.outer(angle, [1.0, 0, 0]))
    for joint, angle in ((left.hip, -knee_rad / 2), (left.knee, knee_rad)):
        rotations[:, joint] = turn(angle + 0 * rise)
    rotations[:, left.ankle] = turn(rise - knee_rad / 2)
    rotations[:, 0] = from_axis_angle(np.radians([0.0, heading_deg, 0.0]))
    made = movement(times, rotations, np.zeros((FRAMES, 3)))
    away = made.posed.points_m[:, TOE] - made.posed.points_m[:1, TOE]
    return dataclasses.replace(made, root_m=-away)


def touching(*parts: int, rows: slice = STAND) -> Contacts:
    mask = np.zeros((FRAMES, len(PARTS)), bool)
    for part in parts:
        mask[rows, part] = True
    return Contacts(mask.astype(float), mask)


def bend_deg(made: Movement, foot: int = FOOT) -> np.ndarray:
    """(T,) about the toes' own x axis, up is positive."""
    return -np.degrees(to_axis_angle(made.rotations[:, foot])[:, 0])


@pytest.mark.parametrize("heading_deg", [0.0, 70.0, 180.0])
def test_toes_lie_flat_while_the_heel_is_up(heading_deg: float):
    before = pushing_off(heading_deg)
    after = bent(before, touching(TOE))
    assert bend_deg(after)[STAND].max() == pytest.approx(RISE_DEG - 6, abs=1)
    moved = np.linalg.norm(after.posed.points_m - before.posed.points_m, axis=-1)
    assert moved[STAND, TOE].max() < 1e-3, "the toe's point stays"
    ball = after.posed.joints_m[:, FOOT, 1] - before.posed.joints_m[:, FOOT, 1]
    assert ball[STAND].min() < -0.02, "the ball of the foot comes down"
    right = SMPL.index("right_foot")
    np.testing.assert_array_equal(after.rotations[:, right], before.rotations[:, right])


@pytest.mark.parametrize("knee_rad", [0.1, 0.2, 0.3, 0.5])
def test_toes_bend_no_farther_than_a_straight_leg_follows(knee_rad: float):
    before = pushing_off(knee_rad=knee_rad)
    after = bent(before, touching(TOE))
    moved = np.linalg.norm(after.posed.points_m - before.posed.points_m, axis=-1)
    assert moved[STAND, TOE].max() < 1e-3, "the toe's point stays"
    assert bend_deg(after).min() > -1e-3
    assert np.abs(np.diff(bend_deg(after)[STAND])).max() < 8
    if knee_rad < 0.25:
        assert bend_deg(after)[STAND].max() < RISE_DEG - 10, "so the toes stay straighter"


def test_toes_straighten_smoothly_once_they_are_in_the_air():
    after = bend_deg(bent(pushing_off(), touching(TOE)))
    assert (after[25:] == 0).all()
    assert np.abs(np.diff(after[18:26])).max() < 20
    assert (np.diff(after[20:26]) <= 1e-9).all()


def test_feet_that_do_not_stand_or_stand_flat_keep_their_toes():
    before = pushing_off()
    assert bent(before, touching()) is before
    assert bent(before, touching(PARTS.index("right_toe"))) is before
    flat = dataclasses.replace(before, rotations=np.tile(before.rotations[:1], (FRAMES, 1, 1, 1)))
    assert bent(flat, touching(TOE)) is flat
