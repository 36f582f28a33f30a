"""From estimates to motions that stand on a floor: camera, layers, choices, and what is refused."""

import dataclasses
import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from staf_backend.body import SmplParams, markers
from staf_backend.estimators import Estimate, EstimatorSettings, Evidence, SettingsError, Shot
from staf_backend.estimators.to_motion import to_motion
from staf_backend.geometry import (
    SMPL,
    TO_Y_UP,
    Camera,
    forward_kinematics,
    from_axis_angle,
    from_quaternions,
    to_quaternions,
)
from staf_backend.landmarks import Lifted, Lifter
from staf_backend.motion import PARTS, Motion, joints_m
from staf_backend.people import Track
from staf_backend.world import WorldSettings, stand
from staf_backend.world.gravity import up_of_tilt
from staf_backend.world.grounding import HELD, NO_FEET, NO_FLOOR, ONLY_STEPS
from staf_backend.world.movement import FEET, Movement
from tests.support.walker import BODY, FLOOR_M, RATE_HZ, STEP_S, walker

TILT = from_axis_angle(np.radians([20.0, 0, 0]))
CAMERA = Camera(focal_px=900.0, width_px=1600, height_px=900)


def shot() -> Shot:
    video = SimpleNamespace(path=Path("walk.mp4"), fps=30.0)
    return Shot(video, range(1), CAMERA)  # type: ignore[arg-type]  # all that a motion asks of it


def estimate(movement: Movement, person: int = 1, feet_px: float = 400.0) -> Estimate:
    """As an estimator without landmarks gives it, in camera axes."""
    frames = len(movement)
    rotations = movement.rotations.copy()
    rotations[:, 0] = TO_Y_UP @ rotations[:, 0]
    numbers = np.arange(frames, dtype=np.int64)
    track = Track(
        person,
        1,
        numbers,
        movement.times_s,
        np.ones((frames, 3)),
        np.zeros((frames, 17, 3)),
        np.ones(frames, bool),
    )
    params = SmplParams(rotations, movement.root_m @ TO_Y_UP.T, movement.betas)
    points = np.full((frames, 24, 3), feet_px)
    points[..., 2] = 1
    return Estimate(track, params, points, SMPL.names, {}, "staf")


def grounded(*estimates: Estimate, **choices: object) -> list[Motion]:
    world = WorldSettings(**choices)  # type: ignore[arg-type]
    return stand(list(estimates), shot(), BODY, EstimatorSettings(), world, lambda *_: None)


def test_a_walk_under_a_tilted_camera_stands_on_the_floor():
    movement, _ = walker()
    seen = estimate(movement.turned(TILT))
    (motion,) = grounded(seen)
    up = motion.camera.to_camera_axes(np.array([[0.0, 1, 0]])) - motion.camera.to_camera_axes(
        np.zeros((1, 3))
    )
    assert (TO_Y_UP @ up[0]) @ (TILT @ [0, 1, 0]) > np.cos(np.radians(1.0))
    assert motion.camera.position_m == pytest.approx([0, -FLOOR_M, 0], abs=0.1)
    feet = [SMPL.index("left_ankle"), SMPL.index("right_ankle")]
    lowest = joints_m(motion)[:, feet, 1].min(1)
    assert np.ptp(lowest) < 0.04
    raw = joints_m(to_motion(seen, shot(), BODY))[:, feet, 1].min(1)
    assert np.ptp(raw) > 0.05
    assert {span.part for span in motion.contacts} >= {"left_heel", "right_toe"}
    assert all(abs(span.floor_m) < 0.01 for span in motion.contacts)


def test_the_raw_layer_is_what_the_camera_saw():
    movement, _ = walker()
    seen = estimate(movement.turned(TILT))
    (motion,) = grounded(seen)
    assert motion.raw_rotations_wxyz is not None
    assert motion.raw_root_m is not None
    raw = dataclasses.replace(
        motion, rotations_wxyz=motion.raw_rotations_wxyz, root_m=motion.raw_root_m
    )
    plain = to_motion(seen, shot(), BODY)
    of_camera = raw.camera.to_camera_axes(joints_m(raw))
    np.testing.assert_allclose(of_camera, plain.camera.to_camera_axes(joints_m(plain)), atol=1e-5)


