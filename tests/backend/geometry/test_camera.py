"""The camera: pixels, rays and metres agree; one turn leads to y up."""

import numpy as np
import pytest

from staf_backend.geometry import camera

SIZE = (1920, 1080)


def test_the_turn_to_y_up_is_a_rotation_and_its_own_inverse():
    assert np.array_equal(camera.TO_Y_UP @ camera.TO_Y_UP, np.eye(3))
    assert np.linalg.det(camera.TO_Y_UP) == pytest.approx(1)
    right_down_away = camera.TO_Y_UP @ np.array([1.0, 2.0, 3.0])
    assert np.array_equal(right_down_away, [1, -2, -3])


def test_a_known_point_lands_on_a_known_pixel():
    pixel = camera.project(np.array([1.0, -0.5, 4.0]), 1000.0, SIZE)
    assert np.allclose(pixel, [960 + 250, 540 - 125])


def test_the_middle_looks_straight_ahead():
    assert np.allclose(camera.rays(np.array([960.0, 540.0]), 1234.0, SIZE), 0)


def test_rays_undo_projection():
    points_m = np.random.default_rng(0).normal([0, 0, 5], 1, (40, 27, 3))
    pixels = camera.project(points_m, 800.0, SIZE)
    assert np.allclose(camera.rays(pixels, 800.0, SIZE), points_m[..., :2] / points_m[..., 2:])


def test_missing_pixels_stay_missing():
    rays = camera.rays(np.array([[np.nan, 3.0], [1.0, 2.0]]), 800.0, SIZE)
    assert np.isnan(rays[0, 0])
    assert np.isfinite(rays[1]).all()


def test_the_assumed_lens_sees_53_degrees_along_the_diagonal():
    focal_px = camera.assumed_focal_px(*SIZE)
    half = np.hypot(*SIZE) / 2
    assert np.degrees(2 * np.arctan(half / focal_px)) == pytest.approx(53.13, abs=0.01)
    assert camera.assumed_focal_px(1080, 1920) == focal_px


def test_a_level_camera_needs_no_levelling():
    assert np.allclose(camera.levelling(np.array([0.0, -1.0, 0.0])), camera.TO_Y_UP)
    assert np.allclose(camera.levelling(np.array([0.0, -7.0, 0.0])), camera.TO_Y_UP)


@pytest.mark.parametrize("pitch_deg", [-60, -20, 5, 20, 80])
@pytest.mark.parametrize("roll_deg", [-90, 0, 15, 120])
def test_levelling_takes_up_to_y_by_a_rotation(pitch_deg: float, roll_deg: float):
    pitch, roll = np.radians([pitch_deg, roll_deg])
    up = np.array([np.sin(roll) * np.cos(pitch), -np.cos(roll) * np.cos(pitch), -np.sin(pitch)])
    turn = camera.levelling(up)
    assert np.allclose(turn @ up, [0, 1, 0])
    assert np.allclose(turn @ turn.T, np.eye(3))
    assert np.linalg.det(turn) == pytest.approx(1)


def test_levelling_a_camera_that_looks_down_keeps_its_heading():
    pitch = np.radians(30)
    turn = camera.levelling(np.array([0.0, -np.cos(pitch), -np.sin(pitch)]))
    looks_along = turn @ [0, 0, 1]
    assert looks_along[0] == pytest.approx(0)
    assert looks_along[1] == pytest.approx(-np.sin(pitch)), "it looks down"
    assert looks_along[2] < 0, "and away along -z"


def test_a_camera_upside_down_is_levelled_too():
    turn = camera.levelling(np.array([0.0, 1.0, 0.0]))
    assert np.allclose(turn @ [0, 1, 0], [0, 1, 0])
    assert np.linalg.det(turn) == pytest.approx(1)
