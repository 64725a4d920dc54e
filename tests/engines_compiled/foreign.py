"""Operations, layers and a loss that cannot be traced."""

from __future__ import annotations

import numpy as np

import typegrad as tg
from typegrad.types import Array


def foreign(x: Array) -> Array:
    """Return tanh, in a way that cannot be traced."""
    values = [np.tanh(value) for value in x.reshape(-1).tolist()]
    return np.array(values, x.dtype).reshape(x.shape)


class Foreign(tg.ElementwiseOperation):
    """An operation that cannot be traced."""

    def output(self, x: Array) -> Array:
        return foreign(x)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad * (1.0 - y * y)


class ForeignProduct(tg.BinaryOperation):
    """One of two operands."""

    def output(self, left: Array, right: Array) -> Array:
        return foreign(left) * right

    def left_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        return output_grad * right * (1.0 - foreign(left) ** 2)

    def right_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        return output_grad * foreign(left)


class Gated(tg.Layer):
    """The first columns times the others."""

    def __init__(self, width: int) -> None:
        self.in_features, self.out_features = 2 * width, width
        self.product = ForeignProduct()

    def forward(self, x: Array, mode: tg.Mode = tg.INFERENCE) -> Array:
        width = self.out_features
        assert width is not None
        return self.product.forward(x[:, :width], x[:, width:])

    def backward(self, output_grad: Array) -> Array:
        return np.concatenate(self.product.backward(output_grad), axis=1)


class ForeignLinear(tg.ParameterOperation[Array, Array]):
    """A product with a matrix, and a factor for each of its columns."""

    def output(self, x: Array, weight: Array, factor: Array) -> Array:
        return foreign(x @ weight) * factor

    def input_grad(
        self, output_grad: Array, x: Array, y: Array, weight: Array, factor: Array
    ) -> Array:
        slopes: Array = output_grad * factor * (1.0 - foreign(x @ weight) ** 2)
        return slopes @ weight.T

    def parameter_grads(
        self, output_grad: Array, x: Array, y: Array, weight: Array, factor: Array
    ) -> tuple[Array, Array]:
        z = foreign(x @ weight)
        slopes = output_grad * factor * (1.0 - z**2)
        return x.T @ slopes, np.sum(output_grad * z, axis=0)


class Dense(tg.Layer):
    """Such a product as a layer; parameters may be one column, which native code has as a row."""

    def __init__(self, in_features: int, out_features: int) -> None:
        self.in_features, self.out_features = in_features, out_features
        self.weight = tg.Parameter((in_features, out_features), tg.initializers.GlorotUniform())
        self.factor = tg.Parameter((out_features,), tg.initializers.Constant(0.7))
        self.operations = (ForeignLinear(self.weight, self.factor),)


class ForeignLayer(tg.Layer):
    """A layer that cannot be traced outside of its operations; it adds to gradients twice."""

    def __init__(self, in_features: int, out_features: int) -> None:
        self.in_features, self.out_features = in_features, out_features
        self.inner = tg.Dense(in_features, out_features)

    def forward(self, x: Array, mode: tg.Mode = tg.INFERENCE) -> Array:
        self.x = foreign(x)
        return self.inner.forward(self.x, mode) + self._mean_bias()

    def _mean_bias(self) -> float:
        assert self.inner.bias is not None
        return float(np.mean(self.inner.bias.value))

    def backward(self, output_grad: Array) -> Array:
        bias = self.inner.bias
        assert bias is not None
        bias.grad[...] += np.sum(output_grad) / bias.size
        return self.inner.backward(output_grad) * (1.0 - self.x**2)


class Noisy(tg.Layer):
    """Random numbers of the mode, which depend on the step, in a way that cannot be traced."""

    def output_features(self, in_features: int | None) -> int | None:
        return in_features

    def forward(self, x: Array, mode: tg.Mode = tg.INFERENCE) -> Array:
        return foreign(x) + (mode.uniform(*x.shape).astype(x.dtype) if mode.training else 0.0)

    def backward(self, output_grad: Array) -> Array:
        return output_grad


class ForeignLoss(tg.Loss):
    """Squared errors that cannot be traced."""

    def example_losses(self, prediction: Array, target: Array) -> Array:
        errors: Array = np.sum((foreign(prediction) - target) ** 2, axis=1)
        return errors

    def prediction_grad(self, prediction: Array, target: Array) -> Array:
        y = foreign(prediction)
        return 2.0 * (y - target) * (1.0 - y * y)
