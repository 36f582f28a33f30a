"""Crops of prepared pictures and films, and sources named in words."""

from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch

from staf_backend.geometry import from_axis_angle, to_quaternions
from staf_backend.staf import cut
from staf_backend.video import Video, open_video
from tests.support.make_feeding import ENCODER
from training.data.augment import Augment
from training.data.batches import ImageMix, WindowMix, loaded
from training.data.crops import PreparedImages, PreparedSequences, targets_of
from training.data.feature_cache import build_cache
from training.data.sources import DataError, open_images, open_sequences
from training.datasets import Annotations, SetError, open_set, write_set
from training.targets import CROP_SCALE


def picture(number: int) -> np.ndarray:
    """(120, 160, 3) RGB, each of its own colour, with a white dot at (60 + number, 50)."""
    image = np.full((120, 160, 3), (10 + 20 * number, 90, 200 - 20 * number), np.uint8)
    cv2.circle(image, (60 + number, 50), 3, (255, 255, 255), -1)
    return image


def annotations(
    images: list[str], image: list[int], sequence: list[int], frame: list[int]
) -> Annotations:
    rows = len(image)
    rng = np.random.default_rng(0)
    keypoints = np.zeros((rows, 49, 3), np.float32)
    keypoints[:, 44] = [[60.5 + index % 10, 50.5, 1] for index in image]
    quaternions = to_quaternions(from_axis_angle(rng.normal(size=(rows, 24, 3))))
    return Annotations(
        "made",
        "train",
        "smpl-neutral",
        25.0,
        images,
        np.array(image, np.int32),
        np.tile(np.array([[70, 60, 80]], np.float32), (rows, 1)),
        keypoints,
        np.zeros((rows, 49, 4), np.float32),
        quaternions.astype(np.float32),
        rng.normal(size=(rows, 10)).astype(np.float32),
        np.ones(rows, np.float32),
        np.zeros(rows, np.float32),
        np.zeros(rows, np.int8),
        np.array(sequence, np.int32),
        np.array(frame, np.int32),
        np.ones(rows, bool),
    )


@pytest.fixture
def pictures(tmp_path) -> Path:
    """A set of ten pictures: one run of six, a gap, one of two; somebody else twice."""
    names = [f"{number}.png" for number in range(10)]
    for number, name in enumerate(names):
        cv2.imwrite(str(tmp_path / name), picture(number)[..., ::-1])
    frames = [*range(0, 12, 2), 20, 22, 0, 2]
    labels = annotations(names, list(range(10)), [0] * 8 + [1] * 2, frames)
    write_set(tmp_path / "set", labels, {}, root=tmp_path)
    return tmp_path / "set"


def test_sequences_end_where_frames_are_missing(pictures: Path) -> None:
    sequences = PreparedSequences(open_set(pictures))
    parts = [list(sequences.parts(index)) for index in range(len(sequences))]
    assert [sum(len(part.images) for part in one) for one in parts] == [6, 2, 2]
    names = [{part.name for part in one} for one in parts]
    assert names == [{f"made-train/{index:06d}"} for index in range(3)]
    np.testing.assert_allclose(parts[0][0].times_s, np.arange(6) * 2 / 25)
    for frame, crop in enumerate(parts[0][0].images):
        np.testing.assert_array_equal(crop, cut(picture(frame), np.array([70, 60, 96.0])))


def test_targets_lie_on_the_crop(pictures: Path) -> None:
    prepared = open_set(pictures)
    known = targets_of(prepared, slice(3, 5))
    np.testing.assert_allclose(known.keypoints[0, 44], [(63.5 - 70) / 48, (50.5 - 60) / 48, 1])
    assert not known.keypoints[:, 43].any()
    assert not known.betas.any()  # has_betas is 0
    np.testing.assert_allclose(
        known.rotations @ known.rotations.swapaxes(-1, -2),
        np.broadcast_to(np.eye(3), (2, 24, 3, 3)),
        atol=1e-5,
    )
    crop, plain = PreparedImages(prepared).image(3, np.random.default_rng(0))
    bright = np.argwhere(crop.min(-1) > 200)[:, ::-1].mean(0)
    np.testing.assert_allclose((bright - 112) / 112, plain.keypoints[44, :2], atol=0.5 / 112)
    assert CROP_SCALE == 1.2


def test_images_change_with_the_generator_alone(pictures: Path) -> None:
    images = PreparedImages(open_set(pictures), Augment())
    one, other = (images.image(4, np.random.default_rng(8)) for _ in range(2))
    np.testing.assert_array_equal(one[0], other[0])
    assert not np.array_equal(one[0], images.image(4, np.random.default_rng(9))[0])
    mix = ImageMix([images], [1.0], 4, 0)
    (theirs,) = loaded(mix, range(1), workers=1)
    assert torch.equal(theirs.images, mix.batch(0).images)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda path: path.unlink(), "3.png is missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-40]), "3.png is cut short"),
        (lambda path: path.write_bytes(b"no picture"), "3.png is no JPEG or PNG"),
        (
            lambda path: path.write_bytes(path.read_bytes()[:40] + b"IEND"),
            "3.png is no readable picture",
        ),
    ],
)
def test_a_broken_picture_is_named(pictures: Path, harm, message: str) -> None:
    harm(pictures.parent / "3.png")
    prepared = open_set(pictures)
    with pytest.raises(SetError, match=message):
        PreparedImages(prepared).image(3, np.random.default_rng(0))
    with pytest.raises(SetError, match=message):
        list(PreparedSequences(prepared).parts(0))


