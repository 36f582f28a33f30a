"""A camera that travels: where it was, how long its way is, and who walked how far before it."""

import dataclasses
import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from staf_backend.assets import asset_path
from staf_backend.body import markers
from staf_backend.choices import CameraChoice
from staf_backend.estimators import Estimate, EstimatorSettings, Evidence, Shot
from staf_backend.estimators.to_motion import to_motion
from staf_backend.fit import Fitter
from staf_backend.geometry import Camera, forward_kinematics, from_axis_angle, to_axis_angle
from staf_backend.landmarks import Lifter
from staf_backend.landmarks.names import NAMES
from staf_backend.motion import Motion, joints_m
from staf_backend.people import Track
from staf_backend.runtime import open_network
from staf_backend.video import ReadyPicture
from staf_backend.world import CameraFollower, WorldSettings, quality_card, stand, travelled
from staf_backend.world.bundle import Bundle, Looks, Views, adjusted, residuals
from staf_backend.world.movement import Movement
from staf_backend.world.travel import TRAVELS
from tests.support.travelling_room import CAMERA, Filmed, film
from tests.support.walker import BODY, walker

SETTINGS = EstimatorSettings(threads=1)


@pytest.fixture(scope="module")
def walk() -> Movement:
    """A walk to the right, arms down."""
    movement, _ = walker()
    rotations = movement.rotations.copy()
    for joint, side in ((16, -1.0), (17, 1.0)):
        rotations[:, joint] = from_axis_angle(np.array([0.0, 0.0, 1.25 * side]))
    return dataclasses.replace(movement, rotations=rotations)


@pytest.fixture(scope="module")
def beside(walk: Movement) -> Filmed:
    """A hand-held camera that walks beside the walker."""
    return film(*_hand(walk.root_m * [1, 0, 0] - walk.root_m[:1] * [1, 0, 0], walk.times_s))


