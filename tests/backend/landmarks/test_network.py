"""Landmark networks: decoding against a slow second implementation, mirroring, batches, bad input.

The slow implementation below follows the written rules of decoding, point by point, in plain
Python; it shares nothing with the room but the networks' raw outputs.
"""

import dataclasses
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from staf_backend.assets import asset_path
from staf_backend.landmarks import LandmarkNetwork, Landmarks, landmarks_of
from staf_backend.landmarks.crop import crop_image, squares_from_keypoints
from staf_backend.landmarks.names import COCO, COUNT, MIRROR, NAMES
from staf_backend.people import PersonDetector, Track
from staf_backend.runtime import open_network
from staf_backend.video import open_video
from tests.support.make_clips import write_clip
from tests.support.places import FOOTAGE

PARTS = ("points_px", "world_m", "visibility", "person")


@pytest.fixture(scope="module", params=["pose_landmark_heavy.onnx", "pose_landmark_full.onnx"])
def session(request: pytest.FixtureRequest):
    return open_network(asset_path(request.param), threads=1)


@pytest.fixture(scope="module")
def heavy():
    return open_network(asset_path("pose_landmark_heavy.onnx"), threads=1)


@pytest.fixture(scope="module")
def seen() -> tuple[np.ndarray, np.ndarray]:
    """Crops (N, 256, 256, 3) and squares (N, 4) of real people, upright and leaning."""
    session = open_network(asset_path("movenet_multipose.onnx"), threads=1)
    detector = PersonDetector(session)
    crops, squares = [], []
    for name, frames in (("balance_cam02.mp4", (10, 90)), ("walk_two_sports2d.mp4", (60,))):
        video = open_video(FOOTAGE / name)
        for frame in frames:
            image = next(video.frames(frame, frame + 1))
            found = detector.detect(image)
            low, high = found.boxes_px[:, :2], found.boxes_px[:, 2:]
            boxes = np.column_stack([(low + high) / 2, (high - low).max(1)])
            some = squares_from_keypoints(found.keypoints_px, boxes)[:2]
            crops += [crop_image(image, square) for square in some]
            squares += list(some)
    squares[1] = squares[1] + [3, -2, 10, 0.5]  # one that is plainly turned
    crops[1] = crop_image(
        next(open_video(FOOTAGE / "balance_cam02.mp4").frames(90, 91)), squares[1]
    )
    return np.stack(crops), np.array(squares)


def logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value > -700 else 0.0


def slow_point(u: float, v: float, heat: np.ndarray) -> tuple[float, float]:
    """Heat-map refinement of one landmark in crop pixels; `heat` (64, 64) logits."""
    column, row = math.trunc(u / 4), math.trunc(v / 4)
    if not (0 <= column <= 63 and 0 <= row <= 63):
        return u, v
    total = along_u = along_v = highest = 0.0
    for y in range(max(row - 3, 0), min(row + 3, 63) + 1):
        for x in range(max(column - 3, 0), min(column + 3, 63) + 1):
            p = logistic(float(heat[y, x]))
            highest = max(highest, p)
            total, along_u, along_v = total + p, along_u + p * x, along_v + p * y
    return (4 * along_u / total, 4 * along_v / total) if highest >= 0.5 else (u, v)


def slow_decode(session: Any, crop: np.ndarray) -> list[list[float]]:
    """33 rows of u, v (crop pixels), x, y, z (metres, crop axes), visibility; then the person."""
    image = (crop.astype(np.float32) / 255).transpose(2, 0, 1)[None]
    names = [output.name for output in session.get_outputs()]
    raw = dict(zip(names, session.run(None, {"image": image}), strict=True))
    rows = []
    for j in range(33):
        u, v, _, visible, present = map(float, raw["landmarks"][0, j])
        place = slow_point(u, v, raw["heatmap"][0, j])
        world = [float(value) for value in raw["world"][0, j]]
        rows.append([*place, *world, logistic(visible) * logistic(present)])
    return [*rows, [float(raw["presence"][0, 0])]]


def slow_unmirror(rows: list[list[float]]) -> list[list[float]]:
    out = []
    for name in NAMES:
        other = {"left": "right", "right": "left"}
        partner = "_".join(other.get(word, word) for word in name.split("_"))
        u, v, x, y, z, visible = rows[NAMES.index(partner)]
        out.append([256 - u, v, -x, y, z, visible])
    return [*out, rows[-1]]


