"""The whole trip of a folder of clips, on one page.

    find_clips ─► Journal ─► Schedule over slots (local, or Ray) ─► report.json, report.html

State on disk is finished files and an append-only journal, so a batch that was ended at any moment,
by whatever, is taken up by the same command.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from staf_backend.batch import report
from staf_backend.batch.attempt import Attempts
from staf_backend.batch.clips import Clip, find_clips
from staf_backend.batch.journal import Journal
from staf_backend.batch.recipe import Recipe
from staf_backend.batch.schedule import Schedule
from staf_backend.batch.schedule import Slot as AnySlot
from staf_backend.batch.slot import Limits, Slot
from staf_backend.files.limits import shown
from staf_backend.reporting import Reporter
from staf_backend.runtime.onnx_session import usable_cores

SOME_FAILED, INTERRUPTED = 3, 130


@dataclass(frozen=True)
class Plan:
    """What a batch is asked to do.

    Attributes:
        given, patterns, depth: see `clips.find_clips`.
        out: the output folder.
        workers: how many clips at a time; None is one a core.
        limits: of each clip.
        force: do again what is done.
        ray: address of a Ray cluster, or "auto"; None is this computer alone.
        gpus: share of a GPU that each worker takes on a Ray cluster.
    """

    given: Sequence[Path]
    out: Path
    recipe: Recipe
    patterns: Sequence[str]
    depth: int | None
    workers: int | None
    limits: Limits
    force: bool
    ray: str | None
    gpus: float


def run_batch(plan: Plan, reporter: Reporter) -> int:
    """Convert every clip; returns 0, 3 where some failed, or 130 after Ctrl-C.

    Raises:
        VideoError: there is no clip.
        OutputError: the output folder, its journal or the report cannot be written.
        RayError: the cluster cannot be used.
    """
    clips = find_clips(plan.given, plan.patterns, plan.depth, plan.out)
    journal = Journal(plan.out)
    began = time.monotonic()
    progress = _Progress(len(clips), reporter)
    with contextlib.closing(journal), _slots(plan, len(clips)) as (slots, threads):
        digest = plan.recipe.digest
        attempts = Attempts(journal, plan.recipe, digest, threads, plan.force, progress.settled)
        schedule = Schedule(clips, slots, attempts)
        with _drained_by_ctrl_c(schedule) as asked:
            schedule.run()
        values = report.values(clips, progress.entries, time.monotonic() - began, len(slots))
        report.write(journal.out, values)
    reporter.result(report.summary(values), values["totals"] | {"report": str(plan.out)})
    if asked:
        return INTERRUPTED
    return SOME_FAILED if values["totals"]["failed"] else 0


@contextlib.contextmanager
def _slots(plan: Plan, clips: int) -> Iterator[tuple[Sequence[AnySlot], int]]:
    """Where clips are converted, and threads for the networks of each."""
    if plan.ray is not None:
        from staf_backend.batch.ray_slots import ray_slots

        with ray_slots(plan.ray, plan.workers, clips, plan.limits, plan.gpus) as slots:
            yield slots, 1
        return
    cores = usable_cores()
    workers = min(plan.workers or cores, clips)
    # divided, not multiplied
    yield [Slot(plan.limits) for _ in range(workers)], max(1, cores // workers)


@contextlib.contextmanager
def _drained_by_ctrl_c(schedule: Schedule) -> Iterator[list[int]]:
    """Ctrl-C lets clips at work end; a second one ends them.  Yields what was asked."""
    asked: list[int] = []

    def ask(number: int, _frame: object) -> None:
        asked.append(number)
        schedule.drain()
        if len(asked) > 1:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = signal.signal(signal.SIGINT, ask)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)


class _Progress:
    """A line for every clip, with progress of the whole."""

    def __init__(self, total: int, reporter: Reporter) -> None:
        self.entries: dict[str, tuple[dict[str, Any], bool]] = {}
        self._total, self._reporter = total, reporter
        self._lock = threading.Lock()

    def settled(self, clip: Clip, entry: dict[str, Any], before: bool) -> None:
        """Told by `Attempts`, from any thread."""
        with self._lock:
            self.entries[clip.place] = (entry, before)
            done = len(self.entries)
            if entry["event"] == "failed":
                told = f"failed: {shown(entry['message'])}"
            else:
                told = f"done, {len(entry['people'])} people, {entry['seconds']:.1f} s"
            told = f"before: {told}" if before else told
            name = shown(os.fsencode(clip.place).decode(errors="backslashreplace"))
            self._reporter.item(done, self._total, f"{name}: {told}")
