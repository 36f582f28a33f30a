"""People are found where a person looking at the picture sees them."""

import math

import numpy as np
import pytest

from staf_backend.assets import asset_path
from staf_backend.people import PersonDetector
from staf_backend.people.decode import decode
from staf_backend.people.detect import letterbox
from staf_backend.people.detections import Detections, suppress_duplicates
from staf_backend.people.keypoints import NAMES, keypoint_similarity
from staf_backend.runtime import open_network
from staf_backend.video import ReadyPicture, open_video
from tests.support.places import FOOTAGE


@pytest.fixture(scope="module")
def session():
    return open_network(asset_path("movenet_multipose.onnx"), device="cpu", threads=1)


@pytest.fixture(scope="module")
def balance():
    """The first frame: a man in front, a bystander at the left edge."""
    return next(open_video(FOOTAGE / "balance_cam01.mp4").frames(0, 1))


def _slow_decode(heads, min_center, min_score):
    """The rules of `decode` once more, cell by cell, in double precision."""
    h, w = heads["center"].shape[1:]
    people = []
    for r in range(h):
        for c in range(w):
            peak = float(heads["center"][0, r, c])
            near = heads["center"][0, max(r - 2, 0) : r + 3, max(c - 2, 0) : c + 3]
            if peak < min_center or float(near.max()) - peak >= 1.0133e-6:
                continue
            people.append(_slow_person(heads, r, c, h, w, peak))
    people = [p for p in people if p[0] >= min_score]
    return sorted(people, key=lambda p: -p[0])


def _slow_person(heads, r, c, h, w, peak):
    mid = (r + heads["box_offset"][0, r, c], c + heads["box_offset"][1, r, c])
    half = [max(float(heads["box_scale"][k, r, c]), 0) / 2 for k in (0, 1)]
    low = [min(max(float(mid[k]) - half[k], 0), (h, w)[k]) for k in (0, 1)]
    high = [min(max(float(mid[k]) + half[k], 0), (h, w)[k]) for k in (0, 1)]
    points, scores = [], []
    for k in range(17):
        gy = r + float(heads["kpt_regress"][2 * k, r, c])
        gx = c + float(heads["kpt_regress"][2 * k + 1, r, c])
        best, at = 0.0, (0, 0)
        for y in range(math.ceil(low[0]), math.ceil(high[0])):
            for x in range(math.ceil(low[1]), math.ceil(high[1])):
                away = (y - gy) ** 2 + (x - gx) ** 2
                value = float(heads["kpt_heatmap"][k, y, x]) * math.exp(
                    -away / (0.300048828125 * min(h, w))
                )
                if value > best:
                    best, at = value, (y, x)
        dy, dx = heads["kpt_offset"][2 * k : 2 * k + 2, at[0], at[1]]
        points.append((4 * (at[1] + float(dx)), 4 * (at[0] + float(dy))))
        scores.append(best)
    visible = [s for s in scores if s > 0.126953125]
    score = peak * (sum(visible) / len(visible) if visible else 0)
    return score, [4 * v for v in (low[1], low[0], high[1], high[0])], points, scores


def _heads(session, blob):
    names = [output.name for output in session.get_outputs()]
    return {n: v[0] for n, v in zip(names, session.run(names, {"image": blob}), strict=True)}


def _assert_equal(found, slow):
    assert len(found) == len(slow) > 0
    for row, (score, box, points, scores) in enumerate(slow):
        assert found.scores[row] == pytest.approx(score, abs=1e-5)
        np.testing.assert_allclose(found.boxes_px[row], box, atol=1e-3)
        np.testing.assert_allclose(found.keypoints_px[row, :, :2], points, atol=1e-3)
        np.testing.assert_allclose(found.keypoints_px[row, :, 2], scores, atol=1e-5)


def test_decoding_follows_the_rules_on_a_real_picture(session, balance):
    heads = _heads(session, letterbox(ReadyPicture(balance), 256)[0])
    _assert_equal(decode(heads, 0.1), _slow_decode(heads, 0.1, 0.1))


