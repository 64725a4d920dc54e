"""Reductions over all axes or some."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from typegrad.errors import ShapeError
from typegrad.operations.base import UnaryOperation
from typegrad.types import Array, Shape

Axis = int | tuple[int, ...] | None

SMALL = 4096
"""Elements of an array that is filled in less time than NumPy's broadcasting function takes."""


@dataclass(frozen=True)
class Reduction(UnaryOperation):
    """Base of operations that reduce over axes.

    Parameters
    ----------
    axis
        Axis or axes to reduce over; None for all.
    keepdims
        Whether reduced axes stay, with length one.
    """

    axis: Axis = None
    keepdims: bool = False

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        """Input's shape without the reduced axes, or with 1 for them."""
        (shape,) = input_shapes
        axes = self.reduced_axes(shape)
        if self.keepdims:
            return tuple(1 if axis in axes else length for axis, length in enumerate(shape))
        return tuple(length for axis, length in enumerate(shape) if axis not in axes)

    def reduced_axes(self, shape: Shape) -> tuple[int, ...]:
        """Axes to reduce, counted from 0.

        Raises
        ------
        ShapeError
            If an axis does not exist or comes twice.
        """
        if self.axis is None:
            return tuple(range(len(shape)))
        given = self.axis if isinstance(self.axis, tuple) else (self.axis,)
        if not all(-len(shape) <= axis < len(shape) for axis in given):
            raise ShapeError(f"{self}: an input of shape {shape} does not have that axis")
        axes = tuple(axis % len(shape) for axis in given)
        if len(set(axes)) != len(axes):
            raise ShapeError(f"{self}: an axis is named twice for an input of shape {shape}")
        return axes

    def count(self, shape: Shape) -> int:
        """How many elements of an input of this shape go into one of the output."""
        return math.prod(shape[axis] for axis in self.reduced_axes(shape))

    def spread(self, reduced: Array, x: Array) -> Array:
        """Broadcast an array of the output's shape back to the shape of input `x`."""
        if reduced.shape != ():
            axes = self.reduced_axes(x.shape)
            kept = tuple(1 if axis in axes else length for axis, length in enumerate(x.shape))
            reduced = np.reshape(reduced, kept)
        if math.prod(x.shape) < SMALL:
            return reduced + np.zeros(x.shape, x.dtype)
        return np.broadcast_to(reduced, x.shape)

    def shared_out(self, grad: Array, chosen: Array, like: Array) -> Array:
        """Spread `grad` evenly over the chosen elements of each reduced set.

        `chosen` is an array of booleans, of the shape of the input `like`.
        """
        share = chosen.astype(like.dtype)
        count: Array = np.sum(share, axis=self.axis, keepdims=True)
        return self.spread(grad, like) * (share / count)


class NonEmptyReduction(Reduction):
    """Base of reductions that have no value for no elements."""

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        """As of every reduction; `ShapeError` where there is nothing to reduce."""
        (shape,) = input_shapes
        if self.count(shape) == 0:
            raise ShapeError(
                f"{self}: the input has shape {shape}; "
                "expected at least one element along the reduced axes"
            )
        return super().output_shape(shape)


class Sum(Reduction):
    """Sum over `axis`;  dL/dx = dL/dy, spread over the summed axes."""

    def output(self, x: Array) -> Array:
        total: Array = np.sum(x, axis=self.axis, keepdims=self.keepdims)
        return total

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return self.spread(output_grad, x)


class Mean(Reduction):
    """Arithmetic mean over `axis`;  dL/dx = dL/dy / count, spread over those axes."""

    def output(self, x: Array) -> Array:
        mean: Array = np.mean(x, axis=self.axis, keepdims=self.keepdims)
        return mean

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return self.spread(output_grad / max(self.count(x.shape), 1), x)
