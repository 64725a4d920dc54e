"""Small problems that tests of the benchmark share."""

from __future__ import annotations

import numpy as np

import typegrad as tg
from typegrad.benchmark.problem import Problem, prepare_problem
from typegrad.types import Matrix


def linear_data(rows: int = 200, noise: float = 0.1) -> tuple[Matrix, Matrix]:
    """Rows of a line in three dimensions, with Gaussian noise."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(rows, 3))
    y = x @ np.array([[1.0], [-2.0], [0.5]]) + noise * generator.normal(size=(rows, 1))
    return x.astype(np.float32), y.astype(np.float32)


def build_line(seed: int) -> tg.NeuralNetwork:
    """A linear model."""
    return tg.NeuralNetwork(tg.Dense(3, 1), loss=tg.MSELoss(), seed=seed)


def build_small(seed: int) -> tg.NeuralNetwork:
    """A network with a hidden layer."""
    return tg.NeuralNetwork(tg.Dense(3, 8, "tanh"), tg.Dense(8, 1), loss=tg.MSELoss(), seed=seed)


def line_problem(optimizer: tg.Optimizer | None = None) -> Problem:
    """The linear model on its data."""
    return prepare_problem(build_line, optimizer or tg.SGD(0.01), *linear_data())
