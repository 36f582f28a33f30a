"""Which way is up, what touches the ground, and where the ground is."""

import dataclasses
import tracemalloc

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from staf_backend.geometry import from_6d, from_axis_angle
from staf_backend.world.contacts import Contacts, find_contacts
from staf_backend.world.floors import (
    Floors,
    Foothold,
    footholds,
    heights_stood_on,
    is_even,
    levels_of,
    main_level_m,
    shared_floors,
    stepped_on_m,
)
from staf_backend.world.gravity import UP, Gravity, LiftedUp, find_up, to_level
from staf_backend.world.movement import Movement
from tests.support.walker import FLOOR_M, RATE_HZ, STEP_S, walker

ACROSS, TOWARD = (1.0, 0.0), (0.0, 1.0)


def angle_deg(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip(one @ other, -1, 1))))


@pytest.mark.parametrize("ways", [ACROSS, TOWARD])
def test_contacts_are_the_feet_that_stand(ways: tuple[float, float]):
    movement, stands = walker(ways=ways)
    found, true = find_contacts(movement).feet, np.repeat(stands, 2, axis=1)
    assert 2 * (found & true).sum() / (found.sum() + true.sum()) > 0.93


def test_a_stance_whose_depth_jumps_is_one():
    """In two frames the whole body gets 10 cm farther away and 4 cm aside."""
    movement, stands = walker(ways=TOWARD)
    middle = int(np.flatnonzero(stands[:, 0])[:15].mean())
    ray = movement.posed.points_m[middle, 0] / np.linalg.norm(movement.posed.points_m[middle, 0])
    share = np.zeros(len(movement))
    share[middle], share[middle + 1 :] = 0.5, 1.0
    jump = np.outer(share, 0.1 * ray + [0.04, 0.0, 0.0])
    jumping = dataclasses.replace(movement, root_m=movement.root_m + jump)
    first, last = find_contacts(jumping).spans(0)[0]
    assert (first, last) == find_contacts(movement).spans(0)[0]


@pytest.mark.parametrize("frames", [2, 3, 4])
def test_a_foot_that_comes_to_rest_late_stands_from_where_it_comes(frames: int):
    """A walk toward the camera that is smoothed, as an estimate is."""
    movement, stands = walker(ways=TOWARD, steps=8)
    turns = gaussian_filter1d(movement.rotations, frames, axis=0)
    smooth = dataclasses.replace(
        movement,
        rotations=from_6d(turns[..., :2]),
        root_m=gaussian_filter1d(movement.root_m, frames, axis=0),
    )
    found, true = find_contacts(smooth).feet, np.repeat(stands, 2, axis=1)
    assert (true & ~found).sum() < 0.16 * true.sum()
    assert 2 * (found & true).sum() / (found.sum() + true.sum()) > 0.84


def test_feet_come_and_leave_while_they_only_may_stand(monkeypatch: pytest.MonkeyPatch):
    """From where a foot comes to rest to where it has left, and no more of what lies between."""
    likely = [0.0, 0.02, 0.1, 0.2, 0.5, 0.9, 0.8, 0.29, 0.25, 0.21, 0.1, 0.02, 0.18, 0.02, 0.2, 0.6]
    told = np.repeat(np.array([*likely, 0.7, 0.6, 0.22, 0.25, 0.0, 0.0])[:, None], 4, axis=1)
    movement, _ = walker()
    some = part(movement, slice(0, len(told)))
    monkeypatch.setattr("staf_backend.world.contacts.feet_standing", lambda _: told)
    found = find_contacts(some)
    assert [found.spans(point) for point in range(4)] == [[(2, 10), (14, 19)]] * 4


def test_hands_knees_and_the_seat_of_a_walker_touch_nothing():
    movement, _ = walker()
    assert not find_contacts(movement).touching[:, 4:].any()


def test_who_stands_still_touches_the_ground_with_the_feet_alone():
    """Still hands, knees and hips of somebody who stands rest on nothing."""
    movement, _ = walker()
    still = part(movement, slice(0, 1))
    names = ("rotations", "root_m", "eye_m", "feet_seen")
    held = {name: np.repeat(getattr(still, name), 60, axis=0) for name in names}
    found = find_contacts(dataclasses.replace(movement, times_s=movement.times_s[:60], **held))
    assert found.feet.any(1).all()
    assert not found.touching[:, 4:].any()


