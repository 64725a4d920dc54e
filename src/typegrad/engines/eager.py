"""The eager engine: each operation runs at once, in NumPy, as it is written."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from typegrad.aligned import aligned_copy
from typegrad.engines.base import (
    Engine,
    StepSettings,
    TrainingData,
    all_finite,
    clip_gradient,
    step_rows,
)
from typegrad.engines.diagnosis import describe_first_nonfinite
from typegrad.errors import NumericalError
from typegrad.layers.mode import Mode
from typegrad.optimizers import FullBatchOptimizer, Optimizer
from typegrad.types import AnyArray, IntArray, Vector

if TYPE_CHECKING:
    from typegrad.network import NeuralNetwork


class EagerEngine(Engine):
    """Runs a network's own ``forward`` and ``backward``, and the optimizer's ``step``."""

    name: ClassVar[str] = "eager"

    def __init__(
        self,
        network: NeuralNetwork,
        optimizer: Optimizer | FullBatchOptimizer,
        settings: StepSettings,
    ) -> None:
        self.network = network
        self.optimizer = optimizer
        self.settings = settings
        # Found once, since that means looking through all layers.
        self._buffers = tuple(network.buffers.values())
        self._new_values = aligned_copy(network.flat.values)
        self._full_loss: _FullLoss | None = None

    def run_epoch(
        self, data: TrainingData, permutation: IntArray, batch_size: int, learning_rates: Vector
    ) -> Vector:
        if isinstance(self.optimizer, FullBatchOptimizer):
            return self._run_full_batch(self.optimizer, data, batch_size, learning_rates)
        optimizer = self.optimizer
        rows_per_step = batch_size * self.settings.accumulation_steps
        losses = []
        with np.errstate(all="ignore"):  # What is not finite is searched for, and reported.
            for rows, rate in zip(
                step_rows(permutation, rows_per_step), learning_rates.tolist(), strict=True
            ):
                if self.settings.should_stop():
                    break
                before = self._buffer_values()
                losses.append(
                    self._checked_gradient(data, rows, batch_size, optimizer.steps, before)
                )
                clip_gradient(self.network.flat.grads, self.settings)
                self._update(optimizer, rate, before)
        return np.array(losses, np.float64)

    def _run_full_batch(
        self,
        optimizer: FullBatchOptimizer,
        data: TrainingData,
        batch_size: int,
        learning_rates: Vector,
    ) -> Vector:
        # The optimizer reuses its last evaluation as long as it gets the same function.
        if self._full_loss is None or self._full_loss.data is not data:
            self._full_loss = _FullLoss(self, data, batch_size)
        evaluate = self._full_loss
        losses = []
        for rate in learning_rates.tolist():
            if self.settings.should_stop():
                break
            before = self._buffer_values()
            with np.errstate(all="ignore"):
                losses.append(self._minimize(optimizer, evaluate, rate, before))
        return np.array(losses, np.float64)

    def _minimize(
        self,
        optimizer: FullBatchOptimizer,
        evaluate: _FullLoss,
        rate: float,
        buffers: list[AnyArray],
    ) -> float:
        """Take a full-batch optimizer's step."""
        try:
            loss = optimizer.minimize_step(evaluate, self.network.flat.values, rate)
        except NumericalError as error:
            self._restore_buffers(buffers)
            culprit = describe_first_nonfinite(self.network, evaluate)
            self._restore_buffers(buffers)
            raise NumericalError(f"step {optimizer.steps + 1}: {culprit or error}") from error
        if self._buffers:
            # The line search left traces of every point that it tried, not only of the best.
            self._restore_buffers(buffers)
            evaluate()
        return loss

    def _checked_gradient(
        self,
        data: TrainingData,
        rows: IntArray,
        batch_size: int,
        step: int,
        buffers: list[AnyArray],
    ) -> float:
        """Do as `accumulate` does, and raise `NumericalError` if a number is not finite."""
        gradient = self.network.flat.grads
        loss = self.accumulate(data, rows, batch_size, step)
        self.settings.synchronize(gradient)
        if math.isfinite(loss) and all_finite(gradient):
            return loss
        where = "the loss" if all_finite(gradient) else self._first_nonfinite_gradient()
        self._restore_buffers(buffers)
        culprit = describe_first_nonfinite(
            self.network, lambda: self.accumulate(data, rows, batch_size, step)
        )
        self._restore_buffers(buffers)
        raise NumericalError(
            f"step {step + 1}: "
            + (culprit or f"{where} is not finite, though the result of every operation is")
        )

    def _update(self, optimizer: Optimizer, rate: float, buffers: list[AnyArray]) -> None:
        """Take the optimizer's step; should a weight not be finite then, leave all as it was."""
        self._compute_new_values(optimizer, rate)
        if not all_finite(self._new_values):
            self._restore_buffers(buffers)
            raise NumericalError(
                f"step {optimizer.steps}: the update of {type(optimizer).__name__} with learning "
                f"rate {rate:.3g} makes weights NaN or infinite. Lower the learning rate"
            )
        np.copyto(self.network.flat.values, self._new_values)

    def _compute_new_values(self, optimizer: Optimizer, rate: float) -> None:
        """Take the optimizer's step, beside the parameters."""
        flat = self.network.flat
        np.copyto(self._new_values, flat.values)
        optimizer.step(self._new_values, flat.grads, rate, decay_mask=flat.decay_mask)

    def _first_nonfinite_gradient(self) -> str:
        broken = [
            name
            for name, parameter in self.network.parameters.items()
            if not np.isfinite(parameter.grad).all()
        ]
        return f"the gradient of parameter {broken[0]}"

    def _buffer_values(self) -> list[AnyArray]:
        return [buffer.value.copy() for buffer in self._buffers]

    def _restore_buffers(self, values: list[AnyArray]) -> None:
        for buffer, value in zip(self._buffers, values, strict=True):
            buffer.assign(value)

    def accumulate(self, data: TrainingData, rows: IntArray, batch_size: int, step: int) -> float:
        """Leave the mean loss's gradient over the rows in the flat buffer; return the loss."""
        self.network.zero_grad()
        loss = 0.0
        for start in range(0, len(rows), batch_size):
            batch = rows[start : start + batch_size]
            loss += self.accumulate_batch(data, batch, len(rows), start, step)
        return loss

    def accumulate_batch(
        self, data: TrainingData, rows: IntArray, total: int, start: int, step: int
    ) -> float:
        """Add a part's share of the mean loss's gradient to the flat buffer; return that loss.

        The part begins at row `start` of a step that has `total` rows.
        """
        network = self.network
        batch = data.take(rows)
        outputs = network.forward(batch.inputs, self.mode(step, start))
        loss = network.loss.forward(outputs, batch.targets, batch.weights, total_weight=total)
        network.backward(network.loss.backward())
        return loss

    def mode(self, step: int, start: int) -> Mode:
        """Mode of the pass that begins at row `start` of a step."""
        return Mode(True, self.settings.mask_seed, step, first_row=start)


class _FullLoss:
    """Loss and gradient over all rows: what a full-batch optimizer evaluates."""

    def __init__(self, engine: EagerEngine, data: TrainingData, batch_size: int) -> None:
        self.engine = engine
        self.data = data
        self.batch_size = batch_size
        self.rows: IntArray = np.arange(len(data))

    def __call__(self) -> tuple[float, Vector]:
        # The same masks each time, so that the loss is a function of the parameters.
        loss = self.engine.accumulate(self.data, self.rows, self.batch_size, step=0)
        return loss, self.engine.network.flat.grads
