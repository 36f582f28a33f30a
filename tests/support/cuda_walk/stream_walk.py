"""Streams of STAF walked through on CUDA: the rules that they break."""

import numpy as np
import torch

from staf_backend.devices import Graphed, Precision
from staf_backend.staf import StafConfig
from staf_backend.staf.encoders import Encoder, FieldsEncoder
from staf_backend.staf.network import Staf
from staf_backend.staf.streaming import Arrival, StafStream, StreamConfig
from staf_backend.staf.streaming.inference import InferenceNetwork
from staf_backend.weights.store import load_weights
from tests.support import parity_network
from tests.support.cuda_walk.watch import Watch, walking

BATCH = 8
CASES: tuple[tuple[str, str, Precision, bool], ...] = (
    ("resnet50", "cuda", "float32", False),
    ("resnet50", "cuda:1", "bfloat16", True),
    ("fields", "cuda", "bfloat16", False),
    ("fields", "cuda:1", "float32", True),
)
"""Encoder, device, precision, deterministic."""


def walk_streams() -> dict[str, list[str]]:
    """The rules that each case breaks."""
    broken = {}
    for kind, device, precision, deterministic in CASES:
        config = StreamConfig(
            "cpu", precision, batch=BATCH, vertices=True, deterministic=deterministic
        )
        name = " ".join([kind, device, precision, *["deterministic"] * deterministic])
        broken[name] = walk_stream(_network(kind, config), torch.device(device))
    return broken


def walk_stream(network: InferenceNetwork, device: torch.device) -> list[str]:
    """Rules that a stream of two people breaks on a device."""
    with walking() as watch:
        _place(network, device)
        stream = StafStream(network)
        a, b = stream.open(), stream.open()
        counts, result = {}, None
        for number, (of_a, of_b) in enumerate([(5, 3), (5, 3), (5, 3), (4, 4), (7, 1)]):
            before = _captures(network)
            with watch.region(f"push {number}"):
                arrivals = [_arrival(track, count) for track, count in ((a, of_a), (b, of_b))]
                result = stream.push(arrivals)
            counts[number] = _captures(network) - before
        capacity, kept = stream.store.capacity, _captures(network)
        others = [stream.open() for _ in range(3)]
        for _ in range(3):
            stream.push([_arrival(track, 2) for track in others])
        with watch.region("grown"):
            stream.push([_arrival(a, 5), _arrival(b, 3)])
        wrong = _wrong(watch, "push 3") + _wrong(watch, "push 4") + _wrong(watch, "grown")
        if stream.store.capacity <= capacity:
            wrong.append("the store has not grown")
        if _captures(network) < kept or counts[4]:
            wrong.append(f"graphs were captured again: {counts}")
        assert result is not None
        assert result.vertices_m is not None
        if {tensor.device.type for tensor in (*result.params, result.vertices_m)} != {"cpu"}:
            wrong.append("results are not on the CPU")
        if watch.operations < 1000 or not kept or not watch.of("push 3"):
            wrong.append(f"too little was walked: {watch.operations} operations")
        return wrong


def _wrong(watch: Watch, push: str) -> list[str]:
    """What a push in mid-clip does beyond one upload and one download, and what graphs do."""
    seen = [(event.what, event.detail) for event in watch.events if event.region == push]
    names = [what for what, _ in seen]
    wrong = [
        f"{push}: {what} {detail}" for what, detail in seen if what not in ("upload", "download")
    ]
    wrong += [
        f"{push}: {names.count(what)} of {what}"
        for what in ("upload", "download")
        if names.count(what) != 1
    ]
    inside = [event for event in watch.events if event.region in ("capture", "replay")]
    return wrong + [" ".join(event) for event in inside]


def mistakes() -> dict[str, list[str]]:
    """What the walk says of steps that are wrong on purpose."""

    def number(x: torch.Tensor) -> tuple[torch.Tensor]:
        x = x.clone()
        x[0] = torch.tensor(1.0)
        return (x,)

    steps = {
        "number of the CPU": number,
        "waits": lambda x: (x * x.nonzero().shape[0],),
        "left on the CPU": lambda x: (x + torch.ones(4, 3),),
        "indexed by a list": lambda x: (x[[0, 1, 2, 3]],),
    }
    found = {}
    for name, step in steps.items():
        with walking() as watch:
            graphed = Graphed(step, enabled=True, most=4)
            try:
                graphed(torch.ones(4, 3, device="cuda"))
            except RuntimeError as error:
                found[name] = [str(error).split("\n")[0]]
                continue
            found[name] = [event.what for event in watch.events if event.region == "capture"]
            found[name] += [] if graphed.enabled else ["no graph"]
    with walking() as watch, watch.region("replay"):
        torch.ones(2, device="cuda").add(1)
        torch.ones(2).to("cuda")
    found["allocates"] = watch.of("replay")
    return found


def _network(kind: str, config: StreamConfig) -> InferenceNetwork:
    """On the CPU, with data; the landmark network of `fields` has been read."""
    if kind == "resnet50":
        small = parity_network.random_staf(StafConfig(channels=16))
        return InferenceNetwork(small, Encoder().eval(), config)
    loaded = load_weights("staf-open")
    assert isinstance(loaded.encoder, FieldsEncoder)
    assert isinstance(loaded.network, Staf)
    loaded.encoder.see(torch.zeros(1, 3, 224, 224))
    return InferenceNetwork(loaded.network, loaded.encoder, config)


def _place(network: InferenceNetwork, device: torch.device) -> None:
    """Moves a network as its constructor does for CUDA."""
    network.device = device
    network.folded.to(device)
    assert network.encoder is not None
    network.encoder.to(device)
    for step in (network.frames, network.look, network.answer):
        step.enabled = True
        step.function.__self__.sparse = False  # pyright: ignore[reportFunctionMemberAccess]


def _captures(network: InferenceNetwork) -> int:
    return sum(len(step._captured) for step in (network.frames, network.look, network.answer))


def _arrival(track, count: int) -> Arrival:
    last = track.stretch.last_frame
    first = 0 if last is None else last + 1
    crops = torch.zeros(count, 224, 224, 3, dtype=torch.uint8)
    return Arrival(track, np.arange(first, first + count), crops)
