"""Times of steps: in turns, warmed up, in repeats long enough to be measured.

A step is timed with learning rate 0, so that every repeat does the same work from the same
weights: how long a step takes does not depend on the rate.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from typegrad.types import IntArray, Matrix, Vector

BLOCK_SECONDS = 0.005
"""Time that a repeat takes at least, so that the clock's own error does not count."""

LONGEST_EPOCH = 4.0
"""Repeats are whole epochs unless these take longer than so many times the least."""

Clock = Callable[[], float]
"""Returns seconds since some moment."""


class Stepper(Protocol):
    """Something that takes training steps: an engine, or another library."""

    name: str

    def run(self, rows: IntArray, batch_size: int) -> None:
        """Take steps over these rows, of so many rows each."""


@dataclass(frozen=True)
class Block:
    """Steps that are timed as one.

    Whole epochs where these are short, so that their smaller last batch has its share;
    of a long epoch the first full batches.
    """

    rows: IntArray
    batch_size: int
    epochs: int

    @property
    def steps(self) -> int:
        """Steps in the block."""
        return self.epochs * math.ceil(len(self.rows) / self.batch_size)

    @property
    def examples(self) -> int:
        """Rows used in the block, counted each time."""
        return self.epochs * len(self.rows)

    def run(self, stepper: Stepper) -> None:
        """Take the steps."""
        for _ in range(self.epochs):
            stepper.run(self.rows, self.batch_size)


@dataclass(frozen=True)
class StepTiming:
    """What was measured of an engine's steps of one batch size.

    Attributes
    ----------
    engine
        As it was asked for.
    ran
        What that was: of ``"auto"``, the engine that was chosen.
    batch_size
        Rows of a step.
    rows_per_step
        Mean over an epoch, whose last batch may be smaller.
    seconds
        Of a step, one for each round. Rounds are those of all engines and sizes.
    peak_bytes
        Most memory that training held at once, beside data and libraries; None where it
        cannot be measured.
    """

    engine: str
    ran: str
    batch_size: int
    rows_per_step: float
    seconds: tuple[float, ...]
    peak_bytes: int | None = None

    @property
    def microseconds(self) -> Vector:
        """Time of a step in each round."""
        return 1e6 * np.array(self.seconds)

    def joined(self, later: StepTiming) -> StepTiming:
        """Append the rounds of a later measurement."""
        return replace(self, seconds=(*self.seconds, *later.seconds))


def interleave(
    workloads: Sequence[Callable[[], object]],
    rounds: int,
    generator: np.random.Generator,
    clock: Clock = time.perf_counter,
) -> Matrix:
    """Time workloads in turns, in a new random order each round.

    What slows the machine down for a while then slows all of them, and hits none more often
    than another. Python's garbage collector waits meanwhile.

    Returns
    -------
    ndarray of shape (rounds, workloads)
        Seconds.
    """
    seconds = np.empty((rounds, len(workloads)))
    collects = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for number in range(rounds):
            for index in generator.permutation(len(workloads)):
                started = clock()
                workloads[index]()
                seconds[number, index] = clock() - started
    finally:
        if collects:
            gc.enable()
    return seconds


def make_block(
    count: int, batch_size: int, seconds_per_step: float, generator: np.random.Generator
) -> Block:
    """Choose the steps to be timed as one, of an epoch of `count` rows."""
    order = generator.permutation(count)
    steps = math.ceil(BLOCK_SECONDS / seconds_per_step)
    per_epoch = math.ceil(count / batch_size)
    if per_epoch <= LONGEST_EPOCH * steps:
        return Block(order, batch_size, math.ceil(steps / per_epoch))
    return Block(order[: steps * batch_size], batch_size, 1)


def warm_up(
    stepper: Stepper, count: int, batch_size: int, generator: np.random.Generator,
    clock: Clock = time.perf_counter,
) -> Block:  # fmt: skip
    """Let a stepper plan or compile for a batch size; return a block of suitable length."""
    last = count % batch_size
    first = Block(generator.permutation(count)[:batch_size], batch_size, 2)
    first.run(stepper)
    if last:
        Block(np.arange(last), batch_size, 2).run(stepper)
    order = generator.permutation(count)
    steps, per_epoch = 1, math.ceil(count / batch_size)
    while True:
        # As many steps a call as will be timed: what a call itself costs is shared by them.
        trial = Block(order[: steps * batch_size], batch_size, 1)
        seconds = max(min(_seconds(trial, stepper, clock) for _ in range(3)), 1e-9)
        if steps >= per_epoch or seconds >= BLOCK_SECONDS:
            return make_block(count, batch_size, seconds / trial.steps, generator)
        steps *= 4


def _seconds(block: Block, stepper: Stepper, clock: Clock) -> float:
    started = clock()
    block.run(stepper)
    return clock() - started
