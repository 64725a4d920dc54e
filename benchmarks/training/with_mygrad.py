"""MyGrad: automatic differentiation of NumPy, with an optimizer written in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mygrad as mg
import numpy as np
from mygrad.nnet.activations import relu

from training.contestant import Contestant
from training.problem import Floats, Problem

_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {"tanh": mg.tanh, "relu": relu}


class MyGrad(Contestant):
    """Products, sums and activations of MyGrad's tensors; updates change them in place."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        # It need not check whether an array that it still needs is written to.
        mg.turn_memory_guarding_off()
        self.inputs, self.targets, self.order = problem.data()

    @classmethod
    def unsupported(cls, problem: Problem) -> str | None:
        return "has no error function, which GELU needs" if problem.activation == "gelu" else None

    def reset(self) -> None:
        self.parameters = [mg.tensor(value) for value in self.problem.weights()]
        self.means = [np.zeros_like(value.data) for value in self.parameters]
        self.squares = [np.zeros_like(value.data) for value in self.parameters]

    def run_epoch(self) -> float:
        total, size = 0.0, self.problem.batch_size
        update = self._adam if self.problem.optimizer == "adam" else self._sgd
        for step in range(self.problem.steps):
            rows = self.order[step * size : (step + 1) * size]
            loss = self._loss(self.inputs[rows], self.targets[rows])
            loss.backward()
            total += float(loss)
            update(step + 1)
        return total / self.problem.steps

    def weights(self) -> list[Floats]:
        return [parameter.data.copy() for parameter in self.parameters]

    def _loss(self, x: Any, y: Floats) -> Any:
        for layer in range(0, len(self.parameters), 2):
            if layer > 0:
                x = _ACTIVATIONS[self.problem.activation](x)
            x = mg.matmul(x, self.parameters[layer]) + self.parameters[layer + 1]
        return mg.mean((x - y) ** 2)

    def _sgd(self, step: int) -> None:
        for parameter in self.parameters:
            parameter.data -= self.problem.learning_rate * parameter.grad

    def _adam(self, step: int) -> None:
        size = self.problem.learning_rate / (1.0 - 0.9**step)
        root = (1.0 - 0.999**step) ** 0.5
        state = zip(self.parameters, self.means, self.squares, strict=True)
        for parameter, mean, square in state:
            gradient = parameter.grad
            np.add(0.9 * mean, 0.1 * gradient, out=mean)
            np.add(0.999 * square, 0.001 * gradient**2, out=square)
            parameter.data -= size * mean / (np.sqrt(square) / root + 1e-8)
