"""Feature caches, batches, crops and their changes: right, repeatable, and honest when broken."""

import errno
import json
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import torch

from staf_backend.files.atomic import OutputError
from staf_backend.geometry.rotations import from_axis_angle, to_quaternions
from staf_backend.geometry.skeleton import SMPL, forward_kinematics
from staf_backend.staf.crop import cut
from staf_backend.video.video import Video, open_video
from tests.support import make_feeding as made
from training.data import feature_cache
from training.data.augment import Augment, Change, changed_crop, changed_targets
from training.data.batches import BLOCK, ImageMix, WindowMix, loaded, threaded
from training.data.crops import PreparedImages, PreparedSequences, targets_of
from training.data.feature_cache import CacheError, FeatureCache, build_cache
from training.data.sources import DataError, open_images, open_sequences
from training.datasets import store_arrays
from training.datasets.store import Annotations, SetError, open_set, write_set
from training.targets.joints import JOINTS_49, MIRROR
from training.targets.samples import CROP_SCALE, Targets

ENCODER = made.tiny_encoder()


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> FeatureCache:
    folder = tmp_path_factory.mktemp("caches") / "3d"
    return build_cache(made.Sequences((20, 3, 30)), ENCODER, folder, batch=4)


@pytest.fixture(scope="module")
def cache_2d(tmp_path_factory) -> FeatureCache:
    folder = tmp_path_factory.mktemp("caches") / "2d"
    return build_cache(made.Sequences((40,), kind="2d", body="none", name="wild"), ENCODER, folder)


# --- feature cache


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


class Worn(made.Sequences):
    """People of both genders, turn by turn."""

    def gender(self, index: int) -> str:
        return ("female", "male")[index % 2]


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


# --- batches


def starts(mix: WindowMix, steps: range) -> list[tuple[str, int]]:
    samples = chain.from_iterable(mix.samples(step) for step in steps)
    return [(cache.source, start) for cache, start in samples]


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


# --- changes


def some_targets(seed: int = 0) -> Targets:
    """A posed skeleton whose first 24 joints are those of its rotations."""
    rng = np.random.default_rng(seed)
    rotations = from_axis_angle(rng.normal(size=(24, 3))).astype(np.float32)
    keypoints, joints_m = rng.normal(size=(49, 3)), rng.normal(size=(49, 4))
    keypoints[:, 2], joints_m[:, 3] = rng.random(49) > 0.3, rng.random(49) > 0.3
    keypoints[keypoints[:, 2] == 0] = 0
    joints_m[joints_m[:, 3] == 0] = 0
    one = np.ones((), np.float32)
    known = keypoints.astype(np.float32), joints_m.astype(np.float32), rotations
    return Targets(*known, rng.normal(size=10).astype(np.float32), one, one)


def random_change(seed: int) -> Change:
    rng = np.random.default_rng(seed)
    return Change(rng.uniform(-2, 2), rng.uniform(0.5, 2), bool(seed % 2))


@pytest.mark.parametrize("seed", range(8))
def test_rotations_turn_and_mirror_as_the_body_they_pose(seed: int) -> None:
    known, change = some_targets(seed), random_change(seed)
    rest_m = np.random.default_rng(seed + 100).normal(size=(24, 3))
    origin = np.zeros(3)
    _, posed_m = forward_kinematics(known.rotations.astype(float), rest_m, rest_m[0] * 0)
    changed = changed_targets(known, change)
    if change.mirrored:
        rest_m = rest_m[SMPL.mirror] * [-1, 1, 1]
    _, after_m = forward_kinematics(changed.rotations.astype(float), rest_m, origin)
    expected = posed_m.copy()
    expected[:, :2] = posed_m[:, :2] @ change.on_screen().T
    if change.mirrored:
        expected = expected[SMPL.mirror]
    np.testing.assert_allclose(after_m, expected, atol=1e-5)


def test_joints_and_keypoints_turn_alike_and_only_keypoints_scale() -> None:
    known, change = some_targets(), Change(0.7, 1.6, True)
    joints_m = np.concatenate(
        [known.keypoints[:, :2], np.zeros((49, 1)), known.keypoints[:, 2:]], 1
    )
    known = known._replace(joints_m=joints_m.astype(np.float32))
    changed = changed_targets(known, change)
    np.testing.assert_allclose(changed.joints_m[:, :2], changed.keypoints[:, :2] * 1.6, atol=1e-6)


