"""Lessons of which side is which, and what is learned from them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from staf_backend.landmarks.names import MIRROR
from staf_backend.landmarks.sides_network import MARGIN, Read, features, mirrored, sides_network_of
from tests.support.make_mocap import save, steps
from tests.support.places import REPOSITORY
from tests.support.plain_people import skip_without_drawing
from training.contacts.simulate import Simulator
from training.filming.film import film
from training.moves import BODY, Clip, figure_of, open_clips
from training.scoring import EvaluationError
from training.sides import simulate, train
from training.sides.exchanges import disturbed, read_of, truth_of
from training.sides.lessons import Lesson, Reader, read_lessons, write_lessons


@pytest.fixture(scope="module")
def mocap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people who march on the spot, and one who is held out."""
    path, arrays = tmp_path_factory.mktemp("sides") / "steps.npz", {}
    for number, name in enumerate(("02_01", "08_01", "07_01")):
        poses, trans_m = steps(200, number)
        arrays |= {f"{name}/poses": poses.astype(np.float16), f"{name}/trans_m": trans_m}
    save(path, arrays)
    return path


@pytest.fixture(scope="module")
def clips(mocap: Path) -> list[Clip]:
    return open_clips([mocap], figure_of(BODY))


@pytest.fixture(scope="module")
def lessons(clips: list[Clip]) -> list[Lesson]:
    simulator = Simulator(clips)
    return [simulate.lesson(simulator, np.random.default_rng(seed)) for seed in (1, 2, 3)]


def test_simulated_sides_are_right(lessons: list[Lesson]):
    for lesson in lessons:
        truth = truth_of(lesson, read_of(lesson))
        clear = truth.weight == 1
        assert clear.mean() > 0.3
        assert (truth.exchanged & clear).sum() < 0.05 * clear.sum()


def test_a_drawn_scene_is_read_where_its_person_is(clips: list[Clip], tmp_path: Path):
    skip_without_drawing()
    rng = np.random.default_rng(3)
    taken = film(clips, rng, "still")
    taken.write(tmp_path / "1.mp4", tmp_path / "1.npz", True, rng)
    lesson = Reader().lesson(tmp_path / "1.mp4", taken.truth)
    assert lesson is not None
    truth = truth_of(lesson, read_of(lesson))
    assert len(lesson.times_s) > 40
    assert (truth.exchanged & (truth.weight == 1)).mean() < 0.1
    (tmp_path / "empty").mkdir()
    command = [sys.executable, "-m", "training.sides.lessons", "empty", "lessons.npz"]
    environment = {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert "holds no scene" in done.stderr


def test_lessons_are_read_as_they_were_written(lessons: list[Lesson], tmp_path: Path):
    write_lessons(tmp_path / "lessons.npz", lessons)
    for one, other in zip(read_lessons(tmp_path / "lessons.npz"), lessons, strict=True):
        np.testing.assert_allclose(one.joints_px, other.joints_px, rtol=1e-5, atol=1e-3)
        np.testing.assert_allclose(
            features(read_of(one)), features(read_of(other)), rtol=1e-4, atol=1e-4
        )
    np.savez(tmp_path / "other.npz", frames=np.array([3]))
    with pytest.raises(EvaluationError, match="no lessons"):
        read_lessons(tmp_path / "other.npz")


def test_a_mirror_shows_the_other_side_and_twice_the_same(lessons: list[Lesson]):
    read = read_of(lessons[0])
    once = mirrored(read)
    np.testing.assert_array_equal(once.points_px[:, MIRROR, 1], read.points_px[..., 1])
    np.testing.assert_array_equal(features(mirrored(once)), features(read))
    assert np.abs(features(once) - features(read)).max() > 0.1


def test_exchanges_are_known(lessons: list[Lesson]):
    """What was put in is what the truth then calls exchanged."""
    lesson = lessons[0]
    read, rng = read_of(lesson), np.random.default_rng(1)
    rows = np.arange(60)
    shares = []
    for _ in range(40):
        sample = disturbed(lesson, read, rows, rng)
        clear = sample.weight >= 1
        shares.append((sample.exchanged & clear).sum() / clear.sum())
        assert np.isfinite(features(sample.read)).all()
    assert 0.05 < np.mean(shares) < 0.6
    assert min(shares) < 0.02
    assert max(shares) > 0.3


def test_unseen_landmarks_do_no_harm(lessons: list[Lesson]):
    read = read_of(lessons[0])
    nothing = np.full_like(read.points_px, np.nan)
    blind = Read(
        nothing,
        read.depth_m * np.nan,
        read.visibility * 0,
        read.keypoints_px,
        read.times_s,
        read.scale * np.nan,
        read.torso_px,
        np.inf,
    )
    assert np.isfinite(features(blind)).all()


def test_what_is_learned_is_what_is_asked(lessons: list[Lesson]):
    """The network in numpy answers as the one that learned, and learning lowers the loss."""
    taught = train.taught(lessons, 1.0)
    arrays = train.learned(taught, 30, seed=1)
    network = sides_network_of(arrays)
    numbers = features(taught[0].read)
    rows = np.arange(-MARGIN, 20 + MARGIN).clip(0, len(numbers) - 1)
    told = network(numbers[rows])
    learned = train.fresh(numbers.shape[1]).eval()
    layers = [*learned.dense, *learned.layers, learned.out_of]
    for number, layer in enumerate(layers):
        weight = torch.from_numpy(arrays[f"weight{number}"].astype(np.float32))
        weight = weight[None] if weight.ndim == 2 else weight
        layer.weight.data = weight.permute(2, 1, 0)
        layer.bias.data = torch.from_numpy(arrays[f"bias{number}"])
    scaled = (numbers[rows] - arrays["mean"]) / arrays["deviation"]
    with torch.no_grad():
        expected = learned(torch.from_numpy(scaled.astype(np.float32)).T[None])[0].T
    np.testing.assert_allclose(told, expected.numpy(), atol=1e-3)
    assert "legs" in train.measured(arrays, lessons)
