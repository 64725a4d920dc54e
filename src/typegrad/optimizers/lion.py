"""Lion, an optimizer found by program search."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import numpy as np

from typegrad.optimizers.optimizer import Optimizer
from typegrad.schedules import Schedule
from typegrad.types import Vector


@dataclass(frozen=True, eq=False)
class Lion(Optimizer):
    """Step along signs (Chen et al. 2023, algorithm 2).

    p = p - learning_rate * sign(beta1 * m + (1 - beta1) * g);
    m = beta2 * m + (1 - beta2) * g, from 0. Weight decay is decoupled. Every entry moves by
    the whole rate, so rates are 3 to 10 times smaller than Adam's, and decay as much larger.
    """

    decoupled: ClassVar[bool] = True

    learning_rate: float | Schedule = 0.0001
    _: KW_ONLY
    betas: tuple[float, float] = (0.9, 0.99)
    """Both in [0, 1); shares of the momentum in the step and in the next momentum."""

    def check_options(self) -> None:
        """Check the options."""
        self.check_betas(self.betas)

    def init(self, parameters: Vector) -> dict[str, Vector]:
        """Return the momentum's start."""
        return {"momentum": np.zeros_like(parameters)}

    def update(
        self,
        parameters: Vector,
        gradient: Vector,
        state: dict[str, Vector],
        learning_rate: float,
        step: int,
    ) -> tuple[Vector, dict[str, Vector]]:
        """Return the new parameters and the new momentum."""
        beta1, beta2 = self.betas
        momentum = state["momentum"]
        direction = np.sign(beta1 * momentum + (1.0 - beta1) * gradient)
        new_momentum = beta2 * momentum + (1.0 - beta2) * gradient
        return parameters - learning_rate * direction, {"momentum": new_momentum}
