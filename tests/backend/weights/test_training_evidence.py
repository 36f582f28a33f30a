"""Whether a network was trained, told from its weights alone."""

import torch

from staf_backend.weights.training_evidence import gather_evidence, is_initial
from tests.support import parity_network


def test_untrained_fusions_are_recognised() -> None:
    torch.manual_seed(0)
    fresh = parity_network.Staf(
        parity_network.StafConfig(), parity_network.body(), parity_network.mean_params()
    ).state_dict()
    evidence = gather_evidence(fresh, fresh)
    assert evidence.untrained == ("TCFM", "SAFM")
    assert evidence.early_stages_are_the_bases
    one_step = {
        k: v + 5e-5 * torch.sign(torch.randn_like(v))
        for k, v in fresh.items()
        if v.is_floating_point()
    }
    evidence = gather_evidence(one_step, fresh)
    assert evidence.trained == ("TCFM", "SAFM")
    assert not evidence.early_stages_are_the_bases
    assert any("never trained" in line for line in gather_evidence(fresh).sentences())


def test_initial_values_are_told_from_others_of_like_size() -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(2155, 256)
    assert is_initial(layer.weight)
    assert not is_initial(torch.randn(256, 2155) / 2155**0.5 / 3**0.5)
    assert not is_initial(0.9 * layer.weight)