def test_decoding_follows_the_rules_on_any_heads():
    rng = np.random.default_rng(7)
    heads = {
        "center": rng.random((1, 24, 32), np.float32),
        "kpt_heatmap": rng.random((17, 24, 32), np.float32),
        "box_scale": rng.normal(8, 6, (2, 24, 32)).astype(np.float32),
        "box_offset": rng.normal(0, 2, (2, 24, 32)).astype(np.float32),
        "kpt_regress": rng.normal(0, 5, (34, 24, 32)).astype(np.float32),
        "kpt_offset": rng.normal(0, 0.5, (34, 24, 32)).astype(np.float32),
    }
    _assert_equal(decode(heads, 0.05), _slow_decode(heads, 0.1, 0.05))


def test_nobody_in_empty_heads():
    shapes = {"center": 1, "kpt_heatmap": 17, "box_scale": 2, "box_offset": 2}
    shapes |= {"kpt_regress": 34, "kpt_offset": 34}
    found = decode({name: np.zeros((n, 8, 8), np.float32) for name, n in shapes.items()}, 0.1)
    assert len(found) == 0
    assert found.keypoints_px.shape == (0, 17, 3)


def test_the_man_on_the_beam_is_found_with_his_limbs_in_place(session, balance):
    found = PersonDetector(session).detect(balance)
    man = max(range(len(found)), key=lambda row: np.ptp(found.boxes_px[row, 1::2]))
    point = dict(zip(NAMES, found.keypoints_px[man], strict=True))
    assert found.scores[man] > 0.5
    # he faces the camera: his left side is on the right of the picture
    for part in ("shoulder", "elbow", "hip", "knee"):
        assert point[f"left_{part}"][0] > point[f"right_{part}"][0]
    heights = [point[f"left_{part}"][1] for part in ("shoulder", "hip", "knee", "ankle")]
    assert heights == sorted(heights)
    x0, y0, x1, y1 = found.boxes_px[man]
    assert 230 < x0 < 330
    assert 500 < x1 < 600
    assert 300 < y0 < 400
    assert 1080 < y1 < 1240


def test_a_mirrored_picture_gives_the_mirrored_people(session, balance):
    detector = PersonDetector(session)
    plain = detector.detect(balance)
    mirrored = detector.detect(np.ascontiguousarray(balance[:, ::-1]))
    assert len(plain) == len(mirrored)
    partner = [0, *(i + 1 if i % 2 else i - 1 for i in range(1, 17))]
    back = mirrored.keypoints_px[:, partner]
    back[..., 0] = balance.shape[1] - back[..., 0]
    assert keypoint_similarity(plain.keypoints_px, back).max(1).min() > 0.8


def test_results_scale_with_the_picture(session, balance):
    detector = PersonDetector(session)
    half = np.ascontiguousarray(balance[::2, ::2])
    large, small = detector.detect(balance), detector.detect(half)
    assert len(large) == len(small)
    assert (
        keypoint_similarity(large.keypoints_px, small.keypoints_px * [2, 2, 1]).max(1).min() > 0.8
    )


@pytest.mark.parametrize("shape", [(16, 16, 3), (1, 400, 3), (1080, 40, 3), (97, 131, 3)])
def test_odd_and_tiny_pictures_are_no_problem(session, shape):
    assert len(PersonDetector(session).detect(np.full(shape, 127, np.uint8))) == 0


@pytest.mark.parametrize("image", [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 3), np.float32)])
def test_what_is_no_picture_is_refused(session, image):
    with pytest.raises(ValueError, match="image must be"):
        PersonDetector(session).detect(image)


def test_letterbox_keeps_the_picture_in_the_top_left_corner():
    image = np.full((90, 200, 3), 200, np.uint8)
    blob, scale = letterbox(ReadyPicture(image), 100)
    assert blob.shape == (1, 3, 64, 128)
    np.testing.assert_allclose(scale, 2)
    np.testing.assert_allclose(blob[0, :, :45, :100], 200)
    assert not blob[0, :, 45:].any()
    assert not blob[0, :, :, 100:].any()


def test_duplicates_are_suppressed_and_neighbours_kept():
    rng = np.random.default_rng(5)
    one = np.column_stack([rng.uniform(0, 100, (17, 2)), np.ones(17)])
    points = np.stack([one, one + np.array([1, 1, 0]), one + np.array([60, 0, 0])])
    found = Detections(np.zeros((3, 4)), np.array([0.5, 0.8, 0.3]), points)
    kept = suppress_duplicates(found)
    assert kept.scores.tolist() == [0.8, 0.3]


def test_detections_are_checked():
    with pytest.raises(ValueError, match="keypoints_px"):
        Detections(np.zeros((2, 4)), np.zeros(2), np.zeros((2, 16, 3)))
