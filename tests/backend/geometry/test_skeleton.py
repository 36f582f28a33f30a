"""Forward kinematics against 4x4 matrices multiplied one by one."""

import numpy as np
import pytest

from staf_backend.body import load_body
from staf_backend.body.fingers import SKELETONS
from staf_backend.geometry import (
    SMPL,
    Skeleton,
    check_parents,
    forward_kinematics,
    from_axis_angle,
    parent_relative,
)
from tests.support.sample_motions import raised_left_arm, swaying

REST_M = load_body("open-neutral").rest_joints_m(np.zeros(10))


def chained(rotations: np.ndarray, rest_m: np.ndarray, root_m: np.ndarray) -> np.ndarray:
    """Global 4x4 matrices (J, 4, 4) of one pose, joint by joint."""
    matrices: list[np.ndarray] = []
    for joint, parent in enumerate(SMPL.parents):
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
    lengths = np.linalg.norm(placed[:, 1:] - placed[:, list(SMPL.parents[1:])], axis=-1)
    assert np.ptp(lengths, axis=0).max() < 1e-12


def test_the_raised_left_arm_is_the_left_one():
    _, placed = forward_kinematics(raised_left_arm(), REST_M, np.zeros((2, 3)))
    left, right = (placed[0, SMPL.index(name)] for name in ("L_Wrist", "R_Wrist"))
    shoulder = placed[0, SMPL.index("L_Shoulder")]
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


@pytest.mark.parametrize(("kind", "count"), [("smpl", 24), ("smplh", 52), ("smplx", 55)])
def test_any_skeleton_is_posed_and_taken_apart_again(kind: str, count: int):
    skeleton = SKELETONS[kind]
    assert len(skeleton) == count
    rng = np.random.default_rng(count)
    rotations = from_axis_angle(rng.normal(0, 0.5, (4, count, 3)))
    rest_m = rng.normal(size=(count, 3))
    turned, placed = forward_kinematics(rotations, rest_m, np.zeros((4, 3)), skeleton)
    np.testing.assert_allclose(parent_relative(turned, skeleton), rotations, atol=1e-12)
    parents = list(skeleton.parents[1:])
    bones_m = np.linalg.norm(placed[:, 1:] - placed[:, parents], axis=-1)
    expected = np.linalg.norm(rest_m[1:] - rest_m[parents], axis=-1)
    np.testing.assert_allclose(bones_m, np.broadcast_to(expected, bones_m.shape))


def test_a_part_of_smpl_is_a_skeleton_too():
    body = Skeleton(SMPL.names[:22], SMPL.parents[:22])
    turned, _ = forward_kinematics(swaying(2)[:, :22], REST_M[:22], np.zeros((2, 3)), body)
    whole, _ = forward_kinematics(swaying(2), REST_M, np.zeros((2, 3)))
    assert np.array_equal(turned, whole[:, :22])


def test_joints_are_found_by_name_in_either_spelling():
    assert SMPL.index("left_wrist") == SMPL.index("L_Wrist") == 20
    assert SMPL.indices("pelvis", "hip", "right_hand") == (0, 1, 2, 23)
    assert "left_tail" not in SMPL
    with pytest.raises(ValueError, match="no joint 'left_tail' among Pelvis"):
        SMPL.index("left_tail")
    with pytest.raises(ValueError, match="no joint 'left_tail'"):
        SMPL.indices("tail")


def test_a_value_per_joint_holds_for_both_sides_unless_one_is_named():
    values = SMPL.per_joint({"knee": 2.0, "right_knee": 3.0, "head": 4.0}, 1.0)
    assert values[list(SMPL.indices("knee", "head", "pelvis"))].tolist() == [2, 3, 4, 1]


@pytest.mark.parametrize("skeleton", SKELETONS.values())
def test_the_mirror_swaps_sides_and_undoes_itself(skeleton: Skeleton):
    mirror = skeleton.mirror
    assert np.array_equal(mirror[mirror], np.arange(len(skeleton)))
    assert mirror[skeleton.index("left_knee")] == skeleton.index("right_knee")
    assert mirror[0] == 0
    assert (mirror != np.arange(len(skeleton))).sum() >= 18
    with pytest.raises(ValueError, match="read-only"):
        mirror[0] = 1


def test_a_mirror_may_be_given_and_must_pair_the_joints():
    given = Skeleton(("base", "a", "b"), (-1, 0, 0), np.array([0, 2, 1]))
    assert given.mirror.tolist() == [0, 2, 1]
    assert Skeleton(("base", "a", "b"), (-1, 0, 0)).mirror.tolist() == [0, 1, 2]
    for wrong in ([0, 1], [1, 2, 0], [0, 0, 1]):
        with pytest.raises(ValueError, match="mirror"):
            Skeleton(("base", "a", "b"), (-1, 0, 0), np.array(wrong))


@pytest.mark.parametrize(
    ("names", "parents", "words"),
    [((), (), "joint_names"), (("a", "a"), (-1, 0), "joint_names"), (("a", "b"), (-1,), "parents")],
)
def test_refuses_what_is_no_skeleton(names: tuple[str, ...], parents: tuple[int, ...], words: str):
    with pytest.raises(ValueError, match=words):
        Skeleton(names, parents)
