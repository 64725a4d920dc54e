"""Powers of one array by another, and sums inside a logarithm."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from typegrad.operations.arithmetic import BroadcastOperation
from typegrad.operations.reductions import NonEmptyReduction
from typegrad.types import Array


class Power(BroadcastOperation):
    """Power, element-wise: y = left ** right.

    dL/dleft = dL/dy * right * left ** (right - 1);  dL/dright = dL/dy * y * log(left).
    At left = 0 the first is 0 for the exponent 0, as in PyTorch (JAX has NaN), and the second
    is 0, as in PyTorch and JAX. For a negative left the second does not exist and is NaN, as
    in both.
    """

    def output(self, left: Array, right: Array) -> Array:
        return left**right

    def left_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        exponent = right - 1.0
        if np.any(right == 0):  # a scalar exponent stays one otherwise: NumPy is faster then
            exponent = np.where((left == 0) & (right == 0), 0.0, exponent)
        return output_grad * right * left**exponent

    def right_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        logarithm = np.log(np.where(left > 0, left, 1.0))
        return output_grad * np.where(left < 0, math.nan, y * logarithm)


class LogAddExp(BroadcastOperation):
    """log(exp(left) + exp(right)), element-wise, without overflow.

    dL/dleft = dL/dy * exp(left - y), and the same for right. Where both are -inf there is no
    derivative and NaN results, as in PyTorch and JAX.
    """

    def output(self, left: Array, right: Array) -> Array:
        return np.logaddexp(left, right)

    def left_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        return output_grad * np.exp(left - y)

    def right_grad(self, output_grad: Array, left: Array, right: Array, y: Array) -> Array:
        return output_grad * np.exp(right - y)


@dataclass(frozen=True)
class LogSumExp(NonEmptyReduction):
    """log(sum(exp(x))) over `axis`, without overflow;  dL/dx = dL/dy * exp(x - y).

    -inf stands for a term of zero. Where all are -inf so is the result, which has no
    derivative: NaN, as in PyTorch and JAX; so has an infinite element.
    """

    def output(self, x: Array) -> Array:
        largest: Array = np.max(x, axis=self.axis, keepdims=True)
        limit = float(np.finfo(x.dtype).max)
        # Two infinities have no difference, so the subtrahend stays finite.
        shifted = np.where(x == largest, 0.0, x - np.clip(largest, -limit, limit))
        total: Array = np.sum(np.exp(shifted), axis=self.axis, keepdims=True)
        result = np.log(total) + largest
        return result if self.keepdims else np.squeeze(result, axis=self.reduced_axes(x.shape))

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return self.spread(output_grad, x) * np.exp(x - self.spread(y, x))
