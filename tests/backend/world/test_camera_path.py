"""The camera's turns, from real footage that is turned by known angles."""

import logging

import numpy as np
import pytest

from staf_backend.choices import CameraChoice
from staf_backend.geometry import Camera, from_axis_angle, to_axis_angle
from staf_backend.video import ReadyPicture, open_video
from staf_backend.world import CameraFollower
from staf_backend.world.background import agreed_rotation
from tests.support.places import REPOSITORY

FOOTAGE = REPOSITORY / "examples/footage/walk_two_sports2d.mp4"
FRAMES, SIZE = 24, (640, 360)


@pytest.fixture(scope="module")
def film():
    """Pictures (T, H, W, 3) of a camera that stands still."""
    return list(open_video(FOOTAGE).frames(0, FRAMES))


def turned(film, vectors_deg):
    """What a camera at the same place that turns (T, 3) sees, smaller; and its turns (T, 3, 3)."""
    import cv2

    height, width = film[0].shape[:2]
    focal = float(np.hypot(width, height))
    large = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    small = np.array([[focal, 0, SIZE[0] / 2], [0, focal, SIZE[1] / 2], [0, 0, 1]])
    turns = from_axis_angle(np.radians(vectors_deg))
    pictures = [
        cv2.warpPerspective(image, small @ turn @ np.linalg.inv(large), SIZE)
        for image, turn in zip(film, turns, strict=True)
    ]
    return pictures, turns, Camera(focal, *SIZE)


def followed(pictures, camera, choice: CameraChoice = "auto"):
    follower = CameraFollower(camera, [], choice)
    for number, picture in enumerate(pictures, 100):
        follower.see(number, ReadyPicture(picture))
    return follower, np.arange(100, 100 + len(pictures))


def pan(count=FRAMES):
    return np.outer(np.linspace(-3, 3, count), [0.2, 1.0, 0.1])


def off_deg(found, true):
    relative = (found @ found[0].T).swapaxes(1, 2) @ (true @ true[0].T)
    return np.degrees(np.linalg.norm(to_axis_angle(relative), axis=1))


def test_a_pan_is_followed_to_a_twentieth_of_a_degree(film):
    pictures, true, camera = turned(film, pan())
    follower, frames = followed(pictures, camera)
    assert follower.kind(frames) == "rotating"
    turns = follower.turns(frames)
    assert turns is not None
    assert off_deg(turns, true).max() < 0.05
    assert np.abs(turns - np.eye(3)).max((1, 2)).argmin() in (11, 12)  # the middle is the reference


def test_a_still_camera_changes_nothing_though_people_move(film):
    pictures, _, camera = turned(film, np.zeros((FRAMES, 3)))
    follower, frames = followed(pictures, camera)
    assert follower.kind(frames) == "still"
    assert follower.turns(frames) is None


def test_the_user_may_say_that_it_stands_still(film):
    pictures, _, camera = turned(film, pan())
    follower, frames = followed(pictures, camera, "still")
    assert follower.kind(frames) == "still"
    assert follower.turns(frames) is None


def test_black_film_is_unsure_and_says_so(caplog):
    black = [np.zeros((360, 640, 3), np.uint8)] * 10
    follower, frames = followed(black, Camera(700.0, 640, 360))
    with caplog.at_level(logging.WARNING):
        assert follower.kind(frames) == "unsure"
        assert follower.turns(frames) is None
    assert [r.message for r in caplog.records] == [
        "The background shows too little to tell whether the camera moves: it is taken as still."
    ]


def test_a_cut_ends_a_stretch_and_each_side_keeps_its_own(film):
    first, true, camera = turned(film, pan())
    other = [np.ascontiguousarray(p[::-1, ::-1]) for p in first]
    follower, frames = followed([*first, *other], camera)
    assert off_deg(follower.turns(frames[:FRAMES]), true).max() < 0.05
    assert follower.kind(frames[FRAMES:]) == "rotating"
    assert follower.kind(frames) == "unsure"


def test_the_rotation_of_the_majority_wins():
    rng = np.random.default_rng(0)
    before = rng.normal([0, 0, 3], 1, (100, 3))
    before /= np.linalg.norm(before, axis=1, keepdims=True)
    true = from_axis_angle(np.array([0.02, -0.1, 0.05]))
    now = before @ true.T
    now[:40] = now[:40] @ from_axis_angle(np.array([0.0, 0.3, 0.0])).T
    rotation, agree = agreed_rotation(before, now, 0.004)
    assert np.abs(rotation - true).max() < 1e-6
    assert agree.sum() == 60
