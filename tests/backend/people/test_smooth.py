"""Smoothing does not lag, on any clock."""

import numpy as np
import pytest

from staf_backend.people.smooth import smooth


@pytest.mark.parametrize("degree", [1, 2])
def test_smoothing_does_not_lag_on_any_clock(degree):
    rng = np.random.default_rng(1)
    times_s = np.cumsum(rng.uniform(0.005, 0.05, 1500))
    path = np.stack([3 + 40 * times_s, -7 * times_s], 1)
    path[:, 1] += 5 * times_s**2 if degree == 2 else 0
    smoothed = smooth(times_s, path, 0.06, degree)
    np.testing.assert_allclose(smoothed, path, atol=1e-4)
    noisy = smooth(times_s, path + rng.normal(0, 1, path.shape), 0.06, degree)
    assert (noisy - path).std() < 0.7


def test_smoothing_lone_frames_changes_nothing():
    np.testing.assert_array_equal(smooth(np.zeros(1), np.full((1, 2), 5.0), 0.1, 2), [[5, 5]])
    two = smooth(np.array([0, 0.04]), np.array([[0.0], [10.0]]), 0.1, 2)
    assert np.isfinite(two).all()
