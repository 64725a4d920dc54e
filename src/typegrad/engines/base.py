"""What an engine is: a network, a loss and an optimizer, run a whole epoch per call."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from typegrad.types import Array, IntArray, Vector

if TYPE_CHECKING:
    from typegrad.network import NeuralNetwork


@dataclass(frozen=True)
class TrainingData:
    """What a network is trained on: standardised, and of the network's dtype.

    Attributes
    ----------
    inputs, targets : ndarray
        Examples along the first axis, n each.
    weights : ndarray of shape (n,) or None
        Weight of each example in the loss, with mean one.
    """

    inputs: Array
    targets: Array
    weights: Vector | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, rows: IntArray) -> TrainingData:
        """Return copies of some rows."""
        weights = None if self.weights is None else self.weights[rows]
        return TrainingData(self.inputs[rows], self.targets[rows], weights)


def never() -> bool:
    """Return False: nobody asks for a stop."""
    return False


def leave_gradient(gradient: Vector) -> None:
    """Do nothing to a complete gradient."""


@dataclass(frozen=True)
class StepSettings:
    """What a step does besides forward, backward and update.

    Attributes
    ----------
    clip_norm
        Scale the gradient down to this Euclidean norm where it is longer.
    clip_value
        Then limit each element of the gradient to [-clip_value, clip_value].
    accumulation_steps
        How many batches make a step: their gradients are those of one batch of all rows.
    mask_seed
        Seed of random masks, such as dropout's.
    synchronize
        Called with the flat gradient buffer when it is complete and before it is clipped:
        where gradients are averaged over machines.
    should_stop
        Asked before each step; True ends the epoch early.
    """

    clip_norm: float | None = None
    clip_value: float | None = None
    accumulation_steps: int = 1
    mask_seed: int = 0
    synchronize: Callable[[Vector], None] = leave_gradient
    should_stop: Callable[[], bool] = never


class Engine(ABC):
    """Carries out the steps of training. All engines give the same numbers."""

    name: ClassVar[str]
    network: NeuralNetwork

    @abstractmethod
    def run_epoch(
        self, data: TrainingData, permutation: IntArray, batch_size: int, learning_rates: Vector
    ) -> Vector:
        """Take one step for each learning rate, over the rows in the order given.

        Parameters
        ----------
        data
            What to train on.
        permutation
            Numbers of rows, in the order in which they are used: those of a whole epoch, or
            of a part of one. Each step takes batch_size * accumulation_steps of them; the
            last takes what is left.
        batch_size
            Rows that pass through the network at a time.
        learning_rates
            One for each step.

        Returns
        -------
        ndarray of float64
            The loss of each step, before its update: the sum over its rows of weight times
            loss, divided by their number. (For a full-batch optimizer, the loss that its
            step reached.) Shorter than `learning_rates` if a stop was asked for.

        Raises
        ------
        NumericalError
            If a loss, gradient or parameter is not finite. Parameters and buffers are then
            those before the step.
        """

    def compute_outputs(self, inputs: Array) -> Array:
        """Compute the network's outputs in inference mode, to evaluate them."""
        return self.network.forward(inputs)


def step_rows(permutation: IntArray, rows_per_step: int) -> Iterator[IntArray]:
    """Cut a permutation into the rows of each step."""
    for start in range(0, len(permutation), rows_per_step):
        yield permutation[start : start + rows_per_step]


def clip_gradient(gradient: Vector, settings: StepSettings) -> None:
    """Clip in place, by norm and then by value, as the settings say."""
    if settings.clip_norm is not None:
        norm = _norm(gradient)
        if norm > settings.clip_norm:
            np.multiply(gradient, settings.clip_norm / norm, out=gradient)
    if settings.clip_value is not None:
        np.clip(gradient, -settings.clip_value, settings.clip_value, out=gradient)


def all_finite(values: Vector) -> bool:
    """Whether no number is NaN or infinite."""
    # The sum of squares is the faster test, but may overflow though all terms are finite.
    return math.isfinite(values.dot(values)) or bool(np.isfinite(values).all())


def _norm(gradient: Vector) -> float:
    """Euclidean norm, also where the squares are out of the dtype's range."""
    with np.errstate(over="ignore"):
        norm = float(np.linalg.norm(gradient))
    if not 0.0 < norm < math.inf:
        largest = float(np.max(np.abs(gradient), initial=0.0))
        if 0.0 < largest < math.inf:
            return largest * float(np.linalg.norm(gradient / largest))
    return norm
