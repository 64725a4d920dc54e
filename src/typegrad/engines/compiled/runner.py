"""Native steps on several threads, in turns short enough to be interrupted."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from typegrad.engines.compiled.layout import aligned_zeros
from typegrad.engines.compiled.target import yield_function
from typegrad.engines.compiled.worker import JOB, JOB_WORDS


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
        self._job = aligned_zeros(JOB_WORDS, np.dtype(np.int64))
        self._job[JOB["yield_function"]] = yield_function()
        self._address: int = self._job.ctypes.data
        self._pool: ThreadPoolExecutor | None = None
        self._pool_threads = 0

    def set(self, fields: Mapping[str, int]) -> None:
        """Set integers of the job."""
        for name, value in fields.items():
            self._job[JOB[name]] = value

    def run(self, first: int, last: int, threads: int) -> tuple[int, bool, bool]:
        """Take some steps; return an outcome's first three parts."""
        job = self._job
        self.set({"first_step": first, "last_step": last, "failed": 0, "spoiled": 0})
        helpers = self._start_helpers(threads)
        taken = self._worker(self._address, 0, threads)
        for helper in helpers:
            helper.result()
        spoiled = bool(job[JOB["spoiled"]])
        return taken, spoiled or bool(job[JOB["failed"]]), spoiled

    def _start_helpers(self, threads: int) -> list[Any]:
        if threads == 1:
            return []
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
