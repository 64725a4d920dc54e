"""Code as a user writes it: mypy and pyright, both strict, must find nothing to say of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import typegrad as tg
from typegrad.types import Array, Vector


class Softsign(tg.ElementwiseOperation):
    """An operation of one array."""

    def output(self, x: Array) -> Array:
        return x / (1.0 + np.abs(x))

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad / (1.0 + np.abs(x)) ** 2


class ScaleRows(tg.ParameterOperation[Array]):
    """An operation with a parameter."""

    def output(self, x: Array, factor: Array) -> Array:
        return x * factor

    def input_grad(self, output_grad: Array, x: Array, y: Array, factor: Array) -> Array:
        return output_grad * factor

    def parameter_grads(
        self, output_grad: Array, x: Array, y: Array, factor: Array
    ) -> tuple[Array]:
        return (np.sum(output_grad * x, axis=0),)


class Scale(tg.Layer):
    """A layer."""

    def __init__(self, features: int) -> None:
        self.features = features
        self.in_features = self.out_features = features
        self.factor = tg.Parameter((features,), tg.initializers.Constant(1.0), decay=False)
        self.operations = (ScaleRows(self.factor),)


class FourthPowerLoss(tg.ElementwiseLoss):
    """A loss."""

    def terms(self, prediction: Array, target: Array) -> Array:
        return (prediction - target) ** 4

    def term_grads(self, prediction: Array, target: Array) -> Array:
        return 4.0 * (prediction - target) ** 3


@dataclass(frozen=True, eq=False)
class SignDescent(tg.Optimizer):
    """An optimizer."""

    learning_rate: float | tg.Schedule = 0.01

    def init(self, parameters: Vector) -> dict[str, Vector]:
        return {}

    def update(
        self,
        parameters: Vector,
        gradient: Vector,
        state: dict[str, Vector],
        learning_rate: float,
        step: int,
    ) -> tuple[Vector, dict[str, Vector]]:
        return parameters - learning_rate * np.sign(gradient), state


class StopWhenSmall(tg.Callback):
    """A callback."""

    def on_epoch_end(self, event: tg.EpochEnd) -> None:
        if event.record.training_loss < 0.01:
            event.trainer.stop("small enough")


def train(x: Array, y: Array) -> float:
    """Put all of them together."""
    network = tg.NeuralNetwork(
        Scale(3), tg.Dense(3, 8, Softsign()), tg.Dense(8, 1), loss=FourthPowerLoss(), seed=0
    )
    trainer = tg.Trainer(network, SignDescent(0.01), callbacks=[StopWhenSmall()])
    history = trainer.fit(x, y, epochs=10, validation_split=0.2, early_stopping=3)
    return float(history.validation_loss[-1]) + trainer.evaluate(x, y)["rmse"]


def energy(q: Array) -> Array:
    """Return what is differentiated below."""
    total: Array = np.sum(q * q, axis=0)
    return total


def slope(q: Array) -> Array:
    """Take a derivative."""
    return tg.grad(energy)(q)
