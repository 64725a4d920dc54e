"""Contestants taking turns at a problem."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from measuring.hardware import Hardware
from training.problem import Problem
from training.with_typegrad import TypegradEager
from training.worker import Run, Worker

TOLERANCE = 2e-3
"""Largest relative difference of a loss in float32 from the same in float64.

Rounding errors grow from step to step: Adam divides by the gradient's own size, so a
gradient that is all but zero may give a step in either direction.
"""

PAUSE = 0.01
"""Seconds between turns, in which threads of the one before stop spinning."""


@dataclass
class Result:
    """What one contestant did on one problem."""

    name: str
    skipped: str | None = None
    seconds: list[float] = field(default_factory=list)
    loss_difference: float = 0.0
    """Largest relative difference of a loss from the reference."""
    peak_megabytes: float = 0.0

    def microseconds_per_step(self, steps: int) -> list[float]:
        """Times of the repeats."""
        return [1e6 * seconds / steps for seconds in self.seconds]


def compete(
    workers: Sequence[Worker], problem: Problem, repeats: int, *, processor_time: bool = False
) -> list[Result]:
    """Let every contestant run the problem, in turns, in a new random order each round.

    A round before the first, which is not counted, is for compilation and first touches.
    All losses of all rounds are compared with those that typegrad computes in float64.
    """
    reference = _reference(problem)
    results = {worker: Result(worker.entry.name) for worker in workers}
    active = []
    for worker in workers:
        results[worker].skipped = worker.prepare(problem)
        if results[worker].skipped is None:
            _record(results[worker], worker.run(), reference)
            active.append(worker)
    order = random.Random(problem.seed)
    for _ in range(repeats):
        for worker in order.sample(active, len(active)):
            time.sleep(PAUSE)
            run = worker.run()
            _record(results[worker], run, reference)
            seconds = run.processor_seconds if processor_time else run.seconds
            results[worker].seconds.append(seconds)
    return list(results.values())


def as_json(problem: Problem, results: Sequence[Result], hardware: Hardware) -> Mapping[str, Any]:
    """All numbers of a contest, and the machine's speeds at the time."""
    return {
        "problem": asdict(problem),
        "hardware": asdict(hardware),
        "results": [asdict(result) for result in results],
    }


def _reference(problem: Problem) -> tuple[float, float]:
    """Mean and final loss of the problem in float64."""
    exact = TypegradEager(problem.in_float64())
    exact.reset()
    mean = exact.run_epoch()
    return mean, exact.problem.final_loss(exact.weights())


def _record(result: Result, run: Run, reference: tuple[float, float]) -> None:
    losses = zip((run.mean_loss, run.final_loss), reference, strict=True)
    differences = [abs(loss - exact) / exact for loss, exact in losses]
    result.loss_difference = max(result.loss_difference, *differences)
    result.peak_megabytes = run.peak_megabytes
    # Not "any above", which NaN would pass.
    if not all(difference < TOLERANCE for difference in differences):
        raise SystemExit(
            f"{result.name} computes something else: its mean and final loss are "
            f"{run.mean_loss:.7g} and {run.final_loss:.7g}; in float64 they are "
            f"{reference[0]:.7g} and {reference[1]:.7g}"
        )
