"""Choosing between elements of two arrays, or between an element and a bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from typegrad.errors import DTypeError, ShapeError
from typegrad.operations.arithmetic import BroadcastOperation
from typegrad.operations.base import ElementwiseOperation
from typegrad.types import Array, Shape


class Maximum(BroadcastOperation):
    """Larger of two arrays, element-wise.

    The gradient goes to the larger; where both are equal, half of it to each, as in PyTorch
    and JAX.
    """

    def output(self, left: Array, right: Array) -> Array:
        return np.maximum(left, right)

    def left_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        return _where_greater(left, right, output_grad)

    def right_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        return _where_greater(right, left, output_grad)


class Minimum(BroadcastOperation):
    """Smaller of two arrays, element-wise.

    The gradient goes to the smaller; where both are equal, half of it to each, as in PyTorch
    and JAX.
    """

    def output(self, left: Array, right: Array) -> Array:
        return np.minimum(left, right)

    def left_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        return _where_greater(right, left, output_grad)

    def right_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        return _where_greater(left, right, output_grad)


def _where_greater(a: Array, b: Array, output_grad: Array) -> Array:
    """Gradient where a > b, half of it where a == b, else 0."""
    return np.where(a > b, output_grad, np.where(a == b, 0.5 * output_grad, 0.0))


@dataclass(frozen=True)
class Clip(ElementwiseOperation):
    """Elements brought into the interval from `min` to `max`.

    The derivative is 1 inside and at the bounds, as in PyTorch, and 0 outside; JAX has 1/2 at
    the bounds.

    Parameters
    ----------
    min, max
        Bounds; None for no bound on that side.
    """

    min: float | None = None
    max: float | None = None

    def __post_init__(self) -> None:
        if self.min is None and self.max is None:
            raise ValueError("Clip: min and max are both None; expected at least one bound")

    def output(self, x: Array) -> Array:
        return np.clip(x, self.min, self.max)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return np.where(x == y, output_grad, 0.0)


@dataclass(frozen=True, eq=False, repr=False)
class Where(BroadcastOperation):
    """Elements of left where `condition` holds, else of right.

    Condition, left and right are broadcast. What is not chosen gets a gradient of zero
    even where it is NaN or infinite.

    Parameters
    ----------
    condition
        Array of booleans; it is copied.

    Raises
    ------
    DTypeError
        If the condition is not an array of booleans.
    """

    gradient_reads_inputs: ClassVar[bool] = False

    condition: np.ndarray[Any, np.dtype[np.bool_]]

    def __post_init__(self) -> None:
        if getattr(self.condition, "dtype", None) != np.bool_:
            given = getattr(self.condition, "dtype", type(self.condition).__name__)
            raise DTypeError(f"Where: the condition is {given}; expected an array of booleans")
        object.__setattr__(self, "condition", np.array(self.condition))

    def output_shape(self, *input_shapes: Shape) -> Shape | None:
        """Broadcast shape of the condition and both inputs."""
        left, right = input_shapes
        try:
            return np.broadcast_shapes(self.condition.shape, left, right)
        except ValueError:
            raise ShapeError(
                f"{self}: left has shape {left} and right has shape {right}; with the condition "
                "they must be equal, or equal or 1 in each axis counted from the last"
            ) from None

    def output(self, left: Array, right: Array) -> Array:
        return np.where(self.condition, left, right)

    def left_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        return np.where(self.condition, output_grad, 0.0)

    def right_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        return np.where(self.condition, 0.0, output_grad)

    def __repr__(self) -> str:
        return f"Where(condition of shape {self.condition.shape})"