def with_evidence(movement: Movement, seen: Estimate) -> Estimate:
    """An estimate whose landmarks and lifted pose are those of a movement."""
    posed = movement.rotations, BODY.rest_joints_m(movement.betas), movement.root_m, BODY.skeleton
    turned, joints = forward_kinematics(*posed)
    shared = markers.markers_of(BODY)
    points = shared.blend(shared.influences_m(turned, joints, movement.betas)) @ TO_Y_UP
    frames, up = len(movement), np.array([0.0, -1.0, 0.0])
    rotations = to_quaternions(TO_Y_UP @ turned).astype(np.float32)
    sure = np.full((frames, 24), 0.1), np.zeros(10), up, 0.1, np.zeros((frames, 4))
    rays = points[..., :2] / points[..., 2:]
    lifted, seen_by = Lifted(rotations, *sure), np.ones(rays.shape[:2])
    lifter: Lifter = None  # type: ignore[assignment]  # nothing is lifted again
    evidence = Evidence(rays, points - points[:, :1], seen_by, lifted, lifter, None)
    return dataclasses.replace(seen, evidence=evidence)


def test_contacts_say_the_ground_on_which_feet_stand_at_last():
    """The first stance was estimated 16 cm too low, on no level, and stands on the floor now."""
    movement, _ = walker()
    sunk = dataclasses.replace(movement, root_m=movement.root_m.copy())
    sunk.root_m[: round(STEP_S * RATE_HZ), 1] -= 0.16
    (motion,) = grounded(with_evidence(movement, estimate(sunk)), level="off")
    turns = from_quaternions(motion.rotations_wxyz.astype(float))
    known = BODY, np.zeros_like(motion.root_m), np.ones((len(turns), 2), bool)
    posed = Movement(motion.times_s, turns, motion.root_m, motion.betas, *known)
    first = [span for span in motion.contacts if span.start_s < STEP_S / 2]
    assert first
    for span in motion.contacts:
        point = FEET.index(span.part)
        keys = (motion.times_s >= span.start_s - 1e-6) & (motion.times_s <= span.end_s + 1e-6)
        heights = posed.points_m(point)[keys, 0, 1] - posed.rest_heights_m[point]
        np.testing.assert_allclose(heights, span.floor_m, atol=0.005)


def test_half_of_the_grounding_is_half_way():
    movement, _ = walker()
    seen = estimate(movement.turned(TILT))
    none, half, whole = (grounded(seen, grounding=share)[0] for share in (0.0, 0.5, 1.0))
    np.testing.assert_allclose(half.root_m, (none.root_m + whole.root_m) / 2, atol=1e-9)
    np.testing.assert_array_equal(none.rotations_wxyz, whole.raw_rotations_wxyz)


def test_without_level_and_grounding_nothing_changes():
    movement, _ = walker()
    seen = estimate(movement.turned(TILT))
    assert WorldSettings(level="off", grounding=0.0).off
    plain = to_motion(seen, shot(), BODY)
    (motion,) = grounded(seen, level="off", grounding=0.0, feet="never")
    np.testing.assert_array_equal(motion.rotations_wxyz, plain.rotations_wxyz)


def test_the_user_may_say_the_tilt():
    movement, _ = walker()
    (motion,) = grounded(estimate(movement.turned(TILT)), level="20,0")
    np.testing.assert_allclose(up_of_tilt(20, 0), TILT @ [0, 1, 0], atol=1e-9)
    assert motion.camera.position_m[1] == pytest.approx(-FLOOR_M, abs=0.02)