def test_mirroring_twice_is_nothing_and_swaps_the_sides() -> None:
    known = some_targets()
    once = changed_targets(known, Change(mirrored=True))
    twice = changed_targets(once, Change(mirrored=True))
    for ours, before in zip(twice, known):
        np.testing.assert_allclose(ours, before, atol=1e-6)
    left, right = JOINTS_49.index("left_wrist"), JOINTS_49.index("right_wrist")
    np.testing.assert_allclose(once.joints_m[left], known.joints_m[right] * [-1, 1, 1, 1])
    assert (MIRROR[MIRROR] == np.arange(49)).all()
    assert (SMPL.mirror[SMPL.mirror] == np.arange(24)).all()


def test_the_callers_targets_are_not_written_to() -> None:
    known, again = some_targets(), some_targets()
    changed_targets(known, Change(1.0, 2.0, True))
    for ours, before in zip(known, again):
        np.testing.assert_array_equal(ours, before)


def test_what_is_unknown_stays_zero() -> None:
    known = some_targets()._replace(
        has_pose=np.zeros((), np.float32), rotations=np.zeros((24, 3, 3), np.float32)
    )
    changed = changed_targets(known, Change(1.0, 2.0, True))
    assert not changed.rotations.any()
    assert not changed.keypoints[changed.keypoints[:, 2] == 0].any()
    assert not changed.joints_m[changed.joints_m[:, 3] == 0].any()
    assert changed.keypoints[:, 2].sum() == known.keypoints[:, 2].sum()


def test_no_change_is_the_estimators_own_cut() -> None:
    image = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    square = np.array([180.3, 140.8, 217.0])
    np.testing.assert_array_equal(changed_crop(image, square, Change()), cut(image, square))


@pytest.mark.parametrize("seed", range(6))
def test_a_dot_in_the_picture_stays_on_its_keypoint(seed: int) -> None:
    square, change = np.array([210.0, 190.0, 260.0]), random_change(seed)
    change = Change(change.turn_rad, 0.8 + 0.4 * (seed % 3), change.mirrored)
    point = np.array([0.35, -0.28])
    image = np.zeros((400, 420, 3), np.uint8)
    place = square[:2] + point * square[2] / 2
    rows, columns = np.mgrid[:400, :420] + 0.5
    image[np.hypot(columns - place[0], rows - place[1]) < 7] = 255
    known = some_targets()
    index = JOINTS_49.index("nose")  # its own mirror image
    known.keypoints[index] = *point, 1
    crop = changed_crop(image, square, change)
    bright = np.argwhere(crop[..., 0] > 127)[:, ::-1].mean(0)
    expected = changed_targets(known, change).keypoints[index, :2]
    np.testing.assert_allclose((bright - 112) / 112, expected, atol=0.5 / 112)


def test_changes_are_drawn_as_the_paper_says() -> None:
    rng = np.random.default_rng(0)
    changes = [Augment().draw(rng) for _ in range(20_000)]
    turns = np.degrees([change.turn_rad for change in changes])
    assert np.mean(turns == 0) == pytest.approx(0.6, abs=0.01)
    assert np.abs(turns).max() == pytest.approx(60)
    assert turns[turns != 0].std() == pytest.approx(28.9, abs=0.8)
    assert np.mean([change.mirrored for change in changes]) == pytest.approx(0.5, abs=0.01)
    scales, gains = (np.array([getattr(c, n) for c in changes]) for n in ("scale", "gains"))
    assert (scales.min(), scales.max()) == pytest.approx((0.75, 1.25))
    assert (gains.min(), gains.max()) == pytest.approx((0.6, 1.4), abs=0.01)


@pytest.mark.parametrize("values", [{"flip": 1.1}, {"noise": -1}, {"scale": 1.0}, {"turn_deg": -1}])
def test_senseless_changes_are_refused(values: dict) -> None:
    with pytest.raises(ValueError, match=r"must be|are chances"):
        Augment(**values)


# --- crops of a prepared set


def picture(number: int) -> np.ndarray:
    """(120, 160, 3) RGB, each of its own colour, with a white dot at (60 + number, 50)."""
    image = np.full((120, 160, 3), (10 + 20 * number, 90, 200 - 20 * number), np.uint8)
    cv2.circle(image, (60 + number, 50), 3, (255, 255, 255), -1)
    return image


