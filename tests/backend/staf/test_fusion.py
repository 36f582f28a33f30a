"""APM, TCFM and SAFM equal the authors' modules; samples of a batch never mix unless asked to."""

import numpy as np
import pytest
import torch

from staf_backend.staf import StafConfig
from staf_backend.staf.fusion import Safm, Tcfm, average_target
from tests.support import parity_network
from tests.support import parity_recipe as recipe


@pytest.fixture(scope="module")
def tcfm() -> Tcfm:
    module = parity_network.staf().tcfm
    assert module is not None
    return module


@pytest.fixture(scope="module")
def safm() -> Safm:
    module = parity_network.staf().safm
    assert module is not None
    return module


@pytest.fixture(scope="module")
def clips() -> torch.Tensor:
    return torch.from_numpy(np.stack([recipe.tcfm_input(sample) for sample in range(4)]))


def test_apm_averages_all_nine_and_copies() -> None:
    maps = torch.rand(2, 9, 3, 2, 2)
    before = maps.clone()
    averaged = average_target(maps)
    torch.testing.assert_close(averaged[:, 4], before.mean(1))
    keep = [0, 1, 2, 3, 5, 6, 7, 8]
    torch.testing.assert_close(averaged[:, keep], before[:, keep], rtol=0, atol=0)
    torch.testing.assert_close(maps, before, rtol=0, atol=0)


def test_tcfm_is_the_papers_per_sample(tcfm: Tcfm, clips: torch.Tensor) -> None:
    refined, attention = tcfm(clips)
    expected = recipe.fixture("tcfm")
    for name, matrix in zip(("M_sim", "M_con", "M_g"), attention, strict=True):
        np.testing.assert_allclose(matrix, expected[f"paper/{name}"], atol=1e-5)
    thinned = [recipe.every(sample, 11) for sample in refined.numpy()]
    np.testing.assert_allclose(thinned, expected["paper/out"], atol=1e-5)


def test_tcfm_can_mix_the_batch_as_the_released_code_does(clips: torch.Tensor) -> None:
    mixing = parity_network.staf(StafConfig(tcfm_batching="authors")).tcfm
    assert mixing is not None
    refined, attention = mixing(clips)
    expected = recipe.fixture("tcfm")
    np.testing.assert_allclose(attention.fused, expected["code_batch4/M_g"], atol=1e-5)
    thinned = [recipe.every(sample, 11) for sample in refined.numpy()]
    np.testing.assert_allclose(thinned, expected["code_batch4/out"], atol=1e-5)


def test_tcfm_alone_equals_in_a_batch(tcfm: Tcfm, clips: torch.Tensor) -> None:
    together, _ = tcfm(clips)
    for number in range(4):
        alone, _ = tcfm(clips[number : number + 1])
        torch.testing.assert_close(together[number : number + 1], alone, atol=1e-6, rtol=1e-5)


def test_tcfm_of_one_repeated_frame_looks_at_all_equally(tcfm: Tcfm, clips: torch.Tensor) -> None:
    _, attention = tcfm(clips[:1, :1].expand(1, 9, -1))
    for matrix in attention:
        torch.testing.assert_close(matrix, torch.full((1, 9, 9), 1 / 9))


def test_tcfm_stays_in_float32_under_autocast(tcfm: Tcfm, clips: torch.Tensor) -> None:
    plain, _ = tcfm(clips)
    with torch.autocast("cpu", torch.bfloat16):
        refined, _ = tcfm(clips)
    torch.testing.assert_close(refined, plain, rtol=0, atol=0)


def test_safm_is_the_authors(safm: Safm) -> None:
    features = torch.from_numpy(np.stack([recipe.safm_input(sample) for sample in range(3)]))
    fused, scores = safm(features)
    expected = recipe.fixture("units")
    np.testing.assert_allclose(scores, expected["safm/scores"], atol=1e-5)
    thinned = [recipe.every(sample, 5) for sample in fused.numpy()]
    np.testing.assert_allclose(thinned, expected["safm/out"], atol=1e-5)


def test_safm_of_one_repeated_frame_returns_it(safm: Safm) -> None:
    feature = torch.from_numpy(recipe.safm_input(0)[:1])
    fused, _ = safm(feature.expand(1, 9, -1))
    torch.testing.assert_close(fused, feature)


def test_safm_serves_other_powers_of_three(safm: Safm) -> None:
    features = torch.rand(2, 27, 2155)
    fused, scores = safm(features)
    assert scores.shape == (2, 9 + 3 + 1, 3)
    parts = torch.stack([safm(features[:, i : i + 9])[0] for i in (0, 9, 18)], 1)
    torch.testing.assert_close(fused, safm(parts)[0])


@pytest.mark.parametrize("frames", [1, 5, 8, 12, 16])
def test_safm_refuses_lengths_its_groups_cannot_serve(safm: Safm, frames: int) -> None:
    with pytest.raises(ValueError, match=f"not {frames}"):
        safm(torch.zeros(1, frames, 2155))


def test_unknown_batching_is_refused() -> None:
    with pytest.raises(ValueError, match="batching"):
        Tcfm(16, batching="mixed")  # pyright: ignore[reportArgumentType]