def test_feet_that_are_not_seen_touch_nothing():
    movement, _ = walker()
    hidden = dataclasses.replace(movement, feet_seen=np.zeros((len(movement), 2), bool))
    assert not find_contacts(hidden).touching.any()


def test_somebody_who_lies_does_not_stand():
    movement, _ = walker()
    lying = movement.turned(from_axis_angle(np.array([-np.pi / 2, 0, 0])))
    assert not find_contacts(lying).feet.any()


def test_a_single_frame_touches_nothing():
    movement, _ = walker()
    assert not find_contacts(part(movement, slice(0, 1))).touching.any()


@pytest.mark.parametrize("ways", [ACROSS, TOWARD])
@pytest.mark.parametrize("tilt_deg", [(20, 0, 0), (-10, 0, 0), (0, 0, 12), (15, 0, -8)])
def test_up_is_found_under_a_tilted_camera(
    ways: tuple[float, float], tilt_deg: tuple[float, float, float]
):
    movement, _ = walker(ways=ways)
    turn = from_axis_angle(np.radians(np.array(tilt_deg, float)))
    found = find_up([(movement.turned(turn), None)])
    assert found is not None
    assert not found.is_level
    assert angle_deg(found.up, turn @ UP) < 1.0
    np.testing.assert_allclose(to_level(found.up) @ found.up, UP, atol=1e-9)


def test_a_level_camera_stays_level():
    movement, _ = walker()
    found = find_up([(movement, LiftedUp(from_axis_angle(np.array([0.1, 0, 0])) @ UP, 0.2))])
    assert found is not None
    assert found.is_level
    assert found.standing_s > 2


def test_who_leans_now_this_way_and_now_that_tells_less_of_up():
    """A walker who bows and rises all the time, as dancers do."""
    movement, _ = walker(steps=8)
    angles = 1.2 + 1.2 * np.sin(8 * movement.times_s)
    spine, turns = movement.body.skeleton.index("spine1"), movement.rotations.copy()
    turns[:, spine] = turns[:, spine] @ from_axis_angle(np.outer(angles, [1.0, 0.0, 0.0]))
    bowing = dataclasses.replace(movement, rotations=turns)
    lifted = LiftedUp(UP, np.radians(6))
    steady, unsteady = (find_up([(one, lifted)], "left") for one in (movement, bowing))
    assert steady is not None
    assert unsteady is not None
    assert angle_deg(unsteady.up, UP) < 1.0
    assert unsteady.doubt_deg > steady.doubt_deg + 0.3


def test_footholds_of_uneven_ground_do_not_tilt_the_camera():
    """Every step of a walk past the camera is higher than the one before it."""
    movement, _ = walker()
    step = np.arange(len(movement)) // round(STEP_S * RATE_HZ)
    rise = np.outer(0.1 * step, [0.0, 1.0, 0.0])
    climbing = dataclasses.replace(movement, root_m=movement.root_m + rise)
    known = [(climbing, LiftedUp(UP, 0.1))]
    asked, left, believed = (find_up(known, which) for which in ("asked", "left", "believed"))
    assert asked is not None
    assert left is not None
    assert believed is not None
    assert left.tilt_deg < 0.5 * asked.tilt_deg
    assert believed.tilt_deg > asked.tilt_deg + 0.1


def test_two_people_have_one_up():
    (one, _), (other, _) = walker(ways=ACROSS), walker(ways=TOWARD)
    turn = from_axis_angle(np.radians([20.0, 0, 0]))
    found = find_up([(one.turned(turn), None), (other.turned(turn), None)])
    assert found is not None
    assert angle_deg(found.up, turn @ UP) < 1.0


def test_whom_nobody_sees_standing_tells_nothing():
    movement, _ = walker()
    hidden = dataclasses.replace(movement, feet_seen=np.zeros((len(movement), 2), bool))
    assert find_up([(hidden, None)]) is None


def test_the_floor_is_where_feet_stood():
    movement, _ = walker()
    holds = footholds(movement, find_contacts(movement))
    (floors,) = shared_floors([holds])
    assert main_level_m([holds], [floors]) == pytest.approx(FLOOR_M, abs=0.005)
    assert len(floors.own_m) == 1