def annotations(
    images: list[str], image: list[int], sequence: list[int], frame: list[int]
) -> Annotations:
    rows = len(image)
    rng = np.random.default_rng(0)
    keypoints = np.zeros((rows, 49, 3), np.float32)
    keypoints[:, 44] = [[60.5 + index % 10, 50.5, 1] for index in image]
    quaternions = to_quaternions(from_axis_angle(rng.normal(size=(rows, 24, 3))))
    return Annotations(
        "made", "train", "smpl-neutral", 25.0, images, np.array(image, np.int32),
        np.tile(np.array([[70, 60, 80]], np.float32), (rows, 1)), keypoints,
        np.zeros((rows, 49, 4), np.float32), quaternions.astype(np.float32),
        rng.normal(size=(rows, 10)).astype(np.float32), np.ones(rows, np.float32),
        np.zeros(rows, np.float32), np.zeros(rows, np.int8), np.array(sequence, np.int32),
        np.array(frame, np.int32), np.ones(rows, bool),
    )  # fmt: skip


@pytest.fixture
def pictures(tmp_path) -> Path:
    """A set of ten pictures: one run of six, a gap, one of two; somebody else twice."""
    names = [f"{number}.png" for number in range(10)]
    for number, name in enumerate(names):
        cv2.imwrite(str(tmp_path / name), picture(number)[..., ::-1])
    frames = [*range(0, 12, 2), 20, 22, 0, 2]
    labels = annotations(names, list(range(10)), [0] * 8 + [1] * 2, frames)
    write_set(tmp_path / "set", labels, {}, root=tmp_path)
    return tmp_path / "set"


def test_sequences_end_where_frames_are_missing(pictures: Path) -> None:
    sequences = PreparedSequences(open_set(pictures))
    parts = [list(sequences.parts(index)) for index in range(len(sequences))]
    assert [sum(len(part.images) for part in one) for one in parts] == [6, 2, 2]
    names = [{part.name for part in one} for one in parts]
    assert names == [{f"made-train/{index:06d}"} for index in range(3)]
    np.testing.assert_allclose(parts[0][0].times_s, np.arange(6) * 2 / 25)
    for frame, crop in enumerate(parts[0][0].images):
        np.testing.assert_array_equal(crop, cut(picture(frame), np.array([70, 60, 96.0])))


def test_targets_lie_on_the_crop(pictures: Path) -> None:
    prepared = open_set(pictures)
    known = targets_of(prepared, slice(3, 5))
    np.testing.assert_allclose(known.keypoints[0, 44], [(63.5 - 70) / 48, (50.5 - 60) / 48, 1])
    assert not known.keypoints[:, 43].any()
    assert not known.betas.any()  # has_betas is 0
    np.testing.assert_allclose(
        known.rotations @ known.rotations.swapaxes(-1, -2),
        np.broadcast_to(np.eye(3), (2, 24, 3, 3)),
        atol=1e-5,
    )
    crop, plain = PreparedImages(prepared).image(3, np.random.default_rng(0))
    bright = np.argwhere(crop.min(-1) > 200)[:, ::-1].mean(0)
    np.testing.assert_allclose((bright - 112) / 112, plain.keypoints[44, :2], atol=0.5 / 112)
    assert CROP_SCALE == 1.2


def test_images_change_with_the_generator_alone(pictures: Path) -> None:
    images = PreparedImages(open_set(pictures), Augment())
    one, other = (images.image(4, np.random.default_rng(8)) for _ in range(2))
    np.testing.assert_array_equal(one[0], other[0])
    assert not np.array_equal(one[0], images.image(4, np.random.default_rng(9))[0])
    mix = ImageMix([images], [1.0], 4, 0)
    (theirs,) = loaded(mix, range(1), workers=1)
    assert torch.equal(theirs.images, mix.batch(0).images)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda path: path.unlink(), "3.png is missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-40]), "3.png is cut short"),
        (lambda path: path.write_bytes(b"no picture"), "3.png is no JPEG or PNG"),
        (lambda path: path.write_bytes(path.read_bytes()[:40] + b"IEND"), "3.png is broken"),
    ],
)
def test_a_broken_picture_is_named(pictures: Path, harm, message: str) -> None:
    harm(pictures.parent / "3.png")
    prepared = open_set(pictures)
    with pytest.raises(SetError, match=message):
        PreparedImages(prepared).image(3, np.random.default_rng(0))
    with pytest.raises(SetError, match=message):
        list(PreparedSequences(prepared).parts(0))


@pytest.fixture
def film(tmp_path) -> Path:
    with av.open(str(tmp_path / "film.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "bgr0"
        for number in range(8):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number), "rgb24")))
        container.mux(stream.encode())
    names = [f"film.mkv#{number}" for number in range(2, 8)]
    labels = annotations(names, list(range(6)), [0] * 6, list(range(2, 8)))
    write_set(tmp_path / "set", labels, {}, root=tmp_path)
    return tmp_path / "set"


