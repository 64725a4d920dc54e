"""Curves to be trained: one after the other, or in processes beside one another."""

from __future__ import annotations

import os
import pickle
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from typegrad.benchmark.loss_curve import Observer, train_curve
from typegrad.benchmark.measurements import Measurements, NoisePoint
from typegrad.benchmark.problem import Problem
from typegrad.errors import DataError, NumericalError
from typegrad.network import NeuralNetwork
from typegrad.noise_scale import gradient_noise_scale
from typegrad.per_example import has_formula

if TYPE_CHECKING:
    from concurrent.futures import Future, ProcessPoolExecutor

NOISE_ROWS = 2048
"""Most training rows that a noise scale is estimated from."""

NOISE_ROWS_ONE_BY_ONE = 128
"""The same for networks whose examples have to go through one by one."""

NOISE_SPACING = 1.5
"""Ratio of the steps at which two noise scales in a row are estimated, at least."""

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class CurveJob:
    """A curve to be trained; the fields are `train_curve`'s.

    Attributes
    ----------
    max_seconds
        Time after which it is cut short, evaluations included: for a machine so busy that nothing
        else would end it in time.
    noise
        Whether to estimate the gradient noise scale along the way.
    search
        Whether it serves to search a learning rate.
    """

    batch_size: int
    seed: int
    learning_rate: float
    max_steps: int
    max_seconds: float
    target: float | None = None
    noise: bool = False
    search: bool = False


def run_job(problem: Problem, job: CurveJob) -> Measurements:
    """Train a curve."""
    points: list[NoisePoint] = []
    observe = _noise_observer(problem, job, points) if job.noise else None
    started = time.perf_counter()
    curve = train_curve(
        problem,
        job.batch_size,
        job.seed,
        job.learning_rate,
        job.max_steps,
        target=job.target,
        observe=observe,
        should_stop=lambda: time.perf_counter() - started > job.max_seconds,
    )
    if job.search:
        return Measurements(searches=[curve])
    return Measurements(curves=[curve], noise=points)


class CurveRunner:
    """Trains curves; in processes, if there are to be several at a time.

    These are started when they are first needed, and ended with the ``with`` block.

    Parameters
    ----------
    problem
        What is trained.
    processes
        How many curves are trained at a time. With one, it is done here, in the jobs' order.
    """

    def __init__(self, problem: Problem, processes: int) -> None:
        self.problem = problem
        self.processes = processes
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> CurveRunner:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def run(self, jobs: Sequence[CurveJob]) -> Iterator[Measurements]:
        """Train curves, and yield each one's result when it is there.

        Raises
        ------
        DataError
            If the problem cannot be sent to another process.
        """
        if self.processes == 1 or len(jobs) < 2:
            for job in jobs:
                yield run_job(self.problem, job)
            return
        # Late: it is no small matter to import, and not often used.
        from concurrent.futures import FIRST_COMPLETED, wait

        with _one_thread_each():  # a pool starts its processes when it is given work
            pool = self._started_pool()
            waiting: set[Future[Measurements]] = {pool.submit(_run_here, job) for job in jobs}
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()

    def _started_pool(self) -> ProcessPoolExecutor:
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self.processes, get_context("spawn"), _begin, (_pickled(self.problem),)
            )
        return self._pool


def _noise_observer(problem: Problem, job: CurveJob, points: list[NoisePoint]) -> Observer:
    data = problem.training
    most = NOISE_ROWS if has_formula(problem.build_network(job.seed)) else NOISE_ROWS_ONE_BY_ONE
    if len(data) > most:
        rows = np.random.default_rng(job.seed).choice(len(data), most, replace=False)
        data = data.take(rows)

    def observe(step: int, network: NeuralNetwork) -> None:
        if points and step < NOISE_SPACING * points[-1].step:
            return
        try:
            found = gradient_noise_scale(
                network, data.inputs, data.targets, sample_weight=data.weights
            )
        except NumericalError:  # of a training that is about to break down
            return
        points.append(NoisePoint(job.batch_size, step, found.value, found.low, found.high))

    return observe


def _pickled(problem: Problem) -> bytes:
    try:
        return pickle.dumps(problem)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise DataError(
            f"processes need a problem that can be sent to them, but {error}: make build_network "
            "a function at the top of a module, or use processes=1"
        ) from error


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let processes that are started meanwhile use one thread each: they share the cores."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


_problems: list[Problem] = []
"""In a process of the pool: the one problem."""


def _begin(pickled: bytes) -> None:
    # Ctrl-C reaches all processes of a terminal; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    problem: Problem = pickle.loads(pickled)
    _problems.append(problem)


def _run_here(job: CurveJob) -> Measurements:
    return run_job(_problems[0], job)
