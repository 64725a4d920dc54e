"""Diagonals and triangles of matrices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from typegrad.errors import ShapeError
from typegrad.operations.base import ElementwiseOperation, UnaryOperation
from typegrad.operations.indexing import ScatterAdd
from typegrad.operations.shape import axis_from_start, inverse_order
from typegrad.types import Array, IntArray, Shape


@dataclass(frozen=True)
class DiagonalOperation(UnaryOperation):
    """Base of operations on the diagonal of two axes.

    Parameters
    ----------
    offset
        Which diagonal: 0 for the main one, above it if positive, below if negative.
    axis1, axis2
        Axes that the matrices' rows and columns lie along.
    """

    offset: int = 0
    axis1: int = 0
    axis2: int = 1

    def other_axes(self, shape: Shape) -> tuple[int, ...]:
        """Axes of the batch.

        Raises
        ------
        ShapeError
            If one of the two axes does not exist, or both are the same.
        """
        rows = axis_from_start(self, self.axis1, len(shape))
        columns = axis_from_start(self, self.axis2, len(shape))
        if rows == columns:
            raise ShapeError(f"{self}: both axes are {rows}; expected two different ones")
        return tuple(axis for axis in range(len(shape)) if axis not in (rows, columns))

    def length(self, shape: Shape) -> int:
        """Length of the diagonal."""
        return len(_places(shape[self.axis1], shape[self.axis2], self.offset)[0])

    def embed(self, diagonal: Array, shape: Shape) -> Array:
        """Zeros of `shape` with this diagonal, (..., length)."""
        others = self.other_axes(shape)
        rows, columns = shape[self.axis1], shape[self.axis2]
        batch = tuple(shape[axis] for axis in others)
        key = (..., *_places(rows, columns, self.offset))
        matrices = ScatterAdd(key, (*batch, rows, columns)).forward(diagonal)
        order = (*others, self.axis1 % len(shape), self.axis2 % len(shape))
        return np.transpose(matrices, inverse_order(order))


class Diagonal(DiagonalOperation):
    """Diagonal of two axes, along a new last axis: NumPy's ``diagonal``."""

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        (shape,) = input_shapes
        batch = tuple(shape[axis] for axis in self.other_axes(shape))
        return (*batch, self.length(shape))

    def output(self, x: Array) -> Array:
        return np.diagonal(x, self.offset, self.axis1, self.axis2)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return self.embed(output_grad, x.shape)


class Trace(DiagonalOperation):
    """Sum of the diagonal of two axes."""

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        (shape,) = input_shapes
        return tuple(shape[axis] for axis in self.other_axes(shape))

    def output(self, x: Array) -> Array:
        total: Array = np.trace(x, self.offset, self.axis1, self.axis2)
        return total

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        column = np.reshape(output_grad, (*output_grad.shape, 1))
        spread = np.broadcast_to(column, (*output_grad.shape, self.length(x.shape)))
        return self.embed(spread, x.shape)


@dataclass(frozen=True)
class DiagonalMatrix(UnaryOperation):
    """Square matrices, zero but for a diagonal: (..., n) to (..., n + |offset|, n + |offset|)."""

    offset: int = 0

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        (shape,) = input_shapes
        if not shape:
            raise ShapeError(f"{self}: the input has shape (); expected (..., n)")
        size = shape[-1] + abs(self.offset)
        return (*shape[:-1], size, size)

    def output(self, x: Array) -> Array:
        size = x.shape[-1] + abs(self.offset)
        key = (..., *_places(size, size, self.offset))
        return ScatterAdd(key, (*x.shape[:-1], size, size)).forward(x)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return np.diagonal(output_grad, self.offset, -2, -1)


@dataclass(frozen=True)
class Triangle(ElementwiseOperation):
    """Base of `Tril` and `Triu`.

    Parameters
    ----------
    k
        Diagonal that the triangle ends with: 0 for the main one, above it if positive.
    """

    k: int = 0

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        (shape,) = input_shapes
        if len(shape) < 2:
            raise ShapeError(f"{self}: the input has shape {shape}; expected matrices (..., n, m)")
        return shape


class Tril(Triangle):
    """Lower triangle of matrices (..., n, m), zero above diagonal `k`."""

    def output(self, x: Array) -> Array:
        return np.tril(x, self.k)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return np.tril(output_grad, self.k)


class Triu(Triangle):
    """Upper triangle of matrices (..., n, m), zero below diagonal `k`."""

    def output(self, x: Array) -> Array:
        return np.triu(x, self.k)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return np.triu(output_grad, self.k)


def _places(rows: int, columns: int, offset: int) -> tuple[IntArray, IntArray]:
    """Row and column numbers of a diagonal."""
    start_row, start_column = max(-offset, 0), max(offset, 0)
    count = max(min(rows - start_row, columns - start_column), 0)
    steps = np.arange(count)
    return steps + start_row, steps + start_column
