"""Optimizers that evaluate the loss of all data, several times a step."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from typegrad.optimizers.base import BaseOptimizer
from typegrad.types import Vector

Evaluate: TypeAlias = Callable[[], tuple[float, Vector]]
"""Loss and gradient at the current content of the parameters' buffer."""


@dataclass(frozen=True, eq=False)
class FullBatchOptimizer(BaseOptimizer):
    """An optimizer that chooses its steps by evaluating the loss itself.

    The loss must be a function of the parameters: all data each time, no random masks.
    """

    @property
    @abstractmethod
    def converged(self) -> bool:
        """Whether further steps would hardly change anything."""

    @abstractmethod
    def minimize_step(
        self, evaluate: Evaluate, parameters: Vector, learning_rate: float | None = None
    ) -> float:
        """Hook: take one step and return the loss that it reached.

        Parameters
        ----------
        evaluate
            Returns loss and gradient at what ``parameters`` contains at the time of the call.
        parameters
            Shape (n,), float32 or float64; moved in place.
        learning_rate
            For this step; the optimizer's own if it is None and no schedule.
        """
