"""The windowed network equals the authors', stage by stage, in every configuration it can serve."""

from itertools import product

import numpy as np
import pytest
import torch

from staf_backend.staf import StafConfig
from staf_backend.staf.body import joints_14, project
from staf_backend.staf.network import Staf, StafOutputs
from tests.support import parity_network
from tests.support import parity_recipe as recipe
from tests.support.reference_body import joints_49

WINDOWS = {
    "full_a4": ("a", 0, 1),
    "full_a5": ("a", 1, 1),
    "full_a9": ("a", 5, 1),
    "edge_a0": ("a", 0, 0),
    "full_b4": ("b", 0, 1),
}


@pytest.fixture(scope="module", params=WINDOWS)
def run(request) -> tuple[str, StafOutputs, dict[str, np.ndarray]]:
    """A fixture window's name, outputs, and what passed between the modules."""
    network, hooks = parity_network.staf(), []
    seen: dict[str, np.ndarray] = {}
    assert network.tcfm is not None
    assert network.safm is not None

    def keep(module: torch.nn.Module, key: str) -> None:
        def hook(_module, _args, out) -> None:
            seen[key] = (out[0] if isinstance(out, tuple) else out).numpy()

        hooks.append(module.register_forward_hook(hook))

    for number, block in enumerate(network.deconv, 1):
        keep(block, f"deconv{number}")
    keep(network.points[0], "z")
    keep(network.tcfm, "z_ref")
    keep(network.safm, "safm_out")
    keep(network.points[2], "feat3")
    clip, first, step = WINDOWS[request.param]
    with torch.inference_mode():
        outputs = network(parity_network.window(clip, first, step=step))
    for hook in hooks:
        hook.remove()
    return request.param, outputs, seen


def _expected(name: str, key: str) -> np.ndarray:
    return recipe.fixture("staf")[f"{name}/{key}"]


def test_result_is_the_authors(run) -> None:
    name, outputs, _ = run
    result = outputs.result
    vertices_m = parity_network.vertices_m(result)[0, ::13]
    np.testing.assert_allclose(vertices_m, _expected(name, "verts"), atol=1e-5)
    np.testing.assert_allclose(result.rotations[0], _expected(name, "rotmat"), atol=1e-5)
    np.testing.assert_allclose(result.pose6d[0], _expected(name, "pose6d"), atol=1e-5)
    theta = parity_network.theta(result)[0]
    np.testing.assert_allclose(theta, _expected(name, "theta"), atol=2e-5)


def test_joints_and_their_projection_are_the_authors(run) -> None:
    name, outputs, _ = run
    result = outputs.result
    points = parity_network.body()(result.betas, result.rotations)
    data = recipe.parity_data()
    joints = joints_49(points, data["J_regressor_extra"])
    np.testing.assert_allclose(joints[0], _expected(name, "kp_3d"), atol=1e-5)
    projected = project(joints, result.camera)[0]
    np.testing.assert_allclose(projected, _expected(name, "kp_2d"), atol=1e-5)
    if name == "full_a4":
        lsp = joints_14(points.vertices_m, torch.from_numpy(data["J_regressor_h36m"]).float())
        np.testing.assert_allclose(lsp[0], _expected(name, "j14_kp_3d"), atol=1e-5)
        projected = project(lsp, result.camera)[0]
        np.testing.assert_allclose(projected, _expected(name, "j14_kp_2d"), atol=1e-5)


def test_every_stage_is_the_authors(run) -> None:
    name, outputs, _ = run
    for stage in (0, 1):
        theta = parity_network.theta(outputs.stages[stage])[0]
        np.testing.assert_allclose(theta, _expected(name, f"stage{stage}_theta"), atol=2e-5)


def test_attention_is_the_authors(run) -> None:
    name, outputs, _ = run
    for key, matrix in zip(("M_sim", "M_con", "M_g"), outputs.attention, strict=True):
        np.testing.assert_allclose(matrix[0], _expected(name, key), atol=1e-5)
    np.testing.assert_allclose(outputs.scores[0], _expected(name, "safm_scores"), atol=1e-5)


@pytest.mark.parametrize(
    ("key", "step"),
    [
        ("deconv1", 997),
        ("deconv2", 3989),
        ("deconv3", 1997),
        ("z", 29),
        ("z_ref", 29),
        ("safm_out", 7),
        ("feat3", 7),
    ],
)
def test_what_passes_between_the_modules_is_the_authors(run, key: str, step: int) -> None:
    name, _, seen = run
    np.testing.assert_allclose(recipe.every(seen[key], step), _expected(name, key), atol=1e-5)


def test_the_authors_batching_is_reproduced_on_request() -> None:
    windows = torch.cat(
        [
            parity_network.window(*WINDOWS[name][:2])
            for name in ("full_a4", "full_a5", "full_a9", "full_b4")
        ]
    )
    mixing = parity_network.staf(StafConfig(tcfm_batching="authors"))
    with torch.inference_mode():
        theta = parity_network.theta(mixing(windows).result)
    np.testing.assert_allclose(theta, recipe.fixture("staf")["compat_batch4/theta"], atol=2e-5)


