"""Who is hidden is looked at again, without those in front; who is clear is left alone."""

import numpy as np
import pytest

from staf_backend.assets import asset_path
from staf_backend.landmarks import LandmarkNetwork
from staf_backend.landmarks.crop import crop_image, squares_from_keypoints
from staf_backend.landmarks.names import COCO
from staf_backend.landmarks.second_look import agreement, hides, in_front, is_own, painted
from staf_backend.people import PersonDetector
from staf_backend.runtime import open_network
from staf_backend.video import open_video
from tests.support.places import FOOTAGE

RNG = np.random.default_rng(3)
BODY = np.column_stack([RNG.uniform(0, 100, (17, 2)), np.full(17, 0.8)])


def test_only_the_clearer_neighbour_who_is_met_stands_in_front():
    keypoints = np.stack([BODY + np.array([right, 0, 0]) for right in (0, 50, 900)])
    agreed = np.array([[0.5, 0.2, 0.0], [0.1, 0.9, 0.0], [0.0, 0.0, 0.9]])
    assert in_front(agreed, keypoints) == [[1], [], []]
    # as clear as oneself, or unsure whose they are: nobody is painted out
    assert in_front(np.diag([0.88, 0.9, 0.9]), keypoints) == [[], [], []]
    agreed[1] = [0.95, 0.9, 0.0]
    assert in_front(agreed, keypoints) == [[], [], []]
    assert is_own(agreed).tolist() == [True, False, True]


def test_the_other_is_filled_from_what_is_around_them():
    crop = np.full((256, 256, 3), (30, 120, 60), np.uint8)
    crop[100:160, 80:120] = (250, 10, 10)
    mask = np.zeros((1, 256, 256), np.float32)
    mask[0, 100:160, 80:120] = 0.9
    square = np.array([300.0, 300, 512, 0.4])
    found = painted(crop, square, mask, square[None])
    assert found is not None
    assert np.abs(found.astype(int) - (30, 120, 60)).max() <= 2
    # carried from a crop that lies 20 of its pixels further to the left
    other = np.array([300.0, 300, 512, 0.0])
    moved = other - [40, 0, 0, 0]
    shifted = np.roll(mask, 20, 2)
    again = painted(crop, other, shifted, moved[None])
    assert again is not None
    assert np.abs(again.astype(int) - (30, 120, 60)).max() <= 2
    assert painted(crop, square, np.zeros_like(mask), square[None]) is None
    assert painted(crop, square, mask[:0], square[None][:0]) is None


@pytest.mark.parametrize("frame", [80])
def test_masks_and_agreement_tell_real_people_apart(frame):
    """The man behind, the woman before him: each mask covers its own person's trunk."""
    image = next(open_video(FOOTAGE / "multi_occl_cam01.mp4").frames(frame, frame + 1))
    found = PersonDetector(open_network(asset_path("movenet_multipose.onnx"), threads=1)).detect(
        image
    )
    low, high = found.boxes_px[:, :2], found.boxes_px[:, 2:]
    boxes = np.column_stack([(low + high) / 2, (high - low).max(1)])
    squares = squares_from_keypoints(found.keypoints_px, boxes)
    network = LandmarkNetwork(open_network(asset_path("pose_landmark_full.onnx"), threads=1))
    crops = np.stack([crop_image(image, square) for square in squares])
    seen, kept = network.with_masks(crops, squares)
    masks = np.stack([mask.pixels for mask in kept])
    assert masks.shape == (len(found), 256, 256)
    assert masks.min() >= 0
    assert masks.max() <= 1
    agreed = agreement(seen, found.keypoints_px)
    assert is_own(agreed).all()
    assert (agreed.diagonal() > 0.7).sum() >= 2
    own = network(crops, squares).points_px[:, COCO]
    assert np.array_equal(own, seen.points_px[:, COCO])
    assert (masks.mean((1, 2)) > 0.02).all()


@pytest.mark.parametrize(
    ("place", "reached"), [((300, 300), True), ((328, 300), True), ((345, 300), False)]
)
@pytest.mark.parametrize("by", ["landmark", "key point"])
def test_who_stands_in_front_hides_what_their_mask_reaches(place, reached, by):
    mask = np.zeros((256, 256), np.float32)
    mask[120:136, 120:136] = 0.9
    square = np.array([300.0, 300, 512, 0.3])
    points, keypoints = np.full((33, 2), 900.0), np.tile([900.0, 900, 0.8], (17, 1))
    (points if by == "landmark" else keypoints)[4, :2] = place
    assert hides(mask, square, points, keypoints) == reached


def test_who_stands_beside_hides_nothing():
    mask = np.zeros((256, 256), np.float32)
    mask[120:136, 120:136] = 0.9
    square = np.array([300.0, 300, 512, 0.3])
    points, keypoints = np.full((33, 2), 380.0), np.full((17, 3), 300.0)
    keypoints[:, 2] = 0.1  # not seen
    assert not hides(mask, square, points, keypoints)
