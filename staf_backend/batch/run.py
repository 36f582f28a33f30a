"""The whole trip of a folder of clips, on one page.

    find_clips ─► Journal ─► Schedule over slots (local, or Ray) ─► report.json, report.html

State on disk is finished files and an append-only journal, so a batch that was ended at any moment,
by whatever, is taken up by the same command.
"""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from staf_backend.batch import report
from staf_backend.batch.attempt import Attempts
from staf_backend.batch.blend import Blending
from staf_backend.batch.clips import Clip, find_clips
from staf_backend.batch.journal import Journal
from staf_backend.batch.people_list import read_people
from staf_backend.batch.recipe import Recipe
from staf_backend.batch.schedule import Limits, MakeSlot, Schedule
from staf_backend.batch.schedule import Slot as AnySlot
from staf_backend.batch.slot import Slot
from staf_backend.batch.store import Store
from staf_backend.batch.takes import merge_takes
from staf_backend.files import shown_message
from staf_backend.reporting import Reporter
from staf_backend.runtime import usable_cores

SOME_FAILED, INTERRUPTED = 3, 130
"""Exit codes, as docs/batch.md has them; 130 is what shells give a program that Ctrl-C ended."""


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
        store: where results go; None is the output folder.
        blending: what Blender makes of each clip; None for nothing.
        profile: tell in each log where the time went.
        one_glb_per_person: see `takes`.
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
    store: Store | None
    blending: Blending | None
    profile: bool
    one_glb_per_person: bool


def run_batch(plan: Plan, reporter: Reporter, kind: MakeSlot = Slot) -> int:
    """Convert every clip; returns 0, 3 where some failed, or 130 after Ctrl-C.

    Args:
        plan: what to do.
        reporter: told of every clip.
        kind: of the slots, made with `plan.limits`.

    Raises:
        VideoError: there is no clip.
        OutputError: the output folder, its journal or the report cannot be written.
        RayError: the cluster cannot be used.
        PeopleError: people.json cannot be understood.
    """
    rig = plan.blending.rig if plan.blending else None
    endings = [rig.ending] if rig else []
    clips = find_clips(plan.given, plan.patterns, plan.depth, plan.out, endings)
    if plan.one_glb_per_person:
        read_people(plan.out)
    if plan.store is not None:
        plan.store.check()
    journal = Journal(plan.out)
    began = time.monotonic()
    progress = _Progress(len(clips), reporter)
    with contextlib.closing(journal), _slots(plan, len(clips), kind) as (slots, threads):
        with _drained_by_ctrl_c() as wish:
            attempts = _attempts(plan, journal, threads, progress)
            wish.schedule = Schedule(clips, slots, attempts)
            wish.schedule.run()
        people = []
        if plan.one_glb_per_person and not wish.asked:
            people = merge_takes(journal, clips, plan.recipe, plan.force, plan.blending)
        seconds = time.monotonic() - began
        values = report.values(clips, progress.entries, people, seconds, len(slots))
        report.write(journal, values, plan.store)
    reporter.result(report.summary(values), values["totals"] | {"report": str(plan.out)})
    if wish.asked:
        return INTERRUPTED
    merged = all(person["status"] == "done" for person in people)
    return SOME_FAILED if values["totals"]["failed"] or not merged else 0


def _attempts(plan: Plan, journal: Journal, threads: int, progress: "_Progress") -> Attempts:
    words = {
        "threads": threads,
        "profile": plan.profile,
        "blending": plan.blending.as_values() if plan.blending else None,
    }
    digest = plan.recipe.digest
    return Attempts(journal, plan.recipe, digest, words, plan.store, plan.force, progress.settled)


@contextlib.contextmanager
def _slots(plan: Plan, clips: int, kind: MakeSlot) -> Iterator[tuple[Sequence[AnySlot], int]]:
    """Where clips are converted, and threads for the networks of each."""
    if plan.ray is not None:
        from staf_backend.batch.ray_slots import ray_slots

        with ray_slots(plan.ray, plan.workers, clips, plan.limits, plan.gpus, kind) as slots:
            yield slots, 1
        return
    cores = usable_cores()
    workers = min(plan.workers or cores, clips)
    # divided, not multiplied
    yield [kind(plan.limits) for _ in range(workers)], max(1, cores // workers)


class _Wish:
    """What Ctrl-C asked for, and of whom."""

    def __init__(self) -> None:
        self.asked = 0
        self.schedule: Schedule | None = None


@contextlib.contextmanager
def _drained_by_ctrl_c() -> Iterator[_Wish]:
    """Ctrl-C lets clips at work end; a second one ends them."""
    wish = _Wish()

    def ask(number: int, _frame: object) -> None:  # noqa: ARG001 - a signal handler's words
        wish.asked += 1
        if wish.schedule is not None:
            wish.schedule.drain()
        if wish.asked > 1 or wish.schedule is None:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield wish
        return
    before = signal.signal(signal.SIGINT, ask)
    try:
        yield wish
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
                told = f"failed: {shown_message(entry['message'])}"
            else:
                told = f"done, {len(entry['people'])} people, {entry['seconds']:.1f} s"
            told = f"before: {told}" if before else told
            name = report.shown_place(clip.place)
            self._reporter.item(done, self._total, f"{name}: {told}")
