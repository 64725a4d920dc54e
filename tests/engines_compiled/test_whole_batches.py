"""Formulas whose examples have to do with each other, and layers that keep states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad.engines import CompiledEngine, EagerEngine, StepSettings
from typegrad.operations.normalization import Normalize
from typegrad.types import Array

from .formulas import Formula, case_of, ones
from .training import Case, assert_close, assert_same_bits, data_for, train

OF_EXAMPLES: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "a mean": (lambda x: x - np.mean(x, axis=0), ones),
    "a mean beside them": (lambda x: x - x.mean(axis=0, keepdims=True), ones),
    "a sum": (
        lambda x: np.tanh(x - np.sum(x, axis=0)),
        lambda x: 0.1 * np.sum(np.exp(-(x**2)), axis=0) + 0.0 * x,
    ),
    "a root of a sum": (
        lambda x: x / np.sqrt(np.sum(x * x, axis=0) + 1.0),
        lambda x: 0.0 * x + 1.0 / (np.sum(x * x, axis=0) + 1.0),
    ),
    "sums of single columns": (
        lambda x: 0.1 * x * np.sum(x[:, 1:2], axis=0) + np.mean(x[:, 0]) * np.float32(0.5), ones,
    ),
    "a sum for each of several uses": (
        lambda x: x - np.mean(np.exp(0.1 * x), axis=0) + np.sum(x, axis=0) * x * 0.001, ones,
    ),
    "their number": (lambda x: x / len(x) + np.tanh(x * (len(x) - 1.0)), ones),
    "parts that are ready at different times": (
        lambda x: np.concatenate([x[:, :3] - x[:, :3].mean(axis=0), x[:, 3:]], axis=1), ones,
    ),
    "parts that are ready in order": (
        lambda x: np.concatenate([x[:, :3], x[:, 3:] - x[:, 3:].mean(axis=0)], axis=1), ones,
    ),
    "the number of others": (
        lambda x: x / (len(x) - 1) * (1.0 / len(x)) if len(x) > 1 else x, ones,
    ),
}  # fmt: skip
"""Formulas that need all examples of a batch."""


@pytest.mark.usefixtures("_many_parts")
@pytest.mark.parametrize("clip_norm", [None, 0.1])
@pytest.mark.parametrize("rows", [7, 19, 150])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OF_EXAMPLES)
def test_of_all_examples(name: str, dtype: str, rows: int, clip_norm: float | None) -> None:
    """The largest batch has three tiles, a chunk and perhaps a thread each."""
    operation = Formula(*OF_EXAMPLES[name])
    case = replace(case_of(operation), settings=StepSettings(clip_norm=clip_norm))
    # The last step has one row.
    data = data_for(case, 2 * rows + 1, dtype)
    eager = train(case, EagerEngine, data, rows)
    one, two = (train(case, CompiledEngine, data, rows, threads=n) for n in (1, 2))
    assert one.notes == []
    assert_close(one, eager)
    assert_same_bits(one, two)


class RelativeLoss(tg.Loss):
    """Squared errors, relative to the targets' sum of squares; the numbers are the batch's."""

    def example_losses(self, prediction: Array, target: Array) -> Array:
        losses: Array = np.sum((prediction - target) ** 2, axis=1) / np.sum(target[:, 0] ** 2)
        return losses

    def prediction_grad(self, prediction: Array, target: Array) -> Array:
        gradient: Array = 2.0 * (prediction - target) / np.sum(target[:, 0] ** 2)
        return gradient


class Drift(tg.Layer):
    """A layer whose state is changed by each step; another state is only read."""

    def __init__(self) -> None:
        self.in_features = self.out_features = 4
        self.sums = tg.Buffer(np.ones(4))
        self.offset = tg.Buffer(np.array(0.1))

    def forward(self, x: Array, mode: tg.Mode = tg.INFERENCE) -> Array:
        if mode.training:
            self.sums.assign(0.5 * self.sums.value + np.sum(x, axis=0))
        return x - 0.01 * self.sums.value.astype(x.dtype) + self.offset.value.astype(x.dtype)

    def backward(self, output_grad: Array) -> Array:
        return output_grad


class TwoSums(tg.Layer):
    """A layer whose state is made of two sums over the examples."""

    def __init__(self) -> None:
        self.in_features = self.out_features = 4
        self.sums = tg.Buffer(np.ones(4))

    def forward(self, x: Array, mode: tg.Mode = tg.INFERENCE) -> Array:
        if mode.training:
            self.sums.assign(np.sum(x, axis=0) + np.sum(x * x, axis=0))
        return x

    def backward(self, output_grad: Array) -> Array:
        return output_grad


class Normalized(tg.Layer):
    """Gains and shifts, used as often as there are kinds of normalisation, one after the other."""

    def __init__(self, *kinds: type[Normalize]) -> None:
        self.in_features = self.out_features = 4
        gain, shift = (tg.Parameter((4,), tg.initializers.Constant(0.5)) for _ in range(2))
        self.operations = tuple(kind(gain, shift, axis=1, epsilon=1e-5) for kind in kinds)


def normalized_twice() -> list[Any]:
    """Layers whose gains have a gradient that is a sum of two sums over the examples."""
    return [Normalized(Normalize, Normalize), tg.Dense(4, 2)]


MIXING = {
    "loss": Case(loss=RelativeLoss),
    "state": Case(lambda: [Drift(), tg.Dense(4, 2)]),
    "gains": Case(normalized_twice),
    "gains, clip norm": Case(normalized_twice, settings=StepSettings(clip_norm=0.1)),
    "state twice": Case(lambda: [Drift(), tg.Dense(4, 4, "tanh"), Drift(), tg.Dense(4, 2)]),
}


@pytest.mark.usefixtures("_many_parts")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", MIXING)
@pytest.mark.parametrize("rows", [20, 150])
def test_of_losses_gradients_and_states(name: str, dtype: str, rows: int) -> None:
    case = MIXING[name]
    data = data_for(case, 2 * rows, dtype)
    eager = train(case, EagerEngine, data, rows)
    one, two = (train(case, CompiledEngine, data, rows, threads=n) for n in (1, 2))
    assert one.notes == []
    assert_close(one, eager)
    assert_same_bits(one, two)
    if "0.offset" in one.numbers:
        assert one.numbers["0.offset"] == 0.1


def test_a_state_of_two_sums() -> None:
    """Unlike a gradient of two sums, it is no sum of each tile."""
    case = Case(lambda: [TwoSums(), tg.Dense(4, 2)])
    data = data_for(case, 40, "float64")
    compiled = train(case, CompiledEngine, data, 20)
    assert compiled.notes == []
    assert_close(compiled, train(case, EagerEngine, data, 20))


class Counter(tg.Layer):
    """A state that float32 could not hold."""

    def __init__(self) -> None:
        self.in_features = self.out_features = 4
        self.steps = tg.Buffer(np.array(2.0**24))

    def forward(self, x: Array, mode: tg.Mode = tg.INFERENCE) -> Array:
        self.steps.assign(self.steps.value + 1.0)
        return x

    def backward(self, output_grad: Array) -> Array:
        return output_grad


@pytest.mark.parametrize(("dtype", "notes"), [("float32", 1), ("float64", 0)])
def test_counters(dtype: str, notes: int) -> None:
    case = Case(lambda: [Counter(), tg.Dense(4, 2)])
    compiled = train(case, CompiledEngine, data_for(case, 40, dtype), 10, epochs=1)
    assert len(compiled.notes) == notes
    assert compiled.numbers["0.steps"] == 2.0**24 + 4.0


class Decayed(Normalize):
    """A gradient that is no sum over the examples."""

    def parameter_grads(
        self, output_grad: Array, x: Array, y: Array, gain: Array, shift: Array
    ) -> tuple[Array, Array]:
        return 0.1 * gain, 0.1 * shift


def test_a_gradient_that_is_no_sum() -> None:
    for times in (1, 2):
        settings = StepSettings(accumulation_steps=times)
        case = Case(lambda: [Normalized(Decayed), tg.Dense(4, 2)], settings=settings)
        data = data_for(case, 40, "float32")
        eager, compiled = (train(case, kind, data, 10) for kind in (EagerEngine, CompiledEngine))
        assert len(compiled.notes) == times - 1
        assert_close(compiled, eager)


class Exchange(tg.Layer):
    """Its two states change places in each step."""

    def __init__(self) -> None:
        self.in_features = self.out_features = 4
        self.first, self.second = tg.Buffer(np.zeros(4)), tg.Buffer(np.ones(4))

    def forward(self, x: Array, mode: tg.Mode = tg.INFERENCE) -> Array:
        first, second = self.first.value + 0.0, self.second.value + 0.0
        self.first.assign(second)
        self.second.assign(first)
        return x + first.astype(x.dtype)

    def backward(self, output_grad: Array) -> Array:
        return output_grad


def test_states_that_change_places() -> None:
    case = Case(lambda: [Exchange(), tg.Dense(4, 2)])
    data = data_for(case, 30, "float64")
    eager, compiled = (train(case, kind, data, 6) for kind in (EagerEngine, CompiledEngine))
    assert_close(compiled, eager)
    assert compiled.numbers["0.first"].tolist() == eager.numbers["0.first"].tolist()
