"""Of a trunk seen from the side depths may be right and places in the picture exchanged."""

import functools

import numpy as np
import pytest

from staf_backend.files import stretches
from staf_backend.landmarks import Landmarks, consistent_sides, sides
from staf_backend.landmarks.names import COUNT, MIRROR, indices

TRUNK = indices("shoulder", "hip")
LEFT, RIGHT = TRUNK[0::2], TRUNK[1::2]
TORSO_PX, FRAMES = 100.0, 60


def turned(yaw_deg: np.ndarray) -> Landmarks:
    """Somebody turned by (T,) degrees from facing the camera, whose trunk is three quarters of its
    length wide."""
    points, world = np.zeros((FRAMES, COUNT, 2)), np.zeros((FRAMES, COUNT, 3))
    points[:, :, 1] = np.linspace(0, 200, COUNT)
    points[:, indices("shoulder"), 1], points[:, indices("hip"), 1] = 0, TORSO_PX
    yaw = np.radians(yaw_deg)[:, None]
    for side, landmarks in ((1, LEFT), (-1, RIGHT)):
        points[:, landmarks, 0] = side * 37.5 * np.cos(yaw)
        world[:, landmarks, 2] = side * 0.18 * np.sin(yaw)
    world[..., :2] = points / 200
    return Landmarks(points + 300, world, np.ones((FRAMES, COUNT)), np.ones(FRAMES))


def exchanged(landmarks: Landmarks, frames: slice) -> Landmarks:
    """With the trunk's places in the picture exchanged."""
    points = landmarks.points_px.copy()
    points[frames, TRUNK] = landmarks.points_px[frames][:, MIRROR[TRUNK]]
    return Landmarks(points, landmarks.world_m, landmarks.visibility, landmarks.person)


def decided(landmarks: Landmarks) -> tuple[Landmarks, np.ndarray]:
    """The detector has no opinion."""
    return consistent_sides(landmarks, np.zeros((FRAMES, 17, 3)), np.arange(FRAMES) / 30)


@pytest.mark.parametrize("frames", [slice(20, 21), slice(20, 28), slice(0, 5), slice(56, 60)])
def test_places_that_jump_across_are_put_back_and_depths_left(frames: slice):
    right = turned(np.full(FRAMES, 75.0))
    found, undone = decided(exchanged(right, frames))
    np.testing.assert_array_equal(found.points_px, right.points_px)
    np.testing.assert_array_equal(found.world_m, right.world_m)
    assert not undone.any()


def test_who_turns_from_their_front_to_their_back_passes_the_side():
    right = turned(np.linspace(50, 130, FRAMES))
    found, _ = decided(right)
    assert found is right


def test_places_that_stay_exchanged_are_believed():
    wrong = exchanged(turned(np.full(FRAMES, 75.0)), slice(0, 20))
    found, _ = decided(wrong)
    assert found is wrong


def test_of_whom_a_shoulder_is_not_seen_nothing_is_exchanged():
    """Where it is missed must stay where no visibility is."""
    wrong = exchanged(turned(np.full(FRAMES, 75.0)), slice(20, 28))
    wrong.points_px[22, LEFT[0]] = np.nan
    found, _ = decided(wrong)
    np.testing.assert_array_equal(found.points_px[22], wrong.points_px[22])
    assert not np.array_equal(found.points_px[23], wrong.points_px[23])


@pytest.mark.parametrize("size", [1, 7])
def test_a_long_clip_is_decided_as_if_it_were_one_stretch(
    size: int, monkeypatch: pytest.MonkeyPatch
):
    wrong = exchanged(turned(np.full(FRAMES, 75.0)), slice(20, 28))
    wrong.points_px[18:23] = np.nan
    whole, _ = decided(wrong)
    assert not np.array_equal(whole.points_px[23:28], wrong.points_px[23:28])
    monkeypatch.setattr(sides, "stretches", functools.partial(stretches, size=size))
    parts, _ = decided(wrong)
    np.testing.assert_array_equal(parts.points_px, whole.points_px)