def test_a_jump_from_a_wall_has_two_levels_and_the_floor_is_the_lower():
    up, down = walker()[0], walker()[0]
    lower = dataclasses.replace(down, root_m=down.root_m - [0, 2.0, 0])
    whole = joined(up, lower)
    holds = footholds(whole, find_contacts(whole))
    (floors,) = shared_floors([holds])
    assert sorted(floors.own_m) == pytest.approx([FLOOR_M - 2, FLOOR_M], abs=0.01)
    assert main_level_m([holds], [floors]) == pytest.approx(FLOOR_M - 2, abs=0.01)
    assert floors.level_at(FLOOR_M - 1) is None


def test_stairs_are_no_floor():
    assert levels_of([hold(0.17 * k) for k in range(10)]) == ()


def test_heights_that_agreed_still_do_about_their_middle():
    """All are within 45 mm of the one between, and not of the lower ones, of which most are."""
    holds = [hold(-1.0)] * 6 + [hold(-1.04)] + [hold(-1.08)] * 4
    assert levels_of(holds) == (-1.0,)


def test_people_of_uncertain_size_share_a_floor():
    floors = shared_floors([[hold(-1.4)] * 5, [hold(-1.3)] * 3])
    assert [one.own_m for one in floors] == [(-1.4,), (-1.3,)]
    assert [one.shared_m for one in floors] == [(-1.4,), (-1.4,)]


def test_a_moment_on_a_level_of_others_is_enough():
    man, woman = [hold(0.6)] * 20 + [hold(-1.4)], [hold(-1.4)] * 10
    floors = shared_floors([man, woman])
    assert floors[0].level_at(-1.4) is not None


def test_an_hours_footholds_take_little_memory():
    """Four points of two steps a second; every pair of them would be a thousand million."""
    heights = np.random.default_rng(0).normal(-1.4, 0.01, 30_000)
    holds = [hold(height_m) for height_m in heights]
    tracemalloc.start()
    levels, even = levels_of(holds), is_even(holds)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 30e6
    assert levels == (pytest.approx(-1.4, abs=1e-3),)
    assert even


def hold(height_m: float) -> Foothold:
    return Foothold(0, 0, 10, height_m, 0.3)


def part(movement: Movement, rows: slice) -> Movement:
    names = ("times_s", "rotations", "root_m", "eye_m", "feet_seen")
    return dataclasses.replace(movement, **{name: getattr(movement, name)[rows] for name in names})


def joined(one: Movement, other: Movement) -> Movement:
    names = ("rotations", "root_m", "eye_m", "feet_seen")
    both = {n: np.concatenate([getattr(one, n), getattr(other, n)]) for n in names}
    times = np.arange(len(one) + len(other)) / one.rate_hz
    return dataclasses.replace(one, times_s=times, **both)


def test_contacts_name_their_spans():
    touching = np.zeros((10, 9), bool)
    touching[2:5, 1] = touching[7:9, 1] = True
    assert Contacts(touching * 1.0, touching).spans(1) == [(2, 5), (7, 9)]


def test_steps_below_a_kerb_are_no_floor():
    """Uneven ground, as of CMU's subject 03: nobody is pulled to the middle of it."""
    heights = [-0.16, -0.09, -0.08, -0.02, 0.0, 0.04, 0.06, 0.10, 0.13, 0.15]
    assert levels_of([hold(height) for height in heights]) == ()


def test_a_foothold_on_a_kerb_stays_on_it():
    own = levels_of([hold(0.01 * k) for k in range(-3, 4)] + [hold(0.12)])
    (floors,) = shared_floors([[hold(0.01 * k) for k in range(-3, 4)] + [hold(0.12)]])
    assert own == pytest.approx((0.0,), abs=0.011)
    assert floors.level_at(0.05) is not None
    assert floors.level_at(0.12) is None


def test_far_below_the_camera_heights_may_differ_as_depths_do():
    """Of walk_two's second person, whose depth is uncertain by 4 %, two metres below the camera."""
    off = [-0.07, -0.06, -0.05, 0.0, 0.05, 0.07]
    (level,) = levels_of([hold(-2.0 + one) for one in off])
    assert level == pytest.approx(-2.0, abs=0.03)
    assert levels_of([hold(-0.9 + one) for one in off]) == ()


