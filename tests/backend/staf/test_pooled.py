"""Every row of the paper's tables can be built, runs, and does what its name says."""

import pytest
import torch

from staf_backend.staf import TABLE_IV, TABLE_V, TABLE_VI, PooledConfig, StafConfig
from staf_backend.staf.pooled import PooledNetwork
from tests.support import parity_network


def _network(config: PooledConfig) -> PooledNetwork:
    torch.manual_seed(9)
    network = PooledNetwork(config, parity_network.mean_params())
    torch.nn.init.xavier_uniform_(network.regressor.pose.weight, gain=0.3)
    return network.eval().requires_grad_(False)


def test_the_papers_own_network_is_in_the_tables() -> None:
    assert TABLE_IV["base + STAF + APM"] == TABLE_VI["TCFM1 + SAFM2"] == StafConfig()
    assert len(TABLE_IV) == 4
    assert len(set(TABLE_VI.values())) == len(TABLE_VI) == 12


@pytest.mark.parametrize("name", TABLE_V)
def test_networks_on_pooled_features_run_sample_by_sample(name: str) -> None:
    network = _network(TABLE_V[name])
    windows = torch.cat([parity_network.window("a", 0), parity_network.window("b", 0)])
    together, alone = network(windows), network(windows[1:])
    assert together.rotations.shape == (2, 24, 3, 3)
    torch.testing.assert_close(together.pose6d[1:], alone.pose6d, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", TABLE_V)
def test_neighbours_matter_unless_it_is_plain_hmr(name: str) -> None:
    network, window = _network(TABLE_V[name]), parity_network.window("a", 0)
    changed = window.clone()
    changed[:, 0] += 1
    moved = (network(window).pose6d - network(changed).pose6d).abs().max()
    assert (moved > 1e-6) == (name != "HMR")


def test_averaging_does_not_care_about_order_and_hafi_does() -> None:
    window = parity_network.window("a", 0)
    for name, cares in (("HMR + APM", False), ("HMR + HAFI", True)):
        network = _network(TABLE_V[name])
        moved = (network(window).pose6d - network(window.flip(1)).pose6d).abs().max()
        assert (moved > 1e-5) == cares


def test_the_regressor_is_used_three_times() -> None:
    network, count = _network(PooledConfig()), []
    network.regressor.register_forward_hook(lambda *_: count.append(1))
    network(parity_network.window("a", 0))
    assert len(count) == 3


def _size(name: str) -> int:
    """How many numbers a row's network learns, the encoder not counted."""
    return sum(parameter.numel() for parameter in _network(TABLE_V[name]).parameters())


def test_sizes_add_up() -> None:
    hmr = _size("HMR")
    assert hmr == (2048 + 157) * 1024 + 1024 + 1024 * 1024 + 1024 + 157 * 1025
    moca = 4 * 2048 * 1024 + 2
    hafi = 2048 * 256 + 256 + 768 * 256 + 256 + 256 * 256 + 256 + 3 * 256 + 3
    assert _size("MPS-Net with HAFI") == hmr + moca + hafi


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"integration": "mean"}, "integration"),
        ({"frames": 4}, "odd"),
        ({"integration": "HAFI", "frames": 7}, "SAFM fuses"),
    ],
)
def test_what_cannot_be_built_is_refused(arguments: dict, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        PooledConfig(**arguments)


def test_other_windows_are_refused() -> None:
    with pytest.raises(ValueError, match="maps must be"):
        _network(PooledConfig())(torch.zeros(1, 9, 2048))
