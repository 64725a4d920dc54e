"""Other shapes and orders of the same elements."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from typegrad.errors import ShapeError
from typegrad.operations.base import ElementwiseOperation, UnaryOperation
from typegrad.operations.broadcasting import sum_to_shape
from typegrad.types import Array, Shape


@dataclass(frozen=True)
class Transpose(UnaryOperation):
    """Axes in another order.

    Parameters
    ----------
    axes
        For each axis of the output, the axis of the input it is; None to reverse them all.
    """

    axes: tuple[int, ...] | None = None

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        (shape,) = input_shapes
        return tuple(shape[axis] for axis in self._order(len(shape)))

    def output(self, x: Array) -> Array:
        return np.transpose(x, self._order(len(x.shape)))

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return np.transpose(output_grad, inverse_order(self._order(len(x.shape))))

    def _order(self, ndim: int) -> tuple[int, ...]:
        if self.axes is None:
            return tuple(reversed(range(ndim)))
        order = tuple(axis % ndim if -ndim <= axis < ndim else axis for axis in self.axes)
        if sorted(order) != list(range(ndim)):
            raise ShapeError(
                f"{self}: the input has {ndim} axes; expected each of them once in axes"
            )
        return order


@dataclass(frozen=True)
class Swapaxes(UnaryOperation):
    """Two axes exchanged."""

    first: int
    second: int

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        (shape,) = input_shapes
        lengths = list(shape)
        first, second = (
            axis_from_start(self, axis, len(shape)) for axis in (self.first, self.second)
        )
        lengths[first], lengths[second] = shape[second], shape[first]
        return tuple(lengths)

    def output(self, x: Array) -> Array:
        return np.swapaxes(x, self.first, self.second)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return np.swapaxes(output_grad, self.first, self.second)


@dataclass(frozen=True)
class Reshape(UnaryOperation):
    """Elements in the same order, the last axis fastest, in another shape.

    Parameters
    ----------
    shape
        Shape of the output; one length may be -1 and is worked out.
    """

    shape: Shape

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        (shape,) = input_shapes
        size = math.prod(shape)
        known = math.prod(length for length in self.shape if length != -1)
        free = self.shape.count(-1)
        fits = size == known if free == 0 else known > 0 and size % known == 0
        if free > 1 or not fits:
            raise ShapeError(
                f"{self}: an input of shape {shape} with {size} elements does not fit that shape"
            )
        return tuple(size // known if length == -1 else length for length in self.shape)

    def output(self, x: Array) -> Array:
        return np.reshape(x, self.shape)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return np.reshape(output_grad, x.shape)


@dataclass(frozen=True)
class BroadcastTo(UnaryOperation):
    """Elements repeated along new axes and axes of length one;  dL/dx sums over them."""

    shape: Shape

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        (shape,) = input_shapes
        try:
            fits = np.broadcast_shapes(shape, self.shape) == self.shape
        except ValueError:
            fits = False
        if not fits:
            raise ShapeError(f"{self}: an input of shape {shape} cannot be broadcast to that shape")
        return self.shape

    def output(self, x: Array) -> Array:
        return np.broadcast_to(x, self.shape)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return sum_to_shape(output_grad, x.shape)


@dataclass(frozen=True)
class ExpandDims(UnaryOperation):
    """New axes of length one, at these places of the output."""

    axis: int | tuple[int, ...]

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        (shape,) = input_shapes
        given = self.axis if isinstance(self.axis, tuple) else (self.axis,)
        ndim = len(shape) + len(given)
        new = {axis % ndim for axis in given if -ndim <= axis < ndim}
        if len(new) < len(given):
            raise ShapeError(
                f"{self}: the output of an input of shape {shape} has {ndim} axes; "
                f"expected different numbers from {-ndim} to {ndim - 1}"
            )
        lengths = iter(shape)
        return tuple(1 if axis in new else next(lengths) for axis in range(ndim))

    def output(self, x: Array) -> Array:
        return np.expand_dims(x, self.axis)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return np.reshape(output_grad, x.shape)


@dataclass(frozen=True)
class Squeeze(UnaryOperation):
    """Without axes of length one: all of them, or those named."""

    axis: int | tuple[int, ...] | None = None

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        (shape,) = input_shapes
        if self.axis is None:
            return tuple(length for length in shape if length != 1)
        axes = axes_from_start(self, self.axis, len(shape))
        if any(shape[axis] != 1 for axis in axes):
            raise ShapeError(f"{self}: the input has shape {shape}; expected length 1 there")
        return tuple(length for axis, length in enumerate(shape) if axis not in axes)

    def output(self, x: Array) -> Array:
        return np.squeeze(x, self.axis)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return np.reshape(output_grad, x.shape)


@dataclass(frozen=True)
class Flip(ElementwiseOperation):
    """Elements in reverse order along an axis, several, or all (None)."""

    axis: int | tuple[int, ...] | None = None

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        (shape,) = input_shapes
        axes_from_start(self, self.axis, len(shape))
        return shape

    def output(self, x: Array) -> Array:
        return np.flip(x, self.axis)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return np.flip(output_grad, self.axis)


@dataclass(frozen=True)
class Roll(ElementwiseOperation):
    """Elements moved `shift` places on along an axis; those pushed out come in at the start.

    With ``axis=None`` the array is taken as one row of all its elements.
    """

    shift: int | tuple[int, ...]
    axis: int | tuple[int, ...] | None = None

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        (shape,) = input_shapes
        axes_from_start(self, self.axis, len(shape))
        return shape

    def output(self, x: Array) -> Array:
        return np.roll(x, self.shift, self.axis)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        if isinstance(self.shift, tuple):
            return np.roll(output_grad, tuple(-shift for shift in self.shift), self.axis)
        return np.roll(output_grad, -self.shift, self.axis)


def axis_from_start(operation: object, axis: int, ndim: int) -> int:
    """Number of an axis counted from 0, or `ShapeError` if there is none."""
    if not -ndim <= axis < ndim:
        raise ShapeError(f"{operation}: an array with {ndim} axes has no axis {axis}")
    return axis % ndim


def axes_from_start(
    operation: object, axes: int | tuple[int, ...] | None, ndim: int
) -> tuple[int, ...]:
    """Numbers of one axis, several, or all (None), counted from 0."""
    if axes is None:
        return tuple(range(ndim))
    given = axes if isinstance(axes, tuple) else (axes,)
    return tuple(axis_from_start(operation, axis, ndim) for axis in given)


def inverse_order(order: tuple[int, ...]) -> tuple[int, ...]:
    """Order of axes that undoes a transposition by `order`."""
    return tuple(map(order.index, range(len(order))))