@pytest.fixture
def film(tmp_path) -> Path:
    with av.open(str(tmp_path / "film.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "bgr0"
        for number in range(8):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number), "rgb24")))
        container.mux(stream.encode())
    names = [f"film.mkv#{number}" for number in range(2, 8)]
    labels = annotations(names, list(range(6)), [0] * 6, list(range(2, 8)))
    write_set(tmp_path / "set", labels, {}, root=tmp_path)
    return tmp_path / "set"


def test_frames_of_a_video_are_the_ones_asked_for(film: Path) -> None:
    prepared = open_set(film)
    (part,) = PreparedSequences(prepared).parts(0)
    assert part.name == "made-train/000000 film.mkv"
    for number, crop in enumerate(part.images, 2):
        np.testing.assert_array_equal(crop, cut(picture(number), np.array([70, 60, 96.0])))
    crop, _ = PreparedImages(prepared).image(3, np.random.default_rng(0))
    np.testing.assert_array_equal(crop, part.images[3])


def long_film(folder: Path, frames: int) -> None:
    """A film with one key frame at its beginning: every seek decodes it from there."""
    with av.open(str(folder / "long.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25, options={"g": "1000", "qscale": "1"})
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for number in range(frames):
            shown = picture(number % 10)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(shown, "rgb24")))
        container.mux(stream.encode())


def labelled_film(folder: Path, numbers: list[int]) -> PreparedSequences:
    """One sequence of those frames of the long film."""
    names = [f"long.mp4#{number}" for number in numbers]
    rows = list(range(len(names)))
    write_set(folder / "set", annotations(names, rows, [0] * len(rows), rows), {}, root=folder)
    return PreparedSequences(open_set(folder / "set"))


@pytest.mark.parametrize(
    ("numbers", "passes"),
    [
        (list(range(40)), [(0, 40)]),
        (list(range(0, 40, 2)), [(0, 39)]),
        (list(range(3, 40, 17)), [(3, 38)]),
        (list(range(3, 40, 18)), [(3, 4), (21, 22), (39, 40)]),
    ],
)
def test_frames_that_lie_near_are_read_in_one_pass(tmp_path, monkeypatch, numbers, passes) -> None:
    long_film(tmp_path, 40)
    whole = list(open_video(tmp_path / "long.mp4").frames())
    asked, frames = [], Video.frames

    def counted(video: Video, first: int = 0, last: int | None = None):
        asked.append((first, last))
        return frames(video, first, last)

    monkeypatch.setattr(Video, "frames", counted)
    (part,) = labelled_film(tmp_path, numbers).parts(0)
    assert asked == passes
    for number, crop in zip(numbers, part.images, strict=True):
        np.testing.assert_array_equal(crop, cut(whole[number], np.array([70, 60, 96.0])))


def test_frames_far_on_or_back_in_a_film_are_sought(tmp_path) -> None:
    long_film(tmp_path, 40)
    whole = list(open_video(tmp_path / "long.mp4").frames())
    numbers = [30, 30, 5, 6, 38]
    (part,) = labelled_film(tmp_path, numbers).parts(0)
    for number, crop in zip(numbers, part.images, strict=True):
        np.testing.assert_array_equal(crop, cut(whole[number], np.array([70, 60, 96.0])))


def test_a_video_that_is_missing_or_too_short_is_named(film: Path) -> None:
    path = film.parent / "film.mkv"
    labels = annotations(["film.mkv#7", "film.mkv#8"], [0, 1], [0, 0], [7, 8])
    write_set(film.parent / "long", labels, {}, root=film.parent)
    with pytest.raises(SetError, match="8 frames, the labels want frame 8"):
        list(PreparedSequences(open_set(film.parent / "long")).parts(0))
    path.unlink()
    with pytest.raises(SetError, match=r"film\.mkv is missing"):
        list(PreparedSequences(open_set(film)).parts(0))


def test_sources_by_words(pictures: Path) -> None:
    assert len(open_images(str(pictures))) == 10
    assert len(open_sequences(str(pictures))) == 3
    assert len(open_images("synthetic:12:3")) == 12
    assert len(open_sequences("synthetic:4")) == 4


@pytest.mark.parametrize("spec", ["synthetic:0", "synthetic:a", "synthetic:1:2:3", "synthetic:-1"])
def test_senseless_words_are_refused(spec: str) -> None:
    with pytest.raises(DataError, match="no data source"):
        open_sequences(spec)
    with pytest.raises(SetError):
        open_images("no/such/folder")


def test_a_prepared_set_goes_through_cache_and_batches(pictures: Path, tmp_path) -> None:
    source = PreparedSequences(open_set(pictures))
    cache = build_cache(source, ENCODER, tmp_path / "cache")
    starts = cache.windows(2, 1)
    assert all(b - a in (1, 2) for a, b in pairwise(starts))
    batch = WindowMix([], [cache], batch=4, frames=2, stride=1).batch(0)
    assert batch.maps.shape == (4, 2, 4, 7, 7)
    assert batch.targets.has_pose.all()
