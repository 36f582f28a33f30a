"""Markers: on the body where their names say, moving as its skin does."""

import numpy as np
import pytest

from staf_backend.body import OPEN_BODIES, load_body, markers
from staf_backend.geometry import SMPL, forward_kinematics, from_axis_angle
from staf_backend.landmarks.names import MIRROR as LANDMARK_MIRROR
from staf_backend.landmarks.names import NAMES as LANDMARK_NAMES

RNG = np.random.default_rng(8)


def posed(name: str, rotations: np.ndarray, betas: np.ndarray, root_m: np.ndarray):
    body = load_body(name)
    found = markers.markers_of(body)
    turned, joints = forward_kinematics(rotations, body.rest_joints_m(betas), root_m)
    return body, joints, found.blend(found.influences_m(turned, joints, betas))


def at(points: np.ndarray, name: str) -> np.ndarray:
    return points[..., markers.NAMES.index(name), :]


def test_the_27_markers_are_landmarks_of_the_same_names():
    assert markers.COUNT == len(markers.NAMES) == len(markers.LANDMARKS) == 27
    assert [LANDMARK_NAMES[i] for i in markers.LANDMARKS] == [
        {"eye": "eye"}.get(n, n) for n in markers.NAMES
    ]
    mirrored = LANDMARK_MIRROR[markers.LANDMARKS]
    assert np.array_equal(markers.LANDMARKS[markers.MIRROR], mirrored)
    assert np.array_equal(markers.MIRROR[markers.MIRROR], np.arange(27))


@pytest.mark.parametrize("name", OPEN_BODIES)
def test_in_the_rest_pose_each_marker_is_where_its_name_says(name: str):
    """T-pose, y up, facing +z, the person's left towards +x."""
    _, joints, points = posed(name, np.tile(np.eye(3), (24, 1, 1)), np.zeros(10), np.zeros(3))
    for joint in ("Hip", "Knee", "Ankle", "Shoulder", "Elbow", "Wrist"):
        for side, word in (("L", "left"), ("R", "right")):
            marker = at(points, f"{word}_{joint.lower()}")
            assert np.allclose(marker, joints[SMPL.index(f"{side}_{joint}")], atol=1e-9)
    for k, marker in enumerate(markers.NAMES):
        if marker.startswith("left"):
            assert points[k, 0] > 0.02, marker
        if marker.startswith("right"):
            assert points[k, 0] < -0.02, marker
    nose, neck = at(points, "nose"), joints[SMPL.index("Neck")]
    assert nose[2] > at(points, "left_ear")[2] + 0.05
    assert nose[1] > neck[1]
    assert abs(nose[0]) < 0.01
    assert at(points, "left_foot_index")[2] > at(points, "left_heel")[2] + 0.1
    assert at(points, "left_heel")[1] < at(points, "left_ankle")[1]
    for finger in ("pinky", "index", "thumb"):
        reach = at(points, f"left_{finger}")[0] - at(points, "left_wrist")[0]
        assert 0.02 < reach < 0.2, finger
    assert at(points, "left_thumb")[2] > at(points, "left_pinky")[2], "palms down, thumbs ahead"


def test_left_and_right_are_mirror_images():
    _, _, points = posed("open-neutral", np.tile(np.eye(3), (24, 1, 1)), np.zeros(10), np.zeros(3))
    assert np.abs(points[markers.MIRROR] * [-1, 1, 1] - points).max() < 0.005


@pytest.mark.parametrize("name", OPEN_BODIES)
def test_markers_move_as_the_skin_does(name: str):
    """Against the body's own skinning, for any pose and shape."""
    rotations = from_axis_angle(RNG.normal(0, 0.5, (3, 24, 3)))
    betas, root_m = RNG.normal(0, 1, 10), RNG.normal(0, 1, (3, 3))
    body, _, points = posed(name, rotations, betas, root_m)
    vertices = body.vertices_m(rotations, betas, root_m)
    for marker, vertex in (
        ("nose", 332),
        ("left_eye", 2800),
        ("right_eye", 6260),
        ("left_heel", 3387),
        ("right_foot_index", 6617),
    ):
        assert np.abs(at(points, marker) - vertices[:, vertex]).max() < 2e-3, marker


def test_shares_sum_to_one_and_every_marker_is_influenced():
    found = markers.markers_of(load_body("open-neutral"))
    assert np.allclose(found.blending().sum(1), 1)
    assert (found.weight > 0).all()
    assert set(found.marker) == set(range(27))


def test_moving_the_root_moves_all_markers_alike():
    still = np.tile(np.eye(3), (24, 1, 1))
    _, _, here = posed("open-neutral", still, np.zeros(10), np.zeros(3))
    _, _, there = posed("open-neutral", still, np.zeros(10), np.array([1.0, -2.0, 3.0]))
    assert np.allclose(there - here, [1, -2, 3])


def test_names_lead_to_places():
    assert markers.indices("left_hip") == [markers.NAMES.index("left_hip")]
    left, right = markers.indices("hip")
    assert (markers.NAMES[left], markers.NAMES[right]) == ("left_hip", "right_hip")
    with pytest.raises(ValueError):
        markers.indices("tail")
