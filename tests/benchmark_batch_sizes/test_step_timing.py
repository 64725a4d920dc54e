"""Turns, blocks and warm-up, by a clock that the tests wind."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable

import numpy as np
import pytest

from typegrad.benchmark.step_timing import (
    BLOCK_SECONDS,
    Block,
    StepTiming,
    interleave,
    make_block,
    warm_up,
)
from typegrad.types import IntArray


class FakeClock:
    """Time goes on when somebody works."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def work(self, seconds: float) -> Callable[[], None]:
        def run() -> None:
            self.now += seconds

        return run


class FakeStepper:
    """Takes a fixed time for a step, and more for the first of a size."""

    name = "fake"

    def __init__(self, clock: FakeClock, seconds: float) -> None:
        self.clock = clock
        self.seconds = seconds
        self.seen: set[int] = set()

    def run(self, rows: IntArray, batch_size: int) -> None:
        for start in range(0, len(rows), batch_size):
            size = len(rows[start : start + batch_size])
            self.clock.now += self.seconds + (size not in self.seen)
            self.seen.add(size)


def test_each_workload_gets_its_own_time() -> None:
    clock = FakeClock()
    work = [clock.work(seconds) for seconds in (1.0, 0.25, 4.0)]
    seconds = interleave(work, 5, np.random.default_rng(0), clock)
    np.testing.assert_array_equal(seconds, np.tile([1.0, 0.25, 4.0], (5, 1)))


def test_workloads_take_turns_in_changing_order() -> None:
    order: list[int] = []
    work = [lambda index=index: order.append(index) for index in range(4)]
    interleave(work, 20, np.random.default_rng(0))
    rounds = np.reshape(order, (20, 4))
    assert all(sorted(each) == [0, 1, 2, 3] for each in rounds.tolist())
    assert len({tuple(each) for each in rounds.tolist()}) > 10


@pytest.mark.parametrize("enabled", [True, False])
def test_the_garbage_collector_waits_and_is_put_back(enabled: bool) -> None:
    seen: list[bool] = []
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        interleave([lambda: seen.append(gc.isenabled())], 2, np.random.default_rng(0))
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()
    assert seen == [False, False]


def test_a_short_epoch_is_repeated_whole() -> None:
    block = make_block(100, 30, BLOCK_SECONDS / 10, np.random.default_rng(0))
    assert sorted(block.rows) == list(range(100))
    assert (block.epochs, block.steps, block.examples) == (3, 12, 300)


def test_of_a_long_epoch_the_first_batches_are_taken() -> None:
    block = make_block(100_000, 8, BLOCK_SECONDS / 10, np.random.default_rng(0))
    assert (len(block.rows), block.epochs, block.steps, block.examples) == (80, 1, 10, 80)


def test_warm_up_sees_both_sizes_and_measures_without_the_first_time() -> None:
    clock = FakeClock()
    stepper = FakeStepper(clock, BLOCK_SECONDS / 50)
    block = warm_up(stepper, 103, 10, np.random.default_rng(0), clock)
    assert stepper.seen == {10, 3}
    # 50 steps are wanted, and an epoch has 11.
    assert (block.epochs, len(block.rows)) == (5, 103)
    before = clock.now
    block.run(stepper)
    assert clock.now - before == pytest.approx(block.steps * BLOCK_SECONDS / 50)


def test_what_a_call_costs_does_not_count_as_the_cost_of_a_step() -> None:
    clock = FakeClock()

    class SlowCalls(FakeStepper):
        def run(self, rows: IntArray, batch_size: int) -> None:
            clock.now += BLOCK_SECONDS / 5
            super().run(rows, batch_size)

    block = warm_up(SlowCalls(clock, 1e-6), 1000, 1, np.random.default_rng(0), clock)
    assert (block.epochs, len(block.rows)) == (3, 1000)


def test_steps_of_a_block() -> None:
    block = Block(np.arange(10), 4, 2)
    assert block.steps == 6
    assert block.steps == 2 * math.ceil(10 / 4)


def test_timings_of_two_sessions_are_joined() -> None:
    first = StepTiming("auto", "planned", 8, 7.5, (1e-6, 2e-6), 1000)
    joined = first.joined(StepTiming("auto", "planned", 8, 7.5, (3e-6,)))
    np.testing.assert_allclose(joined.microseconds, [1.0, 2.0, 3.0])
    assert joined.peak_bytes == 1000
