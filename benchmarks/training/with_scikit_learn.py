"""scikit-learn's MLPRegressor.

Its loss is half the squared error, so its gradient is half of everyone else's: SGD gets
twice the learning rate and Adam half the epsilon, which makes the steps the same but for
where Adam adds epsilon (before its bias correction instead of after).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import sklearn
from sklearn.neural_network import MLPRegressor

from training.contestant import Contestant
from training.problem import Floats, Problem


class ScikitLearnContestant(Contestant):
    """A regressor whose first weights are written into it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        # What may be switched off of checks is.
        sklearn.set_config(assume_finite=True, skip_parameter_validation=True)
        self.inputs, targets, self.order = problem.data()
        self.targets = targets[:, 0]
        rate = problem.learning_rate
        self.model: Any = MLPRegressor(
            hidden_layer_sizes=problem.widths[1:-1],
            activation=problem.activation,
            solver=problem.optimizer,
            alpha=0.0,
            batch_size=problem.batch_size,
            learning_rate_init=2.0 * rate if problem.optimizer == "sgd" else rate,
            epsilon=0.5e-8,
            momentum=0.0,
            nesterovs_momentum=False,
            shuffle=False,
        )
        first = slice(0, problem.batch_size)
        self.model.partial_fit(self.inputs[first], self.targets[first])

    @classmethod
    def unsupported(cls, problem: Problem) -> str | None:
        return "has no GELU" if problem.activation == "gelu" else None

    def reset(self) -> None:
        values = self.problem.weights()
        self.model.coefs_, self.model.intercepts_ = values[::2], values[1::2]
        # It makes a fresh optimizer, for these arrays, when there is none.
        vars(self.model).pop("_optimizer", None)

    def run_epoch(self) -> float:
        return 2.0 * self._half_squared_error()

    @abstractmethod
    def _half_squared_error(self) -> float:
        """Run an epoch; return the mean over its steps of half the squared error."""

    def weights(self) -> list[Floats]:
        pairs = zip(self.model.coefs_, self.model.intercepts_, strict=True)
        return [value.copy() for pair in pairs for value in pair]


class ScikitLearnStep(ScikitLearnContestant):
    """A call of partial_fit for each batch."""

    def _half_squared_error(self) -> float:
        total, size = 0.0, self.problem.batch_size
        for start in range(0, self.problem.rows, size):
            rows = self.order[start : start + size]
            self.model.partial_fit(self.inputs[rows], self.targets[rows])
            total += self.model.loss_
        return total / self.problem.steps


class ScikitLearnEpoch(ScikitLearnContestant):
    """A call of partial_fit for all batches, which it cuts itself."""

    def _half_squared_error(self) -> float:
        inputs = self.inputs.take(self.order, axis=0)
        self.model.partial_fit(inputs, self.targets.take(self.order))
        return float(self.model.loss_)
