"""The exact streaming form of STAF: every frame's work done once, whatever windows look at it.

    stream = StafStream(weights.network, weights.encoder, device="cuda", precision="bfloat16")
    track = stream.open()
    for ...: results = stream.push([Arrival(track, frames, crops)])   # four frames late
    results = stream.finish([track])                                  # the rest

Equal to running `network.Staf` on each frame's window (see `folded` for why), for any number of
tracks at a time, in any grouping of pushes.  A jump in the frame numbers, or `track.cut()`, ends
the stretch: windows never reach across it.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from staf_backend.runtime.torch_device import (
    Precision,
    choose_device,
    numerics,
    storage_type,
    upload,
)
from staf_backend.runtime.torch_graphs import Graphed
from staf_backend.runtime.torch_memory import Batches, enough_memory
from staf_backend.staf.config import CROP_PX, MAP_PX
from staf_backend.staf.encoders.fields import AnyEncoder
from staf_backend.staf.encoders.resnet import Encoder, FoldedEncoder
from staf_backend.staf.network import Staf, StageParams
from staf_backend.staf.streaming.folded import PARAMS, FoldedStaf, split_params
from staf_backend.staf.streaming.frame_store import FrameStore, StreamEdges, Stretch, Window

Acceleration = Literal["auto", "none", "graphs", "compile"]


@dataclass(frozen=True)
class StreamConfig:
    """How a stream runs.

    `batch` frames, and windows, go through the network at once (8 on the CPU, 64 on CUDA by
    default); `vertices` asks for full meshes; `acceleration` is "graphs" on CUDA if "auto".
    """

    device: str = "auto"
    precision: Precision = "float32"
    edges: StreamEdges = "repeat"
    batch: int | None = None
    vertices: bool = False
    deterministic: bool = False
    acceleration: Acceleration = "auto"

    def __post_init__(self) -> None:
        storage_type(self.precision)
        if self.batch is not None and self.batch < 1:
            raise ValueError(f"batch must be positive, not {self.batch}")
        if self.edges not in ("repeat", "replicate"):
            raise ValueError(f"edges must be 'repeat' or 'replicate', not {self.edges!r}")
        if self.acceleration not in ("auto", "none", "graphs", "compile"):
            raise ValueError(f"unknown acceleration {self.acceleration!r}")


class TrackStream:
    """One person's place in a stream; made by `StafStream.open`."""

    def __init__(self, length: int, edges: StreamEdges) -> None:
        self._new = lambda: Stretch(length, edges)
        self.stretch = self._new()
        self.was_cut = False

    def cut(self) -> None:
        """A new shot begins with the next frame."""
        self.was_cut = True

    def restart(self) -> None:
        """Begins a new stretch."""
        self.stretch, self.was_cut = self._new(), False


@dataclass(frozen=True, eq=False)
class Arrival:
    """New frames of one track.

    `frames` (n,) increasing frame numbers; `crops` (n, 224, 224, 3) uint8, or (n, 3, 224, 224)
    normalised, or encoder maps (n, C, 7, 7).
    """

    track: TrackStream
    frames: np.ndarray
    crops: Tensor

    def __post_init__(self) -> None:
        images = ((CROP_PX, CROP_PX, 3), (3, CROP_PX, CROP_PX))
        if tuple(self.crops.shape[1:]) not in images and not self.are_maps:
            raise ValueError(f"crops must be images or encoder maps, not {tuple(self.crops.shape)}")
        if len(self.frames) != len(self.crops):
            raise ValueError(f"{len(self.frames)} frame numbers for {len(self.crops)} crops")
        if (np.diff(self.frames) <= 0).any():
            raise ValueError("frames must increase")

    @property
    def are_maps(self) -> bool:
        """Whether the encoder's work is done already."""
        return self.crops.ndim == 4 and tuple(self.crops.shape[2:]) == (MAP_PX, MAP_PX)


