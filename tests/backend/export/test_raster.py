"""The rasteriser against a slow one that asks every pixel about every face."""

import numpy as np
import pytest

from staf_backend.export.raster import nearest_faces

FRONT = np.array([[0, 2, 1]])  # on the screen, with y down, this is turned to the camera


def slow_faces(
    points: np.ndarray, depth: np.ndarray, faces: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """Barycentric coordinates pixel by pixel; 1 / depth compared."""
    width, height = size
    picture = np.full((height, width), -1)
    nearest = np.zeros((height, width))
    for number, face in enumerate(faces):
        a, b, c = points[face]
        area = np.linalg.det(np.array([b - a, c - a]))
        if area >= 0 or (depth[face] <= 0.05).any():
            continue
        for row in range(height):
            for column in range(width):
                p = np.array([column + 0.5, row + 0.5])
                v, w = np.linalg.solve(np.array([b - a, c - a]).T, p - a)
                shares = np.array([1 - v - w, v, w])
                closeness = (shares / depth[face]).sum()
                if (shares >= 0).all() and closeness > nearest[row, column]:
                    picture[row, column], nearest[row, column] = number, closeness
    return picture


@pytest.mark.parametrize("seed", range(4))
def test_random_triangles_of_all_sizes(seed: int):
    rng = np.random.default_rng(seed)
    centre = rng.uniform(-5, 45, (30, 1, 2))
    points = (centre + rng.normal(0, 1, (30, 3, 2)) * rng.choice([1, 4, 30], (30, 1, 1))).reshape(
        -1, 2
    )
    depth = rng.uniform(0.5, 5, 90)
    depth[rng.integers(0, 90, 3)] = [-1, 0, 0.04]
    faces = np.arange(90).reshape(-1, 3)
    size = (40, 28)
    fast = nearest_faces(points, depth, faces, size)
    assert fast.shape == (28, 40)
    assert fast.dtype == np.int32
    assert np.array_equal(fast, slow_faces(points, depth, faces, size))
    assert (fast >= 0).any()


def test_a_square_of_two_faces_has_no_gap_and_no_overlap():
    points = np.array([[2, 2], [12, 2], [12, 9], [2, 9.0]])
    faces = np.array([[0, 2, 1], [0, 3, 2]])
    owner = nearest_faces(points, np.ones(4), faces, (16, 12))
    inside = np.zeros((12, 16), bool)
    inside[2:9, 2:12] = True
    assert np.array_equal(owner >= 0, inside)


def test_the_nearer_face_wins_at_each_pixel_also_where_they_cross():
    left_near, right_near = np.array([1.0, 1, 3, 3]), np.array([3.0, 3, 1, 1])
    square = np.array([[0, 0], [0, 10], [10, 0], [10, 10.0]])
    faces = np.array([[0, 1, 2], [1, 3, 2]])
    owner = nearest_faces(
        np.concatenate([square, square]),
        np.concatenate([left_near, right_near]),
        np.concatenate([faces, faces + 4]),
        (10, 10),
    )
    assert (owner[:, :5] < 2).all()
    assert (owner[:, 5:] >= 2).all()


def test_faces_seen_from_behind_are_left_out():
    points = np.array([[0, 0], [10, 0], [0, 10.0]])
    assert (nearest_faces(points, np.ones(3), FRONT, (10, 10)) >= 0).any()
    assert (nearest_faces(points, np.ones(3), FRONT[:, ::-1], (10, 10)) == -1).all()


@pytest.mark.parametrize("shift", [(-50, 0), (50, 0), (0, -50), (0, 50), (1e6, 1e6)])
def test_what_lies_outside_the_picture_is_left_out(shift: tuple[float, float]):
    points = np.array([[0, 0], [10, 0], [0, 10.0]]) + shift
    assert (nearest_faces(points, np.ones(3), FRONT, (10, 10)) == -1).all()


def test_a_face_larger_than_the_picture_covers_it():
    points = np.array([[-5000, -5000], [9000, -5000], [-5000, 9000.0]])
    assert (nearest_faces(points, np.ones(3), FRONT, (70, 30)) == 0).all()


def test_no_faces_no_owners():
    nothing = nearest_faces(np.zeros((0, 2)), np.zeros(0), np.zeros((0, 3), int), (4, 3))
    assert np.array_equal(nothing, np.full((3, 4), -1))
