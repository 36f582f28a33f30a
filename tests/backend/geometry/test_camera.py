"""The camera: pixels, rays and metres agree; one turn leads to y up."""

import numpy as np
import pytest

from staf_backend.geometry import camera

SIZE = (1920, 1080)


def seeing(focal_px: float) -> camera.Camera:
    return camera.Camera(focal_px, *SIZE)


def test_the_turn_to_y_up_is_a_rotation_and_its_own_inverse():
    assert np.array_equal(camera.TO_Y_UP @ camera.TO_Y_UP, np.eye(3))
    assert np.linalg.det(camera.TO_Y_UP) == pytest.approx(1)
    right_down_away = camera.TO_Y_UP @ np.array([1.0, 2.0, 3.0])
    assert np.array_equal(right_down_away, [1, -2, -3])


def test_a_known_point_lands_on_a_known_pixel():
    pixel = seeing(1000.0).project(np.array([1.0, -0.5, 4.0]))
    assert np.allclose(pixel, [960 + 250, 540 - 125])


def test_the_middle_looks_straight_ahead():
    assert np.allclose(seeing(1234.0).rays(np.array([960.0, 540.0])), 0)


def test_rays_undo_projection():
    points_m = np.random.default_rng(0).normal([0, 0, 5], 1, (40, 27, 3))
    pixels = seeing(800.0).project(points_m)
    assert np.allclose(seeing(800.0).rays(pixels), points_m[..., :2] / points_m[..., 2:])


def test_a_shifted_principal_point_shifts_the_picture():
    shifted = camera.Camera(800.0, *SIZE, principal_point_px=np.array([900.0, 500.0]))
    points_m = np.random.default_rng(0).normal([0, 0, 5], 1, (7, 3))
    assert np.allclose(seeing(800.0).project(points_m) - shifted.project(points_m), [60, 40])
    assert np.allclose(shifted.rays(np.array([900.0, 500.0])), 0)


def test_missing_pixels_stay_missing():
    rays = seeing(800.0).rays(np.array([[np.nan, 3.0], [1.0, 2.0]]))
    assert np.isnan(rays[0, 0])
    assert np.isfinite(rays[1]).all()


def test_the_assumed_lens_lies_between_a_phones_and_a_long_one():
    focal_px = camera.assumed_focal_px(*SIZE)
    half = np.hypot(*SIZE) / 2
    assert 53 < np.degrees(2 * np.arctan(half / focal_px)) < 75
    assert camera.assumed_focal_px(1080, 1920) == focal_px


def test_a_focal_length_is_assumed_exactly_where_its_source_is_a_guess():
    known_as: tuple[tuple[camera.FocalSource, bool], ...]
    known_as = (("given", False), ("metadata", False), ("walk", True))
    for source, assumed in known_as:
        known = camera.Camera(800.0, *SIZE, focal_assumed=assumed, focal_source=source)
        assert known.focal_source == source
        with pytest.raises(ValueError, match="focal_assumed"):
            camera.Camera(800.0, *SIZE, focal_assumed=not assumed, focal_source=source)
    with pytest.raises(ValueError, match="focal_source must be one of given"):
        camera.Camera(800.0, *SIZE, focal_source="guess")  # type: ignore[arg-type]


def test_a_path_of_one_pose_sees_what_the_camera_sees():
    pose = np.array([0.6, 0.0, 0.8, 0.0]), np.array([1.0, 2.0, 3.0])
    still = camera.Camera(800.0, *SIZE, rotation_wxyz=pose[0], position_m=pose[1])
    path = camera.CameraPath(np.tile(pose[0], (5, 1)), np.tile(pose[1], (5, 1)))
    points_m = np.random.default_rng(0).normal([0, 0, -5], 1, (5, 24, 3))
    assert np.allclose(path.to_camera_axes(points_m), still.to_camera_axes(points_m))


def test_a_camera_that_pans_left_sees_a_still_point_move_right():
    half = np.radians([0, 10]) / 2
    turns = np.stack([np.cos(half), 0 * half, np.sin(half), 0 * half], 1)
    path = camera.CameraPath(turns, np.zeros((2, 3)))
    first, second = path.to_camera_axes(np.tile([0.0, 0.0, -4.0], (2, 1, 1)))[:, 0]
    assert np.allclose(first, [0, 0, 4])
    assert np.allclose(second, [4 * np.sin(2 * half[1]), 0, 4 * np.cos(2 * half[1])])


@pytest.mark.parametrize(
    ("turns", "places", "word"),
    [
        (np.zeros((2, 4)), np.zeros((2, 3)), "unit"),
        (np.tile([1.0, 0, 0, 0], (2, 1)), np.zeros((3, 3)), "positions_m"),
        (np.ones(4), np.zeros(3), "rotations_wxyz"),
    ],
)
def test_a_path_with_a_fault_is_named(turns, places, word):
    with pytest.raises(ValueError, match=word):
        camera.CameraPath(turns, places)
