"""Optimizers that divide by a history of squared gradients: RMSProp, Adagrad, Adadelta."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

import numpy as np

from typegrad.optimizers.optimizer import Optimizer
from typegrad.options import FRACTION, NON_NEGATIVE
from typegrad.schedules import Schedule
from typegrad.types import Vector


@dataclass(frozen=True, eq=False)
class RMSProp(Optimizer):
    """Divide by a running root mean square of the gradient (Tieleman & Hinton 2012).

    s = alpha * s + (1 - alpha) * g^2;  p = p - learning_rate * g / (sqrt(s) + epsilon).
    ``centered`` puts the variance, s - mean(g)^2, in the place of s (Graves 2013); with
    ``momentum``, v = momentum * v + g / (sqrt(s) + epsilon) and p = p - learning_rate * v.
    """

    learning_rate: float | Schedule = 0.01
    _: KW_ONLY
    alpha: float = 0.99
    """In [0, 1); how slowly the mean square forgets."""
    epsilon: float = 1e-8
    """Not negative; added to the denominator."""
    momentum: float = 0.0
    """In [0, 1)."""
    centered: bool = False

    def check_options(self) -> None:
        """Check the options."""
        self.check_number("alpha", FRACTION)
        self.check_number("epsilon", NON_NEGATIVE)
        self.check_number("momentum", FRACTION)
        self.check_flag("centered")

    def init(self, parameters: Vector) -> dict[str, Vector]:
        """Return mean square, and mean and velocity where options want them."""
        names = ["mean_square"] + ["mean"] * self.centered + ["velocity"] * bool(self.momentum)
        return {name: np.zeros_like(parameters) for name in names}

    def update(
        self,
        parameters: Vector,
        gradient: Vector,
        state: dict[str, Vector],
        learning_rate: float,
        step: int,
    ) -> tuple[Vector, dict[str, Vector]]:
        """Return the new parameters and the new running means."""
        new = {"mean_square": _mix(state["mean_square"], gradient * gradient, self.alpha)}
        spread = new["mean_square"]
        if self.centered:
            new["mean"] = _mix(state["mean"], gradient, self.alpha)
            # Rounding can take the difference below zero where the gradient hardly varies.
            spread = np.maximum(spread - new["mean"] * new["mean"], 0.0)
        direction = gradient / (np.sqrt(spread) + self.epsilon)
        if self.momentum:
            direction = new["velocity"] = self.momentum * state["velocity"] + direction
        return parameters - learning_rate * direction, new


@dataclass(frozen=True, eq=False)
class Adagrad(Optimizer):
    """Divide by the root of the sum of all squared gradients (Duchi et al. 2011).

    s = s + g^2;  p = p - learning_rate * g / (sqrt(s) + epsilon).
    """

    learning_rate: float | Schedule = 0.01
    _: KW_ONLY
    initial_accumulator_value: float = 0.0
    """Not negative; the sum's start."""
    epsilon: float = 1e-10
    """Not negative; added to the denominator."""

    def check_options(self) -> None:
        """Check the options."""
        self.check_number("initial_accumulator_value", NON_NEGATIVE)
        self.check_number("epsilon", NON_NEGATIVE)

    def init(self, parameters: Vector) -> dict[str, Vector]:
        """Return the sum's start."""
        return {"sum_of_squares": np.full_like(parameters, self.initial_accumulator_value)}

    def update(
        self,
        parameters: Vector,
        gradient: Vector,
        state: dict[str, Vector],
        learning_rate: float,
        step: int,
    ) -> tuple[Vector, dict[str, Vector]]:
        """Return the new parameters and the new sum."""
        total = state["sum_of_squares"] + gradient * gradient
        step_vector = learning_rate * gradient / (np.sqrt(total) + self.epsilon)
        return parameters - step_vector, {"sum_of_squares": total}


@dataclass(frozen=True, eq=False)
class Adadelta(Optimizer):
    """Scale by the ratio of past steps to past gradients (Zeiler 2012).

    s = rho * s + (1 - rho) * g^2;  d = sqrt(u + epsilon) / sqrt(s + epsilon) * g;
    u = rho * u + (1 - rho) * d^2;  p = p - learning_rate * d.
    """

    learning_rate: float | Schedule = 1.0
    _: KW_ONLY
    rho: float = 0.9
    """In [0, 1); how slowly the mean squares forget."""
    epsilon: float = 1e-6
    """Not negative; added under both roots."""

    def check_options(self) -> None:
        """Check the options."""
        self.check_number("rho", FRACTION)
        self.check_number("epsilon", NON_NEGATIVE)

    def init(self, parameters: Vector) -> dict[str, Vector]:
        """Return the mean squares of gradients and of steps."""
        names = ("mean_square_gradient", "mean_square_step")
        return {name: np.zeros_like(parameters) for name in names}

    def update(
        self,
        parameters: Vector,
        gradient: Vector,
        state: dict[str, Vector],
        learning_rate: float,
        step: int,
    ) -> tuple[Vector, dict[str, Vector]]:
        """Return the new parameters and the new mean squares."""
        square = _mix(state["mean_square_gradient"], gradient * gradient, self.rho)
        past_steps = state["mean_square_step"]
        direction = np.sqrt(past_steps + self.epsilon) / np.sqrt(square + self.epsilon) * gradient
        new = {
            "mean_square_gradient": square,
            "mean_square_step": _mix(past_steps, direction * direction, self.rho),
        }
        return parameters - learning_rate * direction, new


def _mix(old: Vector, new: Vector, share: float) -> Vector:
    """Return the running mean that keeps ``share`` of the old value."""
    return share * old + (1.0 - share) * new
