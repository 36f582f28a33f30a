"""Items of an iterator, a few of them made before they are asked for: frames that are decoded."""

import threading
from collections import deque
from collections.abc import Generator
from typing import Generic, TypeVar

from staf_backend.runtime.workers import Workers

T = TypeVar("T")


Items = Generator[T, None, None]


def in_advance(items: Items[T], workers: Workers, most: int) -> Items[T]:
    """The same items in the same order.

    Args:
        items: one is made at a time, by a worker or by who asks, so it need not know of threads.
            What it raises comes in its place.
        workers: with one thread nothing is made in advance.
        most: that are made and wait.
    """
    return items if workers.threads == 1 else _handed_out(items, workers, most)


def _handed_out(items: Items[T], workers: Workers, most: int) -> Items[T]:
    shelf = _Shelf(items, most)
    filling = workers.job(shelf.fill)
    try:
        while True:
            try:
                item = shelf.take()
            except StopIteration:
                return
            if filling.done:
                filling = workers.job(shelf.fill)
            yield item
            del item  # it may be large
    finally:
        workers.drop(filling)
        shelf.close()


class _Shelf(Generic[T]):
    """Items that were made and wait to be taken, by one thread; any may fill it."""

    def __init__(self, items: Items[T], most: int) -> None:
        self._items, self._most = items, most
        self._made: deque[T] = deque()
        self._end: Exception | None = None
        self._busy = False
        self._change = threading.Condition()

    def fill(self) -> None:
        """Until there are as many as may be, or somebody else makes them."""
        while self._claim():
            self._make()

    def take(self) -> T:
        """The next one, made here if it has to be.

        Raises:
            StopIteration: there are no more.
            Exception: what making it raised.
        """
        with self._change:
            while self._busy and not self._made:
                self._change.wait()
            must_make = not self._made and self._end is None
            self._busy = self._busy or must_make
        if must_make:
            self._make()
        if not self._made and self._end is not None:
            raise self._end
        return self._made.popleft()

    def close(self) -> None:
        """Close the iterator, once nobody makes an item any more."""
        with self._change:
            self._most = 0
            while self._busy:
                self._change.wait()
        self._items.close()

    def _claim(self) -> bool:
        with self._change:
            if self._busy or self._end is not None or len(self._made) >= self._most:
                return False
            self._busy = True
            return True

    def _make(self) -> None:
        """One item, by who has made the shelf busy."""
        try:
            self._made.append(next(self._items))
        except Exception as error:  # the end, too
            self._end = error
        finally:
            with self._change:
                self._busy = False
                self._change.notify_all()
