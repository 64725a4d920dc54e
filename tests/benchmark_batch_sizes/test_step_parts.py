"""Shares of a step's time."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad.benchmark.problem import Problem, prepare_problem
from typegrad.benchmark.step_parts import measure_parts
from typegrad.layers import INFERENCE, Mode
from typegrad.types import Array


def problem(*layers: Any, optimizer: tg.Optimizer | None = None) -> Problem:
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(400, 30)), generator.normal(size=(400, 1))

    def build(seed: int) -> tg.NeuralNetwork:
        return tg.NeuralNetwork(*[layer() for layer in layers], loss=tg.MSELoss(), seed=seed)

    return prepare_problem(build, optimizer or tg.Adam(), x, y, validation_data=(x, y))


def test_shares_add_up_to_one() -> None:
    given = problem(lambda: tg.Dense(30, 64, "tanh"), lambda: tg.Dense(64, 1))
    parts = measure_parts(given, 300)
    assert parts is not None
    shares = astuple(parts)
    assert sum(shares) == pytest.approx(1.0)
    assert min(shares) > 0.0


def test_the_optimizers_share_falls_with_the_batch() -> None:
    given = problem(lambda: tg.Dense(30, 200, "tanh"), lambda: tg.Dense(200, 1))
    small, large = measure_parts(given, 1), measure_parts(given, 400)
    assert small is not None
    assert large is not None
    assert small.optimizer > large.optimizer


def test_random_masks_are_drawn() -> None:
    given = problem(lambda: tg.Dense(30, 8), lambda: tg.Dropout(0.5), lambda: tg.Dense(8, 1))
    assert measure_parts(given, 16) is not None


class Loops(tg.Layer):
    """Cannot be traced: it looks at values."""

    def forward(self, x: Array, mode: Mode = INFERENCE) -> Array:
        return x * float(np.sum([float(value) for value in x[:, 0]]))

    def backward(self, output_grad: Array) -> Array:
        return output_grad


def test_what_cannot_be_planned_has_no_shares() -> None:
    assert measure_parts(problem(lambda: tg.Dense(30, 1), Loops), 16) is None
