"""One network for many streams: graphs that outlive them, batches that are full, memory that goes.

Graphs are recorded and replayed on the CPU (`replayed_graphs`).
"""

import gc
import weakref

import numpy as np
import pytest
import torch

from staf_backend.staf import StafConfig
from staf_backend.staf.network import Staf, StageParams
from staf_backend.staf.streaming import Arrival, StafStream, StreamConfig, TrackStream
from staf_backend.staf.streaming.inference import InferenceNetwork
from tests.support import parity_network
from tests.support import parity_recipe as recipe
from tests.support.replayed_graphs import make_memory_scarce, with_graphs

CHANNELS = 32
CPU = StreamConfig(device="cpu", batch=8)
CLIPS = {  # frames of each person, some with gaps
    "a": np.r_[0:14, 17:20],
    "b": np.r_[5:17],
    "c": np.r_[0:6],
}


@pytest.fixture(scope="module")
def small() -> Staf:
    return parity_network.random_staf(StafConfig(channels=8, map_channels=CHANNELS))


@pytest.fixture(scope="module")
def maps() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        name: torch.randn(len(frames), CHANNELS, 7, 7, generator=generator).relu_()
        for name, frames in CLIPS.items()
    }


def solved(stream: StafStream, maps: dict[str, torch.Tensor]) -> dict[str, StageParams]:
    """All clips through a stream, in uneven pushes; people come and go."""
    rng, tracks, sent = np.random.default_rng(7), dict[str, TrackStream](), dict.fromkeys(CLIPS, 0)
    results, step = [], 0
    while any(sent[name] < len(frames) for name, frames in CLIPS.items()):
        arrivals = []
        for late, (name, frames) in enumerate(CLIPS.items()):
            count = min(int(rng.integers(0, 9)), len(frames) - sent[name])
            if count and step >= 2 * late:
                part = slice(sent[name], sent[name] + count)
                track = tracks.setdefault(name, stream.open())
                arrivals.append(Arrival(track, frames[part], maps[name][part]))
                sent[name] += count
        results.append(stream.push(arrivals))
        step += 1
    results.append(stream.finish(list(tracks.values())))
    found = {}
    for name, track in tracks.items():
        mine = [result.of(track) for result in results]
        np.testing.assert_array_equal(np.concatenate([frames for frames, _ in mine]), CLIPS[name])
        columns = zip(*(params for _, params in mine), strict=True)
        found[name] = StageParams(*(torch.cat(column) for column in columns))
    return found


def assert_same(ours: dict[str, StageParams], theirs: dict[str, StageParams]) -> None:
    for name in CLIPS:
        for mine, other in zip(ours[name], theirs[name], strict=True):
            torch.testing.assert_close(mine, other, atol=2e-6, rtol=0)


@pytest.fixture(scope="module")
def eager(small: Staf, maps: dict[str, torch.Tensor]) -> dict[str, StageParams]:
    return solved(StafStream(small, config=CPU), maps)


