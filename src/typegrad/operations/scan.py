"""Running sums and products, and products over axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from typegrad.errors import ShapeError
from typegrad.operations.base import ElementwiseOperation
from typegrad.operations.reductions import Reduction
from typegrad.operations.shape import inverse_order
from typegrad.types import Array, Shape


@dataclass(frozen=True)
class AlongAxis(ElementwiseOperation):
    """Base of operations whose elements depend on others along an axis."""

    axis: int = -1

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        (shape,) = input_shapes
        if not -len(shape) <= self.axis < len(shape):
            raise ShapeError(f"{self}: an input of shape {shape} does not have that axis")
        return shape


class Cumsum(AlongAxis):
    """Running sum along `axis`;  dL/dx_i = sum of dL/dy_k for k >= i."""

    def output(self, x: Array) -> Array:
        return np.cumsum(x, axis=self.axis)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return np.flip(np.cumsum(np.flip(output_grad, self.axis), axis=self.axis), self.axis)


class Cumprod(AlongAxis):
    """Running product along `axis`.

    dL/dx_i = sum over k >= i of dL/dy_k times the product of x_j over j <= k, j != i. There is
    no division, so zeros in x have their true gradient, as in PyTorch and JAX.
    """

    def output(self, x: Array) -> Array:
        return np.cumprod(x, axis=self.axis)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        factors = np.swapaxes(x, self.axis, -1)
        later = _shifted(factors, 1)
        after = _recurrence(later, np.swapaxes(output_grad, self.axis, -1))
        return np.swapaxes(_products_before(factors) * after, self.axis, -1)


class Prod(Reduction):
    """Product over `axis`;  dL/dx_i = dL/dy times the product of all x_j, j != i.

    There is no division, so zeros in x have their true gradient, as in PyTorch and JAX.
    """

    def output(self, x: Array) -> Array:
        product: Array = np.prod(x, axis=self.axis, keepdims=self.keepdims)
        return product

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        reduced = self.reduced_axes(x.shape)
        kept = tuple(axis for axis in range(len(x.shape)) if axis not in reduced)
        order = kept + reduced
        rows = np.transpose(x, order)
        factors = np.reshape(rows, (*[x.shape[axis] for axis in kept], self.count(x.shape)))
        before = _products_before(factors)
        after = np.flip(_products_before(np.flip(factors, -1)), -1)
        others = np.transpose(np.reshape(before * after, rows.shape), inverse_order(order))
        return self.spread(output_grad, x) * others


def _products_before(x: Array) -> Array:
    """Product of all elements before each, along the last axis; 1 for the first."""
    ones = np.ones((*x.shape[:-1], 1), x.dtype)
    return np.cumprod(np.concatenate([ones, x], axis=-1)[..., :-1], axis=-1)


def _shifted(x: Array, distance: int) -> Array:
    """Elements that many places later on the last axis; 0 beyond the end."""
    length = min(distance, x.shape[-1])
    zeros = np.zeros((*x.shape[:-1], length), x.dtype)
    return np.concatenate([x[..., length:], zeros], axis=-1)


def _recurrence(factors: Array, terms: Array) -> Array:
    """Solve s_i = terms_i + factors_i * s_(i+1) along the last axis.

    By doubling: after each round s_i has twice as many terms, so that a row of n takes
    log2(n) rounds of whole-array formulas.
    """
    sums = terms
    distance = 1
    while distance < terms.shape[-1]:
        sums = sums + factors * _shifted(sums, distance)
        factors = factors * _shifted(factors, distance)
        distance *= 2
    return sums
