"""Losses of the lifter: the truth costs nothing, angles and deviations are honest."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tensorboard")
from staf_backend.geometry import rotations, skeleton  # noqa: E402
from staf_backend.landmarks import features as lift_features  # noqa: E402
from training.lifting import losses  # noqa: E402
from training.lifting import network as lift_network  # noqa: E402
from training.simulated import landmark_noise  # noqa: E402
from training.simulated.landmark_noise import Noise  # noqa: E402


def test_forward_kinematics_of_global_rotations_agrees_with_the_skeleton(figure):
    rng = np.random.default_rng(0)
    local = rotations.from_axis_angle(rng.normal(0, 0.5, (2, 3, 24, 3)).astype(np.float32))
    turned, joints_m = skeleton.forward_kinematics(local, figure.joints_m, np.zeros((2, 3, 3)))
    shape = losses.Shape(figure)
    bones = shape.bones_m(torch.zeros(2, 10))
    got = losses._joints(torch.from_numpy(turned).float(), bones)
    assert np.allclose(got.numpy(), joints_m, atol=1e-5)


def test_the_truth_costs_nothing(scenes, figure):
    windows = landmark_noise.observe(scenes, Noise(), 0.1, np.random.default_rng(0))
    turn = lift_features.rotations_to_person(windows)
    truth = losses.window_truth(scenes, turn, np.any(windows.observed, -1))
    perfect = lift_network.Lifting(
        truth.rotations,
        torch.full(truth.rotations.shape[:3], 0.01),
        (truth.contact * 2 - 1) * 30,
        torch.from_numpy(scenes.betas),
        truth.up,
        torch.full((24,), 0.01),
    )
    parts = losses.weighted_losses(perfect, truth, losses.Shape(figure), losses.Weights())
    assert all(float(parts[name]) < 1e-3 for name in ("joints", "turns", "steps", "up", "contact"))
    worse = perfect._replace(rotations=truth.rotations.roll(1, dims=0))
    off = losses.weighted_losses(worse, truth, losses.Shape(figure), losses.Weights())
    assert off["joints"] > 1 > parts["joints"]


def test_angles_agree_with_the_trace():
    rng = np.random.default_rng(0)
    turns = rotations.from_axis_angle(rng.normal(0, 1, (50, 3)))
    expected = np.arccos((np.trace(turns, axis1=-2, axis2=-1) - 1) / 2)
    got = losses.angles(torch.from_numpy(turns), torch.eye(3, dtype=torch.float64))
    assert np.allclose(got.numpy(), expected, atol=1e-6)


def test_deviations_come_to_tell_large_errors_from_small_ones():
    """The likelihood is least where the deviation is the mean error."""
    error = torch.tensor([0.1, 0.1, 0.4])
    costs = [
        float(losses._negative_log_likelihood(error, torch.tensor(deviation)).mean())
        for deviation in (0.1, 0.2, 0.4)
    ]
    assert costs[1] == min(costs)
