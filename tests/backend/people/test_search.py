"""Everybody is found, however large: also who is larger than the picture."""

import cv2
import numpy as np
import pytest

from staf_backend.people import detect, find_people
from staf_backend.people.detections import Detections
from staf_backend.people.hits import Frame
from staf_backend.people.search import FrameSearch, merge_coarse
from staf_backend.video import ReadyPicture, open_video
from tests.support.places import FOOTAGE


@pytest.fixture(scope="module")
def balance():
    return open_video(FOOTAGE / "balance_cam02.mp4")


def _write(folder, images):
    for i, image in enumerate(images):
        cv2.imwrite(str(folder / f"{i:03d}.jpg"), np.ascontiguousarray(image[..., ::-1]))
    return open_video(folder, fps=30)


def _one(box, score):
    """One person (17, 3) who fills a box, as detections."""
    x0, y0, x1, y1 = box
    rng = np.random.default_rng(1)
    points = rng.random((17, 2)) * [x1 - x0, y1 - y0] + [x0, y0]
    keypoints = np.column_stack([points, np.full(17, score)])
    return Detections(np.array([box], float), np.array([score]), keypoints[None])


def _both(one, other):
    return Detections(
        *(
            np.concatenate([getattr(d, n) for d in (one, other)])
            for n in ("boxes_px", "scores", "keypoints_px")
        )
    )


def test_who_fills_the_picture_is_found_in_every_frame(tmp_path, balance, detector):
    """The man from the waist up: the plain look loses him."""
    parts = [image[335:771, 365:801] for image in balance.frames(0, 14)]
    video = _write(tmp_path, [cv2.resize(part, None, fx=1.2, fy=1.2) for part in parts])
    image = next(video.frames(0, 1))
    assert detector.detect(image).scores.max(initial=0) < 0.35
    (man,) = find_people(video, detector)
    assert man.frames.tolist() == list(range(14))
    assert man.observed.all()
    assert man.boxes_px[:, 2].min() > 0.7 * image.shape[0]


def test_the_largest_is_he_who_stands_before_everybody(tmp_path, balance, detector):
    """Somebody small in the picture hides nobody who fills it."""
    near = [image[335:771, 365:801] for image in balance.frames(0, 14)]
    far = [image[300:1300, 230:770] for image in balance.frames(0, 14)]
    images = [
        np.hstack([cv2.resize(a, (720, 720)), cv2.resize(b, (389, 720))])
        for a, b in zip(near, far, strict=True)
    ]
    tracks = find_people(_write(tmp_path, images), detector)
    assert tracks[0].boxes_px[:, 0].mean() < 720
    assert tracks[0].boxes_px[:, 2].mean() > 500
    assert any(t.boxes_px[:, 0].mean() > 720 for t in tracks[1:])


@pytest.mark.slow
def test_ordinary_footage_costs_hardly_more(balance, detector, monkeypatch):
    """Pixels through the network: at most half as many again as in plain looks."""
    pixels = {}
    run = detect.run

    def counted(session, image):
        size = max(image.shape[2:])
        pixels[size] = pixels.get(size, 0) + image.shape[2] * image.shape[3]
        return run(session, image=image)

    monkeypatch.setattr(detect, "run", counted)
    find_people(balance, detector)
    assert pixels[512] > 10 * 512 * 256
    assert sum(pixels.values()) < 1.5 * pixels[512]


def test_where_nobody_is_sure_a_second_coarse_look_is_taken(detector, monkeypatch):
    looks = []
    run = detect.run
    monkeypatch.setattr(
        detect, "run", lambda s, image: looks.append(image.shape) or run(s, image=image)
    )
    empty = ReadyPicture(np.full((400, 512, 3), 120, np.uint8))
    assert not len(FrameSearch(detector).detect(Frame(0, 0.0, empty), True))
    assert [max(shape[2:]) for shape in looks] == [512, 192, 256]


def test_a_coarse_look_adds_the_tall_and_replaces_their_pieces():
    plain = _both(_one((700, 100, 760, 300), 0.6), _one((150, 200, 300, 400), 0.2))
    tall = _one((100, 50, 500, 480), 0.5)
    found = merge_coarse(plain, tall, 800)
    assert found.scores.tolist() == [0.6, 0.5]
    assert found.boxes_px[1].tolist() == [100, 50, 500, 480]


def test_a_coarse_look_leaves_what_the_plain_one_knows_as_well():
    known = _one((100, 50, 500, 480), 0.45)
    assert merge_coarse(known, _one((100, 50, 500, 480), 0.5), 800) is known
    assert merge_coarse(known, _one((100, 50, 500, 480), 0.6), 800).scores.tolist() == [0.6]
    # neither the unsure nor the small is taken from a coarse look
    assert merge_coarse(known, _one((600, 50, 790, 480), 0.2), 800) is known
    assert merge_coarse(known, _one((600, 50, 790, 300), 0.6), 800) is known
    nobody = known.take(np.zeros(1, bool))
    assert merge_coarse(nobody, nobody, 800) is nobody
    assert merge_coarse(nobody, known, 800).scores.tolist() == [0.45]
