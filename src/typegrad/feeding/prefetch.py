"""Make the next items on a thread while the last is being used."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Generic, TypeVar

Item = TypeVar("Item")

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
    ahead
        How many items may be made or wait, besides the one that is being used.
    """

    def __init__(
        self, items: Iterator[Item], should_stop: Callable[[], bool], ahead: int = 3
    ) -> None:
        self._items = items
        self._should_stop = should_stop
        self._made: SimpleQueue[Item | _End] = SimpleQueue()
        self._permits = threading.Semaphore(ahead)
        self._closed = False
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
        self._closed = True
        self._permits.release()
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
            self._permits.release()
            yield item

    def _work(self) -> None:
        end = _End()
        try:
            while self._permits.acquire() and not self._closed:
                self._made.put(next(self._items))
        except StopIteration:
            pass
        except BaseException as error:  # Whatever it is, it is for the other thread to see.
            end = _End(error)
        self._made.put(end)
