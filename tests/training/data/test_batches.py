"""Batches: shares, epochs, ranks, foreign betas, and the same in every process."""

from itertools import chain
from typing import Any

import numpy as np
import pytest
import torch

from tests.support import make_feeding as made
from tests.support.make_feeding import ENCODER, Worn, starts
from training.data.batches import BLOCK, ImageMix, WindowMix, loaded, threaded
from training.data.feature_cache import FeatureCache, build_cache
from training.datasets import SetError


@pytest.fixture(scope="module")
def cache_2d(tmp_path_factory) -> FeatureCache:
    folder = tmp_path_factory.mktemp("caches") / "2d"
    return build_cache(made.Sequences((40,), kind="2d", body="none", name="wild"), ENCODER, folder)


def test_a_window_batch_has_the_papers_share(cache, cache_2d) -> None:
    mix = WindowMix([cache_2d], [cache], batch=32)
    sources = [source for source, _ in starts(mix, range(1))]
    assert sources == ["wild"] * 19 + ["made"] * 13
    batch = mix.batch(0)
    assert batch.targets.has_pose[:, 0].tolist() == [0.0] * 19 + [1.0] * 13
    (first, start) = mix.samples(0)[20]
    np.testing.assert_array_equal(batch.maps[20].numpy(), first.maps[start : start + 9])
    np.testing.assert_array_equal(batch.targets.betas[20], first.targets.betas[start : start + 9])


def test_every_window_comes_once_an_epoch(cache) -> None:
    mix = WindowMix([], [cache], batch=5, stride=1)
    drawn = starts(mix, range(68))
    for epoch in range(10):
        part = drawn[epoch * 34 : (epoch + 1) * 34]
        assert sorted(start for _, start in part) == cache.windows(9, 1).tolist()
    assert drawn[:34] != drawn[34:68]


def test_a_batch_is_a_function_of_seed_and_step_alone(cache, cache_2d) -> None:
    one, other = (WindowMix([cache_2d], [cache], batch=10, seed=3) for _ in range(2))
    forward = [starts(one, range(step, step + 1)) for step in range(8)]
    backward = [starts(other, range(step, step + 1)) for step in reversed(range(8))]
    assert forward == backward[::-1]
    assert forward != [
        starts(WindowMix([cache_2d], [cache], batch=10, seed=4), range(s, s + 1)) for s in range(8)
    ]


def test_ranks_share_one_batch(cache, cache_2d) -> None:
    mix = WindowMix([cache_2d], [cache], batch=8)
    whole = mix.batch(5)
    parts = [mix.batch(5, rank, 2) for rank in range(2)]
    for rank, part in enumerate(parts):
        assert torch.equal(part.maps, whole.maps[rank::2])
        for ours, all_ranks in zip(part.targets, whole.targets):
            assert torch.equal(ours, all_ranks[rank::2])
    with pytest.raises(ValueError, match="cannot share"):
        mix.batch(0, 0, 3)
    with pytest.raises(ValueError, match="cannot share"):
        mix.batch(0, 2, 2)


def test_mixes_of_nothing_or_of_two_encoders_are_refused(cache, cache_2d, tmp_path) -> None:
    other = build_cache(made.Sequences((20,)), made.tiny_encoder(seed=9), tmp_path / "other")
    with pytest.raises(ValueError, match="one encoder"):
        WindowMix([other], [cache])
    with pytest.raises(ValueError, match="one encoder"):
        WindowMix([], [])
    with pytest.raises(ValueError, match="as long as a window"):
        WindowMix([], [cache], frames=81)
    with pytest.raises(ValueError, match="no sequence of made is as long"):
        WindowMix([cache_2d], [cache], frames=39)  # nor is the share that was asked for given up
    with pytest.raises(ValueError, match=r"within 0\.\.1"):
        WindowMix([], [cache], share_2d=1.2)


def test_foreign_betas_are_masked(cache, cache_2d) -> None:
    known = WindowMix([cache_2d], [cache], body="open-neutral").batch(0).targets
    assert known.has_betas[19:].all()
    foreign = WindowMix([cache_2d], [cache], body="smpl-neutral").batch(0).targets
    assert not foreign.has_betas.any()
    assert not foreign.betas.any()
    assert foreign.has_pose[19:].all()


