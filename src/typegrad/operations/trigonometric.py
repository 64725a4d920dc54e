"""Trigonometric and hyperbolic functions and their inverses, element by element.

`Tanh` is with the activation functions.
"""

from __future__ import annotations

import numpy as np

from typegrad.operations.arithmetic import BroadcastOperation
from typegrad.operations.base import ElementwiseOperation
from typegrad.types import Array


class Sin(ElementwiseOperation):
    """Sine of x in radians, element-wise;  dL/dx = dL/dy * cos(x)."""

    def output(self, x: Array) -> Array:
        return np.sin(x)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad * np.cos(x)


class Cos(ElementwiseOperation):
    """Cosine of x in radians, element-wise;  dL/dx = -dL/dy * sin(x)."""

    def output(self, x: Array) -> Array:
        return np.cos(x)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return -output_grad * np.sin(x)


class Tan(ElementwiseOperation):
    """Tangent of x in radians, element-wise;  dL/dx = dL/dy * (1 + y^2)."""

    def output(self, x: Array) -> Array:
        return np.tan(x)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad * (1.0 + y * y)


class Arcsin(ElementwiseOperation):
    """Inverse sine, element-wise;  dL/dx = dL/dy / sqrt(1 - x^2), infinite at -1 and 1."""

    def output(self, x: Array) -> Array:
        return np.arcsin(x)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad / np.sqrt((1.0 - x) * (1.0 + x))


class Arccos(ElementwiseOperation):
    """Inverse cosine, element-wise;  dL/dx = -dL/dy / sqrt(1 - x^2), infinite at -1 and 1."""

    def output(self, x: Array) -> Array:
        return np.arccos(x)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return -output_grad / np.sqrt((1.0 - x) * (1.0 + x))


class Arctan(ElementwiseOperation):
    """Inverse tangent, element-wise;  dL/dx = dL/dy / (1 + x^2)."""

    def output(self, x: Array) -> Array:
        return np.arctan(x)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad / (1.0 + x * x)


class Arctan2(BroadcastOperation):
    """Angle of the point (right, left): arctan(left / right) in the right quadrant.

    dL/dleft = dL/dy * right / r^2;  dL/dright = -dL/dy * left / r^2, with
    r^2 = left^2 + right^2. At (0, 0), where there is no derivative, both are 0, as in PyTorch;
    in JAX they are NaN.
    """

    def output(self, left: Array, right: Array) -> Array:
        return np.arctan2(left, right)

    def left_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        return output_grad * right / _square_of_radius(left, right)

    def right_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        return -output_grad * left / _square_of_radius(left, right)


def _square_of_radius(left: Array, right: Array) -> Array:
    """left^2 + right^2, but 1 instead of 0."""
    square = left * left + right * right
    return np.where(square == 0, 1.0, square)


class Sinh(ElementwiseOperation):
    """Hyperbolic sine, element-wise;  dL/dx = dL/dy * cosh(x)."""

    def output(self, x: Array) -> Array:
        return np.sinh(x)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad * np.cosh(x)


class Cosh(ElementwiseOperation):
    """Hyperbolic cosine, element-wise;  dL/dx = dL/dy * sinh(x)."""

    def output(self, x: Array) -> Array:
        return np.cosh(x)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad * np.sinh(x)


class Arcsinh(ElementwiseOperation):
    """Inverse hyperbolic sine, element-wise;  dL/dx = dL/dy / sqrt(x^2 + 1)."""

    def output(self, x: Array) -> Array:
        return np.arcsinh(x)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad / np.sqrt(x * x + 1.0)


class Arccosh(ElementwiseOperation):
    """Inverse hyperbolic cosine, element-wise;  dL/dx = dL/dy / sqrt(x^2 - 1), infinite at 1."""

    def output(self, x: Array) -> Array:
        return np.arccosh(x)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad / np.sqrt((x - 1.0) * (x + 1.0))


class Arctanh(ElementwiseOperation):
    """Inverse hyperbolic tangent, element-wise;  dL/dx = dL/dy / (1 - x^2), infinite at +-1."""

    def output(self, x: Array) -> Array:
        return np.arctanh(x)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad / ((1.0 - x) * (1.0 + x))
