"""Mistakes in operations, losses, layers and callbacks of one's own."""

from __future__ import annotations

import numpy as np

import typegrad as tg
from typegrad.types import Array

ROWS = np.ones((4, 3))


def gradient_hook_missing() -> None:
    """An operation without its gradient."""

    class Cube(tg.UnaryOperation):
        def output(self, x: Array) -> Array:
            return x * x * x

    # E[types]
    # E[run]: abstract
    Cube()


def gradient_hook_of_another_arity() -> None:
    """A gradient hook with too few arguments."""

    class Cube(tg.ElementwiseOperation):
        def output(self, x: Array) -> Array:
            return x * x * x

        # E[types]
        def input_grad(self, output_grad: Array, x: Array) -> Array:
            return output_grad * 3.0 * x * x

    cube = Cube()
    cube.forward(ROWS)
    # E[run]: positional arguments but 4 were given
    cube.backward(ROWS)


def output_of_another_arity() -> None:
    """An operation on one array whose hook takes two."""

    class Scale(tg.UnaryOperation):
        # E[types]
        def output(self, x: Array, factor: Array) -> Array:
            return x * factor

        def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
            return output_grad

    # E[run]: missing 1 required positional argument: 'factor'
    Scale().forward(ROWS)


def gradient_returned_as_a_tuple() -> None:
    """A tuple of gradients from an operation on one array."""

    class Cube(tg.UnaryOperation):
        def output(self, x: Array) -> Array:
            return x * x * x

        # E[types]
        def input_grad(self, output_grad: Array, x: Array, y: Array) -> tuple[Array, Array]:
            return output_grad, x

    cube = Cube()
    cube.forward(ROWS)
    # E[run]: the gradient with respect to the input is a tuple; expected an array
    cube.backward(ROWS)


def too_few_parameter_gradients() -> None:
    """One gradient for two parameters."""

    class Affine(tg.ParameterOperation[Array, Array]):
        def output(self, x: Array, gain: Array, shift: Array) -> Array:
            return x * gain + shift

        def input_grad(
            self, output_grad: Array, x: Array, y: Array, gain: Array, shift: Array
        ) -> Array:
            return output_grad * gain

        # E[types]
        def parameter_grads(self, output_grad: Array, x: Array, y: Array, gain: Array, shift: Array) -> tuple[Array]:  # noqa: E501  # fmt: skip
            return (np.sum(output_grad * x, axis=0),)

    class Layer(tg.Layer):
        def __init__(self) -> None:
            self.gain = tg.Parameter((3,), tg.initializers.Constant(1.0))
            self.shift = tg.Parameter((3,), tg.initializers.Zeros())
            self.operations = (Affine(self.gain, self.shift),)

    network = tg.NeuralNetwork(Layer(), loss=tg.MSELoss(), dtype=np.float64)
    network.forward(ROWS)
    # E[run]: parameter_grads returned 1 gradients for 2 parameters
    network.backward(ROWS)


def too_many_parameters_in_a_hook() -> None:
    """A hook that forgets one of two parameters."""

    class Affine(tg.ParameterOperation[Array, Array]):
        # E[types]
        def output(self, x: Array, gain: Array) -> Array:
            return x * gain

        def input_grad(
            self, output_grad: Array, x: Array, y: Array, gain: Array, shift: Array
        ) -> Array:
            return output_grad * gain

        def parameter_grads(
            self, output_grad: Array, x: Array, y: Array, gain: Array, shift: Array
        ) -> tuple[Array, Array]:
            return np.sum(output_grad * x, axis=0), np.sum(output_grad, axis=0)

    class Layer(tg.Layer):
        def __init__(self) -> None:
            self.gain = tg.Parameter((3,), tg.initializers.Constant(1.0))
            self.shift = tg.Parameter((3,), tg.initializers.Zeros())
            self.operations = (Affine(self.gain, self.shift),)

    # E[run]: positional arguments but 4 were given
    tg.NeuralNetwork(Layer(), loss=tg.MSELoss(), dtype=np.float64).forward(ROWS)


def right_gradient_forgotten() -> None:
    """An operation on two arrays with the gradient of one."""

    class Power(tg.BinaryOperation):
        def output(self, left: Array, right: Array) -> Array:
            power: Array = left**right
            return power

        def left_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
            return output_grad * right * y / left

    # E[types]
    # E[run]: abstract
    Power()


def loss_without_gradient() -> None:
    """A loss without its gradient."""

    class FourthPowerLoss(tg.ElementwiseLoss):
        def terms(self, prediction: Array, target: Array) -> Array:
            power: Array = (prediction - target) ** 4
            return power

    # E[types]
    # E[run]: abstract
    FourthPowerLoss()


def number_instead_of_the_losses_of_examples() -> None:
    """A loss whose hook returns one number."""

    class MedianLoss(tg.Loss):
        # E[types]
        def example_losses(self, prediction: Array, target: Array) -> float:
            return float(np.median(np.abs(prediction - target)))

        def prediction_grad(self, prediction: Array, target: Array) -> Array:
            return np.sign(prediction - target)

    # E[run]: 'float' object has no attribute 'shape'
    MedianLoss().forward(ROWS, ROWS)


def misspelled_event() -> None:
    """A callback that takes an event for another."""

    class Report(tg.Callback):
        # E[types]
        def on_epoch_end(self, event: tg.StepEnd) -> None:
            print(event.losses)

    network = tg.NeuralNetwork(tg.Dense(3, 1), loss=tg.MSELoss())
    trainer = tg.Trainer(network, tg.Adam(), callbacks=[Report()])
    # E[run]: no attribute
    trainer.fit(ROWS, ROWS[:, :1], epochs=1)


def forward_of_a_layer_without_mode() -> None:
    """A layer whose `forward` does not take the mode."""

    class Double(tg.Layer):
        # E[types]
        def forward(self, x: Array) -> Array:
            return 2.0 * x

    # E[run]: positional argument
    tg.NeuralNetwork(Double(), loss=tg.MSELoss(), dtype=np.float64).forward(ROWS)