@pytest.mark.parametrize("way", ["mask", "keep"])
def test_betas_of_the_models_other_genders_may_be_kept(cache, tmp_path, way: Any) -> None:
    """Those of the open body are masked in either case."""
    worn = build_cache(Worn((30, 30), body="smpl-gendered"), ENCODER, tmp_path / "c")
    mix = WindowMix([], [worn, cache], batch=8, body="smpl-neutral", foreign_betas=way)
    targets = mix.batch(0).targets
    theirs = torch.tensor([one is worn for one, _ in mix.samples(0)])
    assert set(theirs.tolist()) == {True, False}
    known = theirs & (way == "keep")
    assert torch.equal(targets.has_betas.bool().all(1), known)
    assert torch.equal(targets.betas.abs().sum((1, 2)) > 0, known)
    assert targets.has_pose.all()


def test_other_words_for_foreign_betas_are_refused(cache) -> None:
    drop: Any = "drop"
    with pytest.raises(ValueError, match="mask or keep"):
        WindowMix([], [cache], foreign_betas=drop)


def image_mix(**options) -> ImageMix:
    sources = [made.Images(100, 1), made.Images(40, 2), made.Images(7, 3, "smpl-male")]
    return ImageMix(sources, (0.5, 0.2, 0.3), 10, **{"seed": 0, **options})


def test_images_keep_their_shares_and_epochs() -> None:
    mix = image_mix()
    drawn = list(chain.from_iterable(mix.samples(step) for step in range(2 * BLOCK // 10)))
    for block in (drawn[:BLOCK], drawn[BLOCK:]):
        assert np.bincount([pool for pool, _ in block]).tolist() == [500, 200, 300]
    first = [[index for pool, index in drawn if pool == number] for number in range(3)]
    for row, size in zip(first, (100, 40, 7)):
        for epoch in range(len(row) // size):
            assert sorted(row[epoch * size : (epoch + 1) * size]) == list(range(size))
    counts = [sum(pool == 0 for pool, _ in mix.samples(step)) for step in range(100)]
    assert len(set(counts)) > 3  # each sample's source is drawn by chance, not counted off


def test_an_image_batch_is_a_function_of_seed_and_step_alone() -> None:
    whole, again = image_mix().batch(7), image_mix().batch(7)
    assert torch.equal(whole.images, again.images)
    assert not torch.equal(whole.images, image_mix(seed=1).batch(7).images)
    half = image_mix().batch(7, 1, 2)
    assert torch.equal(half.images, whole.images[1::2])
    assert torch.equal(half.targets.keypoints, whole.targets.keypoints[1::2])
    masked = image_mix(body="open-neutral").batch(7)
    assert torch.equal(masked.targets.has_betas == 0, masked.images[:, 0, 0, 0] == 3)


@pytest.mark.parametrize("shares", [(1.0,), (1, 0, 1), (1, float("nan"), 1), (1e-9, 1, 1)])
def test_senseless_shares_are_refused(shares) -> None:
    with pytest.raises(ValueError, match="share"):
        ImageMix(image_mix().sources, shares, 10, 0)


class Stumbling:
    """A mix whose fourth batch fails."""

    def batch(self, step: int, rank: int = 0, world: int = 1) -> torch.Tensor:
        if step == 3:
            raise SetError("The picture 3.png is broken.", "Fetch it again.")
        return torch.tensor([step, rank, world])


@pytest.mark.parametrize("make", [threaded, lambda *args: loaded(*args, workers=2)])
def test_background_batches_keep_their_order_and_errors(make) -> None:
    batches = make(Stumbling(), range(1, 6), 1, 4)
    assert next(batches).tolist() == [1, 1, 4]
    assert next(batches).tolist() == [2, 1, 4]
    with pytest.raises(SetError, match=r"^The picture 3.png is broken. Fetch it again.$"):
        next(batches)


@pytest.mark.slow
def test_workers_make_the_same_batches_as_the_main_process(cache) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    mix = image_mix()
    ours = [mix.batch(step) for step in range(2, 5)]
    for theirs, expected in zip(loaded(mix, range(2, 5), workers=2), ours, strict=True):
        assert torch.equal(theirs.images, expected.images)
        assert torch.equal(theirs.targets.rotations, expected.targets.rotations)
    windows = WindowMix([], [cache], batch=4)
    (theirs,) = loaded(windows, range(1), workers=1)  # a cache crosses over by its folder
    assert torch.equal(theirs.maps, windows.batch(0).maps)
    assert torch.equal(torch.get_rng_state(), before)
