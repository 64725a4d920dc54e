"""Losses of a difference, element by element."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from typegrad.losses.base import ElementwiseLoss
from typegrad.types import Array


class MSELoss(ElementwiseLoss):
    """Mean squared error: the mean of (prediction - target)^2."""

    def terms(self, prediction: Array, target: Array) -> Array:
        return np.square(prediction - target)

    def term_grads(self, prediction: Array, target: Array) -> Array:
        return 2.0 * (prediction - target)


class MAELoss(ElementwiseLoss):
    """Mean absolute error: the mean of |prediction - target|; its derivative at 0 is 0."""

    def terms(self, prediction: Array, target: Array) -> Array:
        return np.abs(prediction - target)

    def term_grads(self, prediction: Array, target: Array) -> Array:
        return np.sign(prediction - target)


@dataclass(frozen=True)
class HuberLoss(ElementwiseLoss):
    """Quadratic near zero, linear beyond `delta`.

    d^2 / 2 where |d| <= delta, else delta * (|d| - delta / 2), for d = prediction - target.
    `delta` is in the units that the network is trained in: those of the standardised
    target where the target is standardised. Source: Huber, 1964; PyTorch's ``HuberLoss``.
    """

    delta: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.delta < math.inf:
            raise ValueError(f"HuberLoss: delta is {self.delta}; expected a positive number")

    def terms(self, prediction: Array, target: Array) -> Array:
        size = np.abs(prediction - target)
        linear = self.delta * (size - 0.5 * self.delta)
        return np.where(size <= self.delta, 0.5 * size * size, linear)

    def term_grads(self, prediction: Array, target: Array) -> Array:
        return np.clip(prediction - target, -self.delta, self.delta)


class LogCoshLoss(ElementwiseLoss):
    """Mean of log(cosh(prediction - target)): d^2 / 2 near zero, |d| - log 2 far out."""

    def terms(self, prediction: Array, target: Array) -> Array:
        size = np.abs(prediction - target)
        return size + np.log1p(np.exp(-2.0 * size)) - math.log(2.0)

    def term_grads(self, prediction: Array, target: Array) -> Array:
        return np.tanh(prediction - target)
