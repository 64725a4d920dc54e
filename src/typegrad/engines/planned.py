"""The planned engine: traced once for each batch size, then run without allocation."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from operator import is_
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from typegrad.engines.base import StepSettings, TrainingData
from typegrad.engines.eager import EagerEngine
from typegrad.engines.planned_calls import plan
from typegrad.engines.planned_memory import Arena
from typegrad.engines.planned_options import Options
from typegrad.engines.planned_plan import Plan
from typegrad.engines.planned_step import RunMode, StepTracer, Uniform, UpdateArrays, trace_update
from typegrad.layers.mode import INFERENCE
from typegrad.operations.observing import is_observed
from typegrad.optimizers import FullBatchOptimizer, Optimizer
from typegrad.tracing import Graph, TraceError
from typegrad.tracing.primitives import GuardFailed, Opaque
from typegrad.types import IntArray, Vector

if TYPE_CHECKING:
    from typegrad.network import NeuralNetwork

logger: logging.Logger = logging.getLogger("typegrad")

_UNSIGNED = {size: np.dtype(f"u{size}") for size in (1, 2, 4, 8)}

_PATIENCE = 3
"""How often data may take another branch than when it was planned, before that is given up."""


@dataclass
class _BatchPlan:
    """A plan for batches of one size, and what it needs to know when it runs."""

    plan: Plan
    reads_mode: bool
    zeroed: list[Vector]

    def run(self, data: TrainingData, rows: IntArray) -> float:
        """Gather the rows and run; return the loss."""
        for name, target in self.plan.inputs.items():
            # The rows are known to exist; checking them again would take a copy.
            getattr(data, name).take(rows, 0, target, "clip")
        for gradient in self.zeroed:
            gradient.fill(0.0)
        for step in self.plan.steps:
            step()
        return float(self.plan.outputs["loss"].item())


class PlannedEngine(EagerEngine):
    """Runs plans: lists of NumPy calls that write into memory laid out beforehand.

    Its numbers are the eager engine's to the last bit. What cannot be planned runs as it is
    written, and `notes` names it.

    Attributes
    ----------
    notes : list of str
        What could not be planned, and why.
    """

    name: ClassVar[str] = "planned"

    def __init__(
        self,
        network: NeuralNetwork,
        optimizer: Optimizer | FullBatchOptimizer,
        settings: StepSettings,
        note: Callable[[str], None] = logger.info,
    ) -> None:
        super().__init__(network, optimizer, settings)
        self.notes: list[str] = []
        self._note = note
        self._arena = Arena()
        self._current = RunMode(INFERENCE)
        self._tracer = StepTracer(network, self._current)
        self._options = Options(network)
        self._plans: dict[tuple[Any, ...], _BatchPlan | None] = {}
        self._update_plan: _UpdatePlan | None = None
        self._failures = 0
        self._zero = np.zeros((), network.dtype)
        self._data: TrainingData | None = None
        self._signature: tuple[Any, ...] = ()

    @property
    def planned_bytes(self) -> int:
        """Memory for intermediate results, which all plans share."""
        return self._arena.nbytes

    def run_epoch(
        self, data: TrainingData, permutation: IntArray, batch_size: int, learning_rates: Vector
    ) -> Vector:
        check_rows(permutation, len(data))
        if self._options.changed():
            self._tracer = StepTracer(self.network, self._current)
            self._plans.clear()
        return super().run_epoch(data, permutation, batch_size, learning_rates)

    def accumulate(self, data: TrainingData, rows: IntArray, batch_size: int, step: int) -> float:
        if is_observed():
            return super().accumulate(data, rows, batch_size, step)
        gradient = self.network.flat.grads
        loss = 0.0
        for start in range(0, len(rows), batch_size):
            batch = rows[start : start + batch_size]
            found = self._plan_for(data, batch, len(rows), start, step)
            if found is None:
                if start == 0:
                    self.network.zero_grad()
                loss += self.accumulate_batch(data, batch, len(rows), start, step)
                continue
            if found.reads_mode:
                self._current.mode = self.mode(step, start)
            try:
                loss += found.run(data, batch)
            except GuardFailed:
                loss += self._branch_eagerly(data, batch, len(rows), start, step)
        # Eager gradients are sums that start at 0, which never gives -0.
        np.add(gradient, self._zero, gradient)
        return loss

    def _plan_for(
        self, data: TrainingData, rows: IntArray, total: int, start: int, step: int
    ) -> _BatchPlan | None:
        """Return the plan for a batch like this one; None if the network cannot be planned."""
        if data is not self._data:
            self._data = data
            self._signature = (
                data.inputs.shape[1:], data.targets.shape[1:], data.weights is None
            )  # fmt: skip
        key = (len(rows), total, start == 0, self._signature)
        if key not in self._plans:
            self._current.mode = self.mode(step, start)
            self._plans[key] = self._plan_batch(data.take(rows), total, start == 0)
            self._options.remember(self._tracer.written)
        return self._plans[key]

    def _plan_batch(self, batch: TrainingData, total: int, first: bool) -> _BatchPlan | None:
        if not self._tracer.plannable:
            return None
        known = len(self._tracer.reasons)
        try:
            graph = self._tracer.trace(batch, total, first)
        except TraceError as error:
            self._tracer.plannable = False
            self._tell(f"the network runs as it is written, not planned: {error}")
            return None
        for culprit, reason in list(self._tracer.reasons.values())[known:]:
            self._tell(f"{culprit} runs as it is written, not planned: {reason}")
        zeroed = self._unwritten_gradients(graph) if first else []
        reads_mode = graph.has(Opaque) or graph.has(Uniform)
        return _BatchPlan(plan(graph, self._arena), reads_mode, zeroed)

    def _unwritten_gradients(self, graph: Graph) -> list[Vector]:
        """Return the gradients that must be zero before a step's first batch."""
        written = {id(leaf.array) for leaf, _ in graph.updates}
        parameters = self.network.parameters.values()
        return [part.grad for part in parameters if id(part.grad) not in written]

    def _branch_eagerly(
        self, data: TrainingData, rows: IntArray, total: int, start: int, step: int
    ) -> float:
        """Run a batch as it is written, since it takes another branch than the plan."""
        self._failures += 1
        if self._failures == _PATIENCE:
            self._tracer.guards = False
            self._plans.clear()
        if start == 0:
            self.network.zero_grad()
        return self.accumulate_batch(data, rows, total, start, step)

    def _compute_new_values(self, optimizer: Optimizer, rate: float) -> None:
        update = self._update_for(optimizer, rate)
        if update is None or not rate >= 0:
            super()._compute_new_values(optimizer, rate)
            return
        update.scalars.set({"learning_rate": rate, "step": optimizer.steps + 1})
        update.run()
        optimizer.count_step()

    def _update_for(self, optimizer: Optimizer, rate: float) -> Plan | None:
        found = self._update_plan
        if found is None or not found.fits(optimizer):
            optimizer.prepare(self.network.flat.values)
            if found is None or found.state.keys() != optimizer.state_arrays.keys():
                found = _UpdatePlan(optimizer.state, self._plan_update(optimizer, rate))
                self._update_plan = found
            else:  # it was reset, or loaded
                optimizer.move_state(found.state)
        return found.plan

    def _plan_update(self, optimizer: Optimizer, rate: float) -> Plan | None:
        flat = self.network.flat
        arrays = UpdateArrays(
            flat.values, flat.grads, flat.decay_mask, optimizer.state, self._new_values
        )
        try:
            return plan(trace_update(optimizer, arrays, rate), self._arena)
        except TraceError as error:
            self._tell(f"{type(optimizer).__name__}'s update is not planned: {error}")
            return None

    def _tell(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)
            self._note(note)


class _UpdatePlan:
    """The plan of an optimizer's update; None if it cannot be planned."""

    def __init__(self, state: dict[str, Vector], plan: Plan | None) -> None:
        self.state = state
        self.plan = plan

    def fits(self, optimizer: Optimizer) -> bool:
        """Whether the optimizer's state is still where it was."""
        arrays = optimizer.state_arrays.values()
        return len(arrays) == len(self.state) and all(map(is_, arrays, self.state.values()))


def check_rows(permutation: IntArray, count: int) -> None:
    """Raise IndexError for a row that is not there, as NumPy's indexing does."""
    # Seen as unsigned integers, numbers below zero are large. Like all that is done once in each
    # epoch, which may take a tenth of a millisecond, without NumPy's methods in Python.
    if not permutation.dtype.isnative:
        permutation = permutation.astype(permutation.dtype.newbyteorder("="))
    numbers = permutation.view(_UNSIGNED[permutation.itemsize])
    if numbers.size and not np.maximum.reduce(numbers) < count:
        raise IndexError(f"the permutation has numbers of rows outside 0 to {count - 1}")
