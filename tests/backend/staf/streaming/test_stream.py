"""Streaming gives the windowed network's results, whatever the grouping, with bounded memory."""

import dataclasses

import numpy as np
import pytest
import torch

from staf_backend.devices import DeviceError
from staf_backend.staf import StafConfig
from staf_backend.staf.network import Staf, StageParams
from staf_backend.staf.streaming import Arrival, Recovered, StafStream, StreamConfig, TrackStream
from staf_backend.staf.streaming.frame_store import Stretch
from staf_backend.staf.streaming.inference import InferenceNetwork
from tests.support import parity_network
from tests.support import parity_recipe as recipe
from tests.support.stream_memory import bytes_per_track
from tests.support.windows import Edges, stretches, windows

SMALL = StafConfig(channels=16)
CPU = StreamConfig(device="cpu")


def clip(count: int, seed: int = 0) -> torch.Tensor:
    """Encoder-like maps (T, 2048, 7, 7): a scene that stays and a part that drifts."""
    generator = torch.Generator().manual_seed(seed)
    scene = torch.randn(1, 2048, 7, 7, generator=generator)
    drift = torch.randn(count, 2048, 7, 7, generator=generator).mul_(0.5)
    return (scene + drift).relu_()


def windowed(
    network: Staf, maps: torch.Tensor, frames: np.ndarray, cuts=(), edges: Edges = "repeat"
) -> StageParams:
    """The network run on every frame's window, the plain way."""
    results = []
    for part in stretches(frames, cuts):
        table = windows(part.stop - part.start, network.config.frames, edges)
        for rows in np.array_split(table, -(-len(table) // 8)):
            with torch.inference_mode():
                results.append(network(maps[part][torch.from_numpy(rows)]).result)
    return StageParams(*(torch.cat(column) for column in zip(*results, strict=True)))


def streamed(
    stream: StafStream, maps: torch.Tensor, frames: np.ndarray, cuts=(), step: int = 8
) -> StageParams:
    """One track through a stream in pushes of `step` frames."""
    track, parts = stream.open(), []
    bounds = sorted({*range(0, len(frames), step), *np.searchsorted(frames, list(cuts)).tolist()})
    for start, stop in zip(bounds, [*bounds[1:], len(frames)], strict=True):
        if frames[start] in cuts:
            track.cut()
        parts.append(stream.push([Arrival(track, frames[start:stop], maps[start:stop])]))
    return _params([*parts, stream.finish([track])], track, frames)


def _params(parts: list[Recovered], track: TrackStream, frames: np.ndarray) -> StageParams:
    mine = [part.of(track) for part in parts]
    np.testing.assert_array_equal(np.concatenate([numbers for numbers, _ in mine]), frames)
    return StageParams(*(torch.cat(c) for c in zip(*(params for _, params in mine), strict=True)))


def assert_same_meshes(ours: StageParams, theirs: StageParams, tolerance_m: float = 2e-6) -> None:
    assert len(ours.betas) == len(theirs.betas) > 0
    body = parity_network.body().aligned()
    for part in range(0, len(ours.betas), 64):
        mine, other = (
            body(p.betas[part : part + 64], p.rotations[part : part + 64]).vertices_m
            for p in (ours, theirs)
        )
        torch.testing.assert_close(mine, other, atol=tolerance_m, rtol=0)
    torch.testing.assert_close(ours.camera, theirs.camera, atol=tolerance_m, rtol=0)


@pytest.fixture(scope="module")
def small() -> Staf:
    return parity_network.random_staf(SMALL)


FRAMES = np.array([*range(5, 27), *range(30, 42), 50, *range(60, 64), *range(80, 94)])
CUTS = (15, 85)


def test_streamed_equals_windowed_across_gaps_and_cuts(small: Staf) -> None:
    maps = clip(len(FRAMES))
    ours = streamed(StafStream(small, config=CPU), maps, FRAMES, CUTS)
    assert_same_meshes(ours, windowed(small, maps, FRAMES, CUTS))


def test_the_papers_network_streams_exactly() -> None:
    network, frames = parity_network.staf(), np.arange(13)
    maps = torch.from_numpy(recipe.clip_maps("a", range(13)))
    stream = StafStream(network, config=CPU)
    assert_same_meshes(streamed(stream, maps, frames), windowed(network, maps, frames))
    assert bytes_per_track(stream) < 12e6


@pytest.mark.slow
def test_two_hundred_frames_of_the_papers_network_stream_exactly() -> None:
    network = parity_network.staf()
    frames = np.array([*range(90), *range(100, 180), *range(200, 230)])
    maps = torch.from_numpy(recipe.clip_maps("a", range(len(frames))))
    ours = streamed(StafStream(network, config=CPU), maps, frames, cuts=(40, 150))
    assert_same_meshes(ours, windowed(network, maps, frames, cuts=(40, 150)))


@pytest.mark.parametrize("step", [1, 5, 100])
def test_the_grouping_of_pushes_does_not_matter(small: Staf, step: int) -> None:
    maps, frames = clip(21), np.arange(21)
    reference = streamed(StafStream(small, config=CPU), maps, frames)
    config = dataclasses.replace(CPU, batch=3)
    ours = streamed(StafStream(small, config=config), maps, frames, step=step)
    assert_same_meshes(ours, reference)


def test_tracks_do_not_depend_on_who_shares_the_batch(small: Staf) -> None:
    maps = [clip(17, seed) for seed in range(3)]
    frames = [np.arange(17), np.arange(100, 117), np.array([*range(6), *range(9, 20)])]
    stream = StafStream(small, config=CPU)
    tracks = [stream.open() for _ in maps]
    parts = [
        stream.push(
            [
                Arrival(track, numbers[start : start + 4], each[start : start + 4])
                for track, numbers, each in zip(tracks, frames, maps, strict=True)
            ]
        )
        for start in range(0, 17, 4)
    ]
    parts.append(stream.finish(tracks))
    for track, numbers, each in zip(tracks, frames, maps, strict=True):
        alone = streamed(StafStream(small, config=CPU), each, numbers)
        assert_same_meshes(_params(parts, track, numbers), alone)


@pytest.mark.parametrize("count", [1, 4, 8, 9, 20])
def test_replicated_edges_equal_windowed(small: Staf, count: int) -> None:
    maps, frames = clip(count), np.arange(count)
    config = dataclasses.replace(CPU, edges="replicate")
    ours = streamed(StafStream(small, config=config), maps, frames)
    assert_same_meshes(ours, windowed(small, maps, frames, edges="replicate"))


@pytest.mark.parametrize(
    "config",
    [StafConfig(channels=16, average_target=False), StafConfig(channels=16, frames=3)],
    ids=["without APM", "three frames"],
)
def test_other_configurations_stream_exactly(config: StafConfig) -> None:
    network, maps, frames = parity_network.random_staf(config), clip(12), np.arange(12)
    ours = streamed(StafStream(network, config=CPU), maps, frames)
    assert_same_meshes(ours, windowed(network, maps, frames))


def test_live_results_come_four_frames_late(small: Staf) -> None:
    stream, maps = StafStream(small, config=CPU), clip(12)
    track = stream.open()
    seen = [
        stream.push([Arrival(track, np.array([frame]), maps[frame : frame + 1])]).frames.tolist()
        for frame in range(12)
    ]
    assert seen[:4] == [[0], [1], [2], [3]]  # near the start the target stands alone
    assert seen[4:8] == [[], [], [], []]
    assert seen[8:] == [[4], [5], [6], [7]]
    assert stream.finish([track]).frames.tolist() == [8, 9, 10, 11]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_video(small: Staf) -> None:
    stream, maps = StafStream(small, config=CPU), clip(16)
    track, capacities = stream.open(), set()
    for start in range(0, 400, 8):
        part = maps[start % 16 : start % 16 + 8]
        stream.push([Arrival(track, np.arange(start, start + 8), part)])
        capacities.add(stream.store.capacity)
    assert capacities == {8, 16}
    stream.finish([track])
    others = [Arrival(stream.open(), np.arange(8), maps[:8]) for _ in range(2)]
    stream.push(others)
    assert stream.store.capacity == 16, "a track that has ended leaves nothing behind"


@pytest.mark.slow
def test_ten_thousand_frames_stream_at_constant_memory(small: Staf) -> None:
    import resource

    stream, maps = StafStream(small, config=CPU), clip(64)
    track, peaks_kb = stream.open(), []
    for start in range(0, 10_000, 8):
        part = maps[start % 64 : start % 64 + 8]
        stream.push([Arrival(track, np.arange(start, start + 8), part)])
        peaks_kb.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    assert stream.store.capacity == 16
    assert peaks_kb[-1] - peaks_kb[100] < 5_000


def test_images_go_through_the_encoder(small: Staf) -> None:
    crops = torch.from_numpy(np.stack([recipe.crop_rgb(f"clip{n}") for n in range(3)]))
    stream = StafStream(small, parity_network.encoder(), CPU)
    track = stream.open()
    ours = stream.push([Arrival(track, np.arange(3), crops)])
    images = np.stack([recipe.network_image(f"clip{number}") for number in range(3)])
    with torch.inference_mode():
        maps = parity_network.encoder()(torch.from_numpy(images))
    assert_same_meshes(ours.params, windowed(small, maps, np.arange(3)), tolerance_m=1e-5)


def test_full_meshes_on_request(small: Staf) -> None:
    stream = StafStream(small, config=dataclasses.replace(CPU, vertices=True, batch=2))
    results = stream.push([Arrival(stream.open(), np.arange(3), clip(3))])
    expected = parity_network.vertices_m(results.params)
    assert results.vertices_m is not None
    torch.testing.assert_close(results.vertices_m, expected, atol=1e-6, rtol=0)


@pytest.mark.slow
def test_bfloat16_stays_within_two_millimetres() -> None:
    maps, frames = torch.from_numpy(recipe.clip_maps("a", range(5))), np.arange(5)
    network, meshes = parity_network.staf(), []
    for precision in ("float32", "bfloat16"):
        stream = StafStream(network, config=dataclasses.replace(CPU, precision=precision))
        meshes.append(parity_network.vertices_m(streamed(stream, maps, frames)))
    distance_m = (meshes[0] - meshes[1]).norm(dim=-1).mean(1)
    assert 0 < distance_m.max() < 0.002


def test_out_of_memory_halves_the_batch_and_changes_nothing(small: Staf, caplog) -> None:
    maps, frames = clip(16), np.arange(16)
    reference = streamed(StafStream(small, config=CPU), maps, frames)
    network = InferenceNetwork(small, config=CPU)
    stream = StafStream(network)

    def refuse(_module, args) -> None:
        if len(args[0]) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    network.folded.deconv_2.register_forward_pre_hook(refuse)
    assert_same_meshes(streamed(stream, maps, frames), reference)
    assert "out of memory with 8 frames at once; going on with 4" in caplog.text
    assert stream.batches.size == 2


def test_memory_for_no_more_frames_is_an_error(small: Staf, monkeypatch) -> None:
    stream = StafStream(small, config=CPU)
    track = stream.open()
    stream.push([Arrival(track, np.arange(2), clip(2))])

    def refuse(*_args, **_options) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(stream.store, "_empty", refuse)
    with pytest.raises(DeviceError, match="cannot hold the network and the frames it keeps"):
        stream.push([Arrival(track, np.arange(2, 10), clip(8))])


def test_deterministic_runs_repeat_bit_by_bit(small: Staf) -> None:
    config = dataclasses.replace(CPU, deterministic=True)
    maps, frames = clip(11), np.arange(11)
    runs = [streamed(StafStream(small, config=config), maps, frames) for _ in range(2)]
    assert torch.equal(runs[0].pose6d, runs[1].pose6d)


def test_nothing_in_nothing_out(small: Staf) -> None:
    stream = StafStream(small, config=CPU)
    assert len(stream.push([]).frames) == 0
    assert len(stream.finish([stream.open()]).frames) == 0


def test_frames_cannot_go_back(small: Staf) -> None:
    stream, maps = StafStream(small, config=CPU), clip(3)
    track = stream.open()
    stream.push([Arrival(track, np.arange(3), maps)])
    with pytest.raises(ValueError, match="frame 2 comes after frame 2"):
        stream.push([Arrival(track, np.arange(2, 5), maps)])


def test_images_need_an_encoder(small: Staf) -> None:
    stream = StafStream(small, config=CPU)
    with pytest.raises(ValueError, match="no encoder"):
        stream.push([Arrival(stream.open(), np.arange(1), torch.zeros(1, 3, 224, 224))])


def test_a_push_is_of_one_kind(small: Staf) -> None:
    stream = StafStream(small, parity_network.encoder(), CPU)
    shapes = ((1, 3, 224, 224), (1, 2048, 7, 7))
    with pytest.raises(ValueError, match="one kind"):
        stream.push([Arrival(stream.open(), np.arange(1), torch.zeros(s)) for s in shapes])


def test_a_track_arrives_once_a_push(small: Staf) -> None:
    stream, maps = StafStream(small, config=CPU), clip(1)
    track = stream.open()
    with pytest.raises(ValueError, match="one arrival of each track"):
        stream.push([Arrival(track, np.array([frame]), maps) for frame in (0, 1)])


@pytest.mark.parametrize(
    ("frames", "shape", "reason"),
    [
        ([0], (1, 3, 256, 256), "images, landmarks or encoder maps"),
        ([0, 1], (1, 2048, 7, 7), "2 frame numbers for 1 crops"),
        ([1, 1], (2, 2048, 7, 7), "increase"),
    ],
)
def test_arrivals_are_checked(frames: list[int], shape: tuple, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Arrival(TrackStream(9, "repeat"), np.array(frames), torch.zeros(shape))


@pytest.mark.parametrize(
    "arguments",
    [{"batch": 0}, {"edges": "demo"}, {"precision": "int8"}, {"acceleration": "compile"}],
)
def test_impossible_settings_are_refused(arguments: dict) -> None:
    with pytest.raises(ValueError):
        StreamConfig(**arguments)


@pytest.mark.parametrize("edges", ["repeat", "replicate"])
@pytest.mark.parametrize("count", [1, 3, 8, 9, 10, 25])
def test_windows_complete_once_and_as_the_table_says(count: int, edges) -> None:
    stretch, found = Stretch(9, edges), []
    for frame in range(count):
        stretch.add(frame, slot=frame)
        found += stretch.complete(ended=False)
        stretch.outdated(ended=False)
    found += stretch.complete(ended=True)
    table = windows(count, 9, edges)
    assert [window.frame for window in found] == list(range(count))
    for window, row in zip(found, table, strict=True):
        assert (np.array(window.slots) == row).all()


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")


@needs_cuda
@pytest.mark.parametrize("acceleration", ["none", "graphs"])
def test_cuda_streams_what_the_cpu_does(small: Staf, acceleration) -> None:
    maps, frames = clip(21), np.arange(21)
    config = StreamConfig(device="cuda", batch=4, acceleration=acceleration)
    network = InferenceNetwork(small, config=config)
    ours = streamed(StafStream(network), maps, frames, step=5)
    assert network.answer.enabled == (acceleration == "graphs")
    assert_same_meshes(ours, streamed(StafStream(small, config=CPU), maps, frames), 1e-5)


@needs_cuda
@pytest.mark.parametrize("precision", ["bfloat16", "float16", "tf32"])
def test_cuda_precisions_stay_within_two_millimetres(precision) -> None:
    maps, frames = torch.from_numpy(recipe.clip_maps("a", range(10))), np.arange(10)
    network = parity_network.staf()
    exact, short = (
        parity_network.vertices_m(
            streamed(StafStream(network, config=StreamConfig("cuda", name)), maps, frames)
        )
        for name in ("float32", precision)
    )
    assert (exact - short).norm(dim=-1).mean(1).max() < 0.002


@needs_cuda
def test_deterministic_cuda_repeats_bit_by_bit(small: Staf) -> None:
    config = StreamConfig("cuda", "bfloat16", deterministic=True)
    maps, frames = clip(11), np.arange(11)
    runs = [streamed(StafStream(small, config=config), maps, frames) for _ in range(2)]
    assert torch.equal(runs[0].pose6d, runs[1].pose6d)
