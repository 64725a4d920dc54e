"""Times of steps of all engines and sizes, in one session of rounds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from typegrad.benchmark.machine import Reference
from typegrad.benchmark.measurements import Measurements
from typegrad.benchmark.problem import Problem
from typegrad.benchmark.step_parts import measure_parts
from typegrad.benchmark.step_timing import (
    BLOCK_SECONDS,
    Block,
    Clock,
    Stepper,
    StepTiming,
    interleave,
    warm_up,
)
from typegrad.benchmark.steppers import make_stepper, peak_bytes

FEWEST_ROUNDS, MOST_ROUNDS = 5, 60


class TimingSession:
    """Times steps of each engine with each size, in turns, alone on the machine.

    Parameters
    ----------
    problem
        Whose steps are timed.
    engines, batch_sizes
        All pairs of them are.
    clock
        Tells the time.
    """

    def __init__(
        self,
        problem: Problem,
        engines: Sequence[str],
        batch_sizes: Sequence[int],
        clock: Clock = time.perf_counter,
    ) -> None:
        self.problem = problem
        self.engines = engines
        self.batch_sizes = batch_sizes
        self.clock = clock
        self._generator = np.random.default_rng(0)
        self._reference = Reference(problem.training.inputs.dtype)
        self._cells: list[tuple[str, Stepper, Block]] = []
        count = len(problem.training)
        for engine in engines:
            stepper = make_stepper(problem, engine)
            for size in batch_sizes:
                block = warm_up(stepper, count, size, self._generator, clock)
                self._cells.append((engine, stepper, block))

    def measure(self, seconds: float) -> Measurements:
        """Time as many rounds as fit in so many seconds, within limits.

        Every session of a benchmark starts with a round that is not counted.
        """
        workloads: list[Callable[[], object]] = [
            self._reference,
            *(partial(block.run, stepper) for _, stepper, block in self._cells),
        ]
        started = self.clock()
        interleave(workloads, 1, self._generator, self.clock)
        round_seconds = max(self.clock() - started, BLOCK_SECONDS)
        rounds = int(np.clip(seconds / round_seconds, FEWEST_ROUNDS, MOST_ROUNDS))
        found = interleave(workloads, rounds, self._generator, self.clock)
        count = len(self.problem.training)
        return Measurements(
            timings=[
                StepTiming(
                    engine,
                    stepper.name,
                    block.batch_size,
                    count / -(-count // block.batch_size),
                    tuple((found[:, index] / block.steps).tolist()),
                )
                for index, (engine, stepper, block) in enumerate(self._cells, 1)
            ],
            sessions=1,
            reference_seconds=found[:, 0].tolist(),
            reference_operations=self._reference.operations,
        )

    def measure_memory_and_parts(self, measured: Measurements) -> Measurements:
        """Add peaks of memory and shares of a step's time to what was measured."""
        measured.timings = [
            replace(each, peak_bytes=peak_bytes(self.problem, each.engine, each.batch_size))
            for each in measured.timings
        ]
        measured.parts = {
            size: measure_parts(self.problem, size, self.clock) for size in self.batch_sizes
        }
        return measured
