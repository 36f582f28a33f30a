"""What a stream keeps: rows of the last frames of every track, and which windows they complete.

    FrameStore   of the folded network: a frame's share of the work
    MapStore     of a network that is run window by window: a frame's encoder maps

One store serves all tracks, so that windows of many tracks are one batch; a track holds numbers
of slots.  Between two pushes a track keeps T - 1 frames, 6.7 MB for nine frames in float32.
"""

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from staf_backend.devices import enough_memory
from staf_backend.staf.config import MAP_PX
from staf_backend.staf.sampling import Corners
from staf_backend.staf.streaming.folded import LINEAR, SIDES, FoldedStaf, sample_linear
from staf_backend.staf.streaming.settings import StreamEdges


class Table(NamedTuple):
    """A frame's share of a table: its shape and type, and rows that the table has behind slots."""

    shape: tuple[int, ...]
    dtype: torch.dtype = torch.float32
    behind: int = 0


class Slots:
    """Tables on one device with a row for each slot, which are taken and given back."""

    def __init__(self, tables: Mapping[str, Table], device: torch.device) -> None:
        """Makes an empty store."""
        self.device, self.capacity = device, 0
        self._free: list[int] = []
        self._kinds = dict(tables)
        self.tables = {name: self._empty(name, 0) for name in tables}

    def take(self, count: int) -> list[int]:
        """Slot numbers for new frames.

        Raises:
            DeviceError: memory ran out; the store cannot be used any more.
        """
        if count > len(self._free):
            with enough_memory():
                self._grow(max(count - len(self._free), self.capacity // 2))
        return [self._free.pop() for _ in range(count)]

    def give_back(self, slots: list[int]) -> None:
        """Slots that no window will read again."""
        self._free.extend(slots)

    def write(self, slots: Tensor, *rows: Tensor) -> None:
        """Puts frames (N, ...) into slots (N,): rows of each table, in order."""
        for table, new in zip(self.tables.values(), rows, strict=True):
            table.index_copy_(0, slots, new)

    def _grow(self, more: int) -> None:
        start = self.capacity
        self.capacity += more
        self._free.extend(reversed(range(start, self.capacity)))
        for name, old in self.tables.items():
            new = self._empty(name, self.capacity)
            new[:start] = old[:start]
            self.tables[name] = new

    def _empty(self, name: str, slots: int) -> Tensor:
        # Zeros, because unused places are multiplied by weight zero and must be finite
        shape, dtype, behind = self._kinds[name]
        return torch.zeros((slots + behind, *shape), dtype=dtype, device=self.device)


class MapStore(Slots):
    """Encoder maps of frames, float32."""

    def __init__(self, channels: int, device: torch.device) -> None:
        """Makes an empty store for maps of that width."""
        super().__init__({"maps": Table((channels, MAP_PX, MAP_PX))}, device)

    def windows(self, slots: Tensor) -> Tensor:
        """Maps (W, T, C, 7, 7) of windows (W, T)."""
        return self.tables["maps"][slots]


class FrameStore(Slots):
    """Slots of frame rows, and behind them places for the targets of a batch."""

    def __init__(self, network: FoldedStaf, device: torch.device, targets: int) -> None:
        """Makes an empty store; `targets` is the largest number of windows in a batch."""
        self.averages = network.config.average_target
        tables = {
            "before": Table((SIDES[1] ** 2, network.config.channels)),
            "vectors": Table((sum(network.widths),)),
            "linear": Table((SIDES[2] ** 2, LINEAR), network.dtype, targets),
        }
        super().__init__(tables, device)

    @property
    def before(self) -> Tensor:
        """Stage-1 rows before the ReLU."""
        return self.tables["before"]

    @property
    def vectors(self) -> Tensor:
        """What `folded.FrameRows` calls vectors."""
        return self.tables["vectors"]

    @property
    def linear(self) -> Tensor:
        """Linear maps, and behind them the targets' own."""
        return self.tables["linear"]

    def averaged(self, slots: Tensor) -> Tensor:
        """What counts as the target's map of windows (W, T), before the ReLU: (W, 196, C)."""
        if not self.averages:
            return self.before[slots[:, slots.shape[1] // 2]]
        table = self.before.flatten(1)
        if self.device.type == "cpu":
            mean = torch.nn.functional.embedding_bag(slots, table, mode="mean")
        else:
            mean = table[slots].mean(1)
        return mean.unflatten(1, self.before.shape[1:])

    def sampled(self, slots: Tensor, targets: Tensor, corners: Corners) -> Tensor:
        """Linear maps (W, T, P, 197) of windows (W, T) at corners (W, T, P, 4).

        `targets` (W, 784, 197) stand for the middle frames; W is no more than a batch.
        """
        places, count = slots.clone(), len(slots)
        self.linear[self.capacity : self.capacity + count] = targets
        own = torch.arange(self.capacity, self.capacity + count, device=self.device)
        places[:, slots.shape[1] // 2] = own
        return sample_linear(self.linear, places, corners)


class Window(NamedTuple):
    """A window that is complete: the target's frame number and slots, one or T of them."""

    frame: int
    slots: tuple[int, ...]


class Stretch:
    """An unbroken run of one track's frames while it arrives; the rule is that of `windows`."""

    def __init__(self, length: int, edges: StreamEdges) -> None:
        if edges not in ("repeat", "replicate"):
            raise ValueError(f"edges must be 'repeat' or 'replicate', not {edges!r}")
        self.length, self.edges = length, edges
        self.count = 0
        self.target = 0
        self.last_frame: int | None = None
        self._kept: deque[tuple[int, int]] = deque()  # frame number, slot

    def add(self, frame: int, slot: int) -> None:
        """The next frame."""
        self._kept.append((frame, slot))
        self.count += 1
        self.last_frame = frame

    def follows(self, frame: int) -> bool:
        """Whether a frame continues this stretch."""
        return self.last_frame is None or frame == self.last_frame + 1

    def complete(self, *, ended: bool) -> list[Window]:
        """Windows whose frames are all here, each once; all that remain if the stretch ended."""
        found, reach = [], self.length // 2
        while self.target < self.count:
            near_start = self.target < reach
            near_end = ended and self.target >= self.count - reach
            if self.edges == "repeat" and (near_start or near_end):
                places = (self.target,)
            elif ended or self.target + reach < self.count:
                around = range(self.target - reach, self.target + reach + 1)
                places = tuple(min(max(place, 0), self.count - 1) for place in around)
            else:
                break
            found.append(self._window(places))
            self.target += 1
        return found

    def outdated(self, *, ended: bool) -> list[int]:
        """Slots that no later window reads; they are forgotten here."""
        keep = 0 if ended else self.count - max(self.target - self.length // 2, 0)
        return [
            self._kept.popleft()[1] for _ in range(len(self._kept) - min(keep, len(self._kept)))
        ]

    def _window(self, places: tuple[int, ...]) -> Window:
        first = self.count - len(self._kept)
        slots = tuple(self._kept[place - first][1] for place in places)
        return Window(self._kept[self.target - first][0], slots)
