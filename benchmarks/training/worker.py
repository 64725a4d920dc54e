"""A contestant in a process of its own.

Libraries that share a process also share memory, and their idle threads spin on the same
cores. Here each has a process, which sleeps while others have their turn.
"""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

from measuring.machine import peak_megabytes
from training.contestant import Contestant, Entry
from training.problem import Problem

TURN = 0.1
"""Seconds that short epochs fill, one after the other as in training."""


@dataclass(frozen=True)
class Run:
    """What one epoch gave; of short ones, the median of the later half of a turn."""

    seconds: float
    processor_seconds: float
    """Time that all threads of the process were running: not that in which others were."""
    mean_loss: float
    """Mean of the steps' losses, as the contestant computed them."""
    final_loss: float
    """Loss of the weights after the last step, computed by the benchmark."""
    peak_megabytes: float
    """Largest memory of the contestant's whole process so far."""


class Worker:
    """Starts a contestant's process, and tells it what to do."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, entry), daemon=True)
        self._process.start()
        theirs.close()

    def await_start(self) -> None:
        """Wait until the library is imported.

        Raises
        ------
        ImportError
            If it cannot be.
        """
        self._answer()

    def prepare(self, problem: Problem) -> str | None:
        """Set up a problem; return why it cannot be done, if so."""
        reason: str | None = self._ask("prepare", problem)
        return reason

    def run(self) -> Run:
        """Run an epoch from the problem's first weights."""
        run: Run = self._ask("run", None)
        return run

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.join()

    def _ask(self, request: str, argument: object) -> Any:
        self._connection.send((request, argument))
        return self._answer()

    def _answer(self) -> Any:
        answer = self._connection.recv()
        if isinstance(answer, BaseException):
            self.close()
            raise answer
        return answer


def _serve(connection: Connection, entry: Entry) -> None:
    try:
        kind: type[Contestant] = getattr(import_module(entry.module), entry.class_name)
    except ImportError as error:
        connection.send(ImportError(str(error)))
        return
    connection.send(None)
    contestant: Contestant | None = None
    while True:
        try:
            request, argument = connection.recv()
        except EOFError:
            return
        try:
            if request == "prepare":
                reason = kind.unsupported(argument)
                contestant = kind(argument) if reason is None else None
                connection.send(reason)
            elif contestant is not None:
                connection.send(_timed_epoch(contestant))
        except Exception as error:
            connection.send(RuntimeError(f"{entry.name}: {type(error).__name__}: {error}"))
            return


def _timed_epoch(contestant: Contestant) -> Run:
    """Time an epoch; a short one often, until caches hold no longer what others left there."""
    times: list[tuple[float, float]] = []
    elapsed = 0.0
    while elapsed < TURN:
        mean_loss, seconds, processor_seconds = _time_epoch(contestant)
        times.append((seconds, processor_seconds))
        elapsed += seconds
    later = times[len(times) // 2 :]
    seconds, processor_seconds = (median(column) for column in zip(*later, strict=True))
    final_loss = contestant.problem.final_loss(contestant.weights())
    return Run(seconds, processor_seconds, mean_loss, final_loss, peak_megabytes())


def _time_epoch(contestant: Contestant) -> tuple[float, float, float]:
    """Return the epoch's mean loss, its wall time and its processor time."""
    contestant.reset()
    started, processor_started = time.perf_counter(), time.process_time()
    mean_loss = contestant.run_epoch()
    seconds = time.perf_counter() - started
    return mean_loss, seconds, time.process_time() - processor_started