@dataclass(frozen=True, eq=False)
class Recovered:
    """Targets that are done, N of them, each track's in order; tensors float32 on the CPU.

    `vertices_m` (N, V, 3) is None unless asked for.
    """

    tracks: tuple[TrackStream, ...]
    frames: np.ndarray
    params: StageParams
    vertices_m: Tensor | None

    def of(self, track: TrackStream) -> tuple[np.ndarray, StageParams]:
        """One track's frame numbers and parameters."""
        picked = [i for i, owner in enumerate(self.tracks) if owner is track]
        return self.frames[picked], StageParams(*(tensor[picked] for tensor in self.params))


@dataclass
class _Step:
    """Frames to store and windows to run, in order."""

    crops: list[Tensor] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)
    windows: list[tuple[TrackStream, Window]] = field(default_factory=list)
    outdated: list[int] = field(default_factory=list)


class StafStream:
    """Runs the network over tracks.  Not for several threads at a time."""

    def __init__(
        self,
        network: Staf,
        encoder: AnyEncoder | None = None,
        config: StreamConfig | None = None,
    ) -> None:
        """Folds the networks and moves them to the device.

        Args:
            network: in the paper's arrangement; it is copied and stays where it is.
            encoder: needed to push images; without it only encoder maps are taken.
            config: how to run.

        Raises:
            DeviceError: the device is absent, or its memory cannot hold the network.
            ValueError: the network cannot be streamed, or the encoder's maps are not its width.
        """
        self.config = config or StreamConfig()
        self.device = choose_device(self.config.device)
        dtype = storage_type(self.config.precision)
        on_cuda = self.device.type == "cuda"
        self.batches = Batches(self.config.batch or (64 if on_cuda else 8))
        with enough_memory():
            self.folded = FoldedStaf(copy.deepcopy(network).cpu(), dtype).to(self.device)
            self.encoder = None if encoder is None else _frozen(encoder).to(self.device, dtype)
        self._normalise = None if encoder is None else encoder.normalise
        if encoder is not None and encoder.channels != self.map_channels:
            raise ValueError(f"the network reads {self.map_channels} channels, the encoder "
                             f"{encoder.name} gives {encoder.channels}")  # fmt: skip
        self.store = FrameStore(self.folded, self.device, self.batches.size)
        wanted = self.config.acceleration
        if wanted == "compile":
            self._compile()
        graphs = on_cuda and wanted in ("auto", "graphs")
        self._frame_step = Graphed(self._store_frames, enabled=graphs)
        self._window_step = Graphed(self._run_windows, enabled=graphs)

    @property
    def map_channels(self) -> int:
        """Width of the encoder maps that the network reads."""
        return self.folded.config.map_channels

    def open(self) -> TrackStream:
        """A new track."""
        return TrackStream(self.folded.config.frames, self.config.edges)

    def push(self, arrivals: Sequence[Arrival]) -> Recovered:
        """Takes new frames and gives back the targets whose windows they complete.

        Args:
            arrivals: frames of one or more tracks; frames of a track must follow earlier ones.

        Raises:
            ValueError: images without an encoder, crops of several kinds, or frames that go back
                in time.
            DeviceError: the device's memory cannot hold the tracks' frames, or not even run one.
        """
        kinds = {(a.crops.shape[1:], a.crops.dtype, a.crops.device) for a in arrivals}
        if len(kinds) > 1:
            raise ValueError("all crops of a push must be of one kind, type and device")
        if len({id(a.track) for a in arrivals}) < len(arrivals):
            raise ValueError("a push takes one arrival of each track")
        for arrival in arrivals:
            self._check(arrival)
        size = self.batches.size
        parts = [
            Arrival(a.track, a.frames[i : i + size], a.crops[i : i + size])
            for a in arrivals
            for i in range(0, len(a.frames), size)
        ]
        steps, step = [], []
        for part in parts:
            if step and sum(len(p.frames) for p in [*step, part]) > size:
                steps.append(self._run(self._plan(step)))
                step = []
            step.append(part)
        steps.append(self._run(self._plan(step)))
        return _joined(steps)

    def finish(self, tracks: Sequence[TrackStream]) -> Recovered:
        """The targets that still wait, as if the tracks ended here; the tracks begin anew."""
        step = _Step()
        for track in tracks:
            self._end(track, step)
        return self._run(step)

    def _check(self, arrival: Arrival) -> None:
        if self.encoder is None and not arrival.are_maps:
            raise ValueError("this stream has no encoder: push encoder maps")
        if arrival.are_maps and arrival.crops.shape[1] != self.map_channels:
            raise ValueError(f"maps must have {self.map_channels} channels, "
                             f"not {arrival.crops.shape[1]}")  # fmt: skip
        last = arrival.track.stretch.last_frame
        if last is not None and len(arrival.frames) and arrival.frames[0] <= last:
            raise ValueError(f"frame {arrival.frames[0]} comes after frame {last}")

    def _plan(self, arrivals: Sequence[Arrival]) -> _Step:
        """Assigns slots and collects the windows that become complete."""
        step = _Step()
        for arrival in arrivals:
            slots, grown = self.store.take(len(arrival.frames))
            if grown:
                self._frame_step.forget()
                self._window_step.forget()
            step.crops.append(arrival.crops)
            step.slots += slots
            for frame, slot in zip(arrival.frames.tolist(), slots, strict=True):
                track = arrival.track
                if track.was_cut or not track.stretch.follows(frame):
                    self._end(track, step)
                track.stretch.add(frame, slot)
            step.windows += [
                (arrival.track, w) for w in arrival.track.stretch.complete(ended=False)
            ]
            step.outdated += arrival.track.stretch.outdated(ended=False)
        return step

    @staticmethod
    def _end(track: TrackStream, step: _Step) -> None:
        step.windows += [(track, window) for window in track.stretch.complete(ended=True)]
        step.outdated += track.stretch.outdated(ended=True)
        track.restart()

    def _run(self, step: _Step) -> Recovered:
        with (
            torch.inference_mode(),
            numerics(self.config.precision, deterministic=self.config.deterministic),
        ):
            if step.slots:
                whole = self._uploaded(
                    torch.cat(step.crops) if len(step.crops) > 1 else step.crops[0]
                )
                slots = torch.tensor(step.slots, device=self.device)
                self.batches.run(len(slots), lambda part: self._frames(whole[part], slots[part]))
            params = self._windows([window for _, window in step.windows])
            vertices_m = self._meshes(params) if self.config.vertices else None
        self.store.give_back(step.outdated)
        tracks = tuple(track for track, _ in step.windows)
        frames = np.array([window.frame for _, window in step.windows], np.int64)
        return Recovered(tracks, frames, params, vertices_m)

    def _uploaded(self, crops: Tensor) -> Tensor:
        with enough_memory():
            crops = upload(crops, self.device)
            if crops.dtype != torch.uint8:
                return crops
            assert self._normalise is not None
            return self._normalise(crops)

    def _frames(self, crops: Tensor, slots: Tensor) -> None:
        """Stores frames; padded for CUDA graphs."""
        extra = self._padding(len(crops))
        if extra:
            crops = torch.cat([crops, crops[-1:].expand(extra, -1, -1, -1)])
            slots = torch.cat([slots, slots[-1:].expand(extra)])
        self._frame_step(crops, slots)

    def _store_frames(self, crops: Tensor, slots: Tensor) -> None:
        maps = crops
        if crops.shape[-1] != MAP_PX:
            assert self.encoder is not None
            maps = self.encoder(crops)
        before = self.folded.before_relu(maps)
        rows, _ = self.folded.frame_rows(before)
        self.store.write(slots, before, rows)

    def _windows(self, windows: list[Window]) -> StageParams:
        """Parameters of windows in order; those of one frame go apart from those of many."""
        flat = torch.empty(len(windows), PARAMS, device=self.device)
        for length in {len(window.slots) for window in windows}:
            numbers = [i for i, window in enumerate(windows) if len(window.slots) == length]
            slots = torch.tensor([windows[i].slots for i in numbers], device=self.device)
            order = torch.tensor(numbers, device=self.device)
            self.batches.run(len(numbers), lambda p, s=slots, o=order: self._fill(flat, s[p], o[p]))
        return split_params(flat.cpu())

    def _fill(self, flat: Tensor, slots: Tensor, order: Tensor) -> None:
        extra = self._padding(len(slots))
        if extra:
            slots = torch.cat([slots, slots[-1:].expand(extra, -1)])
        found = self._window_step(slots)
        assert found is not None
        flat[order] = found[: len(order)]

    def _run_windows(self, slots: Tensor) -> Tensor:
        """Parameters (W, 157) of windows given as slots (W, T)."""
        store, middle = self.store, slots.shape[1] // 2
        before = self._averaged(slots) if self.folded.config.average_target else (
            store.before[slots[:, middle]])  # fmt: skip
        rows, second = self.folded.frame_rows(before)
        targets = store.target_places(len(slots))
        store.linear.index_copy_(0, targets, rows.linear)
        vectors, places = store.vectors[slots], slots.clone()
        vectors[:, middle], places[:, middle] = rows.vectors, targets
        params = self.folded.window_params(
            vectors, store.linear, places, second, sparse=self.device.type == "cpu"
        )
        return torch.cat([params.pose6d, params.betas, params.camera], 1)

    def _averaged(self, slots: Tensor) -> Tensor:
        """Means (W, 196, C) over windows of the kept maps, before the ReLU."""
        table = self.store.before.flatten(1)
        if self.device.type == "cpu":
            mean = torch.nn.functional.embedding_bag(slots, table, mode="mean")
        else:
            mean = table[slots].mean(1)
        return mean.unflatten(1, self.store.before.shape[1:])

    def _padding(self, count: int) -> int:
        """Rows up to a power of two or a whole batch, so that few graphs serve all counts."""
        if not (self._frame_step.enabled or self._window_step.enabled):
            return 0
        # The store has places for the targets of no more than a whole batch
        return min(1 << (count - 1).bit_length(), self.batches.size) - count

    def _meshes(self, params: StageParams) -> Tensor:
        betas, rotations = (tensor.to(self.device) for tensor in (params.betas, params.rotations))
        out = torch.empty(len(betas), len(self.folded.body.tables.template_m), 3)

        def pose(part: slice) -> None:
            out[part] = self.folded.body(betas[part], rotations[part]).vertices_m.cpu()

        self.batches.run(len(betas), pose)
        return out

    def _compile(self) -> None:
        """`torch.compile` of the dense parts; it compiles at the first call."""
        if self.encoder is not None:
            self.encoder.compile(dynamic=False)
        self.folded.frame_rows = torch.compile(self.folded.frame_rows, dynamic=False)


def _frozen(encoder: AnyEncoder) -> torch.nn.Module:
    """A copy for inference."""
    if isinstance(encoder, Encoder):
        return FoldedEncoder(encoder)
    return copy.deepcopy(encoder).eval().requires_grad_(False)


def _joined(parts: list[Recovered]) -> Recovered:
    if len(parts) == 1:
        return parts[0]
    columns = zip(*(part.params for part in parts), strict=True)
    meshes = [part.vertices_m for part in parts if part.vertices_m is not None]
    return Recovered(
        tuple(track for part in parts for track in part.tracks),
        np.concatenate([part.frames for part in parts]),
        StageParams(*(torch.cat(column) for column in columns)),
        torch.cat(meshes) if meshes else None,
    )
