"""Feet that stay where they stand, legs that never stretch, a root that follows."""

import dataclasses

import numpy as np
import pytest

from staf_backend.geometry import forward_kinematics
from staf_backend.world.contacts import find_contacts
from staf_backend.world.feet import foot_places, held
from staf_backend.world.floors import Floors, footholds, shared_floors
from staf_backend.world.legs import legs_of, reach
from staf_backend.world.lock import locked
from staf_backend.world.movement import Movement
from tests.support.walker import BODY, FLOOR_M, walker


def disturbed() -> tuple[Movement, np.ndarray]:
    """A walker whose root sways by 2 cm, so that feet slide, dip and float; which foot stands."""
    movement, stands = walker()
    sway = 0.02 * np.sin(2 * np.pi * 1.3 * movement.times_s[:, None] + [0.0, 1.0, 2.0])
    return dataclasses.replace(movement, root_m=movement.root_m + sway), stands


def slide_mm(movement: Movement, standing: np.ndarray) -> float:
    """Mean movement a frame of heels and toes (T, 4) that stand in two frames running."""
    moved = np.linalg.norm(np.diff(movement.posed.points_m[:, :4], axis=0), axis=-1)
    return float(1e3 * moved[standing[1:] & standing[:-1]].mean())


def test_held_feet_stand_still_on_the_floor_and_the_body_hardly_moves():
    movement, _ = disturbed()
    contacts = find_contacts(movement)
    (floors,) = shared_floors([footholds(movement, contacts)])
    still = held(movement, contacts, floors)
    assert slide_mm(movement, contacts.feet) > 1.5
    assert slide_mm(still, contacts.feet) < 0.1
    heights = still.posed.points_m[:, :4, 1] - still.rest_heights_m[:4]
    assert np.abs(heights[contacts.feet] - floors.own_m[0]).max() < 0.003
    assert np.abs(still.posed.joints_m - movement.posed.joints_m).max() < 0.08


def test_corrections_fade_between_steps():
    movement, _ = disturbed()
    contacts = find_contacts(movement)
    (floors,) = shared_floors([footholds(movement, contacts)])
    jumps = lambda m: np.abs(np.diff(m.posed.points_m[:, :4], 3, axis=0)).max()
    assert jumps(held(movement, contacts, floors)) < 1.5 * jumps(movement)


def test_feet_on_the_ground_only_may_slide_along_it():
    movement, _ = disturbed()
    contacts = find_contacts(movement)
    (floors,) = shared_floors([footholds(movement, contacts)])
    still = held(movement, contacts, floors, upright_only=True)
    heights = still.posed.points_m[:, :4, 1] - still.rest_heights_m[:4]
    assert np.abs(heights[contacts.feet] - floors.own_m[0]).max() < 0.003
    assert slide_mm(still, contacts.feet) > 1.0


def test_a_foot_on_no_level_is_held_where_it_stands():
    movement, _ = walker()
    contacts = find_contacts(movement)
    places = foot_places(movement, contacts, Floors((FLOOR_M + 0.5,), (FLOOR_M + 0.5,)))
    heights = places[..., 1] - movement.rest_heights_m[:4]
    np.testing.assert_allclose(heights[contacts.feet], FLOOR_M, atol=0.005)


def test_a_locked_root_lets_feet_stand():
    movement, _ = disturbed()
    contacts = find_contacts(movement)
    heights = np.where(contacts.feet, FLOOR_M + movement.rest_heights_m[:4], np.nan)
    still = locked(movement, contacts, heights)
    assert slide_mm(still, contacts.feet) < 0.6 * slide_mm(movement, contacts.feet)
    assert np.abs(still.root_m - movement.root_m).max() < 0.06


def test_a_leg_reaches_what_it_can_and_keeps_its_bones():
    movement, _ = walker()
    leg, rest = legs_of(BODY.skeleton)[0], BODY.rest_joints_m(np.zeros(10))
    turned, joints = forward_kinematics(movement.rotations, rest, movement.root_m)
    target = joints[:, leg.ankle] + [0.03, 0.05, -0.04]
    moved = reach(
        movement.rotations, rest, movement.root_m, BODY.skeleton, leg, target, turned[:, leg.ankle]
    )
    again, placed = forward_kinematics(moved, rest, movement.root_m)
    np.testing.assert_allclose(placed[:, leg.ankle], target, atol=1e-6)
    np.testing.assert_allclose(again[:, leg.ankle], turned[:, leg.ankle], atol=1e-9)
    others = [j for j in range(24) if j not in (1, 4, 7, 10)]
    np.testing.assert_allclose(placed[:, others], joints[:, others], atol=1e-9)


@pytest.mark.parametrize("away_m", [0.5, 3.0])
def test_a_leg_that_is_too_short_stays_short(away_m: float):
    movement, _ = walker()
    leg, rest = legs_of(BODY.skeleton)[1], BODY.rest_joints_m(np.zeros(10))
    turned, joints = forward_kinematics(movement.rotations, rest, movement.root_m)
    target = joints[:, leg.ankle] - [0, away_m, 0]
    moved = reach(
        movement.rotations, rest, movement.root_m, BODY.skeleton, leg, target, turned[:, leg.ankle]
    )
    placed = forward_kinematics(moved, rest, movement.root_m)[1]
    hip, knee, ankle = (placed[:, joint] for joint in leg)
    for one, other, a, b in ((hip, knee, leg.hip, leg.knee), (knee, ankle, leg.knee, leg.ankle)):
        bone = np.linalg.norm(rest[b] - rest[a])
        np.testing.assert_allclose(np.linalg.norm(one - other, axis=-1), bone, atol=1e-9)
    assert (np.linalg.norm(ankle - hip, axis=-1) <= 1e-6 + sum(_bones(rest, leg))).all()


def _bones(rest: np.ndarray, leg: tuple[int, int, int]) -> tuple[float, float]:
    hip, knee, ankle = leg
    upper, lower = np.linalg.norm(rest[knee] - rest[hip]), np.linalg.norm(rest[ankle] - rest[knee])
    return float(upper), float(lower)
