"""Our Muon is PyTorch's, but for the precision in which it makes matrices orthogonal."""

import pytest
import torch

from training.lifting.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(8, 24), (24, 8), (6, 6)])
def test_its_steps_are_pytorchs(shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(shape, generator=generator)
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    optimisers = (
        Muon([ours], 0.02, 0.1),
        torch.optim.Muon([theirs], 0.02, 0.1, adjust_lr_fn="match_rms_adamw"),
    )
    for _ in range(3):
        gradient = torch.randn(shape, generator=generator)
        for parameter, optimiser in zip((ours, theirs), optimisers, strict=True):
            parameter.grad = gradient.clone()
            optimiser.step()
    moved, expected = (ours - start).flatten(), (theirs - start).flatten()
    assert torch.cosine_similarity(moved, expected, 0) > 0.999  # bfloat16 has three digits
    assert 0.99 < moved.norm() / expected.norm() < 1.01


def test_singular_values_come_near_one() -> None:
    matrix = torch.randn(12, 30, generator=torch.Generator().manual_seed(1))
    values = torch.linalg.svdvals(orthogonal(matrix, (3.4445, -4.7750, 2.0315), 5, 1e-7))
    assert (values > 0.5).all()
    assert (values < 1.5).all()
