"""Jobs on several processors: never more than asked for, and an end that leaves nothing running."""

import threading
import time
import weakref
from collections.abc import Generator

import cv2
import pytest

from staf_backend.runtime import Workers
from staf_backend.runtime.in_advance import in_advance

LONG_S = 30.0


def _alive() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("worker")]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_results_are_those_of_their_jobs_and_no_more_run_at_once_than_asked_for(threads: int):
    lock, running, most, where = threading.Lock(), [0], [0], set()

    def work(number: int) -> int:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
            where.add(threading.get_ident())
        time.sleep(0.01)
        with lock:
            running[0] -= 1
        return number**2

    with Workers(threads) as workers:
        jobs = [workers.job(lambda number=number: work(number)) for number in range(12)]
        assert [job.result() for job in jobs] == [number**2 for number in range(12)]
    assert most[0] == threads == len(where)
    assert threading.get_ident() in where, "the caller works, too"
    assert not _alive()


def test_one_thread_does_only_what_is_asked_for():
    done: list[str] = []
    with Workers(1) as workers:
        workers.job(lambda: done.append("never"))
        asked = workers.job(lambda: done.append("asked"))
        assert done == []
        assert asked.result() is None
        assert asked.result() is None
    assert done == ["asked"]


@pytest.mark.parametrize("threads", [1, 2])
def test_what_is_dropped_is_not_begun(threads: int):
    with Workers(threads) as workers:
        begun, go = threading.Event(), threading.Event()
        if threads > 1:
            workers.job(lambda: begun.set() or go.wait(LONG_S))
            assert begun.wait(LONG_S)
        job = workers.job(lambda: pytest.fail("it was dropped"))
        assert workers.drop(job)
        assert not workers.drop(job)
        go.set()
        with pytest.raises(RuntimeError, match="dropped"):
            job.result()


@pytest.mark.parametrize("threads", [1, 2])
def test_what_a_job_raises_is_raised_where_its_result_is_asked_for(threads: int):
    def fail() -> None:
        raise OSError("the disk is gone")

    with Workers(threads) as workers:
        bad, good = workers.job(fail), workers.job(lambda: 5)
        assert good.result() == 5
        for _ in range(2):
            with pytest.raises(OSError, match="the disk is gone"):
                bad.result()
    assert not _alive()


def test_ctrl_c_ends_all_at_once():
    """What waits is never done; only what a worker does already comes to its end."""
    done: list[int] = []
    begin_s = time.monotonic()

    def interrupted() -> None:
        with Workers(3) as workers:
            for number in range(1000):
                workers.job(lambda number=number: time.sleep(0.05) or done.append(number))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(done) < 10
    assert time.monotonic() - begin_s < 5
    assert not _alive()


def test_opencv_does_not_come_on_top():
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    try:
        with Workers(2):
            assert cv2.getNumThreads() == 1
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(before)


def test_no_threads_at_all_mean_nothing():
    with pytest.raises(ValueError, match="threads"):
        Workers(0)


class Large:
    """Something whose life can be watched."""


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_items_come_in_order_and_few_are_made_before_they_are_asked_for(threads: int):
    made: list[weakref.ref[Large]] = []
    most, where, closed = 3, set(), []

    def items() -> Generator[tuple[int, Large], None, None]:
        try:
            for number in range(40):
                where.add(threading.get_ident())
                item = Large()
                made.append(weakref.ref(item))
                yield number, item
                del item
        finally:
            closed.append(True)

    with Workers(threads) as workers:
        for expected, (number, item) in enumerate(in_advance(items(), workers, most)):
            assert number == expected
            time.sleep(0.002)
            assert len(made) <= number + 1 + (most if threads > 1 else 0)
            alive = sum(one() is not None for one in made)
            assert alive <= most + 3  # and the one in hand, the one that is made, the last one
            del item
    assert len(made) == 40
    assert closed == [True]
    assert (len(where) > 1) == (threads > 1), "somebody else made some of them"


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_comes_in_its_place(threads: int):
    def items() -> Generator[int, None, None]:
        yield from range(3)
        raise OSError("damaged")

    seen: list[int] = []
    with Workers(threads) as workers, pytest.raises(OSError, match="damaged"):
        seen.extend(in_advance(items(), workers, 8))
    assert seen == [0, 1, 2]


@pytest.mark.parametrize("threads", [1, 2])
def test_who_stops_early_closes_the_source(threads: int):
    closed: list[int] = []

    def items() -> Generator[int, None, None]:
        number = 0
        try:
            while True:
                yield number
                number += 1
        finally:
            closed.append(number)

    with Workers(threads) as workers:
        ahead = in_advance(items(), workers, 2)
        assert [next(ahead), next(ahead)] == [0, 1]
        ahead.close()
        assert len(closed) == 1
