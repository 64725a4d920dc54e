"""Parameters that a step uses more than once: their gradient is a sum of sums over examples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad.engines import CompiledEngine, EagerEngine, StepSettings
from typegrad.operations import ElementwiseOperation, ParameterOperation, Tanh, WeightMultiply
from typegrad.operations.linear import Linear
from typegrad.operations.lookup import Lookup
from typegrad.types import Array

from .training import Case, assert_close, assert_same_bits, data_for, train


class Repeated(tg.Layer):
    """The same affine map several times, with something else after each."""

    def __init__(
        self, width: int, times: int, between: Callable[[], ElementwiseOperation] = Tanh
    ) -> None:
        self.in_features = self.out_features = width
        self.weight = tg.Parameter((width, width), tg.initializers.GlorotUniform())
        self.bias = tg.Parameter((width,), tg.initializers.Constant(0.1))
        operations: list[Any] = []
        for _ in range(times):
            operations += [Linear(self.weight, self.bias), between()]
        self.operations = tuple(operations)


class Decode(ParameterOperation[Array]):
    """Product with a transposed weight matrix: y = x @ weight.T."""

    def output(self, x: Array, weight: Array) -> Array:
        return x @ weight.T

    def input_grad(self, output_grad: Array, x: Array, y: Array, weight: Array) -> Array:
        return output_grad @ weight

    def parameter_grads(
        self, output_grad: Array, x: Array, y: Array, weight: Array
    ) -> tuple[Array]:
        return (output_grad.T @ x,)


class Codes(tg.Layer):
    """Rows of a narrow table, and their products with all of its rows."""

    def __init__(self) -> None:
        self.in_features, self.out_features = 4, 19
        self.table = tg.Parameter((19, 1), tg.initializers.GlorotUniform())
        self.lookup, self.decode = Lookup(self.table), Decode(self.table)

    def forward(self, x: Array, mode: tg.Mode = tg.INFERENCE) -> Array:
        return self.decode.forward(self.lookup.forward(x[:, 0]))

    def backward(self, output_grad: Array) -> Array:
        self.lookup.backward(self.decode.backward(output_grad))
        return np.zeros((len(output_grad), 4), output_grad.dtype)


class TwiceTheGradient(WeightMultiply):
    """Adds a sum to itself."""

    def parameter_grads(
        self, output_grad: Array, x: Array, y: Array, weight: Array
    ) -> tuple[Array]:
        grad = x.T @ output_grad
        return (grad + grad,)


class Squared(ParameterOperation[Array]):
    """Product with the square of a matrix: y = (x @ weight) @ weight."""

    def output(self, x: Array, weight: Array) -> Array:
        return (x @ weight) @ weight

    def input_grad(self, output_grad: Array, x: Array, y: Array, weight: Array) -> Array:
        return (output_grad @ weight.T) @ weight.T

    def parameter_grads(
        self, output_grad: Array, x: Array, y: Array, weight: Array
    ) -> tuple[Array]:
        return ((x @ weight).T @ output_grad + x.T @ (output_grad @ weight.T),)


class OneWeight(tg.Layer):
    """Operations one after the other, all with the same weight matrix."""

    def __init__(self, *kinds: type[ParameterOperation[Array]]) -> None:
        self.in_features = self.out_features = 4
        self.weight = tg.Parameter((4, 4), tg.initializers.GlorotUniform())
        self.operations = tuple(kind(self.weight) for kind in kinds)


class Autoencoder(tg.Layer):
    """A narrow layer, and back by the same weights."""

    def __init__(self) -> None:
        self.in_features = self.out_features = 4
        self.weight = tg.Parameter((4, 3), tg.initializers.GlorotUniform())
        self.operations = (WeightMultiply(self.weight), Tanh(), Decode(self.weight))


class TwoTables(tg.Layer):
    """Rows of one table, by two columns of codes."""

    def __init__(self, width: int) -> None:
        self.in_features, self.out_features, self.width = 4, 2 * width, width
        self.table = tg.Parameter((3, width), tg.initializers.GlorotUniform())
        self.lookups = [Lookup(self.table), Lookup(self.table)]

    def forward(self, x: Array, mode: tg.Mode = tg.INFERENCE) -> Array:
        parts = [lookup.forward(x[:, i]) for i, lookup in enumerate(self.lookups)]
        return np.concatenate(parts, axis=1)

    def backward(self, output_grad: Array) -> Array:
        for i, lookup in enumerate(self.lookups):
            lookup.backward(output_grad[:, i * self.width : (i + 1) * self.width])
        return np.zeros((len(output_grad), 4), output_grad.dtype)


LAYERS: dict[str, Case] = {
    "twice": Case(lambda: [Repeated(4, 2), tg.Dense(4, 2)]),
    "three times": Case(lambda: [tg.Dense(4, 17), Repeated(17, 3), tg.Dense(17, 2)]),
    "of one column": Case(lambda: [tg.Dense(4, 1), Repeated(1, 2), tg.Dense(1, 2)]),
    "a sum of sums first": Case(lambda: [OneWeight(WeightMultiply, Squared), tg.Dense(4, 2)]),
    "a sum of sums last": Case(lambda: [OneWeight(Squared, WeightMultiply), tg.Dense(4, 2)]),
    "sums of sums": Case(lambda: [OneWeight(Squared, Squared), tg.Dense(4, 2)]),
    "there and back": Case(lambda: [Autoencoder(), tg.Dense(4, 2)]),
    "tables": Case(lambda: [TwoTables(5), tg.Dense(10, 2)], codes=(0, 2)),
    "tables of one column": Case(lambda: [TwoTables(1), tg.Dense(2, 2)], codes=(0, 2)),
}


@pytest.mark.usefixtures("_many_parts")
@pytest.mark.parametrize("clip_norm", [None, 0.1])
@pytest.mark.parametrize("rows", [1, 7, 19, 150])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LAYERS)
def test_shared_parameters(name: str, dtype: str, rows: int, clip_norm: float | None) -> None:
    """The largest batch has three tiles, a chunk and perhaps a thread each."""
    case = replace(LAYERS[name], settings=StepSettings(clip_norm=clip_norm))
    data = data_for(case, 2 * rows + 1, dtype)
    eager = train(case, EagerEngine, data, rows)
    compiled = train(case, CompiledEngine, data, rows, threads=1)
    assert compiled.notes == []
    assert_close(compiled, eager)
    assert_same_bits(train(case, CompiledEngine, data, rows, threads=2), compiled)


class Centered(ElementwiseOperation):
    """Examples without their mean, whose parts of a gradient come in different phases."""

    def output(self, x: Array) -> Array:
        mean: Array = np.mean(x, axis=0)
        return x - mean

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        mean: Array = np.mean(output_grad, axis=0)
        return output_grad - mean


def test_the_same_sum_twice() -> None:
    case = Case(lambda: [OneWeight(TwiceTheGradient), tg.Dense(4, 2)])
    data = data_for(case, 40, "float64")
    eager = train(case, EagerEngine, data, 10)
    compiled = train(case, CompiledEngine, data, 10)
    assert "TwiceTheGradient() runs as it is written" in compiled.notes[0]
    assert_close(compiled, eager)


def test_sums_that_lie_otherwise() -> None:
    """One is a column, the other a row."""
    case = Case(lambda: [Codes()], codes=(0, 1), outputs=19)
    data = data_for(case, 40, "float64")
    eager = train(case, EagerEngine, data, 10)
    compiled = train(case, CompiledEngine, data, 10)
    assert "no native code for add of shape (19, 1)" in compiled.notes[0]
    assert_same_bits(compiled, eager)


@pytest.mark.usefixtures("_many_parts")
@pytest.mark.parametrize("rows", [19, 150])
def test_parts_that_come_in_different_phases(rows: int) -> None:
    case = Case(lambda: [Repeated(4, 3, Centered), tg.Dense(4, 2)])
    data = data_for(case, 2 * rows, "float64")
    eager = train(case, EagerEngine, data, rows)
    compiled = train(case, CompiledEngine, data, rows, threads=1)
    assert compiled.notes == []
    assert_close(compiled, eager)
    assert_same_bits(train(case, CompiledEngine, data, rows, threads=2), compiled)
