"""Bodies: the open ones by facts, skinning against SMPL's equations written as loops."""

from pathlib import Path

import numpy as np
import pytest

from staf_backend.body import OPEN_BODIES, Body, BodyError, load_body
from staf_backend.geometry import SMPL, forward_kinematics
from tests.support.make_body_files import model_arrays, write_npz
from tests.support.sample_motions import raised_left_arm, swaying

BETAS = np.linspace(-1.5, 1.5, 10)


@pytest.fixture(scope="module")
def smpl_like(tmp_path_factory: pytest.TempPathFactory) -> Body:
    return load_body(write_npz(tmp_path_factory.mktemp("body") / "B.npz", model_arrays()))


def skinned_by_loops(
    body: Body, rotations: np.ndarray, betas: np.ndarray, root_m: np.ndarray, vertices: list[int]
) -> np.ndarray:
    """SMPL's equations for one pose and a few vertices, sum by sum."""
    rest_joints = body.rest_joints_m(betas)
    turned, placed = forward_kinematics(rotations, rest_joints, root_m)
    features = np.concatenate([(r - np.eye(3)).ravel() for r in rotations[1:]])
    posed = []
    for v in vertices:
        rest = body.template_m[v] + body.shape_directions[v].astype(float) @ betas
        if body.pose_directions is not None:
            rest = rest + body.pose_directions[v].astype(float) @ features
        total = np.zeros(3)
        for joint, weight in enumerate(body.dense_weights[v]):
            total += weight * (turned[joint] @ (rest - rest_joints[joint]) + placed[joint])
        posed.append(total)
    return np.array(posed)


@pytest.mark.parametrize("name", OPEN_BODIES)
def test_open_body_facts(name: str):
    body = load_body(name)
    assert (body.kind, body.gender, body.name) == ("open", name.removeprefix("open-"), name)
    assert body.template_m.shape == (12868, 3)
    assert body.skeleton == SMPL
    np.testing.assert_allclose(body.skin_weights.sum(1), 1, atol=1e-6)
    assert len(set(body.reduced_vertices.tolist())) == 431
    height_m = np.ptp(body.rest_vertices_m(np.zeros(10))[:, 1])
    assert 1.5 < height_m < 1.9
    np.testing.assert_allclose(body.joint_template_m[0], [0, -0.230, 0.030], atol=1e-3)
    np.testing.assert_allclose(body.rest_joints_m(BETAS)[0], [0, -0.230, 0.030], atol=1e-2)


def test_open_body_faces_forward_with_the_left_hand_at_plus_x():
    body = load_body("open-neutral")
    joints_m = dict(zip(body.skeleton.names, body.joint_template_m, strict=True))
    assert joints_m["L_Wrist"][0] > 0.5
    assert joints_m["L_Foot"][2] > joints_m["L_Ankle"][2] + 0.05
    assert joints_m["Head"][1] > joints_m["Neck"][1] > joints_m["Pelvis"][1]
    a, b, c = (body.template_m[body.faces[:, k]] for k in range(3))
    volume_m3 = (np.cross(b - a, c - a) * a).sum() / 6
    assert 0.04 < volume_m3 < 0.12


def test_joints_are_regressed_for_every_shape(smpl_like: Body):
    arrays = model_arrays()
    expected = arrays["J_regressor"] @ smpl_like.rest_vertices_m(BETAS)
    np.testing.assert_allclose(smpl_like.rest_joints_m(BETAS), expected, atol=1e-7)


def test_many_shapes_at_once():
    body = load_body("open-male")
    betas = np.random.default_rng(0).normal(size=(2, 3, 10))
    assert body.rest_joints_m(betas).shape == (2, 3, 24, 3)
    for method in (body.rest_joints_m, body.rest_vertices_m):
        np.testing.assert_allclose(method(betas)[1, 2], method(betas[1, 2]), atol=1e-12)


