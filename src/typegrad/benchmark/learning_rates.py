"""The learning-rate range test: which learning rate to take.

Source: L. N. Smith, "Cyclical Learning Rates for Training Neural Networks", 2017: train for a
few hundred steps while the learning rate rises from one that is far too small to one that is
far too large, and look where the loss falls and where it blows up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from typegrad.benchmark.learning_rate_report import LearningRateReport
from typegrad.benchmark.problem import BuildNetwork
from typegrad.benchmark.settings import check_seeds
from typegrad.engines import EngineName, StepSettings, TrainingData, build_engine, check_engine_name
from typegrad.engines.base import Engine
from typegrad.errors import NumericalError
from typegrad.fit_data import given_examples, prepare
from typegrad.optimizers import Optimizer
from typegrad.options import check_count
from typegrad.types import Vector

__all__ = ["learning_rates"]

_MEMORY = 0.9
"""Of the running mean by which a divergence is noticed: about the last ten steps."""

_FEWEST_STEPS = 20


def learning_rates(
    build_network: BuildNetwork,
    optimizer: Optimizer,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    lowest: float = 1e-5,
    highest: float = 1.0,
    steps: int = 200,
    batch_size: int = 32,
    seeds: int | Sequence[int] = 6,
    sample_weight: npt.ArrayLike | None = None,
    engine: EngineName = "auto",
) -> LearningRateReport:
    """Test learning rates in short trainings, in which the rate rises from step to step.

    A training ends early when a number is no longer finite, or when its loss, averaged over the
    last steps, has risen above the first by as much as it had fallen below it, and by half of
    it at least: larger rates would only be worse.

    Parameters
    ----------
    build_network
        Takes a seed and returns a new network: ``lambda seed: NeuralNetwork(..., seed=seed)``.
    optimizer
        Its options are taken, except for the learning rate. It is not changed.
    x, y
        Inputs (n, in_features) and targets (n, outputs), in their own units.
    lowest, highest
        First and last learning rate; each step's is larger than the last by the same factor.
    steps
        Of each training, 20 or more.
    batch_size
        Rows in a step: the one to train with, since the best rate depends on it.
    seeds
        How many trainings, or their seeds: of first weights and order of rows.
    sample_weight
        Weight of each example in the loss, (n,).
    engine
        As for ``Trainer``.

    Raises
    ------
    ValueError, TypeError
        If an argument is not allowed.
    ShapeError, DTypeError, DataError
        If the data does not fit the network or itself, or is not finite.

    Examples
    --------
    >>> import typegrad as tg
    >>> x = np.random.default_rng(0).normal(size=(200, 3))
    >>> y = x @ np.array([[1.0], [2.0], [3.0]])
    >>> report = tg.benchmark.learning_rates(
    ...     lambda seed: tg.NeuralNetwork(tg.Dense(3, 1), loss=tg.MSELoss(), seed=seed),
    ...     tg.SGD(),
    ...     x,
    ...     y,
    ...     highest=10.0,
    ... )
    >>> 0.01 < report.suggestion < 1.0
    True
    """
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"optimizer is {optimizer!r}; expected one that steps on batches, such as "
            "tg.Adam(): a full-batch optimizer searches its step itself"
        )
    if not 0.0 < lowest < highest < math.inf:
        raise ValueError(
            f"lowest is {lowest} and highest {highest}; expected positive numbers, in this order"
        )
    check_count("steps", steps, at_least=_FEWEST_STEPS)
    check_engine_name(engine)
    chosen = check_seeds(seeds)
    supply = prepare(build_network(chosen[0]), given_examples(x, y, sample_weight)).training
    data = supply.some(len(supply), chosen[0])
    if check_count("batch_size", batch_size) > len(data):
        raise ValueError(f"batch_size is {batch_size}, but there are {len(data)} rows")
    rates: Vector = np.geomspace(lowest, highest, steps)
    runs = []
    for seed in chosen:
        network = build_network(seed)
        fresh = replace(optimizer, learning_rate=lowest)
        settings = StepSettings(mask_seed=seed)
        runs.append(
            _rising_rate(
                build_engine(engine, network, fresh, settings, lambda note: None),
                data,
                rates,
                batch_size,
                seed,
            )
        )
    losses, reasons = zip(*runs, strict=True)
    return LearningRateReport(
        rates=rates,
        losses=np.array(losses),
        seeds=chosen,
        stop_reasons=tuple(reasons),
        batch_size=batch_size,
        optimizer=optimizer.config(),
    )


def _rising_rate(
    engine: Engine, data: TrainingData, rates: Vector, batch_size: int, seed: int
) -> tuple[Vector, str]:
    """Losses by step, NaN after the end, and why it ended."""
    losses = np.full(len(rates), np.nan)
    order = _Order(len(data), batch_size, seed)
    mean, weight, first, lowest = 0.0, 0.0, math.nan, math.inf
    for step in range(len(rates)):
        try:
            loss = float(
                engine.run_epoch(data, order.next_rows(), batch_size, rates[step : step + 1])[0]
            )
        except NumericalError as error:
            return losses, f"diverged: {error}"
        losses[step] = loss
        mean, weight = _MEMORY * mean + (1.0 - _MEMORY) * loss, _MEMORY * weight + 1.0 - _MEMORY
        smooth = mean / weight
        first = smooth if step == 0 else first
        lowest = min(lowest, smooth)
        if smooth > first + max(first - lowest, 0.5 * abs(first)):
            return losses, f"diverged: the loss rose to {smooth:.3g}"
    return losses, "finished"


class _Order:
    """Rows of each step: a new random order for each pass through them."""

    def __init__(self, n: int, batch_size: int, seed: int) -> None:
        self._n, self._batch_size, self._seed = n, batch_size, seed
        self._epoch, self._place = -1, n

    def next_rows(self) -> npt.NDArray[np.int64]:
        if self._place + self._batch_size > self._n:  # a rest would be a smaller, noisier batch
            self._epoch, self._place = self._epoch + 1, 0
            order = np.random.default_rng([self._seed, self._epoch])
            self._rows = order.permutation(self._n)
        rows = self._rows[self._place : self._place + self._batch_size]
        self._place += self._batch_size
        return rows
