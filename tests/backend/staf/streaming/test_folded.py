"""The pieces of the inference form equal the trained modules they were folded from."""

import pytest
import torch

from staf_backend.staf import StafConfig
from staf_backend.staf.network import Regressor, StageParams
from staf_backend.staf.sampling import PointMlp
from staf_backend.staf.streaming.folded import (
    FoldedPoints,
    FoldedStaf,
    affine_form,
    split_params,
    weighted_rows,
    weighted_rows_by_gather,
)
from tests.support import parity_network


def test_a_regressor_is_one_affine_map() -> None:
    torch.manual_seed(5)
    regressor = Regressor(20).eval()
    features, start = torch.randn(4, 20), split_params(torch.randn(4, 157))
    x = torch.cat([features, start.pose6d, start.betas, start.camera], 1)
    matrix, offset = affine_form(regressor)
    expected: StageParams = regressor(features, start)
    ours = split_params(x[:, 20:] + (x.double() @ matrix.T + offset).float())
    for mine, theirs in zip(ours, expected, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)


def test_the_linear_part_may_run_before_sampling() -> None:
    torch.manual_seed(6)
    mlp = PointMlp(32)
    folded, samples = FoldedPoints(mlp), torch.randn(3, 32, 10)
    ours = folded.tail(folded.linear(samples.mT)).mT.flatten(1)
    torch.testing.assert_close(ours, mlp(samples), atol=1e-6, rtol=1e-5)


def test_weighted_rows_agree_on_every_device_path() -> None:
    table, index, weight = torch.randn(50, 7), torch.randint(50, (20, 4)), torch.rand(20, 4)
    expected = torch.einsum("mk,mkc->mc", weight, table[index])
    torch.testing.assert_close(weighted_rows(table, index, weight), expected)
    torch.testing.assert_close(weighted_rows_by_gather(table, index, weight), expected)


@pytest.fixture(scope="module")
def folded() -> FoldedStaf:
    return FoldedStaf(parity_network.staf())


@pytest.mark.parametrize("shift", [0.0, 0.9, 50.0], ids=["inside", "half outside", "outside"])
def test_sparse_stage_three_is_the_dense_one(folded: FoldedStaf, shift: float) -> None:
    with torch.inference_mode():
        before = folded.before_relu(parity_network.window("a", 0, frames=2)[0])
        rows, second = folded.frame_rows(before)
        vectors, places = rows.vectors[:, None], torch.tensor([[0], [1]])
        folded.get_buffer("offset_1")[-2] += (
            shift  # the second stage's camera looks past the person
        )
        sparse, dense = (
            folded.window_params(vectors, rows.linear, places, second, sparse=sparse)
            for sparse in (True, False)
        )
        folded.get_buffer("offset_1")[-2] -= shift
    torch.testing.assert_close(sparse.pose6d, dense.pose6d, atol=2e-6, rtol=0)


@pytest.mark.parametrize(
    "config",
    [
        StafConfig(channels=8, tcfm_stage=2),
        StafConfig(channels=8, safm_stage=None),
        StafConfig(channels=8, tcfm_batching="authors"),
    ],
)
def test_what_cannot_be_streamed_is_refused(config: StafConfig) -> None:
    with pytest.raises(ValueError, match="streamed"):
        FoldedStaf(parity_network.random_staf(config))
