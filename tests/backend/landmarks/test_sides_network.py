"""What the learned network says of sides does not depend on how a clip is cut or how fast it is."""

import numpy as np
import pytest

from staf_backend.body import markers
from staf_backend.geometry import TO_Y_UP, forward_kinematics, from_axis_angle
from staf_backend.landmarks import Landmarks, consistent_sides, sides_network
from staf_backend.landmarks.names import COCO, COUNT, MIRROR, NAMES, indices
from staf_backend.landmarks.sides_network import exchanged_logits
from tests.support.walker import walker

TORSO = (100.0, 0.5)
FOCAL_PX = 1000.0
LEGS = indices("knee", "ankle", "heel", "foot_index")


def some_landmarks(frames: int) -> tuple[Landmarks, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    way = np.cumsum(rng.normal(0, 3, (frames, COUNT, 2)), 0)
    points = rng.normal(0, 80, (1, COUNT, 2)) + way + 400
    world = np.concatenate([points / 200, way[..., :1] / 200], -1)
    keypoints = np.concatenate([points[:, COCO], np.full((frames, 17, 1), 0.7)], -1)
    seen = np.full((frames, COUNT), 0.9)
    scale = np.cumsum(rng.normal(0, 0.01, frames))
    return Landmarks(points, world, seen, np.ones(frames)), keypoints, scale


def test_blocks_leave_no_seam(monkeypatch: pytest.MonkeyPatch):
    landmarks, keypoints, scale = some_landmarks(400)
    times_s = np.arange(400) / 30
    whole = exchanged_logits(landmarks, keypoints, times_s, scale, TORSO)
    monkeypatch.setattr(sides_network, "_BLOCK", 70)
    parts = exchanged_logits(landmarks, keypoints, times_s, scale, TORSO)
    np.testing.assert_allclose(parts, whole, atol=1e-4)


def test_of_a_fast_clip_every_second_frame_is_asked_together():
    landmarks, keypoints, scale = some_landmarks(120)
    fast = exchanged_logits(landmarks, keypoints, np.arange(120) / 60, scale, TORSO)
    for phase in (0, 1):
        rows = slice(phase, None, 2)
        known = (landmarks.points_px, landmarks.world_m, landmarks.visibility, landmarks.person)
        half = Landmarks(*(array[rows] for array in known))
        slow = exchanged_logits(half, keypoints[rows], np.arange(60) / 30, scale[rows], TORSO)
        np.testing.assert_allclose(fast[rows], slow, atol=1e-4)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_short_tracks_are_answered(frames: int):
    landmarks, keypoints, scale = some_landmarks(frames)
    found = exchanged_logits(landmarks, keypoints, np.arange(frames) / 30, scale, TORSO)
    assert found.shape == (frames, 3)
    assert np.isfinite(found).all()


def test_who_is_not_seen_is_answered():
    _, keypoints, scale = some_landmarks(10)
    nothing = Landmarks(
        np.full((10, COUNT, 2), np.nan),
        np.full((10, COUNT, 3), np.nan),
        np.zeros((10, COUNT)),
        np.zeros(10),
    )
    found = exchanged_logits(nothing, keypoints * 0, np.arange(10) / 30, scale * np.nan, TORSO)
    assert np.isfinite(found).all()


def seen_walking(ways: tuple[float, float]) -> tuple[Landmarks, np.ndarray, np.ndarray]:
    """Landmarks, key points and times of a walk past a camera, arms hanging and swinging."""
    movement, _ = walker(8, ways)
    swing = 0.5 * np.sin(np.pi * movement.times_s / 0.5)
    for arm, down, way in ((16, -1.25, 1), (17, 1.25, -1)):
        turn = from_axis_angle(np.outer(way * swing, [1.0, 0, 0]))
        movement.rotations[:, arm] = turn @ from_axis_angle(np.array([0, 0, down]))
    rest = movement.body.rest_joints_m(movement.betas)
    turned, joints_m = forward_kinematics(movement.rotations, rest, movement.root_m)
    shared = markers.markers_of(movement.body)
    found_m = shared.blend(shared.influences_m(turned, joints_m, movement.betas)) @ TO_Y_UP.T
    count, rng = len(movement), np.random.default_rng(4)
    points, world = np.full((count, COUNT, 2), np.nan), np.full((count, COUNT, 3), np.nan)
    seen = [NAMES.index(name) for name in markers.NAMES]
    points[:, seen] = FOCAL_PX * found_m[..., :2] / found_m[..., 2:] + rng.normal(
        0, 1.5, (count, len(seen), 2)
    )
    hips = (joints_m[:, 1:2] + joints_m[:, 2:3]) @ TO_Y_UP.T / 2
    world[:, seen] = found_m - hips
    visibility = np.isfinite(points[..., 0]) * 0.9
    keypoints = np.concatenate([points[:, COCO], np.full((count, 17, 1), 0.6)], -1)
    return Landmarks(points, world, visibility, np.ones(count)), keypoints, movement.times_s


def exchanged(
    landmarks: Landmarks, keypoints: np.ndarray, rows: slice, limb: np.ndarray
) -> tuple[Landmarks, np.ndarray]:
    """A limb's sides taken for each other, by the detector, too."""
    points, world = landmarks.points_px.copy(), landmarks.world_m.copy()
    points[rows, limb] = landmarks.points_px[rows][:, MIRROR[limb]]
    world[rows, limb] = landmarks.world_m[rows][:, MIRROR[limb]]
    keypoints = np.concatenate([points[:, COCO], keypoints[..., 2:]], -1)
    return Landmarks(points, world, landmarks.visibility, landmarks.person), keypoints


WAYS = [(1.0, 0.0), (0.7, 0.7), (0.5, 0.9), (-0.7, 0.7), (0.7, -0.7)]


@pytest.mark.parametrize("ways", WAYS)
def test_who_walks_is_left_as_read(ways: tuple[float, float]):
    landmarks, keypoints, times_s = seen_walking(ways)
    _, undone = consistent_sides(landmarks, keypoints, times_s)
    assert not undone.any()


@pytest.mark.parametrize("ways", WAYS)
def test_a_body_read_the_wrong_way_round_throughout_is_turned(ways: tuple[float, float]):
    """Knees would bend forward and feet point back: nothing jumps, and the detector agrees."""
    landmarks, keypoints, times_s = seen_walking(ways)
    wrong, keypoints = exchanged(landmarks, keypoints, slice(None), np.arange(COUNT))
    _, undone = consistent_sides(wrong, keypoints, times_s)
    assert undone.all()


@pytest.mark.parametrize("ways", [(1.0, 0.0), (-0.7, 0.7)])
def test_legs_exchanged_from_one_passing_to_another_are_put_back(ways: tuple[float, float]):
    landmarks, keypoints, times_s = seen_walking(ways)
    apart = np.abs(np.diff(landmarks.points_px[:, indices("ankle"), 0], axis=1))[:, 0]
    passing = np.flatnonzero((apart[1:-1] < apart[:-2]) & (apart[1:-1] <= apart[2:])) + 1
    rows = slice(passing[2], passing[3])
    wrong, keypoints = exchanged(landmarks, keypoints, rows, LEGS)
    _, undone = consistent_sides(wrong, keypoints, times_s)
    expected = np.zeros((len(times_s), 3), bool)
    expected[rows, 1] = True
    assert (undone != expected)[apart > 15].sum() == 0
