"""Items made on a thread: order, errors, early ends, and that no thread stays."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from typegrad.engines.base import never
from typegrad.feeding.prefetch import Prefetcher


@pytest.fixture(autouse=True)
def _no_thread_stays() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) == before


def wait_until_ended(thread: threading.Thread) -> None:
    thread.join(5.0)
    assert not thread.is_alive()


def test_all_items_come_in_order() -> None:
    with Prefetcher(iter(range(100)), never) as items:
        assert list(items) == list(range(100))
    with Prefetcher(iter(()), never) as items:
        assert list(items) == []


def test_items_are_made_on_another_thread() -> None:
    with Prefetcher((threading.current_thread() for _ in range(3)), never) as items:
        makers = set(items)
    assert len(makers) == 1
    maker = makers.pop()
    assert maker is not threading.current_thread()
    assert maker.name == "typegrad-prefetch"


@pytest.mark.parametrize("ahead", [1, 3])
def test_no_more_are_made_than_may_wait(ahead: int) -> None:
    made: list[int] = []

    def make() -> Iterator[int]:
        for number in range(50):
            made.append(number)
            yield number

    with Prefetcher(make(), never, ahead) as items:
        for number in items:
            deadline = time.monotonic() + 5.0
            while len(made) < min(number + 1 + ahead, 50) and time.monotonic() < deadline:
                time.sleep(0.0005)
            assert len(made) == min(number + 1 + ahead, 50)


def test_an_error_comes_after_the_items_before_it() -> None:
    def make() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError("disk gone")

    taken: list[int] = []
    with (
        pytest.raises(OSError, match=r"^disk gone$") as caught,
        Prefetcher(make(), never) as items,
    ):
        taken.extend(items)
    assert taken == [1, 2]
    names = [entry.name for entry in caught.traceback]
    assert "make" in names  # The traceback shows where it happened.


def test_leaving_early_ends_the_thread() -> None:
    endless = iter(lambda: 0, 1)
    with Prefetcher(endless, never) as items:
        assert next(items) == 0


def test_an_error_of_the_user_ends_the_thread() -> None:
    endless = iter(lambda: 0, 1)
    with pytest.raises(RuntimeError, match="mine"), Prefetcher(endless, never):
        raise RuntimeError("mine")


def test_a_stop_while_waiting() -> None:
    gate = threading.Event()
    stop = threading.Event()

    def make() -> Iterator[int]:
        yield 1
        gate.wait(5.0)
        yield 2

    taken: list[int] = []
    with Prefetcher(make(), stop.is_set) as items:
        for item in items:
            taken.append(item)
            stop.set()
            threading.Timer(0.3, gate.set).start()
    assert taken == [1]


def test_ctrl_c_does_not_wait_for_an_item_that_never_comes() -> None:
    gate = threading.Event()

    def make() -> Iterator[int]:
        gate.wait(30.0)
        yield 1

    before = set(threading.enumerate())
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt), Prefetcher(make(), never):
        raise KeyboardInterrupt
    assert time.monotonic() - started < 5.0
    (left,) = set(threading.enumerate()) - before
    assert left.daemon
    gate.set()
    wait_until_ended(left)
