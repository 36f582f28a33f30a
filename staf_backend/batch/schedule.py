"""Who does what when: a thread for every slot, tries again after a pause, and an end in order.

The same for the local pool and for Ray; only the slots differ.
"""

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from staf_backend.batch.clips import Clip

_log = logging.getLogger(__name__)
PAUSES_S = (1.0, 5.0)
"""Before the second and the third try of a clip that failed by a passing fault.  Chosen: a full
disk, a busy machine, or a lost node may be well again by then."""


@dataclass(frozen=True)
class Limits:
    """Of each clip; None is no limit."""

    max_seconds: float | None = None
    max_memory_bytes: int | None = None


class Slot(Protocol):
    """Where one clip is converted at a time."""

    def run(self, order: dict[str, Any]) -> dict[str, Any]: ...
    def rest(self) -> None: ...
    def stop(self) -> None: ...


MakeSlot = Callable[[Limits], Slot]
"""A class of slots."""
Attempt = Callable[[Clip, Slot, bool], bool]
"""One try of a clip in a slot; told whether it is the last one; returns whether to try again."""


class Schedule:
    """Runs all clips over the slots.

    Args:
        clips: what to do.
        slots: where.
        attempt: one try.
        pauses_s: before each further try.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        slots: Sequence[Slot],
        attempt: Attempt,
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        self._slots, self._attempt, self._pauses_s = slots, attempt, pauses_s
        self._counter = itertools.count()
        self._due = [(0.0, next(self._counter), 0, clip) for clip in clips]
        self._running = 0
        self._draining = False
        self._changed = threading.Condition()
        self._error: BaseException | None = None

    def run(self) -> None:
        """Until every clip had its last try, or `drain` or `stop` was called.

        Raises:
            Exception: what `attempt` raised, after the other clips at work have ended.
        """
        threads = [
            threading.Thread(target=self._serve, args=(slot,), daemon=True) for slot in self._slots
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():  # in pieces: Ctrl-C must get through on every system
                    thread.join(0.2)
        finally:
            self.stop()
            for thread in threads:
                thread.join()
        if self._error is not None:
            raise self._error

    def drain(self) -> None:
        """Begin no further clip.  Safe in a signal handler: it takes no lock."""
        self._draining = True

    def stop(self) -> None:
        """End the clips at work, too."""
        self._draining = True
        for slot in self._slots:
            slot.stop()

    def _serve(self, slot: Slot) -> None:
        while (job := self._take(slot)) is not None:
            tries, clip = job
            again = False
            try:
                again = self._attempt(clip, slot, tries >= len(self._pauses_s))
            except BaseException as error:
                self._error = self._error or error
                self._draining = True
            with self._changed:
                self._running -= 1
                if again and not self._draining:
                    due = time.monotonic() + self._pauses_s[tries]
                    heapq.heappush(self._due, (due, next(self._counter), tries + 1, clip))
                self._changed.notify_all()

    def _take(self, slot: Slot) -> tuple[int, Clip] | None:
        """The next clip whose time has come; None when nothing will come any more.  A slot that
        waits holds nothing that another could use."""
        with self._changed:
            while not self._draining and (self._due or self._running):
                wait_s = self._due[0][0] - time.monotonic() if self._due else 0.2
                if self._due and wait_s <= 0:
                    _, _, tries, clip = heapq.heappop(self._due)
                    self._running += 1
                    return tries, clip
                if not self._due:
                    slot.rest()
                self._changed.wait(min(wait_s, 0.2))
            return None
