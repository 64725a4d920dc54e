"""Element-wise arithmetic on two arrays, with NumPy's broadcasting."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from typegrad.errors import ShapeError
from typegrad.operations.base import BinaryOperation
from typegrad.types import Array, Shape


class BroadcastOperation(BinaryOperation):
    """An element-wise operation on two arrays that NumPy can broadcast."""

    broadcasts: ClassVar[bool] = True

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        """Broadcast shape of the two inputs.

        Raises
        ------
        ShapeError
            If they cannot be broadcast.
        """
        try:
            return np.broadcast_shapes(*input_shapes)
        except ValueError:
            left, right = input_shapes
            raise ShapeError(
                f"{self}: left has shape {left} and right has shape {right}; they must be "
                "equal, or equal or 1 in each axis counted from the last"
            ) from None


class Add(BroadcastOperation):
    """Sum of two arrays: y = left + right."""

    gradient_reads_inputs: ClassVar[bool] = False

    def output(self, left: Array, right: Array) -> Array:
        return left + right

    def left_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        return output_grad

    def right_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        return output_grad


class Subtract(BroadcastOperation):
    """Difference of two arrays: y = left - right."""

    gradient_reads_inputs: ClassVar[bool] = False

    def output(self, left: Array, right: Array) -> Array:
        return left - right

    def left_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        return output_grad

    def right_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        return -output_grad


class Multiply(BroadcastOperation):
    """Product of two arrays, element-wise: y = left * right."""

    def output(self, left: Array, right: Array) -> Array:
        return left * right

    def left_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        return output_grad * right

    def right_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        return output_grad * left


class Divide(BroadcastOperation):
    """Quotient of two arrays, element-wise: y = left / right."""

    def output(self, left: Array, right: Array) -> Array:
        return left / right

    def left_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        return output_grad / right

    def right_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        return -output_grad * y / right
