"""Operations for special cases that NumPy's operators cover."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from typegrad.errors import ShapeError
from typegrad.operations.base import BinaryOperation, ElementwiseOperation
from typegrad.types import Array, Shape


@dataclass(frozen=True)
class ConstantPower(ElementwiseOperation):
    """Power with a number for its exponent: y = x ** exponent.

    dL/dx = dL/dy * exponent * x ** (exponent - 1), and 0 for the exponent 0.
    """

    exponent: float

    def output(self, x: Array) -> Array:
        return x**self.exponent

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        if self.exponent == 0:
            return np.zeros_like(x)
        if self.exponent == 2:
            return output_grad * (2.0 * x)
        return output_grad * (self.exponent * x ** (self.exponent - 1))


class VectorProduct(BinaryOperation):
    """Product of a vector and a vector or matrix: y = left @ right.

    Shapes (k,) and (k,) give (); (n, k) and (k,) give (n,); (k,) and (k, m) give (m,).
    """

    broadcasts: ClassVar[bool] = False

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        """Shape without the axes that are multiplied.

        Raises
        ------
        ShapeError
            If their lengths differ.
        """
        left, right = input_shapes
        if left[-1] != right[0]:
            raise ShapeError(
                f"MatMul(): left has shape {left} and right has shape {right}; the last axis "
                f"of left ({left[-1]}) must equal the first of right ({right[0]})"
            )
        return (*left[:-1], *right[1:])

    def output(self, left: Array, right: Array) -> Array:
        return left @ right

    def left_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        if right.ndim == 2:
            return right @ output_grad
        return output_grad * right if left.ndim == 1 else np.outer(output_grad, right)

    def right_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        if left.ndim == 2:
            return output_grad @ left
        return output_grad * left if right.ndim == 1 else np.outer(left, output_grad)
