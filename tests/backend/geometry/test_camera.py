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


def test_the_assumed_lens_sees_53_degrees_along_the_diagonal():
    focal_px = camera.assumed_focal_px(*SIZE)
    half = np.hypot(*SIZE) / 2
    assert np.degrees(2 * np.arctan(half / focal_px)) == pytest.approx(53.13, abs=0.01)
    assert camera.assumed_focal_px(1080, 1920) == focal_px
