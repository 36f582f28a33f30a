"""Crops about made-up people: what is where on them, and which way their cameras look."""

import numpy as np

from training.joints import COUNT, HIPS
from training.targets import CROP_SCALE, crop_turns, exact_targets, on_crops, tracked_squares


def test_a_square_without_error_is_the_box_enlarged():
    centre, side = np.array([[0.1, -0.2]]), np.array([[0.5]])
    (found,) = tracked_squares(centre, side, np.zeros((1, 2)), np.ones((1, 1)), np.ones((1, 2)))
    assert np.allclose(found, [0.1, -0.2, 0.5 * CROP_SCALE])


def test_a_square_of_a_part_lies_within_the_whole_one():
    rng = np.random.default_rng(0)
    off, part = rng.uniform(-1, 1, (500, 2)), rng.uniform(0.4, 1, (500, 1))
    found = tracked_squares(np.zeros((500, 2)), np.ones((500, 1)), np.zeros((500, 2)), part, off)
    assert (np.abs(found[:, :2]) + found[:, 2:] / 2 <= CROP_SCALE / 2 + 1e-12).all()
    assert np.allclose(found[:, 2:], part * CROP_SCALE)


def test_a_crop_spans_minus_one_to_one():
    square = np.array([[0.3, 0.1, 0.4]])
    corners = np.array([[[0.1, -0.1], [0.5, 0.3], [0.3, 0.1]]])
    assert np.allclose(on_crops(corners, square), [[[-1, -1], [1, 1], [0, 0]]])


def test_the_crops_camera_looks_at_its_centre_by_the_shortest_turn():
    squares = np.random.default_rng(0).uniform(-1, 1, (4, 5, 3))
    turns = crop_turns(squares, 1.7)
    rays = np.concatenate([squares[..., :2] / 1.7, np.ones((4, 5, 1))], -1)
    ahead = (turns @ rays[..., None])[..., 0]
    assert np.abs(ahead[..., :2]).max() < 1e-12
    assert (ahead[..., 2] > 0).all()
    angle = np.arccos((np.trace(turns, axis1=-2, axis2=-1) - 1) / 2)
    assert np.allclose(angle, np.arctan(np.linalg.norm(rays[..., :2], axis=-1)))


def test_betas_of_another_body_are_left_out():
    joints, seen = np.random.default_rng(0).normal(size=(3, COUNT, 3)), np.zeros((3, COUNT, 2))
    same = np.tile(np.eye(3), (3, 24, 1, 1))
    found = exact_targets(joints, seen, same, np.ones((3, 10)), same[:, 0], betas_known=False)
    assert not found.betas.any()
    assert not found.has_betas.any()
    assert found.has_pose.all()
    assert np.abs(found.joints_m[:, list(HIPS), :3].mean(1)).max() < 1e-6
