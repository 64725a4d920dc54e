"""Stochastic gradient descent."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

import numpy as np

from typegrad.optimizers.optimizer import Optimizer
from typegrad.options import FRACTION
from typegrad.schedules import Schedule
from typegrad.types import Vector


@dataclass(frozen=True, eq=False)
class SGD(Optimizer):
    """Gradient descent, plain, with momentum, or with Nesterov's.

    v = momentum * v + g;  p = p - learning_rate * v, where v starts at 0. With ``nesterov``, the
    step is along g + momentum * v (Sutskever et al. 2013, as PyTorch has it).

    >>> parameters = np.array([1.0])
    >>> SGD(0.1, momentum=0.9).step(parameters, gradient=np.array([2.0]))
    >>> parameters
    array([0.8])
    """

    learning_rate: float | Schedule = 0.01
    _: KW_ONLY
    momentum: float = 0.0
    """In [0, 1)."""
    nesterov: bool = False
    """Needs a momentum."""

    def check_options(self) -> None:
        """Check the options."""
        self.check_number("momentum", FRACTION)
        self.check_flag("nesterov")
        if self.nesterov and self.momentum == 0.0:
            self.refuse("momentum", self.momentum, "positive with nesterov=True")

    def init(self, parameters: Vector) -> dict[str, Vector]:
        """Return the velocity, if there is momentum."""
        return {"velocity": np.zeros_like(parameters)} if self.momentum else {}

    def update(
        self,
        parameters: Vector,
        gradient: Vector,
        state: dict[str, Vector],
        learning_rate: float,
        step: int,
    ) -> tuple[Vector, dict[str, Vector]]:
        """Return the new parameters and the new velocity."""
        if not self.momentum:
            return parameters - learning_rate * gradient, {}
        velocity = self.momentum * state["velocity"] + gradient
        direction = gradient + self.momentum * velocity if self.nesterov else velocity
        return parameters - learning_rate * direction, {"velocity": velocity}
