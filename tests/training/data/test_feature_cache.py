"""Feature caches: the encoder's maps of every frame, repeatable, and honest when broken."""

import errno
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from staf_backend.files import OutputError
from tests.support import make_feeding as made
from tests.support.make_feeding import ENCODER, Worn
from training.data import feature_cache
from training.data.feature_cache import CacheError, FeatureCache, build_cache
from training.datasets import store_arrays


def test_rows_are_the_encoders_maps_of_the_sequences(cache: FeatureCache) -> None:
    source = made.Sequences((20, 3, 30))
    assert cache.extents.tolist() == [[0, 20], [20, 23], [23, 53]]
    assert cache.names == ("made/0", "made/1", "made/2")
    for number, (first, last) in enumerate(cache.extents):
        whole = source.whole(number)
        with torch.no_grad():
            maps = ENCODER(ENCODER.normalise(torch.from_numpy(whole.images))).half()
        np.testing.assert_allclose(cache.maps[first:last], maps.numpy(), rtol=2e-3, atol=1e-3)
        for ours, theirs in zip(cache.targets, whole.targets):
            np.testing.assert_array_equal(ours[first:last], theirs)
        np.testing.assert_array_equal(cache.times_s[first:last], whole.times_s)


def test_windows_never_cross_sequences(cache: FeatureCache) -> None:
    assert cache.windows(9, 9).tolist() == [0, 9, 23, 32, 41]
    assert cache.windows(9, 1).tolist() == [*range(12), *range(23, 45)]
    assert cache.windows(31, 1).size == 0
    batch = cache.batch(np.array([9, 41]), 9)
    assert batch.maps.shape == (2, 9, 4, 7, 7)
    assert batch.maps.dtype == torch.float16
    np.testing.assert_array_equal(batch.maps[1].numpy(), cache.maps[41:50])
    np.testing.assert_array_equal(batch.targets.rotations[0].numpy(), cache.targets.rotations[9:18])
    with pytest.raises(ValueError, match="positive"):
        cache.windows(0, 1)


def test_the_encoders_mode_is_left_alone_and_used_in_evaluation(tmp_path) -> None:
    encoder = made.tiny_encoder()
    encoder.conv = torch.nn.Sequential(encoder.conv, torch.nn.Dropout(0.5))
    encoder.train()
    whole = build_cache(made.Sequences((5,)), encoder, tmp_path / "c")
    assert encoder.training
    plain = build_cache(made.Sequences((5,)), ENCODER, tmp_path / "plain")
    np.testing.assert_allclose(whole.maps, plain.maps, rtol=2e-3, atol=1e-3)


def test_another_encoder_is_refused(cache: FeatureCache) -> None:
    assert len(FeatureCache.open(cache.folder, made.tiny_encoder())) == 53
    with pytest.raises(CacheError, match="other weights of tiny"):
        FeatureCache.open(cache.folder, made.tiny_encoder(seed=1))


def change_index(folder: Path, **values) -> None:
    path = folder / "index.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(
    ("source", "genders"),
    [
        (Worn((5, 4, 3), body="smpl-gendered"), ("female", "male", "female")),
        (Worn((5, 4), body="smpl-neutral"), ("neutral", "neutral")),
        (made.Sequences((5,), body="smpl-male"), ("male",)),
        (made.Sequences((5,), body="smpl-gendered"), ("",)),
        (made.Sequences((5,), body="none"), ("",)),
    ],
)
def test_the_gender_of_each_sequences_body_is_kept(tmp_path, source, genders) -> None:
    build_cache(source, ENCODER, tmp_path / "c")
    assert FeatureCache.open(tmp_path / "c").genders == genders


def cut_short(folder: Path) -> None:
    path = folder / "maps.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda f: change_index(f, format=99), "has format 99"),
        (lambda f: change_index(f, format=1), "has format 1; .*Make it again from its source"),
        (lambda f: change_index(f, genders=[]), "genders are not those"),
        (lambda f: change_index(f, genders=["gentleman"]), "genders are not those"),
        (lambda f: change_index(f, rows=6), "damaged"),
        (lambda f: change_index(f, names=[]), "do not cover"),
        (lambda f: change_index(f, extents=[[0, 3], [2, 5]]), "do not cover"),
        (lambda f: (f / "index.json").write_text("{"), "cannot be read"),
        (lambda f: (f / "index.json").unlink(), "no feature cache"),
        (lambda f: (f / "keypoints.safetensors").unlink(), "keypoints.safetensors is missing"),
        (cut_short, "bytes of"),
    ],
)
def test_a_damaged_cache_is_refused(tmp_path, harm, message: str) -> None:
    build_cache(made.Sequences((5,)), ENCODER, tmp_path / "c")
    harm(tmp_path / "c")
    with pytest.raises(CacheError, match=message):
        FeatureCache.open(tmp_path / "c")


class Interrupted(made.Sequences):
    """Stops in its second sequence."""

    def parts(self, index: int):
        if index == 1:
            raise KeyboardInterrupt
        yield from super().parts(index)


def test_an_interrupted_cache_is_not_there_and_the_old_one_is(tmp_path) -> None:
    with pytest.raises(KeyboardInterrupt):
        build_cache(Interrupted((5, 5)), ENCODER, tmp_path / "new")
    assert not list(tmp_path.iterdir())
    build_cache(made.Sequences((6,)), ENCODER, tmp_path / "c")
    with pytest.raises(KeyboardInterrupt):
        build_cache(Interrupted((5, 5)), ENCODER, tmp_path / "c")
    assert len(FeatureCache.open(tmp_path / "c")) == 6
    build_cache(made.Sequences((7,)), ENCODER, tmp_path / "c")
    assert len(FeatureCache.open(tmp_path / "c")) == 7
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_a_killed_build_says_that_it_was_not_finished(tmp_path) -> None:
    (tmp_path / "c.partial").mkdir()
    with pytest.raises(CacheError, match="was not finished"):
        FeatureCache.open(tmp_path / "c")
    assert len(build_cache(made.Sequences((5,)), ENCODER, tmp_path / "c")) == 5


def test_a_full_disk_leaves_the_old_cache(tmp_path, monkeypatch) -> None:
    build_cache(made.Sequences((6,)), ENCODER, tmp_path / "c")
    append = store_arrays.ArrayWriter.append

    def full(writer, rows) -> None:
        if writer.count >= 14:
            raise OSError(errno.ENOSPC, "No space left on device")
        append(writer, rows)

    monkeypatch.setattr(feature_cache.ArrayWriter, "append", full)
    with pytest.raises(OutputError, match="the disk is full"):
        build_cache(made.Sequences((30,)), ENCODER, tmp_path / "c")
    assert len(FeatureCache.open(tmp_path / "c")) == 6
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_other_peoples_folders_are_left_alone(tmp_path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(CacheError, match="no feature cache"):
        build_cache(made.Sequences((5,)), ENCODER, tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_maps_beyond_float16_and_empty_sources_are_refused(tmp_path) -> None:
    wild = made.tiny_encoder()
    with torch.no_grad():
        wild.conv.weight.mul_(1e6)
    with pytest.raises(CacheError, match="beyond what float16 holds"):
        build_cache(made.Sequences((5,)), wild, tmp_path / "c")
    with pytest.raises(CacheError, match="has no frames"):
        build_cache(made.Sequences(()), ENCODER, tmp_path / "c")
    assert not list(tmp_path.iterdir())
