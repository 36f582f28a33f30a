"""One square for cut and camera; people stand where the network sees them."""

import numpy as np
import pytest

from staf_backend.geometry import Camera, from_axis_angle
from staf_backend.staf import CROP_PX
from staf_backend.staf import FOCAL_PX as FOCAL_PX_OF_CROP
from staf_backend.staf import crop as crop_camera
from tests.support import parity_recipe as recipe

SIZE_PX = (1920, 1080)
FOCAL_PX = 1500.0


def test_a_crop_is_the_authors_at_their_factor() -> None:
    units = recipe.fixture("units")
    image = np.floor(256 * recipe.uniform("crop/image", (12, 16, 3)))
    image = image.repeat(10, 0).repeat(10, 1).astype(np.uint8)
    # The authors count from the centre of the first pixel
    squares = crop_camera.squares_around(units["crop/boxes"][:, :3] + [0.5, 0.5, 0])
    for square, expected in zip(squares, units["crop/raw_mod7"], strict=True):
        crop = crop_camera.cut(image, square)
        assert crop.shape == (224, 224, 3)
        difference = np.abs(crop[::7, ::7].astype(int) - expected)
        assert difference.max() <= 5  # OpenCV 4 and 5 differ by as much on hard edges


def test_a_point_is_cut_where_it_is_mapped_back_from() -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    image[120, 90] = 255
    square = np.array([100.0, 110.0, 56.0])  # four crop pixels to one of the image
    crop = crop_camera.cut(image, square)
    y, x = np.unravel_index(crop[..., 0].argmax(), (224, 224))
    back = crop_camera.to_image(np.array([[[x, y]]]) / 112 - 1, square[None])
    np.testing.assert_allclose(back[0, 0], [90.5, 120.5], atol=0.01)


def _people(frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Joints (T, 24, 3) about a pelvis that is not at the origin, upside down as in the camera."""
    rng = np.random.default_rng(7)
    joints_m = rng.normal(0, 0.35, (frames, 24, 3)) * [0.6, 1.2, 0.4] + [0, 0.23, 0]
    rotations = from_axis_angle(rng.normal(0, 1, (frames, 3)))
    return joints_m, rotations


def _seen(joints_m: np.ndarray, focal_px: float = FOCAL_PX) -> np.ndarray:
    middle = np.array(SIZE_PX) / 2
    return joints_m[..., :2] / joints_m[..., 2:] * focal_px + middle


def test_people_are_seen_where_the_network_sees_them() -> None:
    joints_m, rotations = _people(6)
    squares = np.array([[400 + 200 * i, 300 + 90 * i, 350 + 20 * i] for i in range(6)], float)
    camera = np.column_stack([np.linspace(0.7, 1.1, 6), np.full(6, 0.05), np.full(6, -0.1)])
    placed = crop_camera.place(joints_m, rotations, camera, squares, Camera(FOCAL_PX, *SIZE_PX))
    turns = placed.root_rotations @ rotations.mT
    world = (joints_m - joints_m[:, :1]) @ turns.mT + placed.root_m[:, None]
    claimed = crop_camera.to_image(crop_camera._crop_points(joints_m, camera), squares)
    error_px = np.linalg.norm(_seen(world) - claimed, axis=-1).mean(1)
    # The network's 5000 px camera is nearly parallel; what remains is real perspective
    assert (error_px / squares[:, 2] < 0.012).all()


def test_a_person_of_the_networks_own_camera_is_found_exactly() -> None:
    joints_m, rotations = _people(5)
    side, centre = 448.0, np.array(SIZE_PX) / 2
    squares = np.tile([*centre, side], (5, 1))
    camera = np.tile([0.9, 0.02, -0.05], (5, 1))
    focal_px = FOCAL_PX_OF_CROP * side / CROP_PX
    placed = crop_camera.place(joints_m, rotations, camera, squares, Camera(focal_px, *SIZE_PX))
    expected = joints_m[:, 0] + [0.02, -0.05, 2 * FOCAL_PX_OF_CROP / (CROP_PX * 0.9)]
    np.testing.assert_allclose(placed.root_m, expected, atol=1e-6)
    np.testing.assert_allclose(placed.root_rotations, rotations, atol=1e-12)


def test_a_person_to_the_right_is_turned_to_the_right() -> None:
    joints_m, rotations = _people(1)
    camera, squares = np.array([[0.9, 0, 0]]), np.array([[1800.0, 540.0, 400.0]])
    placed = crop_camera.place(joints_m, rotations, camera, squares, Camera(FOCAL_PX, *SIZE_PX))
    along = (placed.root_rotations @ rotations.mT)[0] @ [0, 0, 1]
    assert along[0] > 0.4  # the network's "away" now points along the ray to the right
    np.testing.assert_allclose(along[1], 0, atol=1e-9)
    assert placed.root_m[0, 0] > 0


def test_senseless_cameras_are_marked_not_placed() -> None:
    joints_m, rotations = _people(3)
    camera = np.array([[0.9, 0, 0], [0.0, 0, 0], [-0.2, 0, 0]])
    squares = np.tile([500.0, 500, 300], (3, 1))
    placed = crop_camera.place(joints_m, rotations, camera, squares, Camera(FOCAL_PX, *SIZE_PX))
    assert placed.valid.tolist() == [True, False, False]
    assert np.isfinite(placed.root_m[0]).all()
    assert np.isnan(placed.root_m[1:]).all()


@pytest.mark.parametrize(
    "boxes", [np.zeros((2, 4)), np.array([[0, 0, 0.0]]), np.array([[0, np.nan, 5]])]
)
def test_boxes_that_cannot_be_cut_are_refused(boxes: np.ndarray) -> None:
    with pytest.raises(ValueError, match="boxes_px"):
        crop_camera.squares_around(boxes)
