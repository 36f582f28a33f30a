"""The open bodies' knees: where people have them, and where the skin bends."""

import numpy as np
import pytest

from staf_backend.assets import asset_path
from staf_backend.body import OPEN_BODIES, Body, load_body
from staf_backend.geometry import SMPL, from_axis_angle

HIP, KNEE, ANKLE = SMPL.indices("left_hip", "left_knee", "left_ankle")
KNEES = [KNEE, int(SMPL.mirror[KNEE])]


def as_in_file(name: str) -> Body:
    """An open body with the joints that its file regresses."""
    return load_body(asset_path(OPEN_BODIES[name]))


def shank_over_thigh(body: Body, betas: np.ndarray) -> float:
    joints = body.rest_joints_m(betas)
    thigh, shank = joints[KNEE] - joints[HIP], joints[ANKLE] - joints[KNEE]
    return float(np.linalg.norm(shank) / np.linalg.norm(thigh))


def test_the_shank_is_as_long_as_the_thigh():
    ratios = [shank_over_thigh(load_body(name), np.zeros(10)) for name in OPEN_BODIES]
    assert abs(np.mean(ratios) - 1) < 0.002
    assert np.abs(np.array(ratios) - 1).max() < 0.015


@pytest.mark.parametrize("name", OPEN_BODIES)
def test_proportions_stay_human_in_every_shape(name: str):
    body = load_body(name)
    shapes = np.concatenate([2 * np.eye(10), -2 * np.eye(10)])
    ratios = [shank_over_thigh(body, betas) for betas in shapes]
    assert 0.92 < min(ratios) < max(ratios) < 1.08


@pytest.mark.parametrize("name", OPEN_BODIES)
def test_knees_stand_where_people_have_them(name: str):
    body = load_body(name)
    low, high = body.template_m[:, 1].min(), body.template_m[:, 1].max()
    share = (body.joint_template_m[KNEES, 1] - low) / (high - low)
    np.testing.assert_allclose(share, 0.285, atol=0.003)


@pytest.mark.parametrize("name", OPEN_BODIES)
def test_knees_stand_where_the_skin_bends(name: str):
    """Behind the knee the skin goes over from thigh to shank at the height of the joint."""
    body = load_body(name)
    height, weights = body.template_m[:, 1], body.dense_weights
    x, y, z = body.joint_template_m[KNEE]
    back = (weights[:, [HIP, KNEE]].sum(1) > 0.95) & (body.template_m[:, 2] < z)
    back &= (abs(height - y) < 0.1) & (abs(body.template_m[:, 0] - x) < 0.1)
    bins = np.arange(y - 0.08, y + 0.08, 0.01)
    shares = [weights[back & (abs(height - middle) < 0.008), KNEE].mean() for middle in bins]
    turning = np.interp(0.5, shares[::-1], bins[::-1])
    assert abs(turning - y) < 0.01


@pytest.mark.parametrize("name", OPEN_BODIES)
def test_a_bent_knee_stretches_the_skin_less_than_the_files_joint(name: str):
    now, before = load_body(name), as_in_file(name)
    for degrees in (60, 90):
        assert stretch(now, degrees) < 0.98 * stretch(before, degrees)


def stretch(body: Body, degrees: float) -> float:
    """RMS of the logarithm by which edges around the left knee are stretched when it bends."""
    edges = body.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    near = abs(body.template_m[:, 1] - body.joint_template_m[KNEE, 1]) < 0.15
    near &= body.dense_weights[:, [HIP, KNEE]].sum(1) > 0.9
    edges = edges[near[edges].all(1)]
    turns = np.zeros((len(SMPL), 3))
    turns[KNEE, 0] = np.radians(degrees)
    posed = body.vertices_m(from_axis_angle(turns), np.zeros(10), np.zeros(3))
    rest, bent = (
        np.linalg.norm(np.diff(v[edges], axis=1), axis=-1) for v in (body.template_m, posed)
    )
    return float(np.sqrt(np.average(np.log(bent / rest) ** 2, weights=rest)))


@pytest.mark.parametrize("name", OPEN_BODIES)
def test_nothing_but_the_knees_moves(name: str):
    now, before = load_body(name), as_in_file(name)
    assert np.array_equal(now.template_m, before.template_m)
    assert np.array_equal(now.shape_directions, before.shape_directions)
    assert np.array_equal(now.dense_weights, before.dense_weights)
    others = [joint for joint in range(len(SMPL)) if joint not in KNEES]
    assert np.array_equal(now.joint_template_m[others], before.joint_template_m[others])
    moved = np.linalg.norm(now.joint_template_m - before.joint_template_m, axis=1)[KNEES]
    assert moved.min() > 0.02
    fingers = load_body(name, fingers=True)
    np.testing.assert_allclose(fingers.joint_template_m[:22], now.joint_template_m[:22], atol=1e-12)