def test_two_people_stand_on_one_floor():
    (one, _), (other, _) = walker(ways=(1.0, 0.0)), walker(ways=(0.0, 1.0))
    higher = dataclasses.replace(other, root_m=other.root_m + np.array([0, 0.1, 0]))
    motions = grounded(estimate(one), estimate(higher, person=2))
    for motion in motions:
        assert all(abs(span.floor_m) < 0.01 for span in motion.contacts if span.part != "seat")
    places = [motion.camera.position_m for motion in motions]
    np.testing.assert_array_equal(places[0], places[1])


@pytest.mark.parametrize("frames", [1, 2, 4])
def test_a_few_frames_stay_as_they_were(frames: int, caplog: pytest.LogCaptureFixture):
    movement, _ = walker()
    names = ("times_s", "rotations", "root_m", "eye_m", "feet_seen")
    rows = {name: getattr(movement, name)[:frames] for name in names}
    seen = estimate(dataclasses.replace(movement, **rows))
    with caplog.at_level(logging.WARNING):
        (motion,) = grounded(seen)
    np.testing.assert_array_equal(motion.root_m, to_motion(seen, shot(), BODY).root_m)
    assert NO_FEET in caplog.text
    assert NO_FEET in motion.card["words"]


def test_feet_beyond_the_picture_are_not_put_on_a_floor():
    movement, _ = walker()
    seen = estimate(movement.turned(TILT), feet_px=5000.0)
    (motion,) = grounded(seen)
    np.testing.assert_array_equal(motion.root_m, to_motion(seen, shot(), BODY).root_m)
    assert motion.raw_root_m is None


def test_somebody_in_the_air_throughout_stays_there():
    movement, _ = walker()
    fall = 0.5 * 9.81 * (movement.times_s - movement.times_s.mean()) ** 2
    flying = dataclasses.replace(movement, root_m=movement.root_m - np.outer(fall, [0, 1, 0]) * 3)
    seen = estimate(flying)
    (motion,) = grounded(seen)
    np.testing.assert_array_equal(motion.root_m, to_motion(seen, shot(), BODY).root_m)


@pytest.mark.parametrize("pitch_deg", [2.0, 3.3])
def test_a_slight_tilt_counts_where_feet_else_find_no_floor(pitch_deg: float):
    """Seven metres toward a camera that is held nearly level, as it seems."""
    movement, _ = walker(steps=12, ways=(0.0, 1.0))
    turn = from_axis_angle(np.radians([pitch_deg, 0, 0]))
    (motion,) = grounded(estimate(movement.turned(turn)))
    assert "words" not in motion.card
    assert motion.quality["camera_pitch_deg"] == pytest.approx(pitch_deg, abs=0.3)
    ankles = joints_m(motion)[:, [SMPL.index("left_ankle"), SMPL.index("right_ankle")], 1]
    assert np.ptp(ankles.min(1)) < 0.03


@pytest.mark.parametrize("lean_deg", [8.0, 10.0])
def test_footholds_say_which_way_is_up_where_bodies_lean(lean_deg: float):
    """Six metres away from a camera that looks down, leaning back all the way."""
    movement, _ = walker(steps=10, ways=(0.0, -1.0))
    rotations = movement.rotations.copy()
    rotations[:, 0] = from_axis_angle(np.radians([lean_deg, 0, 0])) @ rotations[:, 0]
    leaning = dataclasses.replace(movement, rotations=rotations)
    (motion,) = grounded(estimate(leaning.turned(TILT)))
    assert "words" not in motion.card
    assert motion.quality["camera_pitch_deg"] == pytest.approx(20, abs=2)


@pytest.mark.parametrize("ways", [(0.0, -1.0), (0.0, 1.0), (1.0, 0.0)])
@pytest.mark.parametrize("rise_m", [0.25, 0.3])
def test_who_climbs_is_not_taken_for_one_before_a_tilted_camera(
    ways: tuple[float, float], rise_m: float
):
    seen = estimate(on_uneven_ground(rise_m * np.arange(8), ways))
    (motion,) = grounded(seen)
    assert motion.card["words"] == [NO_FLOOR]
    assert motion.quality["camera_pitch_deg"] == pytest.approx(0, abs=0.1)


