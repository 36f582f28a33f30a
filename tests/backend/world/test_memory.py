"""What a long clip takes: bytes a frame beside what is given and what comes back."""

import dataclasses
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from staf_backend.body import SmplParams
from staf_backend.files import scratch_in
from staf_backend.fit import Fitter, looseness
from staf_backend.geometry import from_axis_angle
from staf_backend.motion import PARTS
from staf_backend.world.contacts import Contacts, find_contacts
from staf_backend.world.feet import held
from staf_backend.world.floors import footholds, shared_floors
from staf_backend.world.gravity import find_up
from staf_backend.world.legs import legs_of
from staf_backend.world.movement import Movement, movement_of, posed_movement
from staf_backend.world.toes import bent
from tests.support.walker import BODY, walker

FRAMES, ANKLE = 6000, legs_of(BODY.skeleton)[0].ankle
ROTATIONS = 24 * 9 * 4
"""Bytes a frame of a movement's rotations."""

T = TypeVar("T")


def long_walk() -> Movement:
    """The walk there and back again, swaying so that feet must be held; 4-byte floats."""
    one, _ = walker()
    rows = np.resize(np.r_[: len(one), len(one) - 2 : 0 : -1], FRAMES)
    sway = 0.02 * np.sin(2 * np.pi * 1.3 * np.arange(FRAMES)[:, None] / 30 + [0.0, 1.0, 2.0])
    return dataclasses.replace(
        one,
        times_s=np.arange(FRAMES) / 30,
        rotations=one.rotations[rows].astype(np.float32),
        root_m=one.root_m[rows] + sway,
        eye_m=one.eye_m[rows],
        feet_seen=one.feet_seen[rows],
    )


def peak(made: Callable[[], T]) -> tuple[T, float]:
    """What is made, and the bytes a frame that making it took at most."""
    tracemalloc.start()
    result = made()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return result, most / FRAMES


def in_camera_axes(movement: Movement) -> SmplParams:
    turned = movement.turned(np.diag([1.0, -1.0, -1.0]))
    return SmplParams(turned.rotations, turned.root_m, turned.betas)


def test_holding_feet_takes_a_copy_of_the_rotations_and_little_more():
    movement = long_walk()
    contacts = find_contacts(movement)
    (floors,) = shared_floors([footholds(movement, contacts)])
    still, took = peak(lambda: held(movement, contacts, floors))
    assert not np.array_equal(still.rotations, movement.rotations)
    assert took < 3.5 * ROTATIONS  # each foot's ankle and turn are kept beside the copy


def feet_and_up(movement: Movement) -> tuple[Movement, float, float]:
    """A movement that stands, and the bytes a frame that its feet took, and up."""
    contacts = find_contacts(movement)
    (floors,) = shared_floors([footholds(movement, contacts)])
    still, feet = peak(lambda: bent(held(movement, contacts, floors), contacts))
    params, times_s = in_camera_axes(movement), np.arange(FRAMES) / 30
    seen = np.ones((FRAMES, 2), bool)
    _, up = peak(lambda: find_up([(posed_movement(params, times_s, BODY, seen), None)]))
    return still, feet, up


def test_what_waits_on_the_disk_is_not_in_memory(tmp_path: Path):
    expected, feet, up = feet_and_up(long_walk())
    with scratch_in(tmp_path):
        still, feet_too, up_too = feet_and_up(long_walk())
    assert feet_too < feet - 0.9 * ROTATIONS  # the copy that is changed
    assert up_too < up - 0.3 * ROTATIONS  # what is posed
    np.testing.assert_array_equal(still.rotations, expected.rotations)
    np.testing.assert_array_equal(still.root_m, expected.root_m)


def test_bending_toes_takes_a_copy_of_the_rotations_and_little_more():
    movement, toes = long_walk(), np.zeros((FRAMES, len(PARTS)), bool)
    movement.rotations[:, ANKLE] = from_axis_angle(np.array([0.5, 0.0, 0.0]))
    toes[::2, PARTS.index("left_toe")] = True
    curled, took = peak(lambda: bent(movement, Contacts(toes.astype(float), toes)))
    assert not np.array_equal(curled.rotations, movement.rotations)
    assert took < 2.7 * ROTATIONS


def test_what_is_held_leaves_what_it_was_given():
    movement = long_walk()
    before = movement.rotations.copy()
    contacts = find_contacts(movement)
    (floors,) = shared_floors([footholds(movement, contacts)])
    held(movement, contacts, floors)
    np.testing.assert_array_equal(movement.rotations, before)


def test_up_is_found_without_the_rotations():
    params, times_s = in_camera_axes(long_walk()), np.arange(FRAMES) / 30
    seen = np.ones((FRAMES, 2), bool)
    _, took = peak(lambda: find_up([(posed_movement(params, times_s, BODY, seen), None)]))
    assert took < 2.3 * ROTATIONS  # copies of them would be two more


def test_what_is_posed_alone_is_what_the_movement_poses():
    params, times_s = in_camera_axes(long_walk()), np.arange(FRAMES) / 30
    seen = np.ones((FRAMES, 2), bool)
    movement = movement_of(params, times_s, BODY, seen)
    alone = posed_movement(params, times_s, BODY, seen)
    turn = from_axis_angle(np.array([0.1, 0.2, 0.3]))
    pairs = (
        *zip(alone.posed, movement.posed, strict=True),
        *zip(alone.turned(turn).posed, movement.turned(turn).posed, strict=True),
        (alone.rest_heights_m, movement.rest_heights_m),
    )
    for one, other in pairs:
        np.testing.assert_array_equal(one, other)


def test_rotations_that_nobody_asks_for_any_more_are_not_copied():
    params = in_camera_axes(long_walk())
    seen, times_s = np.ones((FRAMES, 2), bool), np.arange(FRAMES) / 30
    copied = movement_of(params, times_s, BODY, seen)
    assert copied.rotations is not params.rotations
    kept = movement_of(params, times_s, BODY, seen, out=params.rotations)
    assert kept.rotations is params.rotations
    np.testing.assert_array_equal(kept.rotations, copied.rotations)


def test_looseness_is_kept_once_for_each_limb():
    rays = np.zeros((FRAMES, 27, 2), np.float32)
    sure, times_s = np.ones((FRAMES, 27), np.float32), np.arange(FRAMES) / 30
    depth_m, unknowns = np.full(FRAMES, 4.0), Fitter(BODY).unknowns
    made, took = peak(lambda: looseness(rays, sure, depth_m, times_s, unknowns))
    assert made.factors().shape == (FRAMES, len(unknowns))
    assert made.groups.nbytes / FRAMES == 5 * 8
    assert took < 300