def _hand(place_m: np.ndarray, times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A way as it is walked: up and down by 3 cm, turned by a degree and a half."""
    bob = 0.03 * np.sin(2 * np.pi * 1.9 * times_s)
    turns = np.stack([np.sin(5 * times_s + k) for k in range(3)], -1) * [1.0, 1.5, 0.5]
    return place_m + np.outer(bob, [0, 1.0, 0]), turns


def follow(filmed: Filmed, camera: Camera = CAMERA, choice: CameraChoice = "auto"):
    follower = CameraFollower(camera, [], choice)
    for number, picture in enumerate(filmed.pictures):
        follower.see(number, ReadyPicture(picture))
    return follower, np.arange(len(filmed.pictures))


def assumed(camera: Camera, factor: float) -> Camera:
    """The camera, its lens assumed, and that wrongly."""
    focal_px = factor * camera.focal_px
    return dataclasses.replace(
        camera, focal_px=focal_px, focal_source="assumed", focal_assumed=True
    )


def errors(turns: np.ndarray, places: np.ndarray, filmed: Filmed) -> tuple[float, float]:
    """Degrees by which turns are wrong at most, and how far places are beside the true ones at
    most, over the true way; the scale is the best one."""
    way = (filmed.place_m - filmed.place_m[0]) @ filmed.view[0].T
    found = (places - places[0]) @ turns[0].T
    found = found * (found * way).sum() / (found**2).sum()
    length = np.linalg.norm(np.ptp(way, axis=0))
    off_way = float(np.linalg.norm(found - way, axis=1).max() / length)
    return turns_off_deg(turns, filmed), off_way


def turns_off_deg(turns: np.ndarray, filmed: Filmed) -> float:
    """Degrees by which turns are wrong at most."""
    true = filmed.view @ filmed.view[0].T
    mine = turns @ turns[0].T
    off = np.linalg.norm(to_axis_angle(mine @ true.swapaxes(1, 2)), axis=1)
    return float(np.degrees(off.max()))


def test_the_way_of_a_camera_beside_a_walker_is_found(beside: Filmed):
    follower, frames = follow(beside)
    assert follower.kind(frames) == "moving"
    found, turns = follower.journey(frames), follower.turns(frames)
    assert found is not None
    assert turns is not None
    off_deg, off_way = errors(turns, found[1].places, beside)
    assert off_deg < 0.6
    assert off_way < 0.02
    assert follower.places_m(frames) is None  # nobody has measured it


def test_a_camera_that_rests_first_is_found_too(beside: Filmed):
    still = 20
    longer = Filmed(
        [beside.pictures[0]] * still + beside.pictures,
        *(np.concatenate([np.repeat(v[:1], still, axis=0), v]) for v in beside[1:]),
    )
    follower, frames = follow(longer)
    found, turns = follower.journey(frames), follower.turns(frames)
    assert found is not None
    assert turns is not None
    assert np.abs(found[1].places[:still] - found[1].places[0]).max() < 1e-6
    assert errors(turns, found[1].places, longer)[1] < 0.03


@pytest.mark.parametrize("factor", [0.8, 1.2])
def test_a_way_toward_the_wall_tells_the_lens(factor: float):
    times_s = np.arange(60) / 30
    filmed = film(*_hand(np.outer(times_s, [0.3, 0, -1.2]), times_s))
    follower, frames = follow(filmed, assumed(CAMERA, factor))
    found = follower.journey(frames)
    assert found is not None
    assert factor * found[1].longer == pytest.approx(1, abs=0.05)
    assert found[1].lens_doubt < 0.1


def test_a_camera_that_turns_on_the_spot_does_not_travel():
    times_s = np.arange(40) / 30
    filmed = film(np.zeros((40, 3)), np.outer(times_s, [0.5, 9.0, 0.3]))
    follower, frames = follow(filmed, choice="moving")
    assert follower.journey(frames) is None


def test_the_user_may_say_that_it_only_turns(beside: Filmed):
    follower, frames = follow(beside, choice="rotating")
    assert follower.journey(frames) is None


def estimate(walk: Movement, filmed: Filmed, watch: CameraFollower, camera: Camera) -> Estimate:
    """As the landmark estimator makes it, from exact landmarks."""
    frames = np.arange(len(walk))
    rest = BODY.rest_joints_m(walk.betas)
    posed = forward_kinematics(walk.rotations, rest, walk.root_m, BODY.skeleton)
    shared = markers.markers_of(BODY)
    points = shared.blend(shared.influences_m(*posed, walk.betas)) - filmed.place_m[:, None]
    points = points @ filmed.view.swapaxes(1, 2)
    pixels = points[..., :2] / points[..., 2:] * CAMERA.focal_px + CAMERA.principal_point_px
    rays = camera.rays(pixels).astype(np.float32)
    turns = watch.turns(frames)
    sure = np.full(rays.shape[:2], 0.95, np.float32)
    none = np.full(points.shape, np.nan, np.float32)
    lifter = Lifter(open_network(asset_path("lift.onnx"), threads=1))
    lifted = lifter.lift(rays, none, sure, walk.times_s, turns)
    fitted = Fitter(BODY).fit(rays, sure, walk.times_s, lifted, turns=turns)
    boxes, nobody = np.ones((len(walk), 3)), np.zeros((len(walk), 17, 3))
    track = Track(1, 1, frames, walk.times_s, boxes, nobody, np.ones(len(walk), bool))
    seen = np.zeros((len(walk), len(NAMES), 3))
    seen[:, markers.LANDMARKS] = np.concatenate([pixels, sure[..., None]], -1)
    evidence = Evidence(rays, none, sure, lifted, lifter, turns)
    return Estimate(track, fitted.params, seen, NAMES, {}, "landmarks", evidence)


def solved(
    walk: Movement, filmed: Filmed, camera: Camera = CAMERA, choice: CameraChoice = "auto"
) -> tuple[Motion, Motion]:
    """The motion beside a camera whose way is known, as estimated and on the floor."""
    watch, _ = follow(filmed, camera, choice)
    video = SimpleNamespace(path=Path("walk.mp4"), fps=30.0)
    shot = Shot(video, range(1), camera, watch)  # type: ignore[arg-type]  # all that it is asked
    shot, seen = travelled(watch, shot, [estimate(walk, filmed, watch, camera)], BODY, SETTINGS)
    raw = to_motion(seen[0], shot, BODY)
    return raw, stand(seen, shot, BODY, SETTINGS, WorldSettings(), lambda *_: None)[0]


@pytest.mark.parametrize("lost", [1, 4])
def test_a_flash_does_not_end_the_way(beside: Filmed, lost: int):
    pictures = list(beside.pictures)
    for number in range(40, 40 + lost):
        pictures[number] = np.full_like(pictures[number], 235)
    follower, frames = follow(beside._replace(pictures=pictures))
    found, turns = follower.journey(frames), follower.turns(frames)
    assert found is not None
    assert turns is not None
    assert np.flatnonzero(~found[1].known).tolist() in ([], list(range(40, 40 + lost)))
    assert errors(turns, found[1].places, beside)[1] < 0.03


def way_m(root_m: np.ndarray) -> float:
    return float(np.linalg.norm((root_m[-1] - root_m[0])[[0, 2]]))


def test_who_walks_beside_the_camera_gets_on(walk: Movement, beside: Filmed):
    raw, stood = solved(walk, beside)
    true = way_m(walk.root_m)
    for motion in (raw, stood):
        assert way_m(motion.root_m) == pytest.approx(true, rel=0.06)
        path, pixels = motion.camera_path, motion.keypoints_px
        assert path is not None
        assert pixels is not None
        assert way_m(path.positions_m) == pytest.approx(way_m(beside.place_m), rel=0.06)
        assert np.array_equal(motion.camera.position_m, path.positions_m[0])
        seen = motion.to_camera_axes(joints_m(motion))
        ankle = seen[:, 7, :2] / seen[:, 7, 2:] * CAMERA.focal_px + CAMERA.principal_point_px
        left = pixels[:, NAMES.index("left_ankle"), :2]
        assert np.median(np.linalg.norm(ankle - left, axis=1)) < 4
    assert stood.camera.motion == "moving"
    words = quality_card(stood, BODY).words
    assert "The camera travels; the motion is freed of its turning and of its way." in words
    assert np.ptp(joints_m(stood)[:, [7, 8], 1].min(1)) < 0.03  # on the floor


def test_beside_a_camera_that_is_said_to_turn_nobody_gets_on(walk: Movement, beside: Filmed):
    _, stood = solved(walk, beside, choice="rotating")
    assert way_m(stood.root_m) < 0.5 * way_m(walk.root_m)
    card = " ".join(quality_card(stood, BODY).words)
    assert "its way" not in card


def test_a_wrong_lens_is_put_right_by_the_background(walk: Movement):
    times_s = walk.times_s
    place_m = np.outer(times_s - times_s[0], [1.1, 0, -0.5])
    filmed = film(*_hand(place_m, times_s))
    _, stood = solved(walk, filmed, assumed(CAMERA, 0.8))
    assert stood.camera.focal_source == "travel"
    assert stood.camera.focal_px == pytest.approx(CAMERA.focal_px, rel=0.06)
    assert way_m(stood.root_m) == pytest.approx(way_m(walk.root_m), rel=0.1)


def test_a_way_that_nothing_measures_is_told(
    walk: Movement, beside: Filmed, caplog: pytest.LogCaptureFixture
):
    watch, _ = follow(beside)
    video = SimpleNamespace(path=Path("walk.mp4"), fps=30.0)
    shot = Shot(video, range(1), CAMERA, watch)  # type: ignore[arg-type]  # all that it is asked
    seen = estimate(walk, beside, watch, CAMERA)
    hidden = seen.keypoints_px.copy()
    hidden[..., 2] = 0  # nobody's feet are seen
    seen = dataclasses.replace(seen, keypoints_px=hidden)
    with caplog.at_level(logging.WARNING):
        shot, kept = travelled(watch, shot, [seen], BODY, SETTINGS)
    assert [record.message for record in caplog.records] == [TRAVELS]
    motion = to_motion(kept[0], shot, BODY)
    assert motion.camera_path is not None
    assert not motion.camera_path.positions_m.any()
    assert "The camera travels: the person's path may be wrong." in quality_card(motion, BODY).words


def test_cameras_and_points_are_put_right_together():
    rng = np.random.default_rng(0)
    count, points = 6, rng.uniform([-2, -1, 4], [2, 1, 9], (60, 3))
    places = np.outer(np.arange(count), [0.3, 0.02, 0.1])
    turns = from_axis_angle(rng.normal(0, 0.03, (count, 3)))
    turns[0] = np.eye(3)
    views = Views(turns, places)
    looks = Looks(
        np.repeat(np.arange(count), 60), np.tile(np.arange(60), count), np.zeros((360, 2))
    )
    true = Bundle(views, points)
    looks = looks._replace(flat=residuals(true, looks)[0])
    looks.flat[::25] += 0.3  # some see something else
    start = Bundle(
        Views(from_axis_angle(rng.normal(0, 0.004, (count, 3))) @ turns, places),
        points + rng.normal(0, 0.05, points.shape),
    )
    start.views.turns[0] = np.eye(3)
    free = np.arange(count) >= 1
    found = adjusted(start, looks, free, 0.01, 30)
    scale = np.linalg.norm(places[-1]) / np.linalg.norm(found.views.places[-1])
    np.testing.assert_allclose(found.views.places * scale, places, atol=2e-3)
    np.testing.assert_allclose(found.views.turns, turns, atol=1e-3)
