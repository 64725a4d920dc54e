"""Normalisation to mean zero and variance one, with a gain and a shift."""

from __future__ import annotations

import numpy as np

from typegrad.operations.base import ParameterOperation
from typegrad.operations.parameter import Parameter
from typegrad.types import Array, Vector


def moments(x: Array, axis: int) -> tuple[Array, Array, Array]:
    """Return mean and variance along an axis, which is kept, and what differs from the mean."""
    mean: Array = np.mean(x, axis=axis, keepdims=True)
    centred = x - mean
    variance: Array = np.mean(centred * centred, axis=axis, keepdims=True)
    return mean, variance, centred


class Normalize(ParameterOperation[Array, Array]):
    """Subtract the mean along `axis`, divide by the standard deviation, scale and shift.

    y = gain * (x - mean) / sqrt(variance + epsilon) + shift, with x of shape (n, features)
    and gain and shift of shape (features,). Along axis 0 this is batch normalisation (Ioffe
    and Szegedy, 2015), along axis 1 layer normalisation (Ba, Kiros and Hinton, 2016).
    """

    def __init__(self, gain: Parameter, shift: Parameter, *, axis: int, epsilon: float) -> None:
        super().__init__(gain, shift)
        self.axis = axis
        self.epsilon = epsilon

    def output(self, x: Array, gain: Array, shift: Array) -> Array:
        normalized, _ = self._normalized(x)
        return gain * normalized + shift

    def input_grad(
        self, output_grad: Array, x: Array, y: Array, gain: Array, shift: Array
    ) -> Array:
        normalized, deviation = self._normalized(x)
        grad = output_grad * gain
        mean: Array = np.mean(grad, axis=self.axis, keepdims=True)
        along: Array = np.mean(grad * normalized, axis=self.axis, keepdims=True)
        return (grad - mean - normalized * along) / deviation

    def parameter_grads(
        self, output_grad: Array, x: Array, y: Array, gain: Array, shift: Array
    ) -> tuple[Array, Array]:
        normalized, _ = self._normalized(x)
        return np.sum(output_grad * normalized, axis=0), np.sum(output_grad, axis=0)

    def _normalized(self, x: Array) -> tuple[Array, Array]:
        """Normalised input, and the standard deviation it was divided by."""
        _, variance, centred = moments(x, self.axis)
        deviation = np.sqrt(variance + self.epsilon)
        return centred / deviation, deviation

    def __repr__(self) -> str:
        return f"Normalize(axis={self.axis}, epsilon={self.epsilon})"


class NormalizeWith(ParameterOperation[Array, Array]):
    """Normalise with a given mean and variance: y = gain * (x - mean) / sqrt(...) + shift.

    `mean` and `variance` are arrays of shape (features,), set before each ``forward``.
    """

    mean: Vector
    variance: Vector

    def __init__(self, gain: Parameter, shift: Parameter, *, epsilon: float) -> None:
        super().__init__(gain, shift)
        self.epsilon = epsilon

    def output(self, x: Array, gain: Array, shift: Array) -> Array:
        return gain * self._normalized(x) + shift

    def input_grad(
        self, output_grad: Array, x: Array, y: Array, gain: Array, shift: Array
    ) -> Array:
        return output_grad * gain / self._deviation(x)

    def parameter_grads(
        self, output_grad: Array, x: Array, y: Array, gain: Array, shift: Array
    ) -> tuple[Array, Array]:
        return np.sum(output_grad * self._normalized(x), axis=0), np.sum(output_grad, axis=0)

    def _normalized(self, x: Array) -> Array:
        return (x - self.mean.astype(x.dtype)) / self._deviation(x)

    def _deviation(self, x: Array) -> Array:
        deviation: Array = np.sqrt(self.variance + self.epsilon).astype(x.dtype)
        return deviation
