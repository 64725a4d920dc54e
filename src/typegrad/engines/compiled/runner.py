"""Native steps on several threads, in turns short enough to be interrupted."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from typegrad.aligned import aligned_zeros
from typegrad.engines.compiled.job import JOB, JOB_WORDS
from typegrad.engines.compiled.target import yield_function

TURN_SECONDS = 0.02
"""Time between two looks at whether a stop was asked for, where nobody knows what a step costs."""


_FIRST, _LAST, _FAILED, _SPOILED = (
    JOB[name] for name in ("first_step", "last_step", "failed", "spoiled")
)


class Turns:
    """How many steps are taken at a time where parts of them run as they are written."""

    def __init__(self) -> None:
        self._steps = 1
        self._began = time.perf_counter()

    def steps_of(self, done: int) -> int:
        """Return how many come next: twice as many as long as they are quick."""
        now = time.perf_counter()
        if done:
            is_quick = now - self._began < TURN_SECONDS / 2
            self._steps = self._steps * 2 if is_quick else max(1, self._steps // 2)
        self._began = now
        return self._steps


class Outcome(NamedTuple):
    """What became of some steps.

    Attributes
    ----------
    taken
        How many were taken.
    failed
        Whether the next one met a number that is not finite.
    spoiled
        Whether that step has changed parameters.
    error
        What a part that runs as it is written has raised in it.
    """

    taken: int
    failed: bool
    spoiled: bool
    error: BaseException | None = None


class Runner:
    """Calls the worker, on as many threads as are asked for.

    Parameters
    ----------
    worker
        The native function, of a job's address, a thread's number and how many there are.
    """

    def __init__(self, worker: Callable[[int, int, int], int]) -> None:
        self._worker = worker
        job = aligned_zeros(JOB_WORDS, np.dtype(np.int64))
        self._address: int = job.ctypes.data
        self._job = memoryview(job)  # It takes and gives Python's integers.
        self._job[JOB["yield_function"]] = yield_function()
        self._pool: ThreadPoolExecutor | None = None
        self._pool_threads = 0

    def set(self, fields: Mapping[str, int]) -> None:
        """Set integers of the job."""
        for name, value in fields.items():
            self._job[JOB[name]] = value

    def run(self, first: int, last: int, threads: int) -> tuple[int, bool, bool]:
        """Take some steps; return an outcome's first three parts."""
        job = self._job
        job[_FIRST], job[_LAST], job[_FAILED], job[_SPOILED] = first, last, 0, 0
        if threads == 1:
            taken = self._worker(self._address, 0, 1)
        else:
            helpers = self._start_helpers(threads)
            taken = self._worker(self._address, 0, threads)
            for helper in helpers:
                helper.result()
        spoiled = job[_SPOILED] != 0
        return taken, spoiled or job[_FAILED] != 0, spoiled

    def run_turns(
        self,
        total: int,
        threads: int,
        should_stop: Callable[[], bool],
        steps_of_turn: Callable[[int], int],
    ) -> Outcome:
        """Take steps, so many in each turn: they may depend on how many are done."""
        done, failed, spoiled = 0, False, False
        while done < total and not failed and not should_stop():
            last = min(done + steps_of_turn(done), total)
            taken, failed, spoiled = self.run(done, last, threads)
            done += taken
        return Outcome(done, failed, spoiled)

    def _start_helpers(self, threads: int) -> list[Any]:
        if self._pool is None or self._pool_threads < threads - 1:
            # As many as there are helpers: each waits for all others.
            self._pool_threads = threads - 1
            self._pool = ThreadPoolExecutor(self._pool_threads, "typegrad")
        self.set({"arrived": 0, "aborted": 0})
        helpers = []
        try:
            for number in range(1, threads):
                helpers.append(self._pool.submit(self._worker, self._address, number, threads))
        except BaseException:
            # Those that have started wait for those that never will.
            self.set({"aborted": 1})
            raise
        return helpers


def double_bits(value: float) -> int:
    """Return the bits of a float64, as an integer."""
    return ctypes.c_int64.from_buffer_copy(ctypes.c_double(value)).value
