"""What a stream keeps: rows of the last frames of every track, and which windows they complete.

One store serves all tracks, so that windows of many tracks are one batch; a track holds numbers
of slots.  Between two pushes a track keeps T - 1 frames, 6.7 MB for nine frames in float32.
"""

from collections import deque
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from staf_backend.runtime.torch_memory import enough_memory
from staf_backend.staf.streaming.folded import LINEAR, SIDES, FoldedStaf, FrameRows

StreamEdges = Literal["repeat", "replicate"]


class FrameStore:
    """Slots of frame rows on one device, and behind them places for the targets of a batch."""

    def __init__(self, network: FoldedStaf, device: torch.device, targets: int) -> None:
        """Makes an empty store; `targets` is the largest number of windows in a batch."""
        self.targets = targets
        self.capacity = 0
        self._free: list[int] = []
        self._widths = {
            "before": (SIDES[1] ** 2, network.config.channels),
            "vectors": (sum(network.widths),),
            "linear": (SIDES[2] ** 2, LINEAR),
        }
        self._types = {
            "before": torch.float32,
            "vectors": torch.float32,
            "linear": network.dtype,
        }
        self.device = device
        self.before, self.vectors, self.linear = (self._empty(name, 0) for name in self._widths)

    def take(self, count: int) -> tuple[list[int], bool]:
        """Slot numbers for new frames, and whether the tables had to be replaced by larger ones.

        Raises:
            DeviceError: memory ran out; the store cannot be used any more.
        """
        grows = count > len(self._free)
        if grows:
            with enough_memory():
                self._grow(max(count - len(self._free), self.capacity // 2))
        return [self._free.pop() for _ in range(count)], grows

    def give_back(self, slots: list[int]) -> None:
        """Slots that no window will read again."""
        self._free.extend(slots)

    def target_places(self, count: int) -> Tensor:
        """(count,) rows of `linear` that belong to the batch's averaged targets."""
        return torch.arange(self.capacity, self.capacity + count, device=self.device)

    def write(self, slots: Tensor, before: Tensor, rows: FrameRows) -> None:
        """Puts frames (N, ...) into slots (N,)."""
        self.before.index_copy_(0, slots, before.float())
        self.vectors.index_copy_(0, slots, rows.vectors)
        self.linear.index_copy_(0, slots, rows.linear)

    def _grow(self, more: int) -> None:
        start = self.capacity
        self.capacity += more
        self._free.extend(reversed(range(start, self.capacity)))
        for name in self._widths:
            old = getattr(self, name)
            new = self._empty(name, self.capacity)
            new[:start] = old[:start]
            setattr(self, name, new)

    def _empty(self, name: str, slots: int) -> Tensor:
        # Zeros, because unused places are multiplied by weight zero and must be finite
        targets = self.targets if name == "linear" else 0
        shape = (slots + targets, *self._widths[name])
        return torch.zeros(shape, dtype=self._types[name], device=self.device)


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
