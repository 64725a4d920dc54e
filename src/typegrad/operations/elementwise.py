"""Functions of one array, element by element: powers, exponentials and logarithms, size and sign.

The trigonometric ones are in `trigonometric`, what networks use in `activations`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from typegrad.operations.base import ElementwiseOperation
from typegrad.options import check_float_dtype
from typegrad.types import Array, FloatDType


class Negative(ElementwiseOperation):
    """Negative, element-wise: y = -x."""

    def output(self, x: Array) -> Array:
        return -x

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return -output_grad


class Reciprocal(ElementwiseOperation):
    """Reciprocal, element-wise: y = 1 / x;  dL/dx = -dL/dy * y^2."""

    def output(self, x: Array) -> Array:
        return 1.0 / x

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return -output_grad * y * y


class Square(ElementwiseOperation):
    """Square, element-wise: y = x^2;  dL/dx = dL/dy * 2 x."""

    def output(self, x: Array) -> Array:
        return x * x

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad * (2.0 * x)


class Sqrt(ElementwiseOperation):
    """Square root, element-wise: y = sqrt(x);  dL/dx = dL/dy / (2 y).

    The derivative at 0 is infinite, as in PyTorch and JAX.
    """

    def output(self, x: Array) -> Array:
        return np.sqrt(x)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad / (2.0 * y)


class Exp(ElementwiseOperation):
    """Exponential, element-wise: y = exp(x);  dL/dx = dL/dy * y."""

    def output(self, x: Array) -> Array:
        return np.exp(x)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad * y


class Expm1(ElementwiseOperation):
    """exp(x) - 1 without loss of digits near 0, element-wise;  dL/dx = dL/dy * (y + 1)."""

    def output(self, x: Array) -> Array:
        return np.expm1(x)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad * (y + 1.0)


class Log(ElementwiseOperation):
    """Natural logarithm, element-wise: y = log(x);  dL/dx = dL/dy / x."""

    def output(self, x: Array) -> Array:
        return np.log(x)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad / x


class Log1p(ElementwiseOperation):
    """log(1 + x) without loss of digits near 0, element-wise;  dL/dx = dL/dy / (1 + x)."""

    def output(self, x: Array) -> Array:
        return np.log1p(x)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad / (1.0 + x)


class Log2(ElementwiseOperation):
    """Logarithm to base 2, element-wise;  dL/dx = dL/dy / (x log 2)."""

    def output(self, x: Array) -> Array:
        return np.log2(x)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad / (x * math.log(2.0))


class Log10(ElementwiseOperation):
    """Logarithm to base 10, element-wise;  dL/dx = dL/dy / (x log 10)."""

    def output(self, x: Array) -> Array:
        return np.log10(x)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad / (x * math.log(10.0))


class Absolute(ElementwiseOperation):
    """Absolute value, element-wise: y = |x|;  dL/dx = dL/dy * sign(x).

    The derivative at 0 is 0, as in PyTorch; in JAX it is 1.
    """

    def output(self, x: Array) -> Array:
        return np.abs(x)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad * np.sign(x)


class Sign(ElementwiseOperation):
    """Sign, element-wise: -1, 0 or 1. Its derivative is 0 everywhere, as in PyTorch and JAX."""

    def output(self, x: Array) -> Array:
        return np.sign(x)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return np.zeros_like(x)


@dataclass(frozen=True, init=False)
class AsType(ElementwiseOperation):
    """Conversion to float32 or float64; the gradient is converted back.

    Parameters
    ----------
    dtype
        What to convert to.

    Raises
    ------
    DTypeError
        If that is neither float32 nor float64.
    """

    dtype: FloatDType

    def __init__(self, dtype: FloatDType | type[np.float32] | type[np.float64]) -> None:
        object.__setattr__(self, "dtype", check_float_dtype("AsType", dtype))

    def output(self, x: Array) -> Array:
        converted: Array = x.astype(self.dtype)
        return converted

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        converted: Array = output_grad.astype(x.dtype)
        return converted

    def _check_dtype(self, index: int | None, result: Array, like: Array) -> None:
        """As everywhere for gradients; the output's dtype is another on purpose."""
        if index is not None:
            super()._check_dtype(index, result, like)
