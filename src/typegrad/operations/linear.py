"""Matrix products."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from typegrad.errors import ShapeError
from typegrad.operations.base import BinaryOperation, ParameterOperation
from typegrad.operations.transposed import times_transposed
from typegrad.types import Array, Shape


class MatMul(BinaryOperation):
    """Matrix product: y = left @ right.

    left: (..., n, k); right: (..., k, m); output: (..., n, m). Leading axes are batches and
    are broadcast. dL/dleft = dL/dy @ right^T;  dL/dright = left^T @ dL/dy.
    """

    broadcasts: ClassVar[bool] = True

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        """(..., n, m).

        Raises
        ------
        ShapeError
            If an operand has less than two axes or the inner lengths differ.
        """
        left, right = input_shapes
        if len(left) < 2 or len(right) < 2:
            raise ShapeError(
                f"{self}: left has shape {left} and right has shape {right}; both need two "
                "axes or more, a vector v becomes a column by v[:, None]"
            )
        if left[-1] != right[-2]:
            raise ShapeError(
                f"{self}: left has shape {left} and right has shape {right}; the last axis "
                f"of left ({left[-1]}) must equal the last but one of right ({right[-2]})"
            )
        return (*broadcast_batches(self, left, right), left[-2], right[-1])

    def output(self, left: Array, right: Array) -> Array:
        return left @ right

    def left_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        return output_grad @ np.swapaxes(right, -1, -2)

    def right_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        return np.swapaxes(left, -1, -2) @ output_grad


class WeightMultiply(ParameterOperation[Array]):
    """Product with a weight matrix: y = x @ weight.

    x: (n, in_features); weight: (in_features, out_features); y: (n, out_features).
    """

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        """(n, out_features)."""
        return linear_output_shape(self, *input_shapes)

    def output(self, x: Array, weight: Array) -> Array:
        return x @ weight

    def input_grad(self, output_grad: Array, x: Array, y: Array, weight: Array) -> Array:
        return times_transposed(output_grad, weight)

    def parameter_grads(
        self, output_grad: Array, x: Array, y: Array, weight: Array
    ) -> tuple[Array]:
        return (np.swapaxes(x, 0, 1) @ output_grad,)


class Linear(ParameterOperation[Array, Array]):
    """Affine map: y = x @ weight + bias.

    x: (n, in_features); weight: (in_features, out_features); bias: (out_features,);
    y: (n, out_features).
    """

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        """(n, out_features)."""
        return linear_output_shape(self, *input_shapes)

    def output(self, x: Array, weight: Array, bias: Array) -> Array:
        return x @ weight + bias

    def input_grad(
        self, output_grad: Array, x: Array, y: Array, weight: Array, bias: Array
    ) -> Array:
        return times_transposed(output_grad, weight)

    def parameter_grads(
        self, output_grad: Array, x: Array, y: Array, weight: Array, bias: Array
    ) -> tuple[Array, Array]:
        return np.swapaxes(x, 0, 1) @ output_grad, np.sum(output_grad, axis=0)


def linear_output_shape(operation: object, x: Shape, weight: Shape, *bias: Shape) -> Shape:
    """Shape of x @ weight + bias, or `ShapeError`."""
    in_features, out_features = weight
    if len(x) != 2 or x[1] != in_features:
        raise ShapeError(
            f"{operation} got input of shape {x}; it expects (batch, {in_features}), "
            f"since its weight has shape {weight}"
        )
    return (x[0], out_features)


def broadcast_batches(operation: object, left: Shape, right: Shape) -> Shape:
    """Broadcast shape of the axes before the matrices', or `ShapeError`."""
    try:
        return np.broadcast_shapes(left[:-2], right[:-2])
    except ValueError:
        raise ShapeError(
            f"{operation}: left has shape {left} and right has shape {right}; "
            f"the batch axes {left[:-2]} and {right[:-2]} cannot be broadcast"
        ) from None
