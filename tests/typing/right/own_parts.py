"""Operations, losses, layers, callbacks and optimizers of one's own; nobody may complain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import typegrad as tg
from typegrad.types import Array, Shape, Vector

ROWS = np.ones((4, 3))


class Square(tg.ElementwiseOperation):
    """An activation."""

    def output(self, x: Array) -> Array:
        return x * x

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad * 2.0 * x


@dataclass(frozen=True)
class Power(tg.ElementwiseOperation):
    """An activation with an option."""

    exponent: float = 3.0

    def output(self, x: Array) -> Array:
        power: Array = x**self.exponent
        return power

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        slope: Array = self.exponent * x ** (self.exponent - 1.0)
        return output_grad * slope


class Hypotenuse(tg.BinaryOperation):
    """An operation on two arrays."""

    def output(self, left: Array, right: Array) -> Array:
        return np.sqrt(left * left + right * right)

    def left_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        return output_grad * left / y

    def right_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        return output_grad * right / y


class Product(tg.NaryOperation):
    """An operation on any number of arrays."""

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        return input_shapes[0]

    def output(self, *inputs: Array) -> Array:
        product = inputs[0]
        for factor in inputs[1:]:
            product = product * factor
        return product

    def input_grad(
        self, index: int, output_grad: Array, inputs: tuple[Array, ...], y: Array
    ) -> Array:
        return output_grad * y / inputs[index]


class Affine(tg.ParameterOperation[Array, Array]):
    """An operation with two parameters."""

    def output(self, x: Array, gain: Array, shift: Array) -> Array:
        return x * gain + shift

    def input_grad(
        self, output_grad: Array, x: Array, y: Array, gain: Array, shift: Array
    ) -> Array:
        return output_grad * gain

    def parameter_grads(
        self, output_grad: Array, x: Array, y: Array, gain: Array, shift: Array
    ) -> tuple[Array, Array]:
        return np.sum(output_grad * x, axis=0), np.sum(output_grad, axis=0)


class AffineLayer(tg.Layer):
    """A layer with parameters."""

    def __init__(self, features: int) -> None:
        self.in_features = self.out_features = features
        self.gain = tg.Parameter((features,), tg.initializers.Constant(1.0), decay=False)
        self.shift = tg.Parameter((features,), tg.initializers.Zeros(), decay=False)
        self.operations = (Affine(self.gain, self.shift),)


class Noise(tg.ElementwiseLayer):
    """A layer that keeps the width; checkers see through it."""

    def forward(self, x: Array, mode: tg.Mode = tg.INFERENCE) -> Array:
        if not mode.training:
            return x
        noise: Array = mode.uniform(x.shape[0], x.shape[1]).astype(x.dtype)
        return x + noise

    def backward(self, output_grad: Array) -> Array:
        return output_grad


class FourthPowerLoss(tg.ElementwiseLoss):
    """A loss that is a sum of terms."""

    def terms(self, prediction: Array, target: Array) -> Array:
        power: Array = (prediction - target) ** 4
        return power

    def term_grads(self, prediction: Array, target: Array) -> Array:
        power: Array = 4.0 * (prediction - target) ** 3
        return power


class LargestErrorLoss(tg.Loss):
    """A loss of examples as a whole."""

    def example_losses(self, prediction: Array, target: Array) -> Array:
        largest: Array = np.max(np.abs(prediction - target), axis=1)
        return largest

    def prediction_grad(self, prediction: Array, target: Array) -> Array:
        error = prediction - target
        largest: Array = np.max(np.abs(error), axis=1, keepdims=True)
        return np.where(np.abs(error) == largest, np.sign(error), 0.0)


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


class Count(tg.Callback):
    """A callback."""

    def __init__(self) -> None:
        self.epochs = 0

    def on_epoch_end(self, event: tg.EpochEnd) -> None:
        self.epochs += 1
        if event.record.training_loss < 0.0:
            event.trainer.stop("too good")


def operations_of_ones_own() -> None:
    square = Square()
    square.forward(ROWS)
    square.backward(ROWS)
    hypotenuse = Hypotenuse()
    hypotenuse.forward(ROWS, ROWS)
    left, right = hypotenuse.backward(ROWS)
    assert left.shape == right.shape
    product = Product()
    product.forward(ROWS, ROWS, ROWS)
    assert len(product.backward(ROWS)) == 3


def layers_of_ones_own() -> None:
    network = tg.NeuralNetwork(
        tg.Dense(3, 8, Square()) >> Power(2.0) >> Noise() >> tg.Dense(8, 8) >> AffineLayer(8),
        tg.Dense(8, 3),
        loss=FourthPowerLoss(),
    )
    count = Count()
    trainer = tg.Trainer(network, SignDescent(1e-6), callbacks=[count])
    history = trainer.fit(ROWS, ROWS, epochs=2, validation_split=0.5, early_stopping=3)
    assert count.epochs == len(history.validation_loss) == 2
    assert trainer.evaluate(ROWS, ROWS)["rmse"] > 0.0


def losses_of_ones_own() -> None:
    network = tg.NeuralNetwork([tg.Dense(3, 2)], loss=LargestErrorLoss())
    tg.Trainer(network, tg.Adam(), metrics=["mae"]).fit(ROWS, ROWS[:, :2], epochs=1)


def energy(q: Array) -> Array:
    """A function of one's own."""
    total: Array = np.sum(q * q, axis=0)
    return total


def derivatives() -> None:
    slope: Array = tg.grad(energy)(ROWS[:, 0])
    assert np.all(slope == 2.0)
