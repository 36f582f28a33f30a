"""A network over frames as they come: what belongs to a frame is done once.

    stream = StafStream(weights.network, weights.encoder, device="cuda", precision="bfloat16")
    track = stream.open()
    for ...: results = stream.push([Arrival(track, frames, crops)])   # four frames late
    results = stream.finish([track])                                  # the rest

Equal to running the network on each frame's window, for any number of tracks at a time, in any
grouping of pushes.  In the paper's arrangement a window costs little (see `folded`); of any other
configuration the encoder's work alone is shared (see `windowed`).  A jump in the frame numbers, or
`track.cut()`, ends the stretch: windows never reach across it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from staf_backend.body.markers import COUNT
from staf_backend.devices import download_together, enough_memory, numerics, upload_together
from staf_backend.staf.any_network import AnyNetwork
from staf_backend.staf.config import CROP_PX, MAP_PX
from staf_backend.staf.encoders import AnyEncoder, FieldsEncoder
from staf_backend.staf.encoders.frame_lifter import NUMBERS
from staf_backend.staf.network import Staf, StageParams
from staf_backend.staf.pooled import PooledNetwork
from staf_backend.staf.streaming.folded import PARAMS, split_params
from staf_backend.staf.streaming.frame_store import Slots, Stretch, Window
from staf_backend.staf.streaming.ready import ReadyNetwork, make_ready
from staf_backend.staf.streaming.settings import StreamConfig, StreamEdges

__all__ = ["Arrival", "Recovered", "StafStream", "StreamConfig", "TrackStream"]


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
    normalised, or encoder maps (n, C, 7, 7), or what an encoder that reads landmarks sees of them
    (n, 27, 6), see `encoders.frame_lifter.NUMBERS`.
    """

    track: TrackStream
    frames: np.ndarray
    crops: Tensor

    def __post_init__(self) -> None:
        known = ((CROP_PX, CROP_PX, 3), (3, CROP_PX, CROP_PX), (COUNT, NUMBERS))
        if tuple(self.crops.shape[1:]) not in known and not self.are_maps:
            shape = tuple(self.crops.shape)
            raise ValueError(f"crops must be images, landmarks or encoder maps, not {shape}")
        if len(self.frames) != len(self.crops):
            raise ValueError(f"{len(self.frames)} frame numbers for {len(self.crops)} crops")
        if (np.diff(self.frames) <= 0).any():
            raise ValueError("frames must increase")

    @property
    def are_maps(self) -> bool:
        """Whether the encoder's work is done already."""
        return self.crops.ndim == 4 and tuple(self.crops.shape[2:]) == (MAP_PX, MAP_PX)

    @property
    def are_landmarks(self) -> bool:
        """Whether the person was looked at already."""
        return self.crops.ndim == 3


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

    def sort(self) -> list[int]:
        """Windows of one frame before those of many; each one's place among the old order."""
        order = sorted(range(len(self.windows)), key=lambda i: len(self.windows[i][1].slots))
        self.windows = [self.windows[i] for i in order]
        return np.argsort(order).tolist()


