"""AMASS export: what importers read, z up, at a constant rate."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from staf_backend.body import load_body
from staf_backend.export.amass import save_amass
from staf_backend.export.constant_rate import nearest_rate, resample
from staf_backend.geometry import SMPL, Skeleton, forward_kinematics, from_axis_angle
from staf_backend.motion import Motion, MotionError, joints_m
from tests.support.sample_motions import raised_left_arm, sample_motion, swaying


def exported(folder: Path, motion: Motion, **options: Any) -> dict[str, np.ndarray]:
    save_amass(folder / "a.npz", motion, **options)
    with np.load(folder / "a.npz", allow_pickle=False) as archive:
        return dict(archive)


def test_keys_that_importers_read(tmp_path: Path):
    data = exported(tmp_path, sample_motion())
    assert data["poses"].shape == (40, 156)
    assert data["trans"].shape == (40, 3)
    assert data["betas"].shape == (16,)
    assert str(data["gender"]) == "neutral"
    assert data["mocap_framerate"] == data["mocap_frame_rate"] == data["fps"] == 30
    assert (data["poses"][:, 66:] == 0).all()
    assert str(data["body"]) == "open-neutral"


def test_smpl_read_as_smpl_gives_the_same_joints_z_up(tmp_path: Path):
    """As a reader does it: joints from betas, pose about J0, plus trans."""
    motion = sample_motion()
    data = exported(tmp_path, motion)
    rest_m = load_body("open-neutral").rest_joints_m(data["betas"][:10])
    rotations = from_axis_angle(data["poses"].reshape(40, 52, 3)[:, :24])
    _, placed = forward_kinematics(rotations, rest_m, rest_m[0] + data["trans"])
    ours = joints_m(motion)
    z_up = np.stack([ours[..., 0], -ours[..., 2], ours[..., 1]], -1)
    np.testing.assert_allclose(placed[:, :22], z_up[:, :22], atol=1e-5)


def test_a_standing_person_stands_along_z(tmp_path: Path):
    data = exported(tmp_path, sample_motion(raised_left_arm()))
    np.testing.assert_allclose(data["poses"][0, :3], [np.pi / 2, 0, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("fps", "expected"),
    [(30, 30), (30000 / 1001, 30000 / 1001), (29.9701, 30000 / 1001), (12.3, 12.3), (60, 60)],
)
def test_the_nearest_rate(fps: float, expected: float):
    times_s = np.round(7 + np.arange(100) / fps, 6)
    assert nearest_rate(times_s) == pytest.approx(expected, rel=1e-4)
    assert nearest_rate(np.array([3.0])) == 30


def test_a_varying_clock_becomes_constant_without_drift(tmp_path: Path):
    rng = np.random.default_rng(0)
    times_s = np.cumsum(rng.choice([1 / 30, 1 / 30, 1 / 15], 200))
    motion = sample_motion(swaying(200), times_s=times_s)
    motion = dataclasses.replace(motion, root_m=np.stack([times_s, 0 * times_s, 2 * times_s], -1))
    data = exported(tmp_path, motion)
    count = round((times_s[-1] - times_s[0]) * 30) + 1
    assert len(data["trans"]) == count
    expected = np.minimum(times_s[0] + np.arange(count) / 30, times_s[-1])
    np.testing.assert_allclose(data["trans"][:, 0] + motion.rest_joints_m[0, 0], expected)


def test_slerp_turns_at_a_constant_speed():
    angles = np.zeros((3, 24, 3))
    angles[:, 0, 1] = [0, 1.2, 2.4]
    motion = sample_motion(from_axis_angle(angles), times_s=np.array([0.0, 1.0, 2.0]))
    turned, _ = resample(motion, 10)
    np.testing.assert_allclose(2 * np.arccos(turned[:, 0, 0]), 0.12 * np.arange(21), atol=1e-6)


def test_a_single_key_and_a_chosen_rate(tmp_path: Path):
    assert len(exported(tmp_path, sample_motion(swaying(1)))["trans"]) == 1
    assert len(exported(tmp_path, sample_motion(), fps=60)["trans"]) == 79


def test_bad_requests(tmp_path: Path):
    for fps in (0, -1, float("nan"), float("inf")):
        with pytest.raises(MotionError, match="fps"):
            save_amass(tmp_path / "a.npz", sample_motion(), fps=fps)
    stranger = Skeleton(tuple(f"bone{k}" for k in range(24)), SMPL.parents)
    with pytest.raises(MotionError, match="24 joints"):
        save_amass(tmp_path / "a.npz", dataclasses.replace(sample_motion(), skeleton=stranger))
    assert not list(tmp_path.iterdir())
