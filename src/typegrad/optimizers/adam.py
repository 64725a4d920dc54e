"""Adam and its variants."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np

from typegrad.optimizers.optimizer import Optimizer
from typegrad.options import NON_NEGATIVE
from typegrad.schedules import Schedule
from typegrad.tracing.scalar import of_scalars
from typegrad.types import Vector

_LONGEST_UNBOUNDED = 5.0
"""RAdam's r up to which the variance is not bounded; PyTorch has this limit, the paper 4."""


@dataclass(frozen=True, eq=False)
class _MomentOptimizer(Optimizer):
    """Running means of the gradient and of its square, that Adam and its kin share."""

    _: KW_ONLY
    betas: tuple[float, float] = (0.9, 0.999)
    """Both in [0, 1); how slowly the means of gradient and squared gradient forget."""
    epsilon: float = 1e-8
    """Not negative; added to the denominator."""

    def check_options(self) -> None:
        """Check the options."""
        self.check_betas(self.betas)
        self.check_number("epsilon", NON_NEGATIVE)

    def init(self, parameters: Vector) -> dict[str, Vector]:
        """Return the means' start."""
        return {name: np.zeros_like(parameters) for name in ("mean", "mean_square")}

    def _moments(self, gradient: Vector, state: dict[str, Vector]) -> dict[str, Vector]:
        beta1, beta2 = self.betas
        return {
            "mean": beta1 * state["mean"] + (1.0 - beta1) * gradient,
            "mean_square": beta2 * state["mean_square"] + (1.0 - beta2) * (gradient * gradient),
        }


@dataclass(frozen=True, eq=False)
class Adam(_MomentOptimizer):
    """Adaptive moment estimation (Kingma & Ba 2015).

    m = beta1 * m + (1 - beta1) * g;  v = beta2 * v + (1 - beta2) * g^2, both from 0;
    p = p - learning_rate * m' / (sqrt(v') + epsilon), with the bias of the start taken out of
    both: m' = m / (1 - beta1^step), v' = v / (1 - beta2^step). ``amsgrad`` divides by the
    root of the largest v so far (Reddi et al. 2018, with bias correction as in PyTorch).

    Weight decay is an L2 penalty, which adds to the gradient and so is scaled with it;
    `AdamW` has the decoupled kind.

    >>> parameters = np.array([1.0, -1.0], np.float32)
    >>> Adam(0.125).step(parameters, gradient=np.array([8.0, 0.001], np.float32))
    >>> parameters
    array([ 0.875..., -1.12499...], dtype=float32)
    """

    learning_rate: float | Schedule = 0.001
    _: KW_ONLY
    amsgrad: bool = False

    def check_options(self) -> None:
        """Check the options."""
        super().check_options()
        self.check_flag("amsgrad")

    def init(self, parameters: Vector) -> dict[str, Vector]:
        """Return the means' start, and the largest mean square's where it is wanted."""
        largest = {"largest_mean_square": np.zeros_like(parameters)} if self.amsgrad else {}
        return {**super().init(parameters), **largest}

    def update(
        self,
        parameters: Vector,
        gradient: Vector,
        state: dict[str, Vector],
        learning_rate: float,
        step: int,
    ) -> tuple[Vector, dict[str, Vector]]:
        """Return the new parameters and the new means."""
        beta1, beta2 = self.betas
        new = self._moments(gradient, state)
        square = new["mean_square"]
        if self.amsgrad:
            square = np.maximum(state["largest_mean_square"], square)
            new["largest_mean_square"] = square
        # The numbers are gathered, as Kingma and Ba suggest: fewer operations on vectors.
        correction = (1.0 - beta2**step) ** 0.5
        size = learning_rate * (correction / (1.0 - beta1**step))
        direction = new["mean"] / (np.sqrt(square) + self.epsilon * correction)
        return parameters - size * direction, new