def test_replayed_graphs_equal_eager(
    small: Staf, maps, eager, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = InferenceNetwork(small, config=CPU)
    steps = with_graphs(network, monkeypatch)
    assert_same(solved(StafStream(network), maps), eager)
    assert all(sum(step.rows.values()) > len(step._captured) > 0 for step in steps)


def test_a_growing_store_and_a_second_stream_keep_the_graphs(
    small: Staf, maps, eager, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = InferenceNetwork(small, config=CPU)
    steps = with_graphs(network, monkeypatch)
    stream = StafStream(network)
    stream.push([Arrival(stream.open(), np.arange(8), maps["a"][:8])])
    graphs, capacity = [dict(step._captured) for step in steps], stream.store.capacity
    assert_same(solved(stream, maps), eager)
    assert stream.store.capacity > capacity
    assert_same(solved(StafStream(network), maps), eager)
    for step, before in zip(steps, graphs, strict=True):
        assert all(step._captured[key] is graph for key, graph in before.items())


def test_few_graphs_serve_all_counts(small: Staf, maps, monkeypatch: pytest.MonkeyPatch) -> None:
    network = InferenceNetwork(small, config=CPU)
    steps = with_graphs(network, monkeypatch)
    solved(StafStream(network), maps)
    for step in steps:
        assert {key[0] for key in step._captured} <= {1, 2, 3, 4, 6, 8}


@pytest.mark.parametrize("people", [1, 2, 3, 5, 7])
def test_frames_of_several_people_fill_batches(
    small: Staf, people: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """22 frames of each of three people are 64 and 2, not 44 and 22, which are run as 64 and 32."""
    network = InferenceNetwork(small, config=StreamConfig(device="cpu", batch=16))
    asked = []

    def counted(crops: torch.Tensor) -> tuple[torch.Tensor, ...]:
        asked.append(len(crops))
        rows = network.folded.frame_rows(torch.zeros(len(crops), 196, 8))[0]
        return torch.zeros(len(crops), 196, 8), rows.vectors, rows.linear

    monkeypatch.setattr(network.frames, "function", counted)
    stream = StafStream(network)
    each = -(-16 // people)
    arrivals = [
        Arrival(stream.open(), np.arange(each), torch.zeros(each, CHANNELS, 7, 7))
        for _ in range(people)
    ]
    stream.push(arrivals)
    assert asked[0] == 16
    assert sum(asked) == each * people
    assert len(asked) <= 2


def test_scarce_memory_frees_the_graphs_and_changes_nothing(
    small: Staf, maps, eager, monkeypatch: pytest.MonkeyPatch, caplog
) -> None:
    network = InferenceNetwork(small, config=CPU)
    steps = with_graphs(network, monkeypatch)
    stream = StafStream(network)
    stream.push([Arrival(stream.open(), np.arange(3), maps["a"][:3])])
    (first,) = steps[0]._captured.values()
    make_memory_scarce(steps[0], most=3)
    assert_same(solved(stream, maps), eager)
    assert "going on with" in caplog.text
    assert max(key[0] for key in steps[0]._captured) <= 3
    assert first not in steps[0]._captured.values(), "captures are dropped to make room"


def test_an_error_about_memory_holds_nothing_when_memory_is_freed(small: Staf) -> None:
    """What the failed step had made is gone before anything is tried again."""
    network = InferenceNetwork(small, config=CPU)
    held: list[weakref.ref] = []

    def greedy(crops: torch.Tensor) -> tuple[torch.Tensor, ...]:
        if len(crops) > 4:
            large = torch.zeros(1000)
            held.append(weakref.ref(large))
            raise torch.OutOfMemoryError("CUDA out of memory")
        return plain(crops)

    plain, network.frames.function = network.frames.function, greedy
    alive = []
    network.batches.free = lambda: alive.append(held[-1]() is not None)
    stream = StafStream(network)
    gc.disable()
    try:
        stream.push([Arrival(stream.open(), np.arange(8), torch.zeros(8, CHANNELS, 7, 7))])
    finally:
        gc.enable()
    assert alive == [False]


def test_a_stream_is_no_cycle(small: Staf) -> None:
    gc.collect()
    gc.disable()
    try:
        network = InferenceNetwork(small, config=CPU)
        stream = StafStream(network)
        stream.push([Arrival(stream.open(), np.arange(9), torch.rand(9, CHANNELS, 7, 7))])
        stream.finish([])
        kept = [weakref.ref(stream.store.tables["before"]), weakref.ref(network.folded)]
        del stream, network
        assert [one() for one in kept] == [None, None]
    finally:
        gc.enable()


def test_pixel_statistics_go_to_the_device_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from staf_backend.staf.encoders import resnet

    resnet._on.cache_clear()
    made = []
    real = torch.tensor
    monkeypatch.setattr(torch, "tensor", lambda *a, **k: (made.append(a), real(*a, **k))[1])
    crops = torch.from_numpy(np.stack([recipe.crop_rgb("clip0")]))
    first = resnet.normalise(crops)
    again = resnet.normalise(crops)
    assert len(made) == 2
    assert torch.equal(first, again)
