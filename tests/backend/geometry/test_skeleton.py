"""Forward kinematics against 4x4 matrices multiplied one by one."""

import numpy as np
import pytest

from staf_backend.body.body import load_body
from staf_backend.geometry.skeleton import JOINT_NAMES, PARENTS, check_parents, forward_kinematics
from tests.support.sample_motions import raised_left_arm, swaying

REST_M = load_body("open-neutral").rest_joints_m(np.zeros(10))


def chained(rotations: np.ndarray, rest_m: np.ndarray, root_m: np.ndarray) -> np.ndarray:
    """Global 4x4 matrices (J, 4, 4) of one pose, joint by joint."""
    matrices: list[np.ndarray] = []
    for joint, parent in enumerate(PARENTS):
        local = np.eye(4)
        local[:3, :3] = rotations[joint]
        local[:3, 3] = root_m if parent < 0 else rest_m[joint] - rest_m[parent]
        matrices.append(local if parent < 0 else matrices[parent] @ local)
    return np.array(matrices)


def test_equals_a_chain_of_matrices():
    rotations, root_m = swaying(5, scale_rad=2.0), np.arange(15.0).reshape(5, 3)
    turned, placed = forward_kinematics(rotations, REST_M, root_m)
    expected = np.stack([chained(r, REST_M, p) for r, p in zip(rotations, root_m, strict=True)])
    np.testing.assert_allclose(turned, expected[..., :3, :3], atol=1e-12)
    np.testing.assert_allclose(placed, expected[..., :3, 3], atol=1e-12)


def test_limb_lengths_are_constant():
    _, placed = forward_kinematics(swaying(50, scale_rad=3.0), REST_M, np.zeros((50, 3)))
    lengths = np.linalg.norm(placed[:, 1:] - placed[:, list(PARENTS[1:])], axis=-1)
    assert np.ptp(lengths, axis=0).max() < 1e-12


def test_the_raised_left_arm_is_the_left_one():
    _, placed = forward_kinematics(raised_left_arm(), REST_M, np.zeros((2, 3)))
    left, right = (placed[0, JOINT_NAMES.index(name)] for name in ("L_Wrist", "R_Wrist"))
    shoulder = placed[0, JOINT_NAMES.index("L_Shoulder")]
    assert shoulder[0] > 0.1 > -0.1 > right[0]
    assert left[1] - shoulder[1] > 0.4 > abs(right[1] - shoulder[1])


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_keeps_the_float_type(kind: type):
    turned, placed = forward_kinematics(swaying(3).astype(kind), REST_M, np.zeros((3, 3)))
    assert turned.dtype == placed.dtype == kind


def test_keeps_leading_axes_and_one_shape_for_each():
    rotations = swaying(6).reshape(2, 3, 24, 3, 3)
    rest_m = np.stack([REST_M, 2 * REST_M])[:, None]
    _, placed = forward_kinematics(rotations, rest_m, np.zeros((2, 3, 3)))
    _, alone = forward_kinematics(rotations[1, 2], 2 * REST_M, np.zeros(3))
    np.testing.assert_allclose(placed[1, 2], alone, atol=1e-14)


def test_torch_gives_the_same_with_gradients():
    torch = pytest.importorskip("torch")
    rotations = torch.tensor(swaying(3), requires_grad=True)
    _, placed = forward_kinematics(rotations, REST_M, torch.zeros(3, 3))
    _, expected = forward_kinematics(swaying(3), REST_M, np.zeros((3, 3)))
    np.testing.assert_allclose(placed.detach().numpy(), expected, atol=1e-12)
    placed.sum().backward()
    assert torch.isfinite(rotations.grad).all()
    assert rotations.grad[:, 0].abs().max() > 0


@pytest.mark.parametrize(
    ("rotations", "rest_m", "root_m"),
    [
        (np.zeros((2, 23, 3, 3)), REST_M, np.zeros((2, 3))),
        (swaying(2), REST_M[:20], np.zeros((2, 3))),
        (swaying(2), REST_M, np.zeros((3, 3))),
        (swaying(2), REST_M, np.zeros(3)),
    ],
)
def test_refuses_shapes_that_do_not_belong_together(
    rotations: np.ndarray, rest_m: np.ndarray, root_m: np.ndarray
):
    with pytest.raises(ValueError, match="must"):
        forward_kinematics(rotations, rest_m, root_m)


@pytest.mark.parametrize("parents", [(), (0, 0), (-1, 1), (-1, -1), (-1, 2, 0), (-1, -2)])
def test_refuses_what_is_no_tree(parents: tuple[int, ...]):
    with pytest.raises(ValueError, match="parents"):
        check_parents(parents)