def slow_landmarks(session: Any, crop: np.ndarray, square: np.ndarray, mirrored: bool):
    """The same four arrays as the room's, for one crop."""
    rows = slow_decode(session, crop)
    if mirrored:
        other = slow_unmirror(slow_decode(session, np.ascontiguousarray(crop[:, ::-1])))
        rows = [[(a + b) / 2 for a, b in zip(p, q, strict=True)] for p, q in zip(rows, other)]
    cx, cy, side, angle = map(float, square)
    cosine, sine = math.cos(angle), math.sin(angle)
    points, world = [], []
    for u, v, x, y, z, _ in rows[:-1]:
        du, dv = (u - 128) * side / 256, (v - 128) * side / 256
        points.append([cx + cosine * du - sine * dv, cy + sine * du + cosine * dv])
        world.append([cosine * x - sine * y, sine * x + cosine * y, z])
    return points, world, [row[5] for row in rows[:-1]], rows[-1][0]


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_mask_is_made_when_it_is_asked_for(heavy: Any, seen: Any, mirrored: bool):
    crops, squares = (some[:2] for some in seen)
    _, masks = LandmarkNetwork(heavy, mirrored=mirrored).with_masks(crops, squares)
    assert not any("pixels" in vars(mask) for mask in masks)
    shares = []
    for one in (crops, np.ascontiguousarray(crops[:, :, ::-1]))[: 1 + mirrored]:
        image = (one.astype(np.float32) / 255).transpose(0, 3, 1, 2)
        raw = heavy.run(["mask"], {"image": image})[0].reshape(-1, 256, 256)
        shares.append(1 / (1 + np.exp(-raw.astype(float))))
    expected = (shares[0] + shares[1][:, :, ::-1]) / 2 if mirrored else shares[0]
    for mask, pixels in zip(masks, expected, strict=True):
        assert np.abs(mask.pixels - pixels).max() < 1e-3
        assert mask.pixels is mask.pixels


@pytest.mark.parametrize("mirrored", [False, True])
def test_decoding_follows_the_written_rules(session: Any, seen: Any, mirrored: bool):
    crops, squares = seen
    found = LandmarkNetwork(session, mirrored=mirrored)(crops, squares)
    for n, (crop, square) in enumerate(zip(crops, squares, strict=True)):
        points, world, visibility, person = slow_landmarks(session, crop, square, mirrored)
        assert np.abs(found.points_px[n] - points).max() < 1e-3
        assert np.abs(found.world_m[n] - world).max() < 2e-5
        assert np.abs(found.visibility[n] - visibility).max() < 2e-5
        assert found.person[n] == pytest.approx(person, abs=2e-5)


def test_heat_at_the_edges_of_the_map_is_read_as_written():
    """Landmarks on, beyond and near the border, with heat there and without."""

    class Raw:
        """A network that answers what it is given: for places that real crops seldom show."""

        def __init__(self) -> None:
            rng = np.random.default_rng(1)
            self.heat = rng.normal(-3, 3, (1, 39, 64, 64)).astype(np.float32)
            self.heat[0, :8] = -9  # nothing sure: the raw point stays
            self.points = rng.uniform(-20, 276, (1, 39, 5)).astype(np.float32)
            self.points[0, 8:14, :2] = [
                [0, 0],
                [255.9, 255.9],
                [256, 10],
                [-1, 5],
                [3, 255],
                [2, 2],
            ]
            self.world = rng.normal(size=(1, 39, 3)).astype(np.float32)
            self.mask = np.zeros((1, 256, 256, 1), np.float32)

        def get_outputs(self):
            names = ("landmarks", "presence", "heatmap", "world", "mask")
            return [type("Output", (), {"name": name}) for name in names]

        def run(self, _names: None, _inputs: dict[str, np.ndarray]):
            return [self.points, np.ones((1, 1), np.float32), self.heat, self.world, self.mask]

    raw: Any = Raw()
    square = np.array([128, 128, 256, 0.0])
    found = LandmarkNetwork(raw)(np.zeros((1, 256, 256, 3), np.uint8), square[None])
    points, *_ = slow_landmarks(raw, np.zeros((256, 256, 3), np.uint8), square, False)
    assert np.abs(found.points_px[0] - points).max() < 1e-9
    moved = np.abs(found.points_px[0] - raw.points[0, :COUNT, :2]).max(-1) > 0.01
    assert not moved[:8].any()
    assert moved[8:].any()


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_crop_alone_gives_what_it_gives_in_a_batch(session: Any, seen: Any, mirrored: bool):
    crops, squares = seen
    network = LandmarkNetwork(session, mirrored=mirrored)
    together = network(crops, squares)
    for n in range(len(crops)):
        alone = network(crops[n : n + 1], squares[n : n + 1])
        for name in PARTS:
            assert np.array_equal(getattr(alone, name)[0], getattr(together, name)[n]), name


