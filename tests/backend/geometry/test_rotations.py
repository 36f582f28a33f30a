"""Rotations against scipy's, and against what the convention says they do to vectors."""

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.spatial.transform import Rotation

from staf_backend.geometry import rotations as r

RNG = np.random.default_rng(5)
RANDOM = Rotation.from_quat(RNG.normal(size=(500, 4)))
# every half turn about an axis, and turns just short of and just past it: where digits are lost
HARD = np.concatenate(
    [
        np.eye(3) * angle
        for angle in (0, 1e-12, 1e-7, 1e-4, np.pi / 2, np.pi - 1e-7, np.pi, np.pi + 1e-7)
    ]
)


def test_a_turn_about_z_takes_x_to_y():
    quarter = r.from_axis_angle(np.array([0, 0, np.pi / 2]))
    assert np.allclose(quarter @ [1, 0, 0], [0, 1, 0])
    assert np.allclose(r.from_quaternions(np.array([1, 0, 0, 1.0])) @ [1, 0, 0], [0, 1, 0])


def test_skew_is_the_cross_product():
    a, b = RNG.normal(size=(2, 4, 3))
    assert np.allclose((r.skew(a) @ b[..., None])[..., 0], np.cross(a, b))


def test_rodrigues_is_the_exponential():
    for vector in [*RNG.normal(size=(20, 3)), *HARD]:
        assert np.abs(r.from_axis_angle(vector) - expm(r.skew(vector))).max() < 1e-12


def test_matrices_agree_with_scipy():
    vectors = RANDOM.as_rotvec()
    assert np.allclose(r.from_axis_angle(vectors), RANDOM.as_matrix(), atol=1e-14)
    assert np.allclose(r.to_axis_angle(RANDOM.as_matrix()), vectors, atol=1e-12)
    wxyz = np.roll(RANDOM.as_quat(), 1, axis=-1)
    wxyz *= np.where(wxyz[:, :1] < 0, -1, 1)
    assert np.allclose(r.to_quaternions(RANDOM.as_matrix()), wxyz, atol=1e-14)
    assert np.allclose(r.from_quaternions(wxyz), RANDOM.as_matrix(), atol=1e-14)


@pytest.mark.parametrize("vector", HARD, ids=lambda v: f"{np.abs(v).max():.7f}-{np.argmax(v)}")
def test_no_digits_are_lost_near_nothing_and_near_a_half_turn(vector: np.ndarray):
    matrix = Rotation.from_rotvec(vector).as_matrix()
    for there_and_back in (
        r.from_axis_angle(r.to_axis_angle(matrix)),
        r.from_quaternions(r.to_quaternions(matrix)),
        r.from_6d(matrix[:, :2]),
    ):
        assert np.abs(there_and_back - matrix).max() < 1e-14
    assert np.linalg.norm(r.to_axis_angle(matrix)) <= np.pi + 1e-12


@pytest.mark.parametrize("length_rad", [0.1, 1, 3.1, 3.2, 6, 20])
def test_axis_angle_comes_back_the_short_way(length_rad: float):
    axes = RNG.normal(size=(50, 3))
    given_rad = length_rad * axes / np.linalg.norm(axes, axis=-1, keepdims=True)
    back = r.to_axis_angle(r.from_axis_angle(given_rad))
    assert np.linalg.norm(back, axis=-1).max() <= np.pi + 1e-12
    assert np.abs(r.from_axis_angle(back) - r.from_axis_angle(given_rad)).max() < 1e-12
    if length_rad < np.pi:
        assert np.abs(back - given_rad).max() < 1e-12


def test_from_6d_is_a_rotation_whose_first_column_keeps_its_direction():
    columns = RNG.normal(size=(50, 3, 2))
    matrices = r.from_6d(columns)
    assert np.allclose(matrices @ matrices.transpose(0, 2, 1), np.eye(3))
    assert np.allclose(np.linalg.det(matrices), 1)
    first = columns[..., 0] / np.linalg.norm(columns[..., 0], axis=-1, keepdims=True)
    assert np.allclose(matrices[..., 0], first)
    # the second column stays in the plane of both
    normal = np.cross(columns[..., 0], columns[..., 1])
    assert np.abs((matrices[..., 1] * normal).sum(-1)).max() < 1e-12
    assert ((matrices[..., 1] * columns[..., 1]).sum(-1) > 0).all()


