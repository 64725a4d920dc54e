"""Largest and smallest elements, and elements in order."""

from __future__ import annotations

import numpy as np

from typegrad.operations.reductions import NonEmptyReduction
from typegrad.operations.scan import AlongAxis
from typegrad.types import Array


class Extremum(NonEmptyReduction):
    """Base of `Max` and `Min`: the gradient goes to the element that was chosen."""

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return self.shared_out(output_grad, x == self.spread(y, x), x)


class Max(Extremum):
    """Largest element over `axis`.

    Equal largest elements share the gradient evenly, as in PyTorch's ``amax`` and in JAX.
    """

    def output(self, x: Array) -> Array:
        largest: Array = np.max(x, axis=self.axis, keepdims=self.keepdims)
        return largest


class Min(Extremum):
    """Smallest element over `axis`.

    Equal smallest elements share the gradient evenly, as in PyTorch's ``amin`` and in JAX.
    """

    def output(self, x: Array) -> Array:
        smallest: Array = np.min(x, axis=self.axis, keepdims=self.keepdims)
        return smallest


class Sort(AlongAxis):
    """Elements along `axis` in ascending order.

    The sort is stable: equal elements keep their order, and each gets the gradient of its
    own place, as in PyTorch's ``sort(stable=True)`` and in JAX.
    """

    def output(self, x: Array) -> Array:
        return np.sort(x, axis=self.axis, kind="stable")

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        order = np.argsort(x, axis=self.axis, kind="stable")
        places = np.argsort(order, axis=self.axis, kind="stable")
        return np.take_along_axis(output_grad, places, axis=self.axis)