def test_alone_equals_in_a_batch_and_the_input_is_not_written_to() -> None:
    network = parity_network.staf()
    windows = torch.cat([parity_network.window("a", 0), parity_network.window("b", 0)])
    before = windows.clone()
    with torch.inference_mode():
        together = network(windows).result
        alone = network(windows[1:]).result
    torch.testing.assert_close(windows, before, rtol=0, atol=0)
    torch.testing.assert_close(together.pose6d[1:], alone.pose6d, atol=2e-6, rtol=0)
    torch.testing.assert_close(together.camera[1:], alone.camera, atol=2e-6, rtol=0)


def test_autocast_stays_within_two_millimetres() -> None:
    network, window = parity_network.staf(), parity_network.window("a", 0)
    with torch.inference_mode():
        exact = parity_network.vertices_m(network(window).result)
        with torch.autocast("cpu", torch.bfloat16):
            result = network(window).result
    assert result.rotations.dtype == torch.float32
    distance_m = (parity_network.vertices_m(result) - exact).norm(dim=-1).mean()
    assert 0 < distance_m < 0.002


STAGES = (None, 1, 2, 3)


@pytest.mark.parametrize("apm", [True, False])
@pytest.mark.parametrize(("tcfm", "safm"), list(product(STAGES, STAGES)))
def test_every_table_configuration_runs(apm: bool, tcfm: int | None, safm: int | None) -> None:
    config = StafConfig(channels=8, average_target=apm, tcfm_stage=tcfm, safm_stage=safm)
    network = parity_network.random_staf(config)
    with torch.inference_mode():
        outputs = network(parity_network.window("a", 0))
    last = max(tcfm or 0, safm or 0)
    for stage, params in enumerate(outputs.stages, 1):
        fused_here = safm == stage and last == stage
        frames = 9 if last >= stage and not fused_here else 1
        assert params.pose6d.shape == (1, frames, 144)
    assert outputs.result.rotations.shape == (1, 24, 3, 3)
    assert torch.isfinite(outputs.result.pose6d).all()
    assert (outputs.attention is None) == (tcfm is None)
    assert (outputs.scores is None) == (safm is None)


@pytest.mark.parametrize(
    ("config", "neighbours_matter"),
    [
        (StafConfig(channels=8, average_target=False, tcfm_stage=None, safm_stage=None), False),
        (StafConfig(channels=8, tcfm_stage=None, safm_stage=None), True),
        (StafConfig(channels=8, average_target=False, tcfm_stage=None, safm_stage=3), True),
        (StafConfig(channels=8, average_target=False, tcfm_stage=3, safm_stage=None), True),
        (StafConfig(channels=8, average_target=False, tcfm_stage=3, safm_stage=1), True),
    ],
)
def test_neighbours_matter_exactly_where_a_fusion_reads_them(config, neighbours_matter) -> None:
    network = parity_network.random_staf(config)
    window = parity_network.window("a", 0)
    changed = window.clone()
    changed[:, 7] += 1
    with torch.inference_mode():
        moved = (network(window).result.pose6d - network(changed).result.pose6d).abs().max()
    assert (moved > 1e-6) == neighbours_matter


@pytest.mark.parametrize("frames", [1, 3, 5, 27])
def test_other_odd_windows_work(frames: int) -> None:
    safm = 2 if frames in (3, 27) else None
    network = parity_network.random_staf(StafConfig(frames=frames, channels=8, safm_stage=safm))
    with torch.inference_mode():
        outputs = network(parity_network.window("a", 0, frames))
    assert outputs.stages[0].camera.shape == (1, frames, 3)


def test_each_stage_learns_only_from_its_own_result() -> None:
    network = parity_network.random_staf(StafConfig(channels=8)).train().requires_grad_(True)
    maps = torch.cat([parity_network.window("a", 0), parity_network.window("b", 0)])
    network(maps).stages[1].pose6d.sum().backward()
    assert network.safm is not None
    assert network.safm.embed.weight.grad is not None
    assert network.regressors[0].fc1.weight.grad is None  # pyright: ignore
    assert network.regressors[2].fc1.weight.grad is None  # pyright: ignore


def test_parameters_are_counted_as_the_module_says() -> None:
    networks = (parity_network.staf(), parity_network.encoder())
    count = sum(p.numel() for network in networks for p in network.parameters())
    assert count == 55_496_067
    assert count + 3 * 64 * 82 == 55_511_811


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"frames": 8}, "frames must be odd"),
        ({"frames": 0}, "frames must be a whole number"),
        ({"frames": 9.0}, "frames must be a whole number"),
        ({"frames": 3486784401}, "frames must be a whole number"),
        ({"frames": 5}, "SAFM fuses"),
        ({"tcfm_stage": 4}, "tcfm_stage"),
        ({"safm_stage": 0}, "safm_stage"),
        ({"channels": 0}, "channels must be a whole number"),
        ({"average_target": 1}, "average_target"),
        ({"tcfm_batching": "all"}, "tcfm_batching"),
    ],
)
def test_what_cannot_be_built_is_refused(arguments: dict, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        StafConfig(**arguments)


@pytest.mark.parametrize(
    "shape", [(1, 8, 2048, 7, 7), (9, 2048, 7, 7), (1, 9, 2048), (1, 9, 512, 7, 7)]
)
def test_other_windows_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"must be \(B, 9, 2048, 7, 7\)"):
        parity_network.staf()(torch.zeros(shape))


def test_a_body_with_other_alignment_points_is_refused() -> None:
    with pytest.raises(ValueError, match="431 alignment vertices, not 100"):
        Staf(StafConfig(mesh_points=100), parity_network.body(), parity_network.mean_params())
