"""Variance, standard deviation and norms."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from typegrad.errors import ShapeError
from typegrad.operations.reductions import NonEmptyReduction
from typegrad.types import Array, Shape


@dataclass(frozen=True)
class Spread(NonEmptyReduction):
    """Base of `Var` and `Std`.

    Parameters
    ----------
    ddof
        The sum of squares is divided by the number of elements less this.
    """

    ddof: int = 0

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        """As of every reduction; `ShapeError` where too few elements are reduced."""
        (shape,) = input_shapes
        expected = super().output_shape(shape)
        if self.count(shape) <= self.ddof:
            raise ShapeError(
                f"{self}: the input of shape {shape} has {self.count(shape)} elements along the "
                f"reduced axes; expected more than ddof, {self.ddof}"
            )
        return expected

    def deviation(self, x: Array) -> Array:
        """Difference from the mean, divided by what the sum of squares is divided by."""
        centred: Array = x - np.mean(x, axis=self.axis, keepdims=True)
        return centred / (self.count(x.shape) - self.ddof)


@dataclass(frozen=True)
class Var(Spread):
    """Variance over `axis`: sum of (x - mean)^2 / (n - ddof).

    dL/dx = dL/dy * 2 (x - mean) / (n - ddof).
    """

    def output(self, x: Array) -> Array:
        variance: Array = np.var(x, axis=self.axis, ddof=self.ddof, keepdims=self.keepdims)
        return variance

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return self.spread(2.0 * output_grad, x) * self.deviation(x)


@dataclass(frozen=True)
class Std(Spread):
    """Standard deviation over `axis`, the root of `Var`.

    dL/dx = dL/dy * (x - mean) / (y * (n - ddof)). Where all elements are equal the
    derivative is 0, as in PyTorch; in JAX it is NaN.
    """

    def output(self, x: Array) -> Array:
        deviation: Array = np.std(x, axis=self.axis, ddof=self.ddof, keepdims=self.keepdims)
        return deviation

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        # Where y is 0 so are the deviations.
        return self.spread(output_grad / np.where(y == 0, 1.0, y), x) * self.deviation(x)


@dataclass(frozen=True)
class Norm(NonEmptyReduction):
    """Norm of the elements over `axis`, taken as one vector: NumPy's ``linalg.vector_norm``.

    The derivative at a vector of zeros is 0, as in PyTorch. For ``ord=inf`` equal largest
    elements share the gradient evenly, as in PyTorch.

    Parameters
    ----------
    ord
        2 for the Euclidean norm, 1 for the sum of sizes, ``math.inf`` for the largest size.
    """

    ord: float = 2

    def __post_init__(self) -> None:
        if self.ord not in (1, 2, math.inf):
            raise ValueError(f"Norm: ord is {self.ord}; expected 1, 2 or inf")

    def output(self, x: Array) -> Array:
        norm: Array
        if self.ord == 1:
            norm = np.sum(np.abs(x), axis=self.axis, keepdims=self.keepdims)
        elif self.ord == 2:
            norm = np.sqrt(np.sum(x * x, axis=self.axis, keepdims=self.keepdims))
        else:
            norm = np.max(np.abs(x), axis=self.axis, keepdims=self.keepdims)
        return norm

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        if self.ord == 1:
            return self.spread(output_grad, x) * np.sign(x)
        if self.ord == 2:
            # Where y is 0 so is x.
            return self.spread(output_grad / np.where(y == 0, 1.0, y), x) * x
        largest = np.abs(x) == self.spread(y, x)
        return self.shared_out(output_grad, largest, x) * np.sign(x)
