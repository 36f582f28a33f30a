"""Bodies with fingers: the same body, with 52 joints instead of 24."""

from pathlib import Path

import numpy as np
import pytest

from staf_backend.body import (
    OPEN_BODIES,
    WITH_FINGERS,
    BodyError,
    finger_arrays,
    finger_joints,
    load_body,
)
from staf_backend.geometry import from_axis_angle
from tests.support.make_body_files import model_arrays, write_npz
from tests.support.sample_motions import swaying


@pytest.mark.parametrize("name", OPEN_BODIES)
def test_fingers_at_rest_change_nothing(name: str):
    plain, fingers = load_body(name), load_body(name, fingers=True)
    betas, root = np.linspace(-1, 1, 10), np.zeros((2, 3))
    rotations = swaying(2)
    rotations[:, 22:] = np.eye(3)
    whole = np.tile(np.eye(3), (2, 52, 1, 1))
    whole[:, :22] = rotations[:, :22]
    expected = plain.vertices_m(rotations, betas, root)
    np.testing.assert_allclose(fingers.vertices_m(whole, betas, root), expected, atol=1e-6)
    assert fingers.name == plain.name
    joints = fingers.rest_joints_m(betas)
    np.testing.assert_allclose(joints[:22], plain.rest_joints_m(betas)[:22], atol=1e-12)


def test_hands_mirror_and_lie_beyond_the_wrist():
    body = load_body("open-neutral", fingers=True)
    joints = body.rest_joints_m(np.zeros(10))
    left, right = (joints[list(finger_joints(side))] for side in ("left", "right"))
    np.testing.assert_allclose(left * [-1, 1, 1], right, atol=2e-3)
    assert (left[:, 0] > joints[20, 0] + 0.03).all()
    assert body.skeleton.names == WITH_FINGERS.names


def test_a_bent_finger_moves_its_own_skin_alone():
    body = load_body("open-neutral", fingers=True)
    rotations = np.tile(np.eye(3), (52, 1, 1))
    still = body.vertices_m(rotations, np.zeros(10), np.zeros(3))
    joint = WITH_FINGERS.index("right_ring2")
    rotations[joint] = from_axis_angle(np.array([0.0, 0, 1]))
    moved = np.linalg.norm(body.vertices_m(rotations, np.zeros(10), np.zeros(3)) - still, axis=1)
    finger = body.dense_weights[:, joint : joint + 2].sum(1)
    assert moved.max() > 0.02
    assert (moved[finger == 0] < 1e-9).all()


@pytest.mark.parametrize(("kind", "jaw"), [("smplh", 0), ("smplx", 3)])
def test_users_bodies_keep_their_own_fingers(kind: str, jaw: int, tmp_path: Path):
    arrays = model_arrays(kind)
    body = load_body(write_npz(tmp_path / "m.npz", arrays), fingers=True)
    joints = arrays["J_regressor"] @ arrays["v_template"]
    np.testing.assert_allclose(body.rest_joints_m(np.zeros(10))[22:], joints[22 + jaw :], atol=1e-6)
    head = arrays["weights"][:, 15] + arrays["weights"][:, 22 : 22 + jaw].sum(1)
    assert body.skeleton.names == WITH_FINGERS.names
    kept = body.dense_weights[:, 15] > 0
    np.testing.assert_allclose(body.dense_weights[kept, 15], head[kept], atol=0.2)


def test_a_body_without_fingers_is_refused_in_a_sentence(tmp_path: Path):
    path = write_npz(tmp_path / "m.npz", model_arrays("smpl"))
    with pytest.raises(BodyError, match="no finger joints") as caught:
        load_body(path, fingers=True)
    assert "--hands off" in caught.value.advice
    assert finger_arrays(str(path)) == {}


def test_plain_arrays_for_programs_that_read_no_models():
    arrays, body = finger_arrays("open-male"), load_body("open-male", fingers=True)
    assert tuple(arrays["fingers_joint_names"]) == WITH_FINGERS.names
    np.testing.assert_array_equal(arrays["fingers_skin_joints"], body.skin_joints)
    np.testing.assert_allclose(arrays["fingers_skin_weights"].sum(1), 1, atol=1e-6)
