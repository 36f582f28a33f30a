"""Scenes in a room: their truth is what stands in the picture."""

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from staf_backend.assets import asset_path
from staf_backend.people import PersonDetector, find_people
from staf_backend.people.keypoints import NAMES
from staf_backend.runtime import open_network
from staf_backend.video import open_video
from tests.support.make_mocap import save, steps
from tests.support.plain_people import skip_without_drawing
from training.filming import scenes
from training.filming.film import CAMERAS, Film, film
from training.moves import BODY, Clip, figure_of, open_clips
from training.scoring import read_truth

_LIMBS = {"left_hip": 1, "right_hip": 2, "left_knee": 4, "right_knee": 5, "right_ankle": 8}
"""Joints of the body that the detector names, too."""


@pytest.fixture(scope="module")
def mocap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people who march and drift to a side; the second is held out."""
    path, arrays = tmp_path_factory.mktemp("filming") / "steps.npz", {}
    for number, name in enumerate(("02_01", "07_01")):
        poses, trans_m = steps(200, number)
        trans_m[:, 0] = 0.1 * np.arange(200) / 30
        arrays |= {f"{name}/poses": poses.astype(np.float16), f"{name}/trans_m": trans_m}
    save(path, arrays)
    return path


@pytest.fixture(scope="module")
def clips(mocap: Path) -> list[Clip]:
    return open_clips([mocap], figure_of(BODY))


def _film(clips: list[Clip], seed: int, kind: str | None = None) -> Film:
    return film(clips, np.random.default_rng(seed), kind)


def test_feet_that_stand_are_still_and_on_the_floor(clips: list[Clip]):
    for seed in range(4):
        truth = _film(clips, seed).truth
        way = np.linalg.norm(np.diff(truth.feet_m, axis=0), axis=-1)
        stays = truth.contact[1:] & truth.contact[:-1]
        assert 0.2 < truth.contact.mean() < 0.95
        assert way[stays].mean() < 0.003
        assert np.abs(truth.low_m[truth.contact.any(1)]).max() < 0.04


def test_cameras_hold_the_person_and_move_as_their_kind(clips: list[Clip]):
    for kind in CAMERAS:
        truth = _film(clips, 3, kind).truth
        seen = truth.seen_m()
        flat = truth.focal_px * seen[..., :2] / seen[..., 2:]
        assert (np.abs(flat) < truth.size_px / 2).all(-1).mean() > 0.95
        moves, turns = (np.ptp(a, axis=0).max() for a in (truth.place_m, truth.view))
        assert (moves > 0.005) == (kind in ("hand", "rail"))
        assert (turns > 0.003) == (kind in ("hand", "pan"))


def test_a_seed_says_all_of_a_scene(clips: list[Clip]):
    one, same, other = (_film(clips, seed).truth for seed in (5, 5, 6))
    np.testing.assert_array_equal(one.joints_m, same.joints_m)
    assert one.joints_m.shape != other.joints_m.shape or not np.allclose(
        one.joints_m, other.joints_m
    )


def test_a_drawn_scene_shows_the_person_where_the_truth_says(
    mocap: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    skip_without_drawing()
    words = ["scenes", str(tmp_path), "--mocap", str(mocap), "--count", "1", "--seed", "3"]
    monkeypatch.setattr(sys, "argv", words)
    scenes.main()
    video, truth = tmp_path / "0003.mp4", read_truth(tmp_path / "0003.npz")
    detector = PersonDetector(
        open_network(asset_path("movenet_multipose.onnx"), device="cpu", threads=1)
    )
    (track,) = find_people(open_video(video), detector)
    seen = truth.seen_m()[track.frames]
    joints = truth.focal_px * seen[..., :2] / seen[..., 2:] + truth.size_px / 2
    height = np.ptp(joints[..., 1], axis=1).mean()
    for name, joint in _LIMBS.items():
        found = track.keypoints_px[:, NAMES.index(name), :2]
        off = np.median(np.linalg.norm(found - joints[:, joint], axis=-1))
        assert off < 0.1 * height, name
    written = video.stat().st_mtime_ns
    scenes.main()  # what is there stays
    assert video.stat().st_mtime_ns == written
