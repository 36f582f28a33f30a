"""What the figures show, as numbers: agree with the network, with paper and pencil, and time."""

import numpy as np
import pytest
import torch

from staf_backend.staf import PooledConfig, StafConfig
from staf_backend.staf.body import project
from staf_backend.staf.network import Staf, StageParams
from tests.support import parity_network
from tests.support.make_training_videos import SMALL, WIDTH, made_maps, small_network
from training.drawing import numbers

MAPS = made_maps("figures", 9)[None]


def test_matrices_are_the_fusions_and_their_mix_makes_the_last():
    network = small_network(SMALL)
    matrices = numbers.attention_matrices(network, MAPS)
    assert matrices is not None
    names = list(matrices)
    assert names == ["M_sim", "M_con", "w0 M_sim + w1 M_con", "M_g"]
    mixed = np.exp(matrices[names[2]])
    np.testing.assert_allclose(matrices["M_g"], mixed / mixed.sum(1, keepdims=True), atol=1e-6)
    fused = network(MAPS).attention.fused[0].numpy()
    np.testing.assert_array_equal(matrices["M_g"], fused)


def test_a_network_without_the_module_has_no_matrices():
    config = StafConfig(channels=16, map_channels=WIDTH, tcfm_stage=None)
    assert numbers.attention_matrices(small_network(config), MAPS) is None


@pytest.mark.parametrize(
    ("config", "modules"),
    [
        (SMALL, {"TCFM", "SAFM", "APM"}),
        (PooledConfig(map_channels=WIDTH), set()),
        (PooledConfig("APM", map_channels=WIDTH), {"APM"}),
        (PooledConfig("HAFI", moca=True, map_channels=WIDTH), {"MoCA", "HAFI"}),
    ],
)
def test_weights_of_frames_sum_to_one(config, modules):
    weights = numbers.frame_weights(small_network(config), MAPS)
    assert set(weights) == modules
    for values in weights.values():
        assert values.shape == (9,)
        assert values.sum() == pytest.approx(1, abs=1e-6)


def test_weights_of_groups_multiply_along_the_levels():
    scores = np.array([[0.2, 0.3, 0.5], [1, 0, 0], [0, 0, 1], [0.5, 0.4, 0.1]])
    expected = [0.1, 0.15, 0.25, 0.4, 0, 0, 0, 0, 0.1]
    np.testing.assert_allclose(numbers.products(scores, 9), expected)
    np.testing.assert_allclose(numbers.products(scores[:1], 3), scores[0])


def test_meshes_are_where_the_network_projects_them():
    network = small_network(SMALL)
    assert isinstance(network, Staf)
    meshes = numbers.meshes_by_stage(network, MAPS)
    assert list(meshes) == ["mean", "regressor 1", "regressor 2", "regressor 3"]
    result = network(MAPS).result
    vertices = network.body(result.betas, result.rotations).vertices_m
    expected = project(vertices, result.camera)[0].numpy()
    np.testing.assert_allclose(meshes["regressor 3"].points, expected, atol=1e-4)
    assert not np.allclose(meshes["mean"].points, meshes["regressor 1"].points)


def test_acceleration_of_a_turn_that_begins_at_once():
    body = parity_network.body()
    frames, begins = 8, 4
    angles = np.maximum(np.arange(frames) - begins, 0) * 0.1
    still = torch.eye(3).repeat(frames, 24, 1, 1)
    turned = still.clone()
    cos, sin = torch.from_numpy(np.cos(angles)).float(), torch.from_numpy(np.sin(angles)).float()
    turned[:, 16, 0, 0], turned[:, 16, 0, 1] = cos, -sin
    turned[:, 16, 1, 0], turned[:, 16, 1, 1] = sin, cos
    found = [
        numbers.accelerations_mm(
            body.tables,
            StageParams(
                torch.zeros(frames, 144), torch.zeros(frames, 10), torch.zeros(frames, 3), r
            ),
        )
        for r in (still, turned)
    ]
    assert np.isnan(found[0][[0, -1]]).all()
    np.testing.assert_allclose(found[0][1:-1], 0, atol=1e-3)
    assert np.nanargmax(found[1]) == begins
    np.testing.assert_allclose(found[1][1 : begins - 1], 0, atol=1e-3)


def test_numbers_are_json_with_none_for_what_is_not_there():
    assert numbers.plain({"a": np.array([np.nan, 1.5])}) == {"a": [None, 1.5]}
