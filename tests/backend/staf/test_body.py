"""The body in the network: equal to the authors' and to smplx, whole or in parts."""

import dataclasses

import numpy as np
import pytest
import torch

from staf_backend.geometry import rotations
from staf_backend.staf.body import (
    BodyTables,
    SmplBody,
    joints_14,
    project,
    rotations_from_6d,
    tables_from_body,
)
from tests.support import parity_network
from tests.support import parity_recipe as recipe
from tests.support.reference_body import joints_49


@pytest.fixture(scope="module")
def pose() -> tuple[torch.Tensor, torch.Tensor]:
    betas, axis_angle = zip(*(recipe.smpl_input(sample) for sample in range(2)), strict=True)
    matrices = rotations.from_axis_angle(np.stack(axis_angle).astype(np.float64))
    return torch.from_numpy(np.stack(betas)), torch.from_numpy(matrices).float()


def test_the_stand_in_body_is_the_recipes() -> None:
    expected = recipe.fixture("staf")["meta/smpl_sha256"]
    assert recipe.digest(recipe.smpl_arrays()) == str(expected)


def test_meshes_and_joints_equal_the_authors(pose) -> None:
    body, data = parity_network.body(), recipe.parity_data()
    points = body(*pose)
    expected = recipe.fixture("units")
    np.testing.assert_allclose(points.vertices_m[:, ::13], expected["smpl/verts"], atol=1e-6)
    extra = data["J_regressor_extra"]
    np.testing.assert_allclose(joints_49(points, extra), expected["smpl/joints49"], atol=1e-6)
    h36m = torch.from_numpy(data["J_regressor_h36m"]).float()
    np.testing.assert_allclose(joints_14(points.vertices_m, h36m), expected["smpl/j14"], atol=1e-6)


def test_equal_to_smplx(pose) -> None:
    smplx = pytest.importorskip("smplx")
    arrays = recipe.smpl_arrays()
    theirs = smplx.SMPL("", data_struct=smplx.utils.Struct(**arrays), batch_size=2)
    expected = theirs(
        betas=pose[0], body_pose=pose[1][:, 1:], global_orient=pose[1][:, :1], pose2rot=False
    )
    points = parity_network.body()(*pose)
    torch.testing.assert_close(points.vertices_m, expected.vertices, atol=1e-6, rtol=0)
    torch.testing.assert_close(points.joints_m, expected.joints[:, :24], atol=1e-6, rtol=0)


def test_selected_vertices_are_those_of_the_whole_body(pose) -> None:
    whole = parity_network.body()
    some = whole.aligned()(*pose)
    every = whole(*pose)
    ids = recipe.alignment_vertices()
    torch.testing.assert_close(some.vertices_m, every.vertices_m[:, ids], atol=1e-6, rtol=0)
    torch.testing.assert_close(some.joints_m, every.joints_m, atol=0, rtol=0)


def test_a_body_without_pose_corrections_is_one_with_zero_corrections(pose) -> None:
    tables = parity_network.body().tables
    assert tables.pose_dirs is not None
    without = SmplBody(dataclasses.replace(tables, pose_dirs=None))
    zero = SmplBody(dataclasses.replace(tables, pose_dirs=np.zeros_like(tables.pose_dirs)))
    torch.testing.assert_close(without(*pose).vertices_m, zero(*pose).vertices_m, atol=1e-7, rtol=0)


def test_turning_the_root_turns_the_mesh_about_the_pelvis(pose) -> None:
    betas, matrices = pose
    body = parity_network.body()
    turn = torch.from_numpy(rotations.from_axis_angle(np.array([0.3, -1.0, 0.2]))).float()
    turned = matrices.clone()
    turned[:, 0] = turn @ matrices[:, 0]
    before, after = body(betas, matrices), body(betas, turned)
    pelvis = before.joints_m[:, :1]
    expected = (before.vertices_m - pelvis) @ turn.T + pelvis
    torch.testing.assert_close(after.vertices_m, expected, atol=2e-6, rtol=0)


def test_gradients_reach_pose_and_shape(pose) -> None:
    betas, matrices = (tensor.clone().requires_grad_() for tensor in pose)
    parity_network.body()(betas, matrices).vertices_m.square().sum().backward()
    assert betas.grad is not None
    assert matrices.grad is not None
    assert (betas.grad.abs().sum(0) > 0).all()
    assert (matrices.grad.abs().sum((0, 2, 3)) > 0).all()


def test_six_numbers_to_rotations_are_the_authors() -> None:
    numbers = torch.from_numpy((2 * recipe.uniform("rot6d", (64, 6)) - 1).astype(np.float32))
    expected = recipe.fixture("units")["rot6d/matrix"]
    np.testing.assert_allclose(rotations_from_6d(numbers)[:, 0], expected, atol=1e-6)


def test_axis_angles_are_the_authors() -> None:
    expected = recipe.fixture("units")
    ours = rotations.to_axis_angle(expected["rot6d/matrix"].astype(np.float64))
    np.testing.assert_allclose(ours, expected["rot6d/axis_angle"], atol=2e-5)


def test_projection_is_the_authors_and_points_right_and_down() -> None:
    expected = recipe.fixture("units")
    joints = torch.from_numpy(expected["smpl/joints49"])
    camera = torch.from_numpy(expected["projection/cam"])
    np.testing.assert_allclose(project(joints, camera), expected["projection/xy"], atol=1e-5)
    x, y = project(torch.tensor([[[0.1, 0.2, 0.0]]]), torch.tensor([[1.0, 0, 0]]))[0, 0]
    assert x > 0
    assert y > x


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("skin_weights", np.zeros((6890, 23), np.float32), "skin_weights must be"),
        ("template_m", np.full((6890, 3), np.nan, np.float32), "NaN"),
        ("parents", np.zeros(24, np.int64), "parents"),
        ("faces", np.full((2, 3), 6890), "faces must name vertices"),
        ("alignment_vertices", np.array([-1]), "alignment_vertices must name"),
    ],
)
def test_broken_tables_are_refused(field: str, value: np.ndarray, reason: str) -> None:
    tables: BodyTables = parity_network.body().tables
    with pytest.raises(ValueError, match=reason):
        dataclasses.replace(tables, **{field: value})


def test_the_open_body_is_the_exporters(pose) -> None:
    from staf_backend.body import load_body

    whole = load_body("open-neutral")
    ours = SmplBody(tables_from_body(whole))(*pose)
    root_m = whole.rest_joints_m(pose[0][0].double().numpy())[0]
    theirs = whole.vertices_m(pose[1][0].double().numpy(), pose[0][0].double().numpy(), root_m)
    np.testing.assert_allclose(ours.vertices_m[0], theirs, atol=2e-6)
