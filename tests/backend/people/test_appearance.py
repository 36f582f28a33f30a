"""What people look like: their crops, the shipped network, galleries, and what they decide."""

import cv2
import numpy as np
import pytest

from staf_backend.people import ClipScale, CosineScale
from staf_backend.people.appearance import HEIGHT_PX, WIDTH_PX, box_about, crop_person
from staf_backend.people.detections import Detections
from staf_backend.people.gallery import Gallery
from staf_backend.people.hits import Frame, hits_of
from staf_backend.people.match import match
from staf_backend.people.tracklet import Tracklet
from staf_backend.video import ReadyPicture, open_video
from tests.support.places import FOOTAGE


def _standing(x: float, y: float, height: float) -> np.ndarray:
    """Key points (17, 3) of somebody upright, the hips at x, y."""
    body = [[0, -0.4], [0.02, -0.42], [-0.02, -0.42], [0.05, -0.41], [-0.05, -0.41]]
    body += [[0.1 * s, row] for row in (-0.3, -0.15, 0.0) for s in (1, -1)]
    body += [[0.08 * s, row] for row in (0.0, 0.25, 0.48) for s in (1, -1)]
    return np.column_stack([np.array(body) * height + [x, y], np.full(17, 0.8)])


def _picture(seed: int) -> np.ndarray:
    """Blotches (400, 400, 3), smooth enough to be turned and enlarged."""
    rough = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8)
    return cv2.resize(rough, (400, 400), interpolation=cv2.INTER_CUBIC)


class TestCrop:
    def test_head_above_feet_and_whole(self):
        points = _standing(200, 200, 200)
        x, y, width, height, angle = box_about(points)
        assert abs(angle) < 1e-6
        assert (points[:, 0] > x - width / 2).all()
        assert (points[:, 0] < x + width / 2).all()
        assert (points[:, 1] > y - height / 2).all()
        assert (points[:, 1] < y + height / 2).all()

    @pytest.mark.parametrize("degrees", [30, 90, 180])
    def test_somebody_turned_gives_the_same_crop(self, degrees):
        image, points = _picture(0), _standing(200, 200, 180)
        upright = crop_person(image, box_about(points)).astype(float)
        matrix = cv2.getRotationMatrix2D((199.5, 199.5), degrees, 1)
        turned = cv2.warpAffine(image, matrix, (400, 400))
        points[:, :2] = (points[:, :2] - 0.5) @ matrix[:, :2].T + matrix[:, 2] + 0.5
        other = crop_person(turned, box_about(points)).astype(float)
        assert upright.shape == (HEIGHT_PX, WIDTH_PX, 3)
        assert np.abs(upright - other).mean() < 3

    def test_somebody_twice_as_large_gives_the_same_crop(self):
        image, points = _picture(1), _standing(200, 200, 180)
        large = cv2.resize(image, None, fx=3, fy=3, interpolation=cv2.INTER_LINEAR)
        one = crop_person(image, box_about(points)).astype(float)
        points[:, :2] *= 3
        assert np.abs(one - crop_person(large, box_about(points))).mean() < 3

    def test_somebody_half_outside_is_cut_all_the_same(self):
        crop = crop_person(_picture(2), box_about(_standing(-20, 390, 200)))
        assert crop.shape == (HEIGHT_PX, WIDTH_PX, 3)

    def test_legs_that_are_not_seen_do_not_count(self):
        points = _standing(200, 200, 200)
        points[13:, 2] = 0
        assert box_about(points)[3] < 0.7 * box_about(_standing(200, 200, 200))[3]


class TestGallery:
    def test_looks_are_kept_apart_and_do_not_grow(self):
        gallery = Gallery()
        for n in range(1000):
            gallery.add(np.eye(128)[n % 128], n / 25)
        assert 4 <= len(gallery) <= 12
        assert not gallery.wants(1000 / 25)

    def test_the_most_alike_looks_count(self):
        gallery = Gallery()
        for n, axis in enumerate((0, 0, 1, 2, 3, 4)):
            gallery.add(np.eye(128)[axis], float(n))
        assert gallery.cosine(np.eye(128)[0]) == pytest.approx(1)
        assert gallery.cosine(np.eye(128)[9]) == pytest.approx(0)


