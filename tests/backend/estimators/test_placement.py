"""A track of network answers becomes one person who stands where the picture shows them."""

import dataclasses

import numpy as np
import pytest

from staf_backend.body import load_body
from staf_backend.estimators.placement import NetworkTrack, RecoveryError, to_smpl_params
from staf_backend.geometry import Camera, forward_kinematics, from_axis_angle

SIZE_PX, FOCAL_PX = (1280, 720), 1400.0
BODY = load_body("open-neutral")


def _walker(frames: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """A person crossing the picture from left to right, four metres away: rotations and root."""
    rng = np.random.default_rng(3)
    rotations = from_axis_angle(rng.normal(0, 0.15, (frames, 24, 3)))
    rotations[:, 0] = from_axis_angle(np.array([np.pi, 0, 0]))  # upright in camera axes
    root_m = np.column_stack([np.linspace(-1, 1, frames), np.zeros(frames), np.full(frames, 4.0)])
    return rotations, root_m


def _as_the_network_would(rotations: np.ndarray, root_m: np.ndarray) -> NetworkTrack:
    """Answers whose crop cameras reproduce the picture: scale from depth, shift from the crop."""
    rest_m = BODY.rest_joints_m(np.zeros(10))
    centres = root_m[:, :2] / root_m[:, 2:] * FOCAL_PX + np.array(SIZE_PX) / 2
    side = 2.2 * FOCAL_PX / root_m[:, 2]
    scale = 2 * FOCAL_PX / (side * root_m[:, 2])
    camera = np.column_stack([scale, -np.tile(rest_m[0, :2], (len(scale), 1))])
    squares = np.column_stack([centres, side])
    return NetworkTrack(rotations, np.zeros((len(scale), 10)), camera, squares)


def test_a_walker_is_put_back_where_they_walk() -> None:
    rotations, root_m = _walker()
    track = _as_the_network_would(rotations, root_m)
    params, valid = to_smpl_params(track, BODY, Camera(FOCAL_PX, *SIZE_PX))
    assert valid.all()
    # The network's nearly parallel camera leaves the depth open by a few centimetres
    np.testing.assert_allclose(params.root_m, root_m, atol=0.2)
    np.testing.assert_allclose(params.root_m[:, :2], root_m[:, :2], atol=0.06)
    assert (np.diff(params.root_m[:, 0]) > 0.1).all()
    np.testing.assert_allclose(params.rotations[:, 1:], rotations[:, 1:], atol=1e-12)


def test_overlays_hold_with_bodies_turned_to_the_view() -> None:
    rotations, root_m = _walker()
    track = _as_the_network_would(rotations, root_m)
    params, _ = to_smpl_params(track, BODY, Camera(FOCAL_PX, *SIZE_PX))
    rest_m = BODY.rest_joints_m(params.betas)
    joints_m = forward_kinematics(params.rotations, rest_m, params.root_m)[1]
    seen_px = joints_m[..., :2] / joints_m[..., 2:] * FOCAL_PX + np.array(SIZE_PX) / 2
    local = forward_kinematics(rotations, rest_m, np.zeros_like(root_m))[1]
    claimed_px = track.squares_px[:, None, :2] + local[..., :2] * (
        track.camera[:, None, :1] * track.squares_px[:, None, 2:] / 2
    )
    error_px = np.linalg.norm(seen_px - claimed_px, axis=-1).mean()
    assert error_px < 0.01 * track.squares_px[:, 2].mean()


def test_one_shape_for_all_frames_from_those_that_saw_the_person() -> None:
    rotations, root_m = _walker()
    track = _as_the_network_would(rotations, root_m)
    betas = track.betas.copy()
    betas[:5] = 9.0
    observed = np.arange(12) >= 5
    params, _ = to_smpl_params(
        dataclasses.replace(track, betas=betas), BODY, Camera(FOCAL_PX, *SIZE_PX), observed=observed
    )
    np.testing.assert_array_equal(params.betas, np.zeros(10))


def test_frames_with_a_senseless_camera_stand_between_their_neighbours() -> None:
    rotations, root_m = _walker()
    track = _as_the_network_would(rotations, root_m)
    camera = track.camera.copy()
    camera[4, 0] = -0.3
    params, valid = to_smpl_params(
        dataclasses.replace(track, camera=camera), BODY, Camera(FOCAL_PX, *SIZE_PX)
    )
    assert valid.tolist() == [True] * 4 + [False] + [True] * 7
    np.testing.assert_allclose(params.root_m[4], (params.root_m[3] + params.root_m[5]) / 2)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [("camera", -1.0, "places this person nowhere"), ("betas", np.nan, "not a number")],
)
def test_useless_answers_are_an_error(field: str, value: float, reason: str) -> None:
    track = _as_the_network_would(*_walker())
    broken = dataclasses.replace(track, **{field: np.full_like(getattr(track, field), value)})
    with pytest.raises(RecoveryError, match=reason) as caught:
        to_smpl_params(broken, BODY, Camera(FOCAL_PX, *SIZE_PX))
    assert caught.value.advice


def test_answers_must_belong_together() -> None:
    track = _as_the_network_would(*_walker())
    with pytest.raises(ValueError, match="betas must be"):
        dataclasses.replace(track, betas=track.betas[:3])