class StafStream:
    """Runs the network over tracks.  Not for several threads at a time."""

    def __init__(
        self,
        network: AnyNetwork | ReadyNetwork,
        encoder: AnyEncoder | None = None,
        config: StreamConfig | None = None,
    ) -> None:
        """Folds the networks and moves them to the device, unless that was done already.

        Args:
            network: of any configuration; it is copied and stays where it is.  Or one that is
                ready, which brings its encoder and its configuration.
            encoder: needed to push images; without it only encoder maps are taken.
            config: how to run.

        Raises:
            DeviceError: the device is absent, or its memory cannot hold the network.
            ValueError: the network mixes the windows of a batch, the encoder's maps are not its
                width, or meshes are asked of a network that has no body.
        """
        new = isinstance(network, Staf | PooledNetwork)
        self.network = make_ready(network, encoder, config) if new else network
        self.config, self.device = self.network.config, self.network.device
        if self.config.vertices and self.network.body is None:
            raise ValueError("meshes need a body, which a pooled network has not")
        self.batches = self.network.batches
        self.store: Slots = self.network.new_store()

    @property
    def map_channels(self) -> int:
        """Width of the encoder maps that the network reads."""
        return self.network.map_channels

    @property
    def reads_landmarks(self) -> bool:
        """Whether landmarks may be pushed in the place of images."""
        return isinstance(self.network.encoder, FieldsEncoder)

    def open(self) -> TrackStream:
        """A new track."""
        return TrackStream(self.network.window, self.config.edges)

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
        steps = [self._run(self._plan(part)) for part in _in_batches(arrivals, self.batches.size)]
        return _joined(steps or [self._run(_Step())])

    def finish(self, tracks: Sequence[TrackStream]) -> Recovered:
        """The targets that still wait, as if the tracks ended here; the tracks begin anew."""
        step = _Step()
        for track in tracks:
            self._end(track, step)
        return self._run(step)

    def _check(self, arrival: Arrival) -> None:
        if self.network.encoder is None and not arrival.are_maps:
            raise ValueError("this stream has no encoder: push encoder maps")
        if arrival.are_landmarks and not self.reads_landmarks:
            raise ValueError("this stream's encoder reads no landmarks: push images")
        if arrival.are_maps and arrival.crops.shape[1] != self.map_channels:
            raise ValueError(
                f"maps must have {self.map_channels} channels, not {arrival.crops.shape[1]}"
            )
        last = arrival.track.stretch.last_frame
        if last is not None and len(arrival.frames) and arrival.frames[0] <= last:
            raise ValueError(f"frame {arrival.frames[0]} comes after frame {last}")

    def _plan(self, arrivals: Sequence[Arrival]) -> _Step:
        """Assigns slots and collects the windows that become complete."""
        step = _Step()
        for arrival in arrivals:
            slots = self.store.take(len(arrival.frames))
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
        order = step.sort()
        with (
            torch.inference_mode(),
            numerics(self.config.precision, deterministic=self.config.deterministic),
        ):
            crops, slots, *windows = self._uploaded(step)
            self.batches.run(len(slots), lambda part: self._frames(crops[part], slots[part]))
            flat = torch.cat([self._windows(one) for one in windows])
            parts = [flat, self._meshes(flat)] if self.config.vertices else [flat]
            flat, *meshes = (part[order] for part in download_together(parts))
        self.store.give_back(step.outdated)
        tracks = tuple(step.windows[i][0] for i in order)
        frames = np.array([step.windows[i][1].frame for i in order], np.int64)
        return Recovered(tracks, frames, split_params(flat), meshes[0] if meshes else None)

    def _uploaded(self, step: _Step) -> list[Tensor]:
        """On the device: crops, their slots, slots (W, 1) and (W, T) of windows."""
        length = self.network.window
        crops = (
            torch.empty(0)
            if not step.crops
            else (step.crops[0] if len(step.crops) == 1 else torch.cat(step.crops))
        )
        tables = [
            np.array([w.slots for _, w in step.windows if len(w.slots) == count], np.int64)
            for count in dict.fromkeys((1, length))
        ]
        slots = [torch.tensor(step.slots, dtype=torch.long), *map(torch.from_numpy, tables)]
        with enough_memory():
            return upload_together([crops, *slots], self.device)

    def _frames(self, crops: Tensor, slots: Tensor) -> None:
        self.network.keep(self.store, slots, crops)

    def _windows(self, slots: Tensor) -> Tensor:
        """Parameters (W, 157) of windows (W, T) of one length."""
        flat = torch.empty(len(slots), PARAMS, device=self.device)

        def run(part: slice) -> None:
            flat[part] = self.network.recover(self.store, slots[part])

        self.batches.run(len(slots), run)
        return flat

    def _meshes(self, flat: Tensor) -> Tensor:
        """Full meshes (W, V, 3) of parameters (W, 157)."""
        body, params = self.network.body, split_params(flat)
        assert body is not None
        out = torch.empty(len(flat), len(body.tables.template_m), 3, device=self.device)

        def pose(part: slice) -> None:
            out[part] = body(params.betas[part], params.rotations[part]).vertices_m

        self.batches.run(len(flat), pose)
        return out


def _in_batches(arrivals: Sequence[Arrival], size: int) -> list[list[Arrival]]:
    """The arrivals in order, cut so that every batch but the last is full."""
    batches, room = [], 0
    for arrival in arrivals:
        start = 0
        while start < len(arrival.frames):
            if not room:
                batches.append([])
                room = size
            part = slice(start, start + room)
            batches[-1].append(Arrival(arrival.track, arrival.frames[part], arrival.crops[part]))
            room -= len(batches[-1][-1].frames)
            start = part.stop
    return batches


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