def test_the_network_tells_the_man_from_the_woman(detector, appearance):
    """He bends and turns, she stands behind him on the right; two seconds of a real clip."""
    video = open_video(FOOTAGE / "balance_cam02.mp4")
    man, woman = [], []
    for frame in (0, 40, 60, 99):
        image = next(video.frames(frame, frame + 1))
        found = detector.detect(image)
        for points, box in zip(found.keypoints_px, found.boxes_px, strict=True):
            (woman if box[0] > 700 else man).append(appearance(image, points))
    assert (len(man), len(woman)) == (4, 4)
    man, woman = np.stack(man), np.stack(woman)
    np.testing.assert_allclose(np.linalg.norm(man, axis=1), 1, atol=1e-4)
    assert (man @ man.T).min() > (man @ woman.T).max()


def test_looks_decide_where_neither_ways_nor_clothes_do(appearance):
    """Shirts and thighs of one colour; hair and shanks differ, of which clothes know nothing."""
    ends = {"one": (230, 200, 60), "other": (20, 30, 90)}

    def frame(at, places):
        image = np.full((400, 600, 3), 120, np.uint8)
        points = []
        for who, x in places.items():
            image[90:330, x - 25 : x + 25] = (150, 60, 50)
            image[90:122, x - 25 : x + 25] = image[262:330, x - 25 : x + 25] = ends[who]
            points.append(_standing(x, 200, 240))
        found = np.array(points)
        boxes = np.concatenate([found[..., :2].min(1), found[..., :2].max(1)], 1)
        seen = Detections(boxes, np.full(len(found), 0.6), found)
        return hits_of(Frame(at, at / 25, ReadyPicture(image)), seen, appearance)

    people = [Tracklet.start(0, hit) for hit in frame(0, {"one": 270, "other": 330})]
    for person, hit in zip(people, frame(1, {"one": 270, "other": 330}), strict=True):
        person.add(hit, True)
    back = frame(12, {"other": 270, "one": 330})
    assert dict(match(people, back, 12 / 25, appearance.scale)) == {0: 1, 1: 0}


class TestScale:
    def test_similarity_rises_from_other_to_same(self):
        scale = CosineScale(0.35, 0.8)
        assert [scale.similarity(c) for c in (-1.0, 0.35, 0.8, 1.0)] == [0, 0, 1, 1]
        assert scale.similarity(0.575) == pytest.approx(0.5)
        assert scale.likeness(-0.1) == pytest.approx(-1)

    @pytest.mark.parametrize("ends", [(0.8, 0.35), (0.5, 0.5), (0.1, 1.5), (float("nan"), 0.5)])
    def test_ends_that_do_not_rise_are_refused(self, ends):
        with pytest.raises(ValueError, match="rise from other to same"):
            CosineScale(*ends)

    def test_a_clip_tells_once_it_has_shown_enough_of_both(self):
        learnt = ClipScale(None)
        rng = np.random.default_rng(0)
        for _ in range(11):
            learnt.note(rng.normal(0.9, 0.02), [rng.normal(0.7, 0.02)])
        assert learnt.scale is None
        learnt.note(0.9, [0.7])
        assert learnt.scale is not None
        assert learnt.scale.other == pytest.approx(0.7, abs=0.02)
        assert learnt.scale.same == pytest.approx(0.9, abs=0.03)

    def test_a_network_that_tells_nobody_apart_is_not_asked(self):
        learnt = ClipScale(None)
        for n in range(50):
            learnt.note(0.9 + 0.001 * (n % 5), [0.9 + 0.001 * (n % 7)])
        assert learnt.scale is None

    def test_what_is_known_is_not_learnt_anew(self):
        known = CosineScale(0.2, 0.7)
        learnt = ClipScale(known)
        for _ in range(50):
            learnt.note(1.0, [0.9])
        assert learnt.scale is known
