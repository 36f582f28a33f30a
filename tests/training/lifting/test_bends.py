"""Knees and elbows in the lifting network's loss: straight is straight."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from staf_backend.geometry import SMPL  # noqa: E402
from training.lifting import losses  # noqa: E402


def legs(knee_rad: float) -> Tensor:
    """Joints (1, 1, 24, 3) of somebody with one bent knee, the left one."""
    joints = torch.zeros(1, 1, 24, 3)
    for hip, knee, ankle in (("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist")):
        for side in ("left", "right"):
            chain = SMPL.indices(*(f"{side}_{name}" for name in (hip, knee, ankle)))
            joints[..., chain, 1] = torch.tensor([0.0, -0.4, -0.8])
    joints[..., SMPL.index("left_ankle"), 1] = -0.4 - 0.4 * np.cos(knee_rad)
    joints[..., SMPL.index("left_ankle"), 2] = -0.4 * np.sin(knee_rad)
    return joints


@pytest.mark.parametrize("bend", [0.0, 0.3, 2.0])
def test_bends_of_knees_and_elbows_are_measured(bend):
    assert np.allclose(losses.bends(legs(bend))[0, 0].numpy(), [bend, 0, 0, 0], atol=1e-5)


def test_the_loss_of_bends_is_least_at_the_most_frequent_one():
    """Straight seven times of ten: the mean is bent by 16 degrees, the mode is not."""
    true = torch.cat([legs(bend) for bend in (*[0.0] * 7, 0.8, 0.9, 1.1)])
    said = np.linspace(0, 1.2, 61)
    costs = [float(losses.bend_losses(legs(bend), true).mean()) for bend in said]
    assert said[np.argmin(costs)] < 0.02
    means = [np.mean((losses.bends(true)[..., 0].numpy() - bend) ** 2) for bend in said]
    assert said[np.argmin(means)] == pytest.approx(0.28, abs=0.02)


def test_bends_teach_straight_limbs_too():
    """No gradient is lost, or not a number, where a limb is straight."""
    joints = legs(0.0).requires_grad_()
    losses.bend_losses(joints, legs(0.5)).sum().backward()
    assert joints.grad is not None
    assert torch.isfinite(joints.grad).all()
    bent = legs(0.1).requires_grad_()
    losses.bend_losses(bent, legs(0.0)).sum().backward()
    assert bent.grad is not None
    assert bent.grad.abs().max() > 0.1
