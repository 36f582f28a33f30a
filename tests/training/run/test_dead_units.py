"""The share of features that live, against a count made stage by stage."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tensorboard")

from staf_backend.staf.network import Staf  # noqa: E402
from tests.support import make_stages as made  # noqa: E402
from training import stage_video  # noqa: E402
from training.run import run_folder, score  # noqa: E402
from training.run.dead_units import watched  # noqa: E402
from training.targets import PosedJoints  # noqa: E402


@pytest.fixture(scope="module")
def base():
    return made.base()


@pytest.fixture
def network(base) -> Staf:
    config = made.video_config(
        base, network=made.network(base, frames=1, tcfm_stage=None, safm_stage=None)
    )
    network = stage_video.make_objective(config, base, made.CPU).network
    assert isinstance(network, Staf)
    return network.eval()


@pytest.fixture
def maps(network):
    rng = torch.Generator().manual_seed(3)
    return torch.rand(6, 1, network.config.map_channels, 7, 7, generator=rng)


def kill(network: Staf, stage: int) -> None:
    """What too high a rate does to a stage."""
    last = network.points[stage - 1].get_submodule("conv2").get_parameter("bias")
    with torch.no_grad():
        last.fill_(-1e3)


def shares(network: Staf, *batches) -> dict[str, float]:
    with watched(network) as counts, torch.no_grad():
        for batch in batches:
            network(batch)
    return counts.shares()


def test_shares_are_those_counted_by_hand(network, maps):
    features = {}
    for stage, module in enumerate(network.points, 1):
        module.register_forward_hook(lambda _, __, out, stage=stage: features.update({stage: out}))
    with torch.no_grad():
        network(maps)
    by_hand = {f"living_{s}": float((out > 0).double().mean()) for s, out in features.items()}
    assert 0.05 < by_hand["living_1"] < 0.95
    found = shares(network, maps[:4], maps[4:])
    assert found.keys() == by_hand.keys()
    assert all(found[name] == pytest.approx(share, abs=1e-3) for name, share in by_hand.items())


def test_dead_stage_is_told(network, maps, caplog):
    assert shares(network, maps)["living_2"] > 0.01
    assert "passes nothing on" not in caplog.text
    kill(network, 2)
    found = shares(network, maps)
    assert found["living_2"] == 0
    assert found["living_1"] > 0.05
    assert "stage 2 passes nothing on" in caplog.text


def test_compiled_network_is_watched_too(network, maps):
    alone = shares(network, maps)
    calls = []

    def compiler(graph, _inputs):
        calls.append(graph)
        return graph.forward

    network.compile(backend=compiler)
    with torch.no_grad():
        network(maps)
    assert calls, "the network runs compiled"
    assert shares(network, maps) == alone


def test_hooks_are_gone_afterwards(network, maps):
    with pytest.raises(ValueError, match="maps must be"):
        shares(network, maps[:, 0])
    assert not any(module._forward_hooks for module in network.modules())


@pytest.mark.slow
def test_validation_reports_it(base, tmp_path):
    given = made.caches(base, tmp_path / "maps")
    config = made.video_config(base)
    stage_video.train_video(config, given, base, tmp_path / "run", made.CPU)
    (scores,) = [one["scores"] for one in run_folder.reports(tmp_path / "run") if "scores" in one]
    assert scores.keys() == {"mpjpe_mm", "pa_mpjpe_mm", "living_1", "living_2", "living_3"}
    assert all(0 < scores[f"living_{stage}"] < 1 for stage in (1, 2, 3))


@pytest.mark.slow
def test_network_without_stages_is_only_scored(base, tmp_path):
    given = made.caches(base, tmp_path / "maps")
    config = made.video_config(base, network=stage_video.row("HMR + HAFI", base))
    network = stage_video.make_objective(config, base, made.CPU).network.eval()
    assert given.validation is not None
    windows = stage_video.target_windows(given.validation, config.network.frames, 3, 4)
    joints = PosedJoints(stage_video.networks.body_tables("open-neutral"))
    with torch.no_grad():
        assert score(network, joints, windows, made.CPU).keys() == {"mpjpe_mm", "pa_mpjpe_mm"}
