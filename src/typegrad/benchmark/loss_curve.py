"""Validation loss by step: the part of a benchmark that no clock has a say in."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from typegrad.benchmark.crossing import first_crossing
from typegrad.benchmark.problem import Problem
from typegrad.engines import StepSettings, build_engine
from typegrad.engines.base import Engine, never
from typegrad.errors import NumericalError
from typegrad.evaluation import evaluate_network
from typegrad.feeding import HeldSupply
from typegrad.network import NeuralNetwork
from typegrad.types import IntArray

SPACING = 1.1
"""Ratio of the steps at which two evaluations in a row are made, where it is above one step."""

Observer = Callable[[int, NeuralNetwork], None]
"""Called with the number of steps and the network at each evaluation."""


@dataclass(frozen=True)
class LossCurve:
    """Validation losses of one training.

    A function of batch size, seed, learning rate and number of steps alone: no time is in it.

    Attributes
    ----------
    batch_size, seed, learning_rate
        Of the training.
    steps
        Numbers of steps at which the loss was evaluated; the first is 0.
    examples
        Rows that had been used by then, counted each time they are used.
    losses
        Validation losses, in the units trained in.
    stop_reason
        ``"budget"`` for a curve that went on to its end whatever it reached; ``"target"`` or
        ``"missed"`` for one that was to end at a target; or why the training broke down.
    """

    batch_size: int
    seed: int
    learning_rate: float
    steps: tuple[int, ...]
    examples: tuple[int, ...]
    losses: tuple[float, ...]
    stop_reason: str = "budget"

    @property
    def diverged(self) -> bool:
        """Whether the training broke down."""
        return self.stop_reason not in ("budget", "target", "missed")

    @property
    def whole(self) -> bool:
        """Whether it would not have ended at a target."""
        return self.stop_reason not in ("target", "missed")

    def steps_to(self, target: float) -> float | None:
        """Steps after which the loss is at the target to stay; None if it never is."""
        return first_crossing(self.steps, self.losses, target)


@dataclass
class _Recording:
    steps: list[int] = field(default_factory=list)
    examples: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    def add(self, step: int, examples: int, loss: float) -> None:
        self.steps.append(step)
        self.examples.append(examples)
        self.losses.append(loss)


def evaluation_steps(max_steps: int) -> Iterator[int]:
    """Steps at which a curve is evaluated: each at first, then ever farther apart.

    >>> list(evaluation_steps(20))
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 20]
    """
    step = 1
    while step < max_steps:
        yield step
        step = max(step + 1, math.ceil(step * SPACING))
    yield max_steps


def train_curve(
    problem: Problem,
    batch_size: int,
    seed: int,
    learning_rate: float,
    max_steps: int,
    *,
    target: float | None = None,
    observe: Observer | None = None,
    should_stop: Callable[[], bool] = never,
) -> LossCurve:
    """Train with batches of one size, and evaluate now and then.

    Order of rows and random masks are those of ``Trainer.fit`` with this seed.

    Parameters
    ----------
    problem
        What is trained, and on what.
    batch_size, seed, learning_rate
        Of this training.
    max_steps
        Steps after which it ends.
    target
        Validation loss at which it may end earlier.
    observe
        Told of each evaluation.
    should_stop
        Asked after each evaluation; True ends the curve there.
    """
    network = problem.build_network(seed)
    optimizer = problem.new_optimizer(learning_rate)
    engine = build_engine("auto", network, optimizer, StepSettings(mask_seed=seed), _ignore)
    steps = _Steps(engine, problem, batch_size, seed, learning_rate)
    recording = _Recording()
    recording.add(0, 0, validation_loss(network, problem))
    stop_reason = "budget" if target is None else "missed"
    for step in evaluation_steps(max_steps):
        try:
            steps.run_until(step)
        except NumericalError as error:
            stop_reason = f"diverged: {error}"
            break
        loss = validation_loss(network, problem)
        if not math.isfinite(loss):
            stop_reason = f"diverged: the validation loss is {loss} after {step} steps"
            break
        recording.add(step, steps.examples, loss)
        if observe is not None:
            observe(step, network)
        if target is not None and _is_reached(recording, target):
            stop_reason = "target"
            break
        if should_stop():
            break
    return LossCurve(
        batch_size,
        seed,
        learning_rate,
        tuple(recording.steps),
        tuple(recording.examples),
        tuple(recording.losses),
        stop_reason,
    )


def validation_loss(network: NeuralNetwork, problem: Problem) -> float:
    """Loss on the validation rows, in the units trained in."""
    data = problem.validation
    return evaluate_network(network, HeldSupply(data, data.targets), {}, network.forward).loss


class _Steps:
    """Steps of a training, through as many epochs as are wanted."""

    def __init__(
        self, engine: Engine, problem: Problem, batch_size: int, seed: int, rate: float
    ) -> None:
        self.engine = engine
        self.data = problem.training
        self.batch_size = batch_size
        self.seed = seed
        self.rate = rate
        self.done = 0
        self.examples = 0
        self.per_epoch = math.ceil(len(self.data) / batch_size)
        self._order: IntArray = np.zeros(0, np.int64)

    def run_until(self, step: int) -> None:
        while self.done < step:
            epoch, place = divmod(self.done, self.per_epoch)
            if place == 0:
                order = np.random.default_rng([self.seed, epoch])
                self._order = order.permutation(len(self.data))
            count = min(step - self.done, self.per_epoch - place)
            rows = self._order[place * self.batch_size : (place + count) * self.batch_size]
            self.engine.run_epoch(self.data, rows, self.batch_size, np.full(count, self.rate))
            self.done += count
            self.examples += len(rows)


def _is_reached(recording: _Recording, target: float) -> bool:
    # Most evaluations are far above the target: those need no search.
    if recording.losses[-1] > target:
        return False
    return first_crossing(recording.steps, recording.losses, target) is not None


def _ignore(note: Any) -> None:
    """Do nothing: which engine trains does not matter to a curve."""
