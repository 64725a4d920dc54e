"""Activation functions: element-wise, but for `Softmax`.

np.clip with a number takes a third of the time of np.maximum or np.minimum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from typegrad.operations.base import ElementwiseOperation
from typegrad.operations.scan import AlongAxis
from typegrad.operations.special import normal_cdf, normal_density
from typegrad.types import Array


class Sigmoid(ElementwiseOperation):
    """Logistic function, element-wise.

    y = 1 / (1 + exp(-x));  dL/dx = dL/dy * y * (1 - y).
    Input and output: any shape, floating dtype, kept.
    """

    def output(self, x: Array) -> Array:
        decay = np.exp(-np.abs(x))  # never overflows
        return np.where(x >= 0, 1.0, decay) / (1.0 + decay)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad * y * (1.0 - y)


class Tanh(ElementwiseOperation):
    """Hyperbolic tangent, element-wise: y = tanh(x);  dL/dx = dL/dy * (1 - y^2)."""

    def output(self, x: Array) -> Array:
        return np.tanh(x)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad * (1.0 - y * y)


class ReLU(ElementwiseOperation):
    """Rectified linear unit, element-wise: y = max(x, 0).

    The derivative at 0 is 0, as in PyTorch.
    """

    def output(self, x: Array) -> Array:
        return np.clip(x, 0.0, np.inf)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad * (x > 0)  # ten times as fast as np.where, on signs without a pattern


@dataclass(frozen=True)
class LeakyReLU(ElementwiseOperation):
    """Leaky rectified linear unit, element-wise: y = x where x > 0, else negative_slope * x.

    The derivative at 0 is `negative_slope`, as in PyTorch.
    """

    negative_slope: float = 0.01

    def output(self, x: Array) -> Array:
        return np.where(x > 0, x, self.negative_slope * x)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return np.where(x > 0, output_grad, self.negative_slope * output_grad)


@dataclass(frozen=True)
class ELU(ElementwiseOperation):
    """Exponential linear unit, element-wise: y = x where x > 0, else alpha * (exp(x) - 1).

    Source: Clevert, Unterthiner and Hochreiter, 2016.
    """

    alpha: float = 1.0

    def output(self, x: Array) -> Array:
        return np.where(x > 0, x, self.alpha * np.expm1(np.clip(x, -np.inf, 0.0)))

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return np.where(x > 0, output_grad, output_grad * (y + self.alpha))


class SELU(ElementwiseOperation):
    """Scaled exponential linear unit, element-wise: y = scale * ELU(x; alpha).

    With the constants of Klambauer, Unterthiner, Mayr and Hochreiter, 2017.
    """

    alpha: ClassVar[float] = 1.6732632423543772
    scale: ClassVar[float] = 1.0507009873554805

    def output(self, x: Array) -> Array:
        negative = self.scale * self.alpha * np.expm1(np.clip(x, -np.inf, 0.0))
        return np.where(x > 0, self.scale * x, negative)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        negative = output_grad * (y + self.scale * self.alpha)
        return np.where(x > 0, self.scale * output_grad, negative)


@dataclass(frozen=True)
class GELU(ElementwiseOperation):
    """Gaussian error linear unit, element-wise: y = x * Phi(x), Phi the normal CDF.

    With ``approximate="tanh"``: y = x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))).
    Source: Hendrycks and Gimpel, 2016.
    """

    approximate: Literal["none", "tanh"] = "none"

    def __post_init__(self) -> None:
        if self.approximate not in ("none", "tanh"):
            raise ValueError(f"{self}: approximate must be 'none' or 'tanh'")

    def output(self, x: Array) -> Array:
        return x * self._cdf(x)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad * (self._cdf(x) + x * self._density(x))

    def _cdf(self, x: Array) -> Array:
        if self.approximate == "none":
            return normal_cdf(x)
        return 0.5 * (1.0 + np.tanh(self._inner(x)))

    def _density(self, x: Array) -> Array:
        """Derivative of `_cdf`."""
        if self.approximate == "none":
            return normal_density(x)
        inner_slope = math.sqrt(2.0 / math.pi) * (1.0 + 3 * 0.044715 * x * x)
        tanh = np.tanh(self._inner(x))
        return 0.5 * inner_slope * (1.0 - tanh * tanh)

    def _inner(self, x: Array) -> Array:
        return math.sqrt(2.0 / math.pi) * x * (1.0 + 0.044715 * x * x)


class SiLU(ElementwiseOperation):
    """Sigmoid linear unit, element-wise: y = x / (1 + exp(-x)); also called swish.

    Source: Elfwing, Uchibe and Doya, 2017.
    """

    def output(self, x: Array) -> Array:
        return x * Sigmoid().forward(x)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        sigmoid = Sigmoid().forward(x)
        return output_grad * (sigmoid + y * (1.0 - sigmoid))


class Softplus(ElementwiseOperation):
    """Smooth ReLU, element-wise: y = log(1 + exp(x));  dL/dx = dL/dy * sigmoid(x)."""

    def output(self, x: Array) -> Array:
        return np.clip(x, 0.0, np.inf) + np.log1p(np.exp(-np.abs(x)))

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad * Sigmoid().forward(x)


class Softmax(AlongAxis):
    """Exponentials scaled to sum to one along `axis`: y_i = exp(x_i) / sum_j exp(x_j).

    dL/dx_i = y_i * (dL/dy_i - sum_j dL/dy_j * y_j).
    """

    def output(self, x: Array) -> Array:
        exponentials: Array = np.exp(x - np.max(x, axis=self.axis, keepdims=True))
        total: Array = np.sum(exponentials, axis=self.axis, keepdims=True)
        return exponentials / total

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        weighted = output_grad * y
        total: Array = np.sum(weighted, axis=self.axis, keepdims=True)
        return weighted - y * total