def test_a_mirrored_person_has_mirrored_landmarks(heavy: Any, seen: Any):
    """Exactly so with the second pass, since the two passes then change places."""
    crops, squares = seen
    width = 1000.0
    network = LandmarkNetwork(heavy, mirrored=True)
    flip = np.array([-1, 1, 1, -1.0])
    plain = network(crops, squares)
    flipped = network(np.ascontiguousarray(crops[:, :, ::-1]), squares * flip + [width, 0, 0, 0])
    points = flipped.points_px[:, MIRROR] * [-1, 1] + [width, 0]
    assert np.abs(points - plain.points_px).max() < 1e-8
    assert np.abs(flipped.world_m[:, MIRROR] * [-1, 1, 1] - plain.world_m).max() < 1e-9
    assert np.allclose(flipped.visibility[:, MIRROR], plain.visibility)


def test_left_is_the_persons_left(heavy: Any, seen: Any):
    """The man of the balance clip walks towards the camera: his left is on the screen's right."""
    crops, squares = seen
    found = LandmarkNetwork(heavy)(crops[:1], squares[:1])
    for part in ("shoulder", "hip", "knee"):
        left, right = NAMES.index(f"left_{part}"), NAMES.index(f"right_{part}")
        assert found.points_px[0, left, 0] > found.points_px[0, right, 0]
        assert found.world_m[0, left, 0] > found.world_m[0, right, 0]
    assert found.person[0] > 0.9


def test_the_tables_agree_with_the_names():
    for j, name in enumerate(NAMES):
        other = NAMES[MIRROR[j]]
        sides = {"left": "right", "right": "left"}
        assert other == "_".join(sides.get(word, word) for word in name.split("_"))
    coco = "nose eye eye ear ear shoulder shoulder elbow elbow wrist wrist hip hip knee knee ankle"
    for k, part in enumerate([*coco.split(), "ankle"]):
        assert NAMES[COCO[k]].endswith(part)
        if k:
            assert NAMES[COCO[k]].startswith("left" if k % 2 else "right")


@pytest.mark.parametrize(
    ("name", "shape"),
    [("points_px", (2, 33, 3)), ("world_m", (1, 33, 3)), ("visibility", (2, 32)), ("person", (3,))],
)
def test_arrays_that_do_not_belong_together_are_refused(name: str, shape: tuple[int, ...]):
    shapes = ((2, 33, 2), (2, 33, 3), (2, 33), (2,))
    sound = Landmarks(*(np.zeros(one) for one in shapes))
    with pytest.raises(ValueError, match=name):
        dataclasses.replace(sound, **{name: np.zeros(shape)})


def test_a_crop_without_a_person_gives_nothing(heavy: Any, tmp_path: Path):
    """Colour bars are nobody: NaN and no visibility, so that the fit leaves the frame out."""
    path = write_clip(tmp_path / "bars.mp4", ticks=range(4), size=(256, 256))
    times_s = np.arange(4) / 30
    keypoints = np.tile([128.0, 128, 0.5], (4, 17, 1))
    keypoints[:, 5:7, 1] = 60
    track = Track(
        person=1,
        part=1,
        frames=np.arange(4),
        times_s=times_s,
        boxes_px=np.tile([128.0, 128, 200], (4, 1)),
        keypoints_px=keypoints,
        observed=np.ones(4, bool),
    )
    steps: list[tuple[int, int]] = []
    (found,) = landmarks_of(
        open_video(path), [track], LandmarkNetwork(heavy), lambda *s: steps.append(s)
    )
    assert (found.person < 0.5).all()
    assert np.isnan(found.points_px).all()
    assert np.isnan(found.world_m).all()
    assert (found.visibility == 0).all()
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]