@dataclass(frozen=True, eq=False)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019).

    p = p * (1 - learning_rate * weight_decay) first, then Adam's step.
    """

    decoupled: ClassVar[bool] = True

    weight_decay: float = field(default=0.01, kw_only=True)


@dataclass(frozen=True, eq=False)
class NAdam(_MomentOptimizer):
    """Adam with Nesterov's momentum (Dozat 2016).

    Adam, but with (1 - mu) * g / (1 - M) + mu_next * m / (1 - M * mu_next) in the place of m',
    where mu = beta1 * (1 - 0.5 * 0.96^(step * momentum_decay)), mu_next is that of the next
    step, and M is the product of mu over all steps up to this one.
    """

    learning_rate: float | Schedule = 0.002
    _: KW_ONLY
    momentum_decay: float = 0.004
    """Not negative; how fast mu rises from beta1 / 2 to beta1."""

    def check_options(self) -> None:
        """Check the options."""
        super().check_options()
        self.check_number("momentum_decay", NON_NEGATIVE)

    def update(
        self,
        parameters: Vector,
        gradient: Vector,
        state: dict[str, Vector],
        learning_rate: float,
        step: int,
    ) -> tuple[Vector, dict[str, Vector]]:
        """Return the new parameters and the new means."""
        new = self._moments(gradient, state)
        momentum, next_momentum = self._momentum(step), self._momentum(step + 1)
        product = self._momentum_product(step)
        scale = np.sqrt(new["mean_square"] / (1.0 - self.betas[1] ** step)) + self.epsilon
        gradient_size = learning_rate * (1.0 - momentum) / (1.0 - product)
        mean_size = learning_rate * next_momentum / (1.0 - product * next_momentum)
        direction = gradient_size * gradient + mean_size * new["mean"]
        return parameters - direction / scale, new

    def _momentum(self, step: int) -> float:
        momentum: float = self.betas[0] * (1.0 - 0.5 * 0.96 ** (step * self.momentum_decay))
        return momentum

    @of_scalars
    def _momentum_product(self, step: int) -> float:
        products = self._momentum_products
        # Once a product is lost in 1 - product, later ones are as good as it.
        while len(products) <= step and 1.0 - products[-1] < 1.0:
            products.append(products[-1] * self._momentum(len(products)))
        return products[min(int(step), len(products) - 1)]

    @cached_property
    def _momentum_products(self) -> list[float]:
        """Products of the momenta so far, by number of steps: worked out once."""
        return [1.0]


@dataclass(frozen=True, eq=False)
class RAdam(_MomentOptimizer):
    """Rectified Adam: no adaptive rate until its variance is bounded (Liu et al. 2020).

    With r_inf = 2 / (1 - beta2) - 1 and r = r_inf - 2 * step * beta2^step / (1 - beta2^step):
    p = p - learning_rate * m' if r <= 5, else p = p - learning_rate * R * m' / (sqrt(v') + e),
    R^2 = (r - 4) (r - 2) r_inf / ((r_inf - 4) (r_inf - 2) r). As in PyTorch, epsilon is added
    to sqrt(v), before its bias is corrected.
    """

    learning_rate: float | Schedule = 0.001

    def update(
        self,
        parameters: Vector,
        gradient: Vector,
        state: dict[str, Vector],
        learning_rate: float,
        step: int,
    ) -> tuple[Vector, dict[str, Vector]]:
        """Return the new parameters and the new means."""
        new = self._moments(gradient, state)
        size = learning_rate * self._rectification(step) / (1.0 - self.betas[0] ** step)
        # In one formula for both cases: the step's number is not known while it is traced.
        is_bounded = self._is_bounded(step)
        # Zero times infinity would be NaN, where a square has overflowed and is not used.
        root = np.minimum(np.sqrt(new["mean_square"]), float(np.finfo(parameters.dtype).max))
        scale = is_bounded * (root + self.epsilon) + (1.0 - is_bounded)
        return parameters - size * new["mean"] / scale, new

    @of_scalars
    def _rectification(self, step: int) -> float:
        """Return R, with the bias of sqrt(v), or 1 while the variance is not bounded."""
        length, limit = self._length(step), self._longest
        if length <= _LONGEST_UNBOUNDED:
            return 1.0
        ratio = (length - 4.0) * (length - 2.0) * limit
        root = math.sqrt(ratio / ((limit - 4.0) * (limit - 2.0) * length))
        return root * math.sqrt(1.0 - self.betas[1] ** step)

    @of_scalars
    def _is_bounded(self, step: int) -> float:
        """Return 1 if the variance is bounded, else 0."""
        return float(self._length(step) > _LONGEST_UNBOUNDED)

    def _length(self, step: int) -> float:
        """Return r: how many gradients the mean square is of."""
        power = self.betas[1] ** step
        return self._longest - 2.0 * step * power / (1.0 - power)

    @property
    def _longest(self) -> float:
        return 2.0 / (1.0 - self.betas[1]) - 1.0
