"""Lessons of which foot stands, and what is learned from them."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from staf_backend.estimators.to_motion import keys_of
from staf_backend.geometry import Camera
from staf_backend.motion import Motion, save_motion
from staf_backend.world.foot_contacts import MARGIN, foot_network_of
from staf_backend.world.foot_features import FEATURES, features
from tests.support.make_mocap import save, steps
from tests.support.places import REPOSITORY
from tests.support.walker import RATE_HZ, walker
from training.contacts import train
from training.contacts.lessons import Lesson, join_lessons, lesson_of, read_lessons, write_lessons
from training.contacts.simulate import Simulator, seen
from training.model import dilated_arrays
from training.moves import BODY, figure_of, open_clips
from training.scoring import EvaluationError


@pytest.fixture(scope="module")
def mocap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people who march on the spot, and one who is held out."""
    path, arrays = tmp_path_factory.mktemp("contacts") / "steps.npz", {}
    for number, name in enumerate(("02_01", "08_01", "07_01")):
        poses, trans_m = steps(150, number)
        arrays |= {f"{name}/poses": poses.astype(np.float16), f"{name}/trans_m": trans_m}
    save(path, arrays)
    return path


@pytest.fixture(scope="module")
def simulator(mocap: Path) -> Simulator:
    return Simulator(open_clips([mocap], figure_of(BODY)))


@pytest.fixture(scope="module")
def lessons(simulator: Simulator) -> list[Lesson]:
    return [simulator.lesson(np.random.default_rng(seed)) for seed in (1, 2, 3)]


def test_feet_that_stand_in_a_simulated_scene_are_still(simulator: Simulator):
    for seed in range(5):
        truth, stands = simulator.scene(80, np.random.default_rng(seed))
        points = truth.posed.points_m[:, :4]
        way = np.linalg.norm(np.diff(points, axis=0), axis=-1)
        assert 0.2 < stands.mean() < 0.95
        assert way[stands[1:] & stands[:-1]].mean() < 0.003
        assert way[~stands[1:] & ~stands[:-1]].mean() > 0.01
        assert truth.root_m[:, 2].max() < -1  # before the camera


def test_what_is_seen_is_near_the_truth_and_errs(simulator: Simulator):
    truth, _ = simulator.scene(80, np.random.default_rng(4))
    rays, world_m, visibility = seen(truth, np.random.default_rng(5))
    assert rays.shape == (80, 27, 2)
    assert world_m.shape == (80, 27, 3)
    assert visibility.shape == (80, 27)
    ankle = truth.posed.joints_m[:, 7] * [1, -1, -1]
    others, _, _ = seen(truth, np.random.default_rng(6))
    off_m = np.linalg.norm(np.diff(rays, axis=0), axis=-1) * ankle[1:, 2:]
    assert np.isfinite(rays).all()
    assert np.abs(rays - others).max() > 0.001
    assert np.median(off_m) < 0.05  # frames follow each other without a seam


def test_lessons_are_read_as_they_were_written(lessons: list[Lesson], tmp_path: Path):
    write_lessons(tmp_path / "lessons.npz", lessons)
    for one, other in zip(read_lessons(tmp_path / "lessons.npz"), lessons, strict=True):
        np.testing.assert_array_equal(one.contact, other.contact)
        np.testing.assert_allclose(features(one.tracks), features(other.tracks), atol=1e-5)


def test_what_holds_no_lessons_is_refused(tmp_path: Path):
    np.savez(tmp_path / "other.npz", contact=np.zeros((3, 4), bool))
    with pytest.raises(EvaluationError, match="no lessons"):
        read_lessons(tmp_path / "other.npz")
    (tmp_path / "motions").mkdir()
    with pytest.raises(EvaluationError, match="No scene"):
        join_lessons(tmp_path, tmp_path / "motions")