def test_nearest_is_nearest_also_to_a_reflection():
    for matrix in [*RNG.normal(size=(10, 3, 3)), np.diag([1.0, 1.0, -1.0])]:
        best = r.nearest_rotation(matrix)
        assert np.allclose(best @ best.T, np.eye(3))
        assert np.linalg.det(best) == pytest.approx(1)
        distance = np.linalg.norm(best - matrix)
        others = np.linalg.norm(RANDOM.as_matrix() - matrix, axis=(-2, -1))
        assert (others >= distance - 1e-9).all()
        nudges = Rotation.from_rotvec(RNG.normal(0, 0.01, (100, 3))).as_matrix() @ best
        assert (np.linalg.norm(nudges - matrix, axis=(-2, -1)) >= distance - 1e-9).all()


def test_continuous_signs_never_pass_through_zero():
    angles = np.linspace(0, 6 * np.pi, 200)[:, None] * [0.0, 1.0, 0.0]
    quaternions = np.stack([r.to_quaternions(r.from_axis_angle(angles))] * 2, 1)
    assert ((quaternions[1:] * quaternions[:-1]).sum(-1) < 0).any(), "nothing to repair"
    continuous = r.continuous_signs(quaternions)
    assert ((continuous[1:] * continuous[:-1]).sum(-1) > 0.9).all()
    assert np.array_equal(continuous[0], quaternions[0])
    assert np.allclose(r.from_quaternions(continuous), r.from_quaternions(quaternions))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_precision_and_leading_axes_are_kept(kind: type):
    vectors = RNG.normal(size=(2, 5, 3)).astype(kind)
    matrices = r.from_axis_angle(vectors)
    assert matrices.shape == (2, 5, 3, 3)
    for result, shape in (
        (matrices, (2, 5, 3, 3)),
        (r.to_axis_angle(matrices), (2, 5, 3)),
        (r.to_quaternions(matrices), (2, 5, 4)),
        (r.from_quaternions(r.to_quaternions(matrices)), (2, 5, 3, 3)),
        (r.from_6d(matrices[..., :2]), (2, 5, 3, 3)),
    ):
        assert result.shape == shape
        assert result.dtype == kind


def test_whole_numbers_are_angles_too():
    one_radian = r.from_axis_angle(np.array([0, 0, 1]))
    assert np.allclose(one_radian, Rotation.from_rotvec([0, 0, 1]).as_matrix())


def test_the_rotation_between_two_vectors_is_the_shortest():
    start, end = RNG.normal(size=(2, 50, 3))
    start, end = (v / np.linalg.norm(v, axis=-1, keepdims=True) for v in (start, end))
    between = r.rotation_between(start, end)
    assert np.allclose((between @ start[..., None])[..., 0], end)
    angle = np.linalg.norm(r.to_axis_angle(between), axis=-1)
    assert np.allclose(angle, np.arccos((start * end).sum(-1)))
    assert np.array_equal(r.rotation_between(start, start), np.broadcast_to(np.eye(3), (50, 3, 3)))


def test_opposite_vectors_have_no_shortest_rotation():
    with pytest.raises(ValueError, match="opposite"):
        r.rotation_between(np.array([0, 0, 1.0]), np.array([0, 0, -1.0]))


def test_slerp_goes_the_short_way_at_a_constant_speed():
    start, end = np.array([1.0, 0, 0, 0]), np.array([np.cos(0.6), 0, np.sin(0.6), 0])
    share = np.linspace(0, 1, 7)[:, None]
    for signed in (end, -end):
        between = r.slerp(start, signed, share)
        assert np.allclose(between[:, 2], np.sin(0.6 * share[:, 0]))
        assert np.allclose(np.linalg.norm(between, axis=-1), 1)
    assert np.allclose(r.slerp(start, start, share), start)
