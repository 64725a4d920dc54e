"""Where a step's time goes: data, forward, backward, optimizer."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from typegrad.benchmark.problem import Problem
from typegrad.benchmark.step_timing import BLOCK_SECONDS, Clock, interleave
from typegrad.engines.planned_calls import plan
from typegrad.engines.planned_memory import Arena
from typegrad.engines.planned_step import RunMode, StepTracer, UpdateArrays, trace_update
from typegrad.layers import Mode
from typegrad.tracing import Graph, TraceError, simplify

_ROUNDS = 9


@dataclass(frozen=True)
class StepParts:
    """Shares of the planned engine's time for a step; they add up to one."""

    data: float
    forward: float
    backward: float
    optimizer: float


def measure_parts(
    problem: Problem, batch_size: int, clock: Clock = time.perf_counter
) -> StepParts | None:
    """Time the parts of a step's plan; None for what cannot be planned.

    The gathering of rows, the whole pass and the optimizer's update are timed by themselves, and
    so is a plan of the loss alone: that is the forward pass, and the rest of the whole the
    backward pass.
    """
    network = problem.build_network(0)
    optimizer = problem.new_optimizer(0.0)
    flat = network.flat
    optimizer.prepare(flat.values)
    rows = np.arange(min(batch_size, len(problem.training)))
    batch = problem.training.take(rows)
    tracer = StepTracer(network, RunMode(Mode(True, 0, 0)))
    try:
        graph = tracer.trace(batch, len(rows), True)
        arrays = UpdateArrays(flat.values, flat.grads, flat.decay_mask, optimizer.state)
        update = plan(trace_update(optimizer, arrays, 0.0), Arena())
    except TraceError:
        return None
    if tracer.reasons:  # opaque parts run forward and backward as they are written
        return None
    update.scalars.set({"learning_rate": 0.0, "step": 1})
    whole = plan(graph, Arena())
    forward = plan(simplify(Graph(graph.calls, graph.outputs, [])), Arena())
    targets = [(getattr(problem.training, name), array) for name, array in whole.inputs.items()]
    for name, array in forward.inputs.items():
        np.copyto(array, getattr(batch, name))

    def gather() -> None:
        for source, target in targets:
            source.take(rows, 0, target, "clip")

    with np.errstate(all="ignore"):
        gather()
        parts = [_repeated(each, clock) for each in (gather, whole.run, forward.run, update.run)]
        seconds = interleave([run for run, _ in parts], _ROUNDS, np.random.default_rng(0), clock)
    single = np.median(seconds, axis=0) / [count for _, count in parts]
    return _shares(*(float(each) for each in single))


def _shares(data: float, whole: float, forward: float, optimizer: float) -> StepParts:
    forward = min(forward, whole)
    total = data + whole + optimizer
    return StepParts(data / total, forward / total, (whole - forward) / total, optimizer / total)


def _repeated(call: Callable[[], object], clock: Clock) -> tuple[Callable[[], None], int]:
    """Return calls in a row that take long enough to be timed, and their number."""
    call()
    started = clock()
    call()
    count = max(1, round(BLOCK_SECONDS / 5 / max(clock() - started, 1e-9)))

    def run() -> None:
        for _ in range(count):
            call()

    return run, count
