"""Feeding training: cache against a plain memory map, a sample's time, and who waits for whom.

    pytest -s tests/benchmarks/test_training_feeding_speed.py

Ratios of one run on one core; absolute times are printed for the record.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import pytest
import torch

from staf_backend.body import load_body
from staf_backend.staf import StafConfig
from staf_backend.staf.body import SmplBody, tables_from_body
from staf_backend.staf.network import MeanParams, Staf
from staf_backend.video import open_video
from tests.support import make_feeding as made
from training.data import feature_cache
from training.data.augment import Augment
from training.data.batches import WindowMix, threaded
from training.data.crops import PreparedImages
from training.data.feature_cache import FeatureCache, build_cache
from training.datasets import Annotations, open_set, store_arrays, write_set
from training.model import make_encoder

FOOTAGE = Path(__file__).parents[2] / "examples" / "footage"
BATCH, FRAMES = 32, 9
ROWS = 1500  # 301 MB: ten batches, and still in the page cache of a small machine


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> FeatureCache:
    """The paper's width; maps are random numbers, written by the cache's own code."""
    folder = tmp_path_factory.mktemp("feeding") / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feature_cache, "_encode", _random_maps)
        return build_cache(_Blank((ROWS,)), made.tiny_encoder(2048), folder)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    yield
    torch.set_num_threads(before)


class _Blank(made.Sequences):
    """One long sequence, in parts of a hundred frames."""

    def parts(self, index: int):
        frames = np.zeros((100, 224, 224, 3), np.uint8)
        for first in range(0, self.lengths[index], 100):
            yield feature_cache.CropSequence(
                f"{self.name}/{index}",
                frames,
                made.targets(100, first),
                first + np.arange(100.0),
                np.ones(100, bool),
            )


def _random_maps(encoder, part, _batch) -> np.ndarray:
    rng = np.random.default_rng(int(part.times_s[0]))
    return rng.random((len(part.images), encoder.channels, 7, 7), np.float32).astype(np.float16)


def seconds(
    work: Callable[[], object], times: int, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    found = []
    for _ in range(times):
        begin = clock()
        work()
        found.append(clock() - begin)
    return found


def test_windows_are_read_at_memory_map_speed(cache: FeatureCache) -> None:
    """A batch against numpy copying the same rows out of a map of its own, turn by turn."""
    mix = WindowMix([], [cache], batch=BATCH, stride=3)
    file = store_arrays.array_path(cache.folder, "maps")
    plain = np.memmap(file, "<f2", "r", 512, cache.maps.shape)
    np.testing.assert_array_equal(plain[-1], cache.maps[-1])
    ours, numpys = [], []
    for step in range(40):
        starts = [start for _, start in mix.samples(step)]

        def copy(starts=starts) -> np.ndarray:
            out = np.empty((BATCH, FRAMES, *plain.shape[1:]), np.float16)
            for row, start in enumerate(starts):
                out[row] = plain[start : start + FRAMES]
            return out

        ours += seconds(lambda step=step: mix.batch(step), 1)
        numpys += seconds(copy, 1)
    size = 2 * BATCH * FRAMES * plain[0].size
    ratio = median(ours) / median(numpys)
    print(
        json.dumps(
            {
                "batch_ms": 1e3 * median(ours),
                "plain_ms": 1e3 * median(numpys),
                "GB_per_s": size / median(ours) / 1e9,
                "ratio": ratio,
            }
        )
    )
    assert ratio < 2.0


def test_a_step_of_stage_2_hardly_waits_for_data(cache: FeatureCache) -> None:
    """The paper's step, forward and backward, fed in the background."""
    body = SmplBody(tables_from_body(load_body("open-neutral")))
    pose6d = torch.tensor([1.0, 0, 0, 1, 0, 0]).repeat(24)
    network = Staf(StafConfig(), body, MeanParams(pose6d, torch.zeros(10), torch.ones(3))).train()
    batches = threaded(WindowMix([], [cache], batch=BATCH, stride=3), range(5))
    waited, worked, size = [], [], 0
    for _ in range(4):
        begin = time.perf_counter()
        batch = next(batches)
        waited.append(time.perf_counter() - begin)
        size = batch.maps.numel() * 2
        begin = time.perf_counter()
        result = network(batch.maps.float()).result
        (result.pose6d.square().mean() + result.betas.square().mean()).backward()
        worked.append(time.perf_counter() - begin)
    share = sum(waited[1:]) / sum(worked[1:])
    print(
        json.dumps(
            {
                "wait_ms": 1e3 * median(waited[1:]),
                "step_s": median(worked[1:]),
                "share": share,
                "MB_per_step": size / 1e6,
            }
        )
    )
    assert share < 0.1


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> tuple[PreparedImages, list[Path]]:
    """Sixteen JPEGs of COCO's usual size, frames of the footage."""
    folder = tmp_path_factory.mktemp("photographs")
    video = open_video(FOOTAGE / "walk_two_sports2d.mp4")
    names = [f"{number}.jpg" for number in range(16)]
    for name, image in zip(names, video.frames(0, 16)):
        cv2.imwrite(str(folder / name), cv2.resize(image[..., ::-1], (640, 480)))
    write_set(folder / "set", _labels(names), {}, root=folder)
    return PreparedImages(open_set(folder / "set"), Augment()), [folder / name for name in names]


def _labels(names: list[str]) -> Annotations:
    """One person in the middle of each picture."""
    count = len(names)
    numbers, known = np.arange(count, dtype=np.int32), np.ones(count, np.float32)
    box, quaternions = np.array([[320, 240, 300]], np.float32), np.zeros((count, 24, 4), np.float32)
    quaternions[..., 0] = 1
    return Annotations(
        "frames",
        "train",
        "none",
        1.0,
        names,
        numbers,
        np.tile(box, (count, 1)),
        np.ones((count, 49, 3), np.float32),
        np.ones((count, 49, 4), np.float32),
        quaternions,
        np.zeros((count, 10), np.float32),
        known,
        known,
        np.zeros(count, np.int8),
        numbers,
        0 * numbers,
        np.ones(count, bool),
    )


def test_a_sample_of_stage_1(photographs) -> None:
    """Read, decode, change and cut: what a worker does for each crop, and whose share is whose."""
    source, files = photographs
    rng = np.random.default_rng(0)
    whole = seconds(lambda: source.image(int(rng.integers(16)), rng), 200, time.process_time)
    decoding = seconds(
        lambda: cv2.imread(str(files[int(rng.integers(16))])), 200, time.process_time
    )
    print(
        json.dumps(
            {
                "sample_ms": 1e3 * median(whole),
                "decoding_ms": 1e3 * median(decoding),
                "samples_per_s_and_core": 1 / median(whole),
            }
        )
    )
    assert median(whole) < 4 * median(decoding)


@pytest.mark.parametrize("name", ["resnet50", "blazepose-full", "blazepose-heavy"])
def test_an_encoders_time(name: str) -> None:
    """Crops a second on one core, forward alone: what filling a cache costs."""
    encoder = make_encoder(name).eval()
    crops = torch.randint(0, 256, (8, 224, 224, 3), dtype=torch.uint8)
    with torch.inference_mode():
        once = median(seconds(lambda: encoder(encoder.normalise(crops)), 4))
    bytes_each = 2 * encoder.channels * 49
    print(json.dumps({"encoder": name, "crop_ms": 1e3 * once / 8, "row_bytes": bytes_each}))
    assert once > 0
