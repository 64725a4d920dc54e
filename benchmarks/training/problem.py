"""What every contestant is given: a network, its first weights, data and an optimizer."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]

NETWORKS: dict[str, tuple[tuple[int, ...], str]] = {
    "8-64-64-1-tanh": ((8, 64, 64, 1), "tanh"),
    "13-64-1-relu": ((13, 64, 1), "relu"),
    "8-256-256-1-tanh": ((8, 256, 256, 1), "tanh"),
    "64-512-512-1-gelu": ((64, 512, 512, 1), "gelu"),
    "13-1-linear": ((13, 1), "identity"),
}
"""Widths and the activation between layers, by name; GELU is the exact one."""

LEARNING_RATES = {"adam": 1e-3, "sgd": 1e-2}


@dataclass(frozen=True)
class Problem:
    """An epoch of steps on given data, from given weights, with mean squared error.

    Adam has betas 0.9 and 0.999 and epsilon 1e-8; SGD has no momentum; nothing decays.
    """

    network: str
    optimizer: Literal["adam", "sgd"]
    batch_size: int
    steps: int
    dtype: str = "float32"
    seed: int = 0

    @property
    def widths(self) -> tuple[int, ...]:
        """Width of each layer, the input's first."""
        return NETWORKS[self.network][0]

    @property
    def activation(self) -> str:
        """What stands between layers."""
        return NETWORKS[self.network][1]

    @property
    def learning_rate(self) -> float:
        """The optimizer's learning rate."""
        return LEARNING_RATES[self.optimizer]

    @property
    def rows(self) -> int:
        """Rows of the data: every row is used once in an epoch."""
        return self.batch_size * self.steps

    @property
    def product_flops(self) -> int:
        """Floating-point operations of a step's matrix products, two for each multiply-add.

        Forward and the gradient of the weights for every layer, and the gradient of the layer's
        input for all but the first, whose input needs none.
        """
        sizes = [a * b for a, b in zip(self.widths[:-1], self.widths[1:], strict=True)]
        return 2 * self.batch_size * (3 * sum(sizes) - sizes[0])

    @property
    def state_bytes(self) -> int:
        """Bytes that a step must read and write: parameters and what the optimizer keeps of them.

        Each once, if an update is made as soon as its gradient is known.
        """
        arrays = 3 if self.optimizer == "adam" else 1
        return 2 * 4 * arrays * self._parameter_count

    @property
    def root_count(self) -> int:
        """Square roots in a step's update."""
        return self._parameter_count if self.optimizer == "adam" else 0

    @property
    def _parameter_count(self) -> int:
        pairs = zip(self.widths[:-1], self.widths[1:], strict=True)
        return sum(inputs * outputs + outputs for inputs, outputs in pairs)

    @property
    def tanh_count(self) -> int:
        """Hyperbolic tangents in a step."""
        return self.batch_size * sum(self.widths[1:-1]) if self.activation == "tanh" else 0

    def data(self) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
        """Inputs (rows, features), targets (rows, 1), and the order in which rows are used."""
        generator = np.random.default_rng([self.seed, 0])
        inputs = generator.standard_normal((self.rows, self.widths[0]))
        direction = generator.standard_normal((self.widths[0], 1)) / math.sqrt(self.widths[0])
        noise = 0.1 * generator.standard_normal((self.rows, 1))
        targets = np.sin(2.0 * inputs @ direction) + noise
        return self._cast(inputs), self._cast(targets), generator.permutation(self.rows)

    def weights(self) -> list[Floats]:
        """First values: weight (inputs, outputs) and bias (outputs,) of each layer in turn."""
        generator = np.random.default_rng([self.seed, 1])
        values: list[Floats] = []
        for inputs, outputs in zip(self.widths[:-1], self.widths[1:], strict=True):
            limit = math.sqrt(6.0 / (inputs + outputs))
            values.append(self._cast(generator.uniform(-limit, limit, (inputs, outputs))))
            values.append(self._cast(generator.uniform(-0.1, 0.1, outputs)))
        return values

    def final_loss(self, weights: list[Floats]) -> float:
        """Mean squared error of a network with these weights, in float64.

        Over the first rows; written out here, so that no contestant judges itself.
        """
        inputs, targets = _rows_to_judge_by(self)
        x = inputs
        for layer in range(0, len(weights), 2):
            if layer > 0:
                x = _activate(self.activation, x)
            x = x @ weights[layer].astype(np.float64) + weights[layer + 1].astype(np.float64)
        return float(np.mean((x - targets) ** 2))

    def in_float64(self) -> Problem:
        """Return the same problem, same numbers, computed in float64."""
        return replace(self, dtype="float64")

    def _cast(self, values: Floats) -> Floats:
        # By way of float32, so that the problem in float64 starts from the same numbers.
        return values.astype(np.float32).astype(self.dtype)


@cache
def _rows_to_judge_by(problem: Problem) -> tuple[Floats, Floats]:
    """The first rows of inputs and targets, in float64."""
    inputs, targets, _ = problem.data()
    return inputs[:128].astype(np.float64), targets[:128].astype(np.float64)


def _activate(name: str, x: Floats) -> Floats:
    if name == "tanh":
        return np.tanh(x)
    if name == "relu":
        return np.maximum(x, 0.0)
    if name == "gelu":
        cdf = 0.5 * (1.0 + np.vectorize(math.erf)(x / math.sqrt(2.0)))
        return np.asarray(x * cdf)
    raise ValueError(f"no activation {name!r}")