def test_skinning_equals_the_equations(smpl_like: Body):
    vertices = [0, 5, 1234, 6889]
    for body in (load_body("open-female"), smpl_like):
        rotations, root_m = swaying(3, scale_rad=1.5), np.arange(9.0).reshape(3, 3)
        posed = body.vertices_m(rotations, BETAS, root_m)
        for key in range(3):
            expected = skinned_by_loops(body, rotations[key], BETAS, root_m[key], vertices)
            np.testing.assert_allclose(posed[key, vertices], expected, atol=1e-9)


def test_rest_pose_gives_the_rest_mesh(smpl_like: Body):
    identity = np.tile(np.eye(3), (24, 1, 1))
    root_m = smpl_like.rest_joints_m(BETAS)[0]
    posed = smpl_like.vertices_m(identity, BETAS, root_m)
    np.testing.assert_allclose(posed, smpl_like.rest_vertices_m(BETAS), atol=1e-12)


def test_a_frame_alone_equals_the_frame_in_a_long_clip(smpl_like: Body):
    rotations, root_m = swaying(300), np.random.default_rng(0).normal(size=(300, 3))
    posed = smpl_like.vertices_m(rotations, BETAS, root_m, smpl_like.reduced_vertices)
    for key in (0, 128, 299):
        alone = smpl_like.vertices_m(rotations[key], BETAS, root_m[key])
        np.testing.assert_allclose(posed[key], alone[smpl_like.reduced_vertices], atol=1e-12)


def test_float32_stays_float32_and_close():
    body = load_body("open-neutral")
    rotations, root_m = swaying(2), np.zeros((2, 3))
    single = body.vertices_m(rotations.astype(np.float32), BETAS, root_m)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, body.vertices_m(rotations, BETAS, root_m), atol=2e-6)


def test_the_raised_left_arm_lifts_the_left_hand():
    body = load_body("open-neutral")
    posed = body.vertices_m(raised_left_arm(1), np.zeros(10), np.zeros((1, 3)))[0]
    hand = body.dense_weights[:, 22] > 0.9
    assert posed[hand, 1].min() > body.joint_template_m[15, 1] - body.joint_template_m[0, 1]
    assert posed[hand, 0].min() > 0
    other = body.dense_weights[:, 23] > 0.9
    assert posed[other, 0].max() < -0.5


def test_agrees_with_the_smplx_package(tmp_path: Path):
    smplx = pytest.importorskip("smplx")
    torch = pytest.importorskip("torch")
    arrays = model_arrays()
    body = load_body(write_npz(tmp_path / "B.npz", arrays))
    data = smplx.utils.Struct(**arrays)
    oracle = smplx.SMPL("unused", data_struct=data, dtype=torch.float64)
    rotations, root_m = swaying(2), np.array([[0.1, 0.2, 0.3], [1, 2, 3]])
    trans = torch.tensor(root_m - body.rest_joints_m(BETAS)[0])
    matrices = torch.tensor(rotations)
    output = smplx.lbs.lbs(
        torch.tensor(BETAS)[None].expand(2, -1),
        matrices,
        oracle.v_template,
        oracle.shapedirs,
        oracle.posedirs,
        oracle.J_regressor,
        oracle.parents,
        oracle.lbs_weights,
        pose2rot=False,
    )
    expected = output[0] + trans[:, None]
    posed = body.vertices_m(rotations, BETAS, root_m)
    np.testing.assert_allclose(posed, expected.numpy(), atol=1e-6)


def test_wrong_shapes_are_named():
    body = load_body("open-neutral")
    with pytest.raises(ValueError, match="betas must be"):
        body.rest_joints_m(np.zeros(9))
    with pytest.raises(ValueError, match="rotations"):
        body.vertices_m(np.zeros((2, 22, 3, 3)), np.zeros(10), np.zeros((2, 3)))


def test_an_unknown_name_lists_the_known():
    with pytest.raises(BodyError, match=r"no body named 'open-neutrl'.*open-neutral, open-male"):
        load_body("open-neutrl")
    with pytest.raises(BodyError, match="no body named ''"):
        load_body("")
