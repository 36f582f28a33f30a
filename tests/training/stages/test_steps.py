"""A step of either stage: everything learns that should, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tensorboard")
from staf_backend.staf import TABLE_V  # noqa: E402
from staf_backend.staf.any_network import make_network  # noqa: E402
from staf_backend.staf.pooled import PooledNetwork  # noqa: E402
from tests.support import make_stages as made  # noqa: E402
from tests.support.make_stages import moved  # noqa: E402
from training import stage_image, stage_video  # noqa: E402
from training.model import LossConfig  # noqa: E402
from training.run import RunError, networks  # noqa: E402
from training.targets import ImageBatch, Targets, WindowBatch  # noqa: E402


def batch(count: int, frames: int | None, channels: int = 0) -> ImageBatch | WindowBatch:
    people = [made.people(frames or 1, seed) for seed in range(count)]
    targets = made.tensors(Targets(*map(np.stack, zip(*people))))
    rng = torch.Generator().manual_seed(0)
    if frames is None:
        crops = torch.randint(256, (count, 224, 224, 3), dtype=torch.uint8, generator=rng)
        return ImageBatch(crops, targets.map(lambda field: field[:, 0]))
    maps = torch.rand(count, frames, channels, 7, 7, generator=rng)
    return WindowBatch(maps.half(), targets)


def test_one_step_of_stage_1_moves_every_parameter():
    objective = stage_image.make_objective(made.IMAGE, made.CPU)
    went, stayed = moved(objective, batch(2, None))
    assert stayed == set()
    assert {name.split(".")[0] for name in went} == {"encoder", "network", "dense"}


@pytest.mark.parametrize("gain", [1.0, 0.01])
def test_one_step_of_stage_2_moves_every_parameter(base, gain: float):
    config = made.video_config(base, fusion_gain=gain)
    objective = stage_video.make_objective(config, base, made.CPU)
    went, stayed = moved(objective, batch(2, 9, base.network.map_channels))
    assert stayed == set()
    modules = {".".join(name.split(".")[1:3]) for name in went}
    assert modules >= {
        "tcfm.query",
        "tcfm.mix",
        "safm.embed",
        "safm.score",
        *(f"{part}.{i}" for part in ("deconv", "points", "regressors") for i in range(3)),
    }


def test_supervising_the_last_stage_leaves_what_the_released_trainer_leaves(base):
    """Reference section 9.1: no gradient for the fusions, two regressors and two point MLPs."""
    losses = replace(LossConfig.released_video(), smpl_sets=None)
    config = made.video_config(base, losses=losses)
    objective = stage_video.make_objective(config, base, made.CPU)
    _, stayed = moved(objective, batch(2, 9, base.network.map_channels))
    modules = {".".join(name.split(".")[1:]) for name in stayed}
    idle = ("tcfm.", "safm.", "points.0.", "points.1.", "regressors.0.", "regressors.1.")
    every = {name.removeprefix("network.") for name, _ in objective.named_parameters()}
    assert modules == {name for name in every if name.startswith(idle)}


@pytest.mark.parametrize("name", TABLE_V)
def test_rows_of_table_v_learn(name, base):
    config = made.video_config(base, network=stage_video.row(name, base))
    objective = stage_video.make_objective(config, base, made.CPU)
    assert isinstance(objective.network, PooledNetwork)
    _, stayed = moved(objective, batch(2, 9, base.network.map_channels))
    assert stayed == set()


@pytest.mark.parametrize("encoder", ["blazepose-full", "resnet50"])
def test_a_frozen_encoder_stays_in_stage_1(encoder):
    """Running means of its normalisations included."""
    config = replace(made.IMAGE, encoder=encoder, encoder_rate=0.0)
    objective = stage_image.make_objective(config, made.CPU)
    groups = stage_image._groups(config, objective)
    trained = {id(p) for group in groups for p in group["params"]}
    assert not trained & {id(p) for p in objective.encoder.parameters()}
    assert trained == {id(p) for p in objective.parameters() if p.requires_grad}
    before = {name: tensor.clone() for name, tensor in objective.encoder.state_dict().items()}
    objective.train()(batch(2, None))
    after = objective.encoder.state_dict()
    assert all(torch.equal(before[name], tensor) for name, tensor in after.items())
    assert objective.network.training


def test_stage_2_begins_with_all_of_the_base_but_the_fusions(base):
    config = made.video_config(base)
    state = stage_video.make_objective(config, base, made.CPU).network.state_dict()
    fresh = {name for name in state if name.startswith(networks.FRESH)}
    assert state.keys() - fresh == base.tensors.keys()
    assert all(torch.equal(state[name], tensor) for name, tensor in base.tensors.items())


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda t: t.pop("deconv.1.conv.weight"), r"missing: deconv\.1\.conv\.weight"),
        (
            lambda t: t.update({"tcfm.mix.weight": torch.zeros(1, 2)}),
            r"unexpected: tcfm\.mix\.weight",
        ),
        (lambda t: t.update({"mean_camera": torch.zeros(4)}), "misshapen: mean_camera"),
        (lambda t: t["mean_betas"].fill_(float("nan")), "not finite: mean_betas"),
    ],
)
def test_a_base_that_is_not_quite_one_is_refused(harm, message, base):
    tensors = {name: tensor.clone() for name, tensor in base.tensors.items()}
    harm(tensors)
    broken = replace(base, tensors=tensors)
    with pytest.raises(RunError, match=message):
        networks.load_base(
            make_network(
                made.network(base), networks.body_tables("open-neutral"), networks.start_values()
            ),
            broken,
        )
