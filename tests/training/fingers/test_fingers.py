"""Drawn hands and what is learned from them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from staf_backend.fit.fingers_hand import TWIST
from staf_backend.fit.fingers_learnt import FEATURES, corrector_of
from tests.support.places import REPOSITORY
from training.fingers.hands import SIDES, draw_hand, finger_angles, hand
from training.fingers.looks import seen_hands
from training.fingers.train import joints_mm, learned, lessons


def test_drawn_angles_are_varied_and_within_the_limits():
    angles = np.array([finger_angles(np.random.default_rng(seed)) for seed in range(300)])
    low, high = hand("right").limits_rad
    assert ((angles >= low) & (angles <= high)).all()
    assert (np.degrees(angles.std(0)[:TWIST]) > 4).all()


@pytest.mark.parametrize("side", SIDES)
def test_a_hand_is_in_the_middle_of_its_picture(side: str):
    drawn = draw_hand(np.random.default_rng(3), side, 100)
    height, width, _ = drawn.image.shape
    assert height == width == 260
    assert np.abs(drawn.pose_points(side) - 130).max() < 100
    assert drawn.image.std() > 10


def test_joints_of_the_trainer_are_those_of_the_body():
    own, rng = hand("right"), np.random.default_rng(0)
    angles = np.array([finger_angles(rng) for _ in range(8)])
    turns = own.rotations(angles).reshape(-1, 5, 3, 3, 3)
    place, frame = np.broadcast_to(own.bones_m[:, 0], (8, 5, 3)), np.eye(3)
    for joint in range(3):
        frame = frame @ turns[:, :, joint]
        place = place + (frame @ own.bones_m[:, joint + 1, :, None])[..., 0]
    found = joints_mm(torch.as_tensor(angles, dtype=torch.float32))[:, :, 2]
    np.testing.assert_allclose(found, 1000 * place, atol=0.01)


def test_a_few_hands_are_learned_by_heart():
    rows = list(seen_hands(9, seed=5))
    looks = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    hands = looks["number"][::3]
    assert 3 <= len(set(hands)) == len(hands) <= 9
    assert (looks["number"].reshape(-1, 3) == hands[:, None]).all()
    assert np.ptp(looks["points_px"].reshape(-1, 3, 21, 2), axis=1).max() > 1
    features, fitted, true = lessons(looks)
    assert features.shape == (len(rows), FEATURES)
    deviation = features.std(0) + 1e-3
    features = (features - features.mean(0)) / deviation
    network = learned(features, fitted, true, 120)
    with torch.no_grad():
        change = network(torch.as_tensor(features, dtype=torch.float32))[0].numpy()
    before, after = np.abs(fitted - true).mean(), np.abs(fitted + change - true).mean()
    assert after < 0.6 * before


@pytest.mark.slow
def test_a_trained_file_is_one_that_the_backend_reads(tmp_path: Path):
    for words in (
        ["looks", "looks.npz", "--hands", "24"],
        ["train", "looks.npz", "--out", "made.npz", "--steps", "3"],
    ):
        command = [sys.executable, "-m", f"training.fingers.{words[0]}", *words[1:]]
        paths = [str(tmp_path / word) if word.endswith(".npz") else word for word in command]
        subprocess.run(paths, cwd=REPOSITORY, check=True, timeout=120)
    with np.load(tmp_path / "made.npz") as file:
        made = corrector_of(file)
    change, error_m = made(np.zeros((2, FEATURES)))
    assert change.shape == (2, 21)
    assert error_m.shape == (2, 5)
    assert (error_m >= 0).all()
