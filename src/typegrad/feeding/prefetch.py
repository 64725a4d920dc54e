"""Make the next items on a thread while the last is being used."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import Empty, Full, Queue
from types import TracebackType
from typing import Generic, TypeVar

Item = TypeVar("Item")

_DEPTH = 2
"""Items that wait to be used. One more is being made, one more is being used."""

_PATIENCE = 0.05
"""Seconds after which who waits looks whether to stop."""


class _End:
    """Stands after the last item, with the error that ended them, if any."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class Prefetcher(Generic[Item]):
    """Items of an iterator that runs ahead on a thread; to be used in a ``with`` statement.

    An error of the iterator is raised where the item would have been taken. Leaving the
    ``with`` statement ends the thread, and waits until it has ended, unless Ctrl-C was the
    reason to leave: then the thread ends by itself, after the item that it is making.

    Parameters
    ----------
    items
        Used on the thread alone.
    should_stop
        Asked while waiting for an item; True ends the items early.
    """

    def __init__(self, items: Iterator[Item], should_stop: Callable[[], bool]) -> None:
        self._items = items
        self._should_stop = should_stop
        self._made: Queue[Item | _End] = Queue(_DEPTH)
        self._closed = threading.Event()
        # A daemon, so that an iterator that never returns cannot keep the process alive.
        self._thread = threading.Thread(target=self._work, name="typegrad-prefetch", daemon=True)

    def __enter__(self) -> Iterator[Item]:
        self._thread.start()
        return self._taken()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closed.set()
        if not isinstance(error, KeyboardInterrupt):
            self._thread.join()

    def _taken(self) -> Iterator[Item]:
        while True:
            try:
                item = self._made.get(timeout=_PATIENCE)
            except Empty:
                if self._should_stop():
                    return
                continue
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item

    def _work(self) -> None:
        end = _End()
        try:
            for item in self._items:
                self._put(item)
                # Not kept until the next is made.
                del item
                if self._closed.is_set():
                    return
        except BaseException as error:  # Whatever it is, it is for the other thread to see.
            end = _End(error)
        self._put(end)

    def _put(self, item: Item | _End) -> None:
        while not self._closed.is_set():
            try:
                self._made.put(item, timeout=_PATIENCE)
            except Full:
                continue
            return
