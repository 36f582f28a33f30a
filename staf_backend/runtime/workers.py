"""Jobs on several processors, never on more than asked for: workers, and the caller beside them.

    caller ──job──► waiting ──► worker 1, worker 2 ...      `threads` - 1 of them
       └──result──► nobody has begun? do it here; a worker has? do what waits until it is done

What a job gives must not depend on other jobs; then results are the same whatever the number of
threads.  With one thread there are no workers: a job is done when its result is asked for, and one
whose result nobody asks for is never done.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")


class Job(Generic[T]):
    """Something to be done; made by `Workers.job`."""

    def __init__(self, workers: "Workers", work: Callable[[], T]) -> None:
        self._workers = workers
        self._work: Callable[[], T] | None = work
        self._value: T | None = None
        self._error: Exception | None = None
        self.done = False

    def result(self) -> T:
        """What came of it; waits, and does it here if nobody has begun.

        Raises:
            Exception: whatever the job raised, here or in a worker.
            RuntimeError: it was dropped.
        """
        self._workers.finish(self)
        if self._error is not None:
            raise self._error
        return cast("T", self._value)

    def begin(self) -> Callable[[], T] | None:
        """For `Workers`: the work, which is given out once."""
        work, self._work = self._work, None
        return work

    def do(self, work: Callable[[], T]) -> None:
        """For `Workers`: does the work, and keeps what it gives or raises."""
        try:
            self._value = work()
        except Exception as error:  # a user's Ctrl-C is none, and goes its way
            self._error = error


class Workers:
    """Does jobs on `threads` processors, the caller's among them; a context, whose end ends all.

    Only the thread that made it may ask for results, and no job may ask for another's.  While it
    lasts OpenCV's own threads rest, which would come on top.

    Attributes:
        threads: as given.
    """

    def __init__(self, threads: int) -> None:
        if threads < 1:
            raise ValueError(f"threads must be positive, not {threads}")
        self.threads = threads
        self._waiting: deque[Job] = deque()
        self._change = threading.Condition()
        self._ended = False
        self._at_rest = _opencv_at_rest()
        self._threads = [
            threading.Thread(target=self._serve, name=f"worker-{n}", daemon=True)
            for n in range(1, threads)
        ]

    def __enter__(self) -> "Workers":
        self._at_rest.__enter__()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """What nobody has begun is dropped, what a worker has begun comes to its end."""
        with self._change:
            self._ended = True
            self._waiting.clear()
            self._change.notify_all()
        try:
            for thread in self._threads:
                thread.join()
        finally:
            self._at_rest.__exit__(None, None, None)

    def job(self, work: Callable[[], T]) -> Job[T]:
        """Have something done; first come, first served."""
        job = Job(self, work)
        if self.threads > 1:
            with self._change:
                self._waiting.append(job)
                self._change.notify_all()
        return job

    def drop(self, job: Job[Any]) -> bool:
        """Nobody wants the job's result: whether it had not been begun, and never will be."""
        with self._change:
            dropped = job.begin() is not None
            if dropped:
                job.do(_refuse)
                job.done = True
            return dropped

    def finish(self, job: Job[Any]) -> None:
        """Until the job is done: do it, or others while a worker does it."""
        while True:
            with self._change:
                begun = self._one_of(job)
                while begun is None and not job.done:
                    self._change.wait()
                    begun = self._one_of(job)
            if begun is None:
                return
            self._do(*begun)

    def _serve(self) -> None:
        """A worker's life."""
        while True:
            with self._change:
                begun = self._longest_waiting()
                while begun is None and not self._ended:
                    self._change.wait()
                    begun = self._longest_waiting()
            if begun is None:
                return
            self._do(*begun)
            del begun  # what it worked on may be large

    def _do(self, job: Job[Any], work: Callable[[], Any]) -> None:
        job.do(work)
        with self._change:
            job.done = True
            self._change.notify_all()

    def _one_of(self, wanted: Job[Any]) -> tuple[Job[Any], Callable[[], Any]] | None:
        """The job that is wanted, else another; None where it is done or nothing waits."""
        if wanted.done:
            return None
        work = wanted.begin()
        return self._longest_waiting() if work is None else (wanted, work)

    def _longest_waiting(self) -> tuple[Job[Any], Callable[[], Any]] | None:
        while self._waiting:
            job = self._waiting.popleft()
            work = job.begin()
            if work is not None:
                return job, work
        return None


def _refuse() -> None:
    raise RuntimeError("a dropped job has no result")


@contextmanager
def _opencv_at_rest() -> Iterator[None]:
    """One thread for OpenCV's own loops, and as many as before afterwards."""
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
