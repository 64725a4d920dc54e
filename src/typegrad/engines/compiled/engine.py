"""The compiled engine: steps in native code."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from typegrad.engines.base import StepSettings, TrainingData, leave_gradient
from typegrad.engines.compiled.forward_code import ForwardCode
from typegrad.engines.compiled.graph_facts import NotNativeError
from typegrad.engines.compiled.library import library_for
from typegrad.engines.compiled.network_code import NetworkCode
from typegrad.engines.compiled.step_numbers import Steps
from typegrad.engines.compiled.traced_step import trace_step
from typegrad.engines.planned import PlannedEngine, check_rows
from typegrad.engines.planned_step import RunMode, StepTracer
from typegrad.layers.mode import Mode
from typegrad.operations.base import Operation
from typegrad.operations.observing import is_observed
from typegrad.optimizers import FullBatchOptimizer, Optimizer
from typegrad.tracing import TraceError
from typegrad.types import Array, IntArray, Shape, Vector

if TYPE_CHECKING:
    from typegrad.network import NeuralNetwork

logger: logging.Logger = logging.getLogger("typegrad")

MOST_FAILURES = 3
"""Steps that fail in native code before the planned engine takes all: each costs as much as all
steps before it in the same call."""

WORTH_FORWARD_CODE = 250_000
"""Rows times parameters from which on evaluation by native code takes less time than NumPy."""


class CompiledEngine(PlannedEngine):
    """Runs epochs in native code, on all cores; what it cannot, the planned engine runs.

    Its numbers differ from the eager engine's by rounding, and are the same to the last bit for
    any number of threads. Denormal numbers of an optimizer's state become zero now and then.

    Parameters
    ----------
    network, optimizer, settings, note
        As for `PlannedEngine`.
    threads
        How many threads to use at most; None for the cores that the process may use.
    """

    name: ClassVar[str] = "compiled"

    def __init__(
        self,
        network: NeuralNetwork,
        optimizer: Optimizer | FullBatchOptimizer,
        settings: StepSettings,
        note: Callable[[str], None] = logger.info,
        *,
        threads: int | None = None,
    ) -> None:
        super().__init__(network, optimizer, settings, note)
        self.threads: int = threads or usable_cores()
        self._library = library_for(8 * network.dtype.itemsize, note)
        self._code: NetworkCode | None = None
        self._kind: tuple[object, ...] = ()
        self._data: TrainingData | None = None
        self._admits = True
        self._failures = 0
        self._stepping = optimizer if isinstance(optimizer, Optimizer) else None
        self._forward: ForwardCode | None = None
        self._row_without_code: Shape | None = None

    def run_epoch(
        self, data: TrainingData, permutation: IntArray, batch_size: int, learning_rates: Vector
    ) -> Vector:
        check_rows(permutation, len(data))
        if not len(permutation):  # There may be no example to trace with.
            return super().run_epoch(data, permutation, batch_size, learning_rates)
        code = self._code_for(data)
        optimizer = self._stepping
        # Elsewhere a step's gradient is native, and the rest as in the other engines.
        is_whole = code is not None and code.has_update
        is_plain = (
            self.settings.synchronize is leave_gradient
            and np.minimum.reduce(learning_rates, initial=0.0) >= 0
        )
        if code is None or optimizer is None or not (is_whole and is_plain):
            return super().run_epoch(data, permutation, batch_size, learning_rates)
        rows_per_step = min(batch_size * self.settings.accumulation_steps, len(permutation))
        if not code.takes(rows_per_step, batch_size):
            self._tell_few_rows(code)
            return super().run_epoch(data, permutation, batch_size, learning_rates)
        last_rows = len(permutation) - (len(learning_rates) - 1) * rows_per_step
        if not code.takes(last_rows, batch_size):
            return self._run_but_last(data, permutation, batch_size, learning_rates)
        steps = Steps(data, permutation, rows_per_step, learning_rates, optimizer.steps)
        losses, failed = self._take_steps(code, optimizer, steps)
        if failed:
            return self._go_on(code, optimizer, steps, batch_size, losses)
        return losses

    def _go_on(
        self,
        code: NetworkCode,
        optimizer: Optimizer,
        steps: Steps,
        batch_size: int,
        losses: Vector,
    ) -> Vector:
        """Take the steps from the one on that failed in native code; return all losses."""
        data, order, rows, rates, _ = steps
        failed = True
        while failed:
            done = len(losses)
            self._failures += 1
            if self._failures == MOST_FAILURES:
                self._admits = False
                self._tell("the planned engine runs this data: some steps fail in native code")
            # The others name the culprit, or take the step if all is finite for them.
            last = done + 1 if self._admits else len(rates)
            of_others = order[done * rows : last * rows]
            found = super().run_epoch(data, of_others, batch_size, rates[done:last])
            losses = np.concatenate([losses, found])
            if len(losses) < last or last == len(rates):  # A stop was asked for, or all are taken.
                break
            rest = Steps(data, order[last * rows :], rows, rates[last:], optimizer.steps)
            more, failed = self._take_steps(code, optimizer, rest)
            losses = np.concatenate([losses, more])
        return losses

    def _tell_few_rows(self, code: NetworkCode) -> None:
        self._tell(
            f"the planned engine takes steps of less than {code.fewest_rows} rows or of "
            "several batches, since examples of a batch may have to do with each other"
        )

    def _run_but_last(
        self, data: TrainingData, permutation: IntArray, batch_size: int, learning_rates: Vector
    ) -> Vector:
        """Run an epoch whose last step has too few rows for native code."""
        whole = len(permutation) // batch_size * batch_size
        losses = self.run_epoch(data, permutation[:whole], batch_size, learning_rates[:-1])
        if len(losses) < len(learning_rates) - 1:  # A stop was asked for.
            return losses
        last = super().run_epoch(data, permutation[whole:], batch_size, learning_rates[-1:])
        return np.concatenate([losses, last])

    def accumulate(self, data: TrainingData, rows: IntArray, batch_size: int, step: int) -> float:
        code = None if is_observed() else self._code_for(data)
        if code is None or not code.takes(len(rows), batch_size):
            if code is not None and isinstance(self.optimizer, FullBatchOptimizer):
                self._tell_few_rows(code)
            return super().accumulate(data, rows, batch_size, step)
        flat, vectors = self.network.flat, code.vectors
        vectors.values.spread(flat.values)
        steps = Steps(data, rows, len(rows), np.zeros(1), step)
        outcome = code.run(steps, self.threads, with_update=False)
        if outcome.error is not None:
            raise outcome.error
        if outcome.failed:
            return super().accumulate(data, rows, batch_size, step)
        vectors.grads.collect(flat.grads)
        return float(code.losses.array[0])

    def compute_outputs(self, inputs: Array) -> Array:
        row = inputs.shape[1:]
        is_worth_it = len(inputs) * self.network.flat.values.size >= WORTH_FORWARD_CODE
        if self._code is None or not is_worth_it or self._row_without_code == row:
            return super().compute_outputs(inputs)
        forward = self._forward
        if forward is None or forward.row != row or forward.is_outdated(self.network):
            try:
                forward = ForwardCode(self.network, row, logger.debug, predicts=False)
            except NotNativeError as error:
                self._row_without_code = row
                self._tell(f"evaluation is not native: there is no native code for {error}")
                return super().compute_outputs(inputs)
            self._forward = forward
        else:
            forward.refresh()
        try:
            return forward.run(np.ascontiguousarray(inputs), self.threads)
        except NotNativeError:  # Others say what is wrong with the inputs.
            return super().compute_outputs(inputs)

    def _take_steps(
        self, code: NetworkCode, optimizer: Optimizer, steps: Steps
    ) -> tuple[Vector, bool]:
        """Take steps until all are done, one fails, or a stop is asked for.

        Return the losses of those that were taken, and whether one has failed.
        """
        flat, vectors = self.network.flat, code.vectors
        optimizer.prepare(flat.values)
        state = optimizer.state_arrays
        vectors.spread(flat.values, state)
        outcome = code.run(steps, self.threads, should_stop=self.settings.should_stop)
        failed = outcome.failed
        while outcome.spoiled:
            # The steps before that one are taken anew, from where they began; between the ends of
            # rows it may have left what is not finite.
            vectors.clear()
            vectors.spread(flat.values, state)
            if not outcome.taken:
                break
            before = steps._replace(rates=steps.rates[: outcome.taken])
            outcome = code.run(before, self.threads)
        vectors.collect(flat.values, flat.grads, state)
        optimizer.count_step(outcome.taken)
        if outcome.error is not None:
            raise outcome.error
        losses: Vector = code.losses.take(outcome.taken)
        return losses, failed

    # -- preparing ------------------------------------------------------------------

    def _code_for(self, data: TrainingData) -> NetworkCode | None:
        """Return native code for this network and data; None if there is none."""
        is_other = data is not self._data and self._kind != _kind_of(data)
        is_outdated = self._code is not None and self._code.is_outdated()
        if is_other or is_outdated or self._options.changed():
            self._kind = _kind_of(data)
            self._code = self._compile(data)
            self._data = self._row_without_code = None
            self._failures = 0
        if self._code is not None and data is not self._data:
            self._data = data
            takes_branches = self._code.admits(data)
            if not takes_branches:
                self._tell("the planned engine runs this data: it takes another branch")
            self._admits = takes_branches and self._failures < MOST_FAILURES
        return self._code if self._admits else None

    def _compile(self, data: TrainingData) -> NetworkCode | None:
        tracer = StepTracer(self.network, RunMode(Mode(True)))
        tracer.checks_branches_first = True
        try:
            for array in (data.inputs, data.targets):
                if array.dtype != self.network.dtype:
                    raise NotNativeError(f"data of {array.dtype}")
            code = self._code_around(tracer, data)
        except (NotNativeError, TraceError) as error:
            self._tell(f"the planned engine runs this network: there is no native code for {error}")
            return None
        for culprit, reason in tracer.reasons.values():
            self._tell(f"{culprit} runs as it is written, between native steps: {reason}")
        self._options.remember(tracer.written)
        problem = self._library.cache.problem
        if problem is not None:
            self._tell(f"native code could not be kept for the next process: {problem}")
        if code.update_problem is not None:
            self._tell(
                f"{type(self.optimizer).__name__}'s update is not native, only the gradient is: "
                f"{code.update_problem}"
            )
        return code

    def _code_around(self, tracer: StepTracer, data: TrainingData) -> NetworkCode:
        """Return native code, in which operations without any run as they are written."""
        refused: dict[int, NotNativeError] = {}
        while True:
            try:
                return NetworkCode(
                    self.network,
                    self.optimizer,
                    self.settings,
                    trace_step(self.network, data, tracer),
                    self._library,
                    has_weights=data.weights is not None,
                )
            except NotNativeError as error:
                culprit = error.origin
                if not isinstance(culprit, Operation) or not tracer.can_be_opaque(culprit):
                    # Why it would have had to run as it is written says more than why it cannot.
                    raise refused.get(id(culprit), error) from error
                refused[id(culprit)] = error
                tracer.reasons[id(culprit)] = (culprit, f"there is no native code for {error}")


def _kind_of(data: TrainingData) -> tuple[object, ...]:
    """Return what native code depends on: shapes of rows, dtypes, and whether there are weights."""
    shapes = [(array.shape[1:], array.dtype) for array in (data.inputs, data.targets)]
    return (*shapes, data.weights is None)


def usable_cores() -> int:
    """Return how many cores the process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
