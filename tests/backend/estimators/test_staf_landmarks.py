"""Landmarks of the picture on STAF's squares, and bodies put where landmarks are seen."""

import dataclasses

import numpy as np
import pytest
import torch

from staf_backend.body import SmplParams, load_body, markers
from staf_backend.estimators.landmarks import with_sides
from staf_backend.estimators.staf_landmarks import on_squares, root_seen_m
from staf_backend.geometry import Camera, forward_kinematics, from_axis_angle
from staf_backend.landmarks import Landmarks
from staf_backend.landmarks.names import COUNT, MIRROR
from staf_backend.people import Track
from staf_backend.staf.encoders import FieldsEncoder
from staf_backend.staf.streaming import Arrival, StafStream, StreamConfig
from staf_backend.weights.store import load_weights
from tests.support import parity_network

BODY = load_body("open-neutral")
CAMERA = Camera(1400.0, 1280, 720)
FRAMES = 20
LEFT_WRIST = 15


@pytest.fixture
def params() -> SmplParams:
    """Somebody in one pose who is carried past and nearer, camera axes."""
    rng = np.random.default_rng(3)
    rotations = from_axis_angle(np.tile(rng.normal(0, 0.15, (24, 3)), (FRAMES, 1, 1)))
    rotations[:, 0] = from_axis_angle(np.array([np.pi, 0, 0]))
    root_m = np.column_stack([np.linspace(-1, 1, FRAMES), np.zeros(FRAMES), np.linspace(5, 4, 20)])
    return SmplParams(rotations, root_m, rng.normal(0, 0.5, 10))


@pytest.fixture
def landmarks(params: SmplParams) -> Landmarks:
    """Where markers are seen; those of BlazePose's that are none lie at the nose."""
    rest_m = BODY.rest_joints_m(params.betas)
    turned, joints = forward_kinematics(params.rotations, rest_m, params.root_m, BODY.skeleton)
    shared = markers.markers_of(BODY)
    places = shared.blend(shared.influences_m(turned, joints, params.betas))
    all_m = places[:, :1].repeat(COUNT, 1)
    all_m[:, markers.LANDMARKS] = places
    hips = joints[:, [1, 2]].mean(1, keepdims=True)
    return Landmarks(CAMERA.project(all_m), all_m - hips, np.ones((FRAMES, COUNT)), np.ones(FRAMES))


def track(landmarks: Landmarks) -> Track:
    coco = [0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]
    points = landmarks.points_px[:, coco]
    keypoints = np.concatenate([points, np.ones((FRAMES, 17, 1))], -1)
    boxes = np.column_stack([points.mean(1), np.full(FRAMES, 500.0)])
    seen = np.ones(FRAMES, bool)
    return Track(1, 1, np.arange(FRAMES), np.arange(FRAMES) / 30, boxes, keypoints, seen)


def test_places_are_those_on_the_square(landmarks: Landmarks):
    squares = np.tile([640.0, 360.0, 800.0], (FRAMES, 1))
    found = on_squares(landmarks, track(landmarks), squares)
    assert found.dtype == np.float32
    expected = (landmarks.points_px[:, markers.LANDMARKS] - [640, 360]) / 400
    np.testing.assert_allclose(found[..., :2], expected, atol=1e-5)
    np.testing.assert_allclose(found[..., 2:5], landmarks.world_m[:, markers.LANDMARKS], atol=1e-6)
    assert (found[..., 5] == 1).all()


def test_sides_are_decided_for_the_network_and_for_the_place_alike(landmarks: Landmarks):
    """In three frames the landmark network takes the legs for each other."""
    whose, squares = track(landmarks), np.tile([640.0, 360.0, 800.0], (FRAMES, 1))
    right = with_sides(whose, landmarks)
    swapped = dataclasses.replace(
        landmarks, points_px=landmarks.points_px.copy(), world_m=landmarks.world_m.copy()
    )
    legs = np.arange(25, 33)
    for name in ("points_px", "world_m"):
        values = getattr(swapped, name)
        values[8:11, legs] = values[8:11, MIRROR[legs]]
    found = with_sides(whose, swapped)
    assert found.swapped_frames == 3
    np.testing.assert_array_equal(found.keypoints_px, right.keypoints_px)
    one, other = (on_squares(of.landmarks, of.track, squares) for of in (found, right))
    np.testing.assert_array_equal(one, other)


def test_what_is_not_seen_lies_between(landmarks: Landmarks):
    squares = np.tile([640.0, 360.0, 800.0], (FRAMES, 1))
    whole = on_squares(landmarks, track(landmarks), squares)
    whose = track(landmarks)
    for name in ("points_px", "world_m"):
        getattr(landmarks, name)[8:11, LEFT_WRIST] = np.nan
    landmarks.visibility[8:11, LEFT_WRIST] = 0
    found, wrist = on_squares(landmarks, whose, squares), markers.indices("left_wrist")
    assert (found[8:11, wrist, 5] == 0).all()
    share = np.arange(1, 4)[:, None, None] / 4
    between = whole[7, wrist, :5] * (1 - share) + whole[11, wrist, :5] * share
    np.testing.assert_allclose(found[8:11, wrist, :5], between, atol=1e-5)


def test_what_is_never_seen_is_finite(landmarks: Landmarks):
    legs, whose = slice(25, 33), track(landmarks)
    landmarks.points_px[:, legs] = landmarks.world_m[:, legs] = np.nan
    landmarks.visibility[:, legs] = 0
    squares = np.tile([640.0, 360.0, 800.0], (FRAMES, 1))
    found = on_squares(landmarks, whose, squares)
    assert np.isfinite(found).all()
    assert (found[:, markers.indices("ankle"), 5] == 0).all()


def test_a_body_stands_where_its_landmarks_are_seen(params: SmplParams, landmarks: Landmarks):
    seen = np.concatenate([landmarks.points_px, landmarks.visibility[..., None]], -1)
    seen[:, LEFT_WRIST] = 0  # not seen
    elsewhere = SmplParams(params.rotations, params.root_m + np.array([0.3, -0.2, 1]), params.betas)
    np.testing.assert_allclose(root_seen_m(elsewhere, BODY, CAMERA, seen), params.root_m, atol=2e-3)


def test_landmarks_do_what_the_pictures_that_show_them_do():
    """The open encoder's own look at pictures, and what it sees given to the stream."""
    loaded = load_weights("staf-open", body=BODY)
    encoder = loaded.encoder
    assert isinstance(encoder, FieldsEncoder)
    crops = torch.randint(0, 255, (3, 224, 224, 3), dtype=torch.uint8)
    stream = StafStream(loaded.network, encoder, StreamConfig(device="cpu", precision="float32"))
    assert stream.reads_landmarks
    seen = encoder.see(encoder.normalise(crops))
    by_pictures, by_landmarks = (
        (stream.push([Arrival(own, np.arange(3), what)]), stream.finish([own]))[1].params.rotations
        for own, what in ((stream.open(), crops), (stream.open(), seen))
    )
    torch.testing.assert_close(by_landmarks, by_pictures, atol=1e-5, rtol=0)


def test_landmarks_are_refused_where_nothing_reads_them():
    stream = StafStream(parity_network.staf(), parity_network.encoder(), StreamConfig(device="cpu"))
    with pytest.raises(ValueError, match="reads no landmarks"):
        stream.push([Arrival(stream.open(), np.arange(1), torch.zeros(1, 27, 6))])