def test_drawn_scenes_teach_what_was_estimated_before_it_was_grounded(tmp_path: Path):
    movement, stands = walker()
    frames, body = len(movement), movement.body
    keys, contact = keys_of(movement.rotations, np.eye(3)), np.repeat(stands, 2, axis=1)
    motion = Motion(
        times_s=movement.times_s,
        frames=np.arange(frames),
        rotations_wxyz=keys,
        root_m=movement.root_m + 5,
        observed=np.ones(frames, bool),
        body=body.name,
        betas=movement.betas,
        rest_joints_m=body.rest_joints_m(movement.betas),
        camera=Camera(900.0, 1280, 720),
        raw_rotations_wxyz=keys,
        raw_root_m=movement.root_m,
    )
    for folder in ("clips", "motions"):
        (tmp_path / folder).mkdir()
    save_motion(tmp_path / "motions" / "walk.npz", motion)
    np.savez(
        tmp_path / "clips" / "walk.npz",
        joints_m=movement.posed.joints_m,
        feet_m=movement.posed.points_m[:, :4],
        contact=contact,
        low_m=np.zeros(frames),
        view=np.tile(np.eye(3), (frames, 1, 1)),
        place_m=np.zeros((frames, 3)),
        rate_hz=RATE_HZ,
    )
    (found,) = join_lessons(tmp_path / "clips", tmp_path / "motions")
    wanted = lesson_of(movement, contact)
    np.testing.assert_array_equal(found.contact, contact)
    np.testing.assert_allclose(features(found.tracks), features(wanted.tracks), atol=1e-3)


def test_a_lesson_has_the_contacts_of_its_times():
    movement, stands = walker()
    contact = np.repeat(stands, 2, axis=1)
    np.testing.assert_array_equal(lesson_of(movement, contact).contact, contact)
    names = ("times_s", "rotations", "root_m", "eye_m", "feet_seen")
    half = {name: getattr(movement, name)[::2] for name in names}
    slower = lesson_of(dataclasses.replace(movement, **half), contact[::2])
    assert (slower.contact[: len(contact)] == contact[: len(slower.contact)]).mean() > 0.9
    with pytest.raises(ValueError, match="contact"):
        Lesson(slower.tracks, contact[:3])


def test_a_few_scenes_are_learned_by_heart(lessons: list[Lesson]):
    scenes = train.seen(lessons, 1.0, np.random.default_rng(0))
    assert sum(scene.odds for scene in scenes) == pytest.approx(1)
    network = foot_network_of(dilated_arrays(*train.learned(scenes, 120)))
    for lesson in lessons:
        numbers = features(lesson.tracks)
        rows = np.arange(-MARGIN, len(numbers) + MARGIN).clip(0, len(numbers) - 1)
        found = network(numbers[rows]) > 0.5
        hits = 2 * (found & lesson.contact).sum()
        assert hits / (found.sum() + lesson.contact.sum()) > 0.9


def test_the_network_is_the_same_without_torch(lessons: list[Lesson]):
    torch.manual_seed(1)
    network, mean = train.fresh().eval(), np.full(FEATURES, 0.1)
    deviation = np.linspace(0.5, 2, FEATURES)
    numbers = features(lessons[0].tracks)[:60]
    scaled = ((numbers - mean) / deviation).clip(-4, 4).transpose(1, 2, 0).astype(np.float32)
    with torch.no_grad():
        wanted = torch.sigmoid(network(torch.from_numpy(scaled))).numpy()
    found = foot_network_of(dilated_arrays(network, mean, deviation))(numbers)
    np.testing.assert_allclose(found, wanted.transpose(2, 0, 1).reshape(-1, 4), atol=2e-3)


@pytest.mark.slow
def test_a_trained_file_is_one_that_the_backend_reads(mocap: Path, tmp_path: Path):
    lessons, out = str(tmp_path / "lessons.npz"), str(tmp_path / "made.npz")
    for words in (
        ["simulate", lessons, "--mocap", str(mocap), "--scenes", "12"],
        ["train", lessons, "--out", out, "--steps", "3"],
    ):
        command = [sys.executable, "-m", f"training.contacts.{words[0]}", *words[1:]]
        subprocess.run(command, cwd=REPOSITORY, check=True, timeout=120)
    with np.load(out) as file:
        found = foot_network_of(file)(np.zeros((2 * MARGIN + 5, 2, FEATURES)))
    assert found.shape == (5, 4)