def test_who_seems_farther_for_a_stance_stands_on_the_same_floor():
    """Seven hundredths farther, so as much of the camera's height lower; a stair is no floor."""
    (floors,) = shared_floors([[hold(-1.4 + 0.01 * k) for k in range(-3, 4)] + [hold(-1.5)]])
    assert floors.own_m == pytest.approx((-1.4,), abs=0.011)
    assert floors.level_at(-1.5) == 0
    assert floors.level_at(-1.26) is None


def test_heel_and_toe_of_one_foot_stand_on_one_level():
    heel, toe = hold(0.0), dataclasses.replace(hold(-0.1), point=1)
    other, later = dataclasses.replace(toe, point=3), dataclasses.replace(toe, first=10, last=20)
    holds = [heel, toe, other, later]
    floors = Floors((0.0,), (0.3,))
    assert heights_stood_on(holds, floors) == [0.3, 0.3, None, None]
    assert heights_stood_on([], floors) == []


def test_uneven_ground_lies_at_its_middle_height():
    holds = [hold(height) for height in (-1.8, -1.65, -1.5, -1.35, -1.2)]
    assert main_level_m([holds], shared_floors([holds])) == pytest.approx(-1.5)
    assert main_level_m([[]], shared_floors([[]])) is None


def test_a_foot_that_is_estimated_tilted_stands_at_one_height():
    """Heels 6 cm too high and toes as much too low, at the same time or one after the other."""
    tilted, turns = (
        [
            Foothold(point, first + late * (point % 2), first + 10 + late * (point % 2), high, 0.3)
            for first in (0, 30, 60)
            for point, high in enumerate((0.06, -0.06, 0.06, -0.06))
        ]
        for late in (2, 15)
    )
    assert levels_of(tilted) == pytest.approx((0.0,))
    assert is_even(tilted)
    assert levels_of(turns) == ()
    assert not is_even(turns)


def test_ground_is_even_where_each_foot_stands_at_one_height():
    left, right = hold(-1.5), dataclasses.replace(hold(-1.4), point=2)
    assert is_even([left, left, right, right])
    higher = dataclasses.replace(left, height_m=-1.3)
    assert not is_even([left, higher, left, right, right])
    assert not is_even([hold(height) for height in (-1.8, -1.65, -1.5, -1.35, -1.2)])


def running(rise_m: float = 0.0) -> Movement:
    """A walk that leaves the ground between its steps; each step is higher by `rise_m`."""
    movement, _ = walker(steps=8)
    share = movement.times_s / STEP_S
    hop = 0.1 * np.abs(np.sin(np.pi * share)) + rise_m * share
    return dataclasses.replace(movement, root_m=movement.root_m + np.outer(hop, [0.0, 1.0, 0.0]))


def test_a_run_tells_the_floor_by_its_steps():
    assert stepped_on_m(running()) == pytest.approx(FLOOR_M, abs=0.01)
    assert stepped_on_m(running(rise_m=0.1)) is None
    assert stepped_on_m(walker()[0]) is None
    hidden = dataclasses.replace(running(), feet_seen=np.zeros((len(running()), 2), bool))
    assert stepped_on_m(hidden) is None


@pytest.mark.parametrize(("apart_m", "agree"), [(0.09, True), (0.2, False)])
def test_an_estimate_that_leans_stands_between_its_feet(apart_m: float, agree: bool):
    """Each foot at one height, and the two apart."""
    left, right = hold(-1.76), dataclasses.replace(hold(-1.76 - apart_m), point=2)
    holds = [left, right] * 4
    (floors,) = shared_floors([holds])
    assert floors.own_m == (pytest.approx((-1.76 - apart_m / 2,)) if agree else ())
    assert (None in heights_stood_on(holds, floors)) is not agree


@pytest.mark.parametrize(("pitch_deg", "level"), [(2.0, True), (5.0, False), (-5.0, True)])
def test_a_camera_that_looks_down_a_little_is_levelled(pitch_deg: float, level: bool):
    up = np.array([0.0, np.cos(np.radians(pitch_deg)), np.sin(np.radians(pitch_deg))])
    assert Gravity(up, 3.0, 2.0, against_level=1.3).is_level is level
