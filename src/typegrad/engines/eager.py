"""The eager engine: each operation runs at once, in NumPy, as it is written."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from typegrad.engines.base import Engine, StepSettings, TrainingData, clip_gradient, step_rows
from typegrad.engines.diagnosis import describe_first_nonfinite
from typegrad.errors import NumericalError
from typegrad.layers.base import Buffer
from typegrad.layers.mode import Mode
from typegrad.optimizers import FullBatchOptimizer, Optimizer
from typegrad.types import IntArray, Vector

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
        self._full_loss: _FullLoss | None = None

    def run_epoch(
        self, data: TrainingData, permutation: IntArray, batch_size: int, learning_rates: Vector
    ) -> Vector:
        if isinstance(self.optimizer, FullBatchOptimizer):
            return self._run_full_batch(self.optimizer, data, batch_size, learning_rates)
        optimizer = self.optimizer
        rows_per_step = batch_size * self.settings.accumulation_steps
        flat = self.network.flat
        # Found once, since that means looking through all layers.
        buffers = list(self.network.buffers.values())
        losses = []
        for rows, rate in zip(
            step_rows(permutation, rows_per_step), learning_rates.tolist(), strict=True
        ):
            if self.settings.should_stop():
                break
            losses.append(self._checked_gradient(data, rows, batch_size, optimizer.steps, buffers))
            clip_gradient(flat.grads, self.settings)
            optimizer.step(flat.values, flat.grads, rate, decay_mask=flat.decay_mask)
        return np.array(losses, np.float64)

    def _run_full_batch(
        self,
        optimizer: FullBatchOptimizer,
        data: TrainingData,
        batch_size: int,
        learning_rates: Vector,
    ) -> Vector:
        flat = self.network.flat
        # The optimizer reuses its last evaluation as long as it gets the same function.
        if self._full_loss is None or self._full_loss.data is not data:
            self._full_loss = _FullLoss(self, data, batch_size)
        evaluate = self._full_loss
        losses = []
        for rate in learning_rates.tolist():
            if self.settings.should_stop() or optimizer.converged:
                break
            with np.errstate(all="ignore"):
                losses.append(optimizer.minimize_step(evaluate, flat.values, rate))
        return np.array(losses, np.float64)

    def _checked_gradient(
        self,
        data: TrainingData,
        rows: IntArray,
        batch_size: int,
        step: int,
        buffers: list[Buffer],
    ) -> float:
        """Do as `accumulate` does, and raise `NumericalError` if a number is not finite."""
        values = [buffer.value.copy() for buffer in buffers]
        with np.errstate(all="ignore"):
            loss = self.accumulate(data, rows, batch_size, step)
            self.settings.synchronize(self.network.flat.grads)
            # A sum is finite if all terms are; that it could overflow does no harm, since
            # the search for the culprit then finds none.
            finite = math.isfinite(loss) and math.isfinite(float(self.network.flat.grads.sum()))
        if not finite:
            culprit = describe_first_nonfinite(
                self.network, lambda: self.accumulate(data, rows, batch_size, step)
            )
            if culprit is not None:
                for buffer, before in zip(buffers, values, strict=True):
                    buffer.assign(before)
                raise NumericalError(f"step {step + 1}: {culprit}")
        return loss

    def accumulate(self, data: TrainingData, rows: IntArray, batch_size: int, step: int) -> float:
        """Leave the mean loss's gradient over the rows in the flat buffer; return the loss."""
        network = self.network
        network.zero_grad()
        loss = 0.0
        for start in range(0, len(rows), batch_size):
            batch = data.take(rows[start : start + batch_size])
            mode = Mode(True, self.settings.mask_seed, step, first_row=start)
            outputs = network.forward(batch.inputs, mode)
            loss += network.loss.forward(
                outputs, batch.targets, batch.weights, total_weight=len(rows)
            )
            network.backward(network.loss.backward())
        return loss


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