def test_a_run_is_raised_onto_the_floor_that_its_steps_tell():
    """Two and a half times as quick as a walk, and off the ground between its steps."""
    movement, _ = walker(steps=8)
    hop = 0.1 * np.abs(np.sin(np.pi * movement.times_s / STEP_S))
    running = dataclasses.replace(
        movement,
        times_s=movement.times_s / 2.5,
        root_m=movement.root_m + np.outer(hop, [0.0, 1.0, 0.0]),
    )
    seen = estimate(running)
    (motion,) = grounded(seen)
    assert ONLY_STEPS in motion.card["words"]
    assert motion.camera.position_m == pytest.approx([0, -FLOOR_M, 0], abs=0.01)
    raw = to_motion(seen, shot(), BODY)
    np.testing.assert_array_equal(motion.rotations_wxyz, raw.rotations_wxyz)
    assert motion.root_m == pytest.approx(raw.root_m - [0, FLOOR_M, 0], abs=0.01)


UNEVEN_M = np.array([0.0, 0.12, -0.1, 0.2, 0.05, -0.15, 0.15, -0.04])


def on_uneven_ground(
    heights: np.ndarray = UNEVEN_M, ways: tuple[float, float] = (1.0, 0.0)
) -> Movement:
    """A walk whose every step is higher or lower than the one before it."""
    movement, _ = walker(steps=8, ways=ways)
    step = np.arange(len(movement)) // round(STEP_S * RATE_HZ)
    rise = np.outer(heights[step], [0.0, 1.0, 0.0])
    return dataclasses.replace(movement, root_m=movement.root_m + rise)


def test_a_walk_over_uneven_ground_stays_as_it_was():
    seen = estimate(on_uneven_ground())
    (motion,) = grounded(seen)
    raw = to_motion(seen, shot(), BODY)
    np.testing.assert_array_equal(motion.rotations_wxyz, raw.rotations_wxyz)
    assert np.ptp(motion.root_m - raw.root_m, axis=0) == pytest.approx([0, 0, 0], abs=1e-6)
    assert motion.raw_root_m is None
    assert motion.card["words"] == [NO_FLOOR]
    (held,) = grounded(seen, feet="always")
    assert held.raw_root_m is not None
    assert held.card["words"] == [HELD]


@pytest.mark.parametrize(
    "choices",
    [
        {"level": "up"},
        {"level": "1,2,3"},
        {"level": "85,0"},
        {"level": "nan,0"},
        {"level": "0,inf"},
        {"grounding": 1.5},
        {"grounding": float("nan")},
        {"feet": "both"},
        {"camera": "drone"},
    ],
)
def test_choices_that_mean_nothing_are_refused(choices: dict[str, object]):
    with pytest.raises(SettingsError):
        WorldSettings(**choices)  # type: ignore[arg-type]


def test_contacts_that_a_user_edits_are_held_and_no_others():
    movement, _ = walker()
    seen = estimate(movement)
    (found,) = grounded(seen)
    span = next(s for s in found.contacts if s.part == "left_toe" and s.end_s - s.start_s > 0.3)
    told = {1: [(PARTS.index("left_toe"), span.start_s, span.end_s + 0.2)]}
    edited = dataclasses.replace(shot(), stands=told)
    (motion,) = stand([seen], edited, BODY, EstimatorSettings(), WorldSettings(), lambda *_: None)
    (kept,) = motion.contacts
    assert (kept.part, kept.start_s) == ("left_toe", span.start_s)
    assert kept.end_s == pytest.approx(span.end_s + 0.2, abs=0.02)
    toe = SMPL.index("left_foot")
    rows = (motion.times_s >= kept.start_s) & (motion.times_s <= kept.end_s)
    slid = [np.ptp(joints_m(m)[rows, toe][:, [0, 2]], axis=0).max() for m in (motion, found)]
    assert slid[0] < 0.6 * slid[1], "held for as long as the user says"
