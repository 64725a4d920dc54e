"""Dropout."""

from __future__ import annotations

import math

import numpy as np

from typegrad.layers.base import ElementwiseLayer
from typegrad.layers.mode import INFERENCE, Mode
from typegrad.operations.arithmetic import Multiply
from typegrad.types import Array


class Dropout(ElementwiseLayer):
    """Set each element to zero with probability `rate`, and scale the others to keep the mean.

    In_co training only; in inference the input passes unchanged. Any input shape, kept.
    Source: Srivastava et al., 2014. The mask depends on the mode's seed and step and on
    the row's place in the batch, and on nothing else.
    """

    def __init__(self, rate: float) -> None:
        if not 0 <= rate < 1:
            raise ValueError(f"Dropout: rate is {rate}; expected 0 <= rate < 1")
        self.rate = rate
        self.product: Multiply = Multiply()
        self._dropped = False

    def forward(self, x: Array, mode: Mode = INFERENCE) -> Array:
        self._dropped = mode.training and self.rate > 0
        if not self._dropped:
            return x
        uniform = mode.uniform(x.shape[0], math.prod(x.shape[1:]))
        mask = np.where(uniform < self.rate, 0.0, 1.0 / (1.0 - self.rate))
        return self.product.forward(x, mask.reshape(x.shape).astype(x.dtype))

    def backward(self, output_grad: Array) -> Array:
        return self.product.backward(output_grad)[0] if self._dropped else output_grad

    def __repr__(self) -> str:
        return f"Dropout({self.rate})"