def test_frames_of_a_video_are_the_ones_asked_for(film: Path) -> None:
    prepared = open_set(film)
    (part,) = PreparedSequences(prepared).parts(0)
    assert part.name == "made-train/000000 film.mkv"
    for number, crop in enumerate(part.images, 2):
        np.testing.assert_array_equal(crop, cut(picture(number), np.array([70, 60, 96.0])))
    crop, _ = PreparedImages(prepared).image(3, np.random.default_rng(0))
    np.testing.assert_array_equal(crop, part.images[3])


def long_film(folder: Path, frames: int) -> None:
    """A film with one key frame at its beginning: every seek decodes it from there."""
    with av.open(str(folder / "long.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25, options={"g": "1000", "qscale": "1"})
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for number in range(frames):
            shown = picture(number % 10)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(shown, "rgb24")))
        container.mux(stream.encode())


def labelled_film(folder: Path, numbers: list[int]) -> PreparedSequences:
    """One sequence of those frames of the long film."""
    names = [f"long.mp4#{number}" for number in numbers]
    rows = list(range(len(names)))
    write_set(folder / "set", annotations(names, rows, [0] * len(rows), rows), {}, root=folder)
    return PreparedSequences(open_set(folder / "set"))


@pytest.mark.parametrize(
    ("numbers", "passes"),
    [
        (list(range(40)), [(0, 40)]),
        (list(range(0, 40, 2)), [(0, 39)]),
        (list(range(3, 40, 17)), [(3, 38)]),
        (list(range(3, 40, 18)), [(3, 4), (21, 22), (39, 40)]),
    ],
)
def test_frames_that_lie_near_are_read_in_one_pass(tmp_path, monkeypatch, numbers, passes) -> None:
    long_film(tmp_path, 40)
    whole = list(open_video(tmp_path / "long.mp4").frames())
    asked, frames = [], Video.frames

    def counted(video: Video, first: int = 0, last: int | None = None):
        asked.append((first, last))
        return frames(video, first, last)

    monkeypatch.setattr(Video, "frames", counted)
    (part,) = labelled_film(tmp_path, numbers).parts(0)
    assert asked == passes
    for number, crop in zip(numbers, part.images, strict=True):
        np.testing.assert_array_equal(crop, cut(whole[number], np.array([70, 60, 96.0])))


def test_frames_far_on_or_back_in_a_film_are_sought(tmp_path) -> None:
    long_film(tmp_path, 40)
    whole = list(open_video(tmp_path / "long.mp4").frames())
    numbers = [30, 30, 5, 6, 38]
    (part,) = labelled_film(tmp_path, numbers).parts(0)
    for number, crop in zip(numbers, part.images, strict=True):
        np.testing.assert_array_equal(crop, cut(whole[number], np.array([70, 60, 96.0])))


def test_a_video_that_is_missing_or_too_short_is_named(film: Path) -> None:
    path = film.parent / "film.mkv"
    labels = annotations(["film.mkv#7", "film.mkv#8"], [0, 1], [0, 0], [7, 8])
    write_set(film.parent / "long", labels, {}, root=film.parent)
    with pytest.raises(SetError, match="8 frames, the labels want frame 8"):
        list(PreparedSequences(open_set(film.parent / "long")).parts(0))
    path.unlink()
    with pytest.raises(SetError, match=r"film\.mkv is missing"):
        list(PreparedSequences(open_set(film)).parts(0))


# --- by words


def test_sources_by_words(pictures: Path) -> None:
    assert len(open_images(str(pictures))) == 10
    assert len(open_sequences(str(pictures))) == 3
    assert len(open_images("synthetic:12:3")) == 12
    assert len(open_sequences("synthetic:4")) == 4


@pytest.mark.parametrize("spec", ["synthetic:0", "synthetic:a", "synthetic:1:2:3", "synthetic:-1"])
def test_senseless_words_are_refused(spec: str) -> None:
    with pytest.raises(DataError, match="no data source"):
        open_sequences(spec)
    with pytest.raises(SetError):
        open_images("no/such/folder")


def test_a_prepared_set_goes_through_cache_and_batches(pictures: Path, tmp_path) -> None:
    source = PreparedSequences(open_set(pictures))
    cache = build_cache(source, ENCODER, tmp_path / "cache")
    starts = cache.windows(2, 1)
    assert all(b - a in (1, 2) for a, b in pairwise(starts))
    batch = WindowMix([], [cache], batch=4, frames=2, stride=1).batch(0)
    assert batch.maps.shape == (4, 2, 4, 7, 7)
    assert batch.targets.has_pose.all()
