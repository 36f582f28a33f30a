"""Every configuration of the paper streams what it gives on each frame's window by itself."""

import dataclasses
import gc
import weakref

import numpy as np
import pytest
import torch

from staf_backend.staf import TABLE_IV, TABLE_V, TABLE_VI, AnyConfig, PooledConfig, StafConfig
from staf_backend.staf.any_network import AnyNetwork
from staf_backend.staf.encoders import Encoder
from staf_backend.staf.network import StageParams
from staf_backend.staf.streaming import Arrival, StafStream, StreamConfig
from staf_backend.staf.streaming.inference import InferenceNetwork
from staf_backend.staf.streaming.windowed import WindowNetwork
from tests.support.make_training_videos import SMALL, WIDTH, by_windows, made_maps, small_network
from tests.support.windows import stretches

CPU = StreamConfig(device="cpu", batch=5)
FRAMES = np.array([*range(3, 14), 20, 21])
"""With a gap."""
CONFIGS = {**TABLE_IV, **TABLE_V, **TABLE_VI, "one frame": StafConfig(1, 4, False, None, None)}


def small(config: AnyConfig) -> AnyNetwork:
    """A lively network of a configuration, narrow."""
    narrow = {} if isinstance(config, PooledConfig) else {"channels": 4}
    return small_network(dataclasses.replace(config, map_channels=WIDTH, **narrow))


def streamed(stream: StafStream, maps: torch.Tensor, step: int = 4) -> StageParams:
    """One track in pushes of `step` frames, another one beside it for a while."""
    track, other = stream.open(), stream.open()
    found = []
    for first in range(0, len(maps), step):
        part = slice(first, first + step)
        arrivals = [Arrival(track, FRAMES[part], maps[part])]
        if first < 2 * step:
            arrivals.append(Arrival(other, FRAMES[part], maps[part].flip(1)))
        found.append(stream.push(arrivals).of(track))
    found.append(stream.finish([track, other]).of(track))
    np.testing.assert_array_equal(np.concatenate([frames for frames, _ in found]), FRAMES)
    return StageParams(*(torch.cat(c) for c in zip(*(params for _, params in found), strict=True)))


def expected(network: AnyNetwork, maps: torch.Tensor) -> StageParams:
    parts = [by_windows(network, maps[part]) for part in stretches(FRAMES)]
    return StageParams(*(torch.cat(column) for column in zip(*parts, strict=True)))


@pytest.mark.parametrize("name", CONFIGS)
def test_each_frame_has_the_result_of_its_own_window(name: str) -> None:
    network, maps = small(CONFIGS[name]), made_maps(name, len(FRAMES))
    stream = StafStream(network, config=CPU)
    folded = name in ("base + STAF", "base + STAF + APM", "TCFM1 + SAFM2")
    assert isinstance(stream.network, InferenceNetwork if folded else WindowNetwork)
    ours, theirs = streamed(stream, maps), expected(network, maps)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, atol=1e-5, rtol=0)
    moved = (theirs.pose6d[0] - theirs.pose6d[6]).abs().max()
    assert moved > 1e-3, "a network that says the same of every frame proves nothing"


def test_only_the_frames_of_open_windows_are_kept() -> None:
    stream = StafStream(small(TABLE_V["HMR + APM"]), config=CPU)
    track, capacities = stream.open(), set()
    for first in range(0, 80, 4):
        stream.push([Arrival(track, np.arange(first, first + 4), made_maps("kept", 4))])
        capacities.add(stream.store.capacity)
    assert max(capacities) == 12  # eight that wait, and four that come
    stream.finish([track])


@pytest.mark.parametrize("name", ["base + APM", "MPS-Net with HAFI"])
def test_half_precision_stays_near_float32(name: str) -> None:
    network, maps = small(CONFIGS[name]), made_maps(name, len(FRAMES))
    config = dataclasses.replace(CPU, precision="bfloat16")
    ours, exact = streamed(StafStream(network, config=config), maps), expected(network, maps)
    away = (ours.rotations - exact.rotations).abs()
    assert away.max() > 1e-6, "nothing was computed in bfloat16"
    assert away.max() < 0.02
    assert ours.pose6d.dtype == torch.float32


def test_images_go_through_the_encoder() -> None:
    torch.manual_seed(0)
    encoder = Encoder().eval()
    network = small_network(PooledConfig("APM"))
    crops = torch.randint(0, 256, (9, 224, 224, 3), dtype=torch.uint8)
    stream = StafStream(network, encoder, CPU)
    track = stream.open()
    found = [stream.push([Arrival(track, np.arange(9), crops)]), stream.finish([track])]
    ours = torch.cat([part.params.pose6d for part in found])
    with torch.inference_mode():
        maps = encoder(encoder.normalise(crops))
        theirs = by_windows(network, maps)
    torch.testing.assert_close(ours, theirs.pose6d, atol=1e-4, rtol=0)


def test_a_stream_is_no_cycle() -> None:
    network = WindowNetwork(small(TABLE_V["HMR"]), config=CPU)
    gc.collect()
    gc.disable()
    try:
        stream = StafStream(network)
        stream.push([Arrival(stream.open(), np.arange(9), made_maps("cycle", 9))])
        kept = [weakref.ref(stream.store.tables["maps"]), weakref.ref(network.network)]
        del stream, network
        assert [one() for one in kept] == [None, None]
    finally:
        gc.enable()


def test_what_cannot_be_streamed_is_refused() -> None:
    mixed = small_network(dataclasses.replace(SMALL, tcfm_batching="authors"))
    with pytest.raises(ValueError, match="mixes the windows of a batch"):
        StafStream(mixed, config=CPU)
    with pytest.raises(ValueError, match="pooled network has not"):
        StafStream(small(TABLE_V["HMR"]), config=dataclasses.replace(CPU, vertices=True))
    with pytest.raises(ValueError, match="reads 12 channels, the encoder resnet50 gives 2048"):
        StafStream(small(TABLE_V["HMR"]), Encoder(), CPU)
