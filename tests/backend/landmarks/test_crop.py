"""Crops: where they are cut, and that pixels and points go the same way."""

import numpy as np
import pytest

from staf_backend.landmarks.crop import (
    CROP_SIDE_PX,
    crop_image,
    squares_from_keypoints,
    steady_squares,
    to_image,
    turn,
)

RNG = np.random.default_rng(3)


def standing(lean_rad: float = 0.0, hips_px: tuple[float, float] = (400.0, 500.0)) -> np.ndarray:
    """Key points (17, 3) of a stick figure: shoulders 100 above the hips, ankles 200 below."""
    rows = {5: (-30, -100), 6: (30, -100), 11: (-20, 0), 12: (20, 0), 15: (-20, 200)}
    rows |= {16: (20, 200), 0: (0, -150)}
    points = np.zeros((17, 3))
    for k, place in rows.items():
        points[k] = *(turn(lean_rad) @ place + hips_px), 0.9
    return points


def test_an_upright_person_is_cut_upright_about_the_hips():
    (square,) = squares_from_keypoints(standing()[None], np.array([[400, 500, 100.0]]))
    x, y, side, angle = square
    assert (x, y) == (400, 500)
    assert angle == pytest.approx(0)
    assert side == pytest.approx(2.2 * 1.15 * np.hypot(20, 200))


@pytest.mark.parametrize("degrees", [-150, -60, 30, 90, 170])
def test_who_leans_clockwise_gets_a_positive_angle_and_stands_upright_in_the_crop(degrees: float):
    lean = np.radians(degrees)
    keypoints = standing(lean)
    (square,) = squares_from_keypoints(keypoints[None], np.array([[400, 500, 100.0]]))
    assert square[3] == pytest.approx(lean)
    nose = keypoints[0, :2]
    in_crop = (turn(square[3]).T @ (nose - square[:2])) * CROP_SIDE_PX / square[2]
    assert in_crop[0] == pytest.approx(0, abs=1e-9)
    assert in_crop[1] < 0, "the head is above the hips"


def test_key_points_that_are_not_seen_do_not_stretch_the_square():
    keypoints = standing()
    keypoints[9] = 5000, 5000, 0.1
    (square,) = squares_from_keypoints(keypoints[None], np.array([[400, 500, 100.0]]))
    assert square[2] < 600


def test_a_person_fills_at_least_the_detectors_box():
    (square,) = squares_from_keypoints(standing()[None], np.array([[400, 500, 4000.0]]))
    assert square[2] == pytest.approx(2.2 * 2000)


def test_points_of_the_crop_are_where_its_pixels_come_from():
    """A smooth picture, whose colours are its coordinates, read through a turned crop."""
    height, width = 600, 800
    y, x = np.mgrid[:height, :width] + 0.5
    image = np.stack([x / width * 255, y / height * 255, 0 * x], -1)
    square = np.array([390.3, 310.7, 300.0, 0.6])
    crop = crop_image(image, square)
    rows, columns = RNG.integers(20, CROP_SIDE_PX - 20, (2, 200))
    places = to_image(np.column_stack([columns, rows]) + 0.5, square)
    seen = crop[rows, columns, :2] / 255 * [width, height]
    # warpAffine steps in 1/32 of a pixel
    assert np.abs(seen - places).max() < 0.06


def test_the_cut_matches_a_slow_bilinear_reading():
    image = RNG.integers(0, 256, (90, 120, 3), dtype=np.uint8)
    square = np.array([55.0, 40.0, 128.0, -0.3])
    crop = crop_image(image, square).astype(float)
    padded = np.pad(image.astype(float), ((200, 200), (200, 200), (0, 0)))
    for row, column in RNG.integers(0, CROP_SIDE_PX, (300, 2)):
        x, y = to_image(np.array([[column + 0.5, row + 0.5]]), square)[0] - 0.5
        left, top = int(np.floor(x)), int(np.floor(y))
        fx, fy = x - left, y - top
        corners = padded[top + 200 : top + 202, left + 200 : left + 202]
        slow = (corners * np.outer([1 - fy, fy], [1 - fx, fx])[..., None]).sum((0, 1))
        assert np.abs(crop[row, column] - slow).max() < 9  # 1/32 of 255


def test_outside_the_picture_it_is_black():
    image = np.full((50, 50, 3), 255, np.uint8)
    crop = crop_image(image, np.array([0.0, 25.0, 50.0, 0.0]))
    assert (crop[:, : CROP_SIDE_PX // 2 - 4] == 0).all()
    assert (crop[4:-4, CROP_SIDE_PX // 2 + 4 :] == 255).all()


def test_the_crop_of_a_mirrored_picture_is_the_mirrored_crop():
    image = RNG.integers(0, 256, (200, 300, 3), dtype=np.uint8)
    square = np.array([140.5, 100.25, 128.0, 0.0])
    mirrored = square * [-1, 1, 1, -1] + [300, 0, 0, 0]
    assert np.array_equal(crop_image(image[:, ::-1], mirrored), crop_image(image, square)[:, ::-1])


def test_turning_past_half_a_turn_does_not_spin_the_crop():
    """Angles 179, 181 degrees are neighbours; smoothing must not pass through 0."""
    leans = np.radians(np.linspace(150, 210, 30))
    keypoints = np.stack([standing(lean) for lean in leans])
    boxes = np.tile([400, 500, 100.0], (30, 1))
    squares = steady_squares(np.arange(30) / 30, keypoints, boxes)
    wrapped = np.angle(np.exp(1j * (squares[:, 3] - leans)))
    assert np.abs(wrapped).max() < 0.02


def test_a_steady_square_shakes_less_and_does_not_lag():
    times_s = np.arange(60) / 30
    path = np.column_stack([200 + 150 * times_s, 500 + 0 * times_s])
    noise = RNG.normal(0, 3, (60, 17, 2))
    keypoints = np.stack([standing(0, tuple(place)) for place in path])
    keypoints[..., :2] += noise
    boxes = np.column_stack([path, np.full(60, 100.0)])
    rough, smooth = (
        squares_from_keypoints(keypoints, boxes),
        steady_squares(times_s, keypoints, boxes),
    )
    shake = [np.abs(np.diff(s[:, :2], 2, axis=0)).mean() for s in (rough, smooth)]
    assert shake[1] < 0.6 * shake[0]
    assert np.abs((smooth[5:-5, 0] - path[5:-5, 0]).mean()) < 0.7


def test_one_frame_alone_has_a_square():
    squares = steady_squares(np.array([2.0]), standing()[None], np.array([[400, 500, 100.0]]))
    assert np.allclose(
        squares, squares_from_keypoints(standing()[None], np.array([[400, 500, 100.0]]))
    )
