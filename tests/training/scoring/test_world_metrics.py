"""Numbers about the world, of hand-made motions whose answers one can say."""

import numpy as np
import pytest

from staf_backend.geometry import from_axis_angle
from training.scoring import world_metrics as metrics

TURN = from_axis_angle(np.array([0.3, -1.1, 0.4]))


def walk(frames: int = 150) -> np.ndarray:
    """(T, 5, 3) joints of a walk along x, 1 cm a frame, that sway."""
    rng = np.random.default_rng(3)
    joints = np.tile(rng.normal(size=(1, 5, 3)), (frames, 1, 1))
    joints[..., 0] += 0.01 * np.arange(frames)[:, None]
    joints[..., 1] += 0.05 * np.sin(np.arange(frames) / 5)[:, None]
    return joints


def test_a_similarity_is_found_again():
    points = np.random.default_rng(1).normal(size=(20, 3))
    by = 1.7, TURN, np.array([1.0, -2.0, 0.5])
    scale, rotation, shift = metrics.similarity(points, metrics.moved(by, points))
    assert scale == pytest.approx(1.7)
    np.testing.assert_allclose(rotation, TURN, atol=1e-12)
    np.testing.assert_allclose(shift, by[2], atol=1e-12)
    assert metrics.similarity(points, metrics.moved(by, points), scaled=False)[0] == 1


def test_axes_size_and_place_of_the_world_do_not_count():
    true = walk()
    ours = metrics.moved((0.8, TURN, np.array([3.0, 1.0, 2.0])), true)
    assert metrics.world_mpjpe_mm(ours, true, None) == pytest.approx(0, abs=1e-6)
    assert metrics.world_mpjpe_mm(ours, true, 2) == pytest.approx(0, abs=1e-6)


def test_a_drift_counts_from_the_start_of_each_segment():
    """1 mm a frame to the side: 49.5 mm in the mean of 100 frames, 24.5 of 50; about half
    where all frames are aligned."""
    true = walk()
    ours = true + np.array([0, 0, 1e-3]) * np.arange(len(true))[:, None, None]
    start = metrics.world_mpjpe_mm(ours, true, 2)
    assert start == pytest.approx((100 * 49.5 + 50 * 24.5) / 150, rel=0.25)
    assert metrics.world_mpjpe_mm(ours, true, None) < 0.6 * start


def test_an_error_of_the_path_is_a_share_of_its_length():
    true = walk()[:, 0] * [1, 0, 0]
    bent = true + [[0, 0, 0.1]] * (np.arange(len(true)) % 2)[:, None]  # 5 cm to each side
    assert metrics.path_error_percent(bent, true) == pytest.approx(100 * 0.05 / 1.49, rel=0.01)
    assert metrics.path_error_percent(true @ TURN.T + 2, true) == pytest.approx(0, abs=1e-9)
    assert np.isnan(metrics.path_error_percent(true * 0.01, true * 0.01))


def test_drift_is_where_the_path_ends():
    true = walk()[:, 0]
    ours = true + np.linspace(0, 1, len(true))[:, None] * [0.3, 0, 0.4] + 7
    assert metrics.drift_m(ours, true) == pytest.approx(0.5)


def test_jitter_of_a_cubic_is_its_third_derivative():
    times = np.arange(40) / 25
    points = (times**3 / 6 * 30)[:, None, None] * np.array([0, 1.0, 0])
    assert metrics.jitter(points, 25.0) == pytest.approx(3.0)
    assert np.isnan(metrics.jitter(points[:3], 25.0))


def test_only_feet_that_stand_slide():
    feet = np.zeros((11, 2, 3))
    feet[:, 0, 0] = 0.003 * np.arange(11)  # slides by 3 mm a frame
    feet[:, 1, 2] = 0.4 * np.arange(11)  # swings
    stands = np.tile([True, False], (11, 1))
    assert metrics.sliding_mm(feet, stands) == pytest.approx(3)
    true = feet.copy()
    true[:6, 0] = 0  # the true foot moves from the sixth frame on: that is no sliding
    true[6:, 0, 0] = 0.01 * np.arange(5) + 0.01
    assert metrics.sliding_mm(feet, stands, true) == pytest.approx(3)
    true[:, 0, 0] = 0.01 * np.arange(11)
    assert np.isnan(metrics.sliding_mm(feet, stands, true))
    assert np.isnan(metrics.sliding_mm(feet, stands & False))


def test_floor_spread_and_penetration():
    heights = np.linspace(-0.05, 0.05, 101)
    assert metrics.spread_mm(heights) == pytest.approx(90)
    assert metrics.spread_mm(heights + 5) == pytest.approx(90)
    assert metrics.penetration_mm(heights) == pytest.approx(1e3 * 0.05 * 51 / 2 / 101)
    assert metrics.penetration_mm(np.array([0.0, 0.2])) == 0


def test_contacts_are_scored_by_hits():
    true = np.array([1, 1, 1, 1, 0, 0], bool)
    assert metrics.f1(true, true) == 1
    assert metrics.f1(np.array([1, 1, 0, 0, 0, 0], bool), true) == pytest.approx(2 * 2 / 6)
    assert metrics.f1(~true, true) == 0
    assert np.isnan(metrics.f1(true & False, true & False))


def test_a_peak_that_is_halved_is_kept_by_half():
    times = np.arange(90) / 30
    strike = np.exp(-(((times - 1.5) / 0.1) ** 2))
    true = np.outer(strike, [0.0, 0.0, 0.6])
    kept = metrics.peaks_kept(0.5 * true, true, 30.0, 2.0)
    np.testing.assert_allclose(kept, 0.5)
    assert len(kept) == 2, "out and back"
    assert len(metrics.peaks_kept(true, true, 30.0, 20.0)) == 0
    late = np.roll(true, 2, axis=0)
    np.testing.assert_allclose(metrics.peaks_kept(late, true, 30.0, 2.0), 1.0, atol=0.02)