def _tracks_by_place(video: Any, spans: list[range]) -> list[Track]:
    """A track for each span: of as many people, the largest, from left to right."""
    detector = PersonDetector(open_network(asset_path("movenet_multipose.onnx"), threads=1))
    tracks = []
    for place, span in enumerate(spans):
        boxes, keypoints = [], []
        for image in video.frames(span.start, span.stop):
            found = detector.detect(image)
            size = (found.boxes_px[:, 2:] - found.boxes_px[:, :2]).max(1)
            found = found.take(np.argsort(-size)[: len(spans)])
            one = found.take(np.argsort(found.boxes_px[:, 0])[place : place + 1])
            low, high = one.boxes_px[0, :2], one.boxes_px[0, 2:]
            boxes.append([*(low + high) / 2, (high - low).max()])
            keypoints.append(one.keypoints_px[0])
        frames = np.array(span)
        seen = np.ones(len(span), bool)
        of = np.array(boxes), np.array(keypoints), seen
        tracks.append(Track(place + 1, 1, frames, video.times_s[frames], *of))
    return tracks


def test_every_person_gets_their_own_frames(heavy: Any, tmp_path: Path):
    """Two people who share frames, in one pass: each as if alone, NaN nowhere."""
    pictures = list(open_video(FOOTAGE / "balance_cam02.mp4").frames(20, 66))
    for i in range(5):
        pair = np.hstack([pictures[i], pictures[i + 40]])
        cv2.imwrite(str(tmp_path / f"{i}.png"), cv2.resize(pair, None, fx=0.4, fy=0.4)[..., ::-1])
    video = open_video(tmp_path)
    tracks = _tracks_by_place(video, [range(4), range(1, 5)])
    network = LandmarkNetwork(heavy)
    both = landmarks_of(video, tracks, network)
    for one, together in zip(tracks, both, strict=True):
        (alone,) = landmarks_of(video, [one], network)
        for name in PARTS:
            assert np.array_equal(getattr(alone, name), getattr(together, name))
        assert np.isfinite(alone.points_px).all()
    apart = both[1].points_px[0] - both[0].points_px[1]
    assert np.median(apart[:, 0]) > 0.3 * video.width_px


def test_who_is_hidden_is_read_alike_whether_the_other_is_wanted_or_not(heavy: Any):
    """The man behind the woman: `--person` and `--largest` look twice, too."""
    video = open_video(FOOTAGE / "multi_occl_cam01.mp4")
    found = _tracks_by_place(video, [range(80, 82)] * 3)
    man, woman = sorted(found, key=lambda t: -t.boxes_px[0, 2])[1::-1]
    network = LandmarkNetwork(heavy)
    together, _ = landmarks_of(video, [man, woman], network)
    (wanted,) = landmarks_of(video, [man], network, others=[woman])
    (lonely,) = landmarks_of(video, [man], network)
    for name in PARTS:
        assert np.array_equal(getattr(wanted, name), getattr(together, name), equal_nan=True)
    assert not np.array_equal(lonely.points_px, wanted.points_px, equal_nan=True)


def test_what_lies_outside_the_picture_is_not_found(heavy: Any, tmp_path: Path):
    """A man cut at the waist has no legs: no points, no metres, no visibility."""
    whole = open_video(FOOTAGE / "balance_cam02.mp4")
    image = next(whole.frames(20, 21))
    found = PersonDetector(open_network(asset_path("movenet_multipose.onnx"), threads=1)).detect(
        image
    )
    man = found.keypoints_px[found.scores.argmax()]
    waist = int(man[[11, 12], 1].mean()) + 20
    for i in range(3):
        Image.fromarray(image[:waist]).save(tmp_path / f"{i}.png")
    video, times_s = open_video(tmp_path, fps=30), np.arange(3) / 30
    box = np.append(man[:, :2].mean(0), 800.0)
    track = Track(
        1, 1, np.arange(3), times_s, np.tile(box, (3, 1)), np.tile(man, (3, 1, 1)), np.ones(3, bool)
    )
    (seen,) = landmarks_of(video, [track], LandmarkNetwork(heavy))
    legs = [i for i, name in enumerate(NAMES) if name.endswith(("knee", "ankle", "heel", "index"))]
    legs = [i for i in legs if i >= NAMES.index("left_knee")]
    assert np.isnan(seen.points_px[:, legs]).all()
    assert np.isnan(seen.world_m[:, legs]).all()
    assert (seen.visibility[:, legs] == 0).all()
    shoulders = [NAMES.index("left_shoulder"), NAMES.index("right_shoulder")]
    assert (seen.visibility[:, shoulders] > 0.9).all()
    inside = np.isfinite(seen.points_px).all(-1)
    assert (seen.points_px[inside] >= 0).all()
    assert (seen.points_px[inside][:, 1] <= waist).all()
