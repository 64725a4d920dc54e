"""Formulas of one's own: which run in native code, and what is said of the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad.engines import CompiledEngine, EagerEngine, Engine, PlannedEngine
from typegrad.operations import ParameterOperation
from typegrad.tracing.scalar import of_scalars
from typegrad.types import Array

from .formulas import Formula, case_of, ones
from .training import Case, assert_close, assert_same_bits, data_for, train

NATIVE: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "cube": (lambda x: x**3, lambda x: 3.0 * x**2),
    "fourth power": (lambda x: (0.1 * x) ** 4, lambda x: 0.4 * (0.1 * x) ** 3),
    "root": (lambda x: (x * x + 1.0) ** 0.5, lambda x: x * (x * x + 1.0) ** -0.5 * 1.0),
    "inverse square": (lambda x: (x * x + 1.0) ** -2, ones),
    "inverse": (lambda x: (x * x + 1.0) ** -1, lambda x: -2.0 * x * ((x * x + 1.0) ** -1) ** 2),
    "first power": (lambda x: x**1, ones),
    "both": (lambda x: np.where((x > -1.0) & (x < 1.0), x, 0.5 * x), ones),
    "either": (lambda x: np.where((x < -1.0) | (x > 1.0), x, 0.5 * x), ones),
    "neither": (lambda x: np.where(~(x > 0.3), x, 0.5 * x), ones),
    "logical": (
        lambda x: np.where(np.logical_and(x > 0.0, np.logical_not(x == 1.0)), x, -x), ones,
    ),
    "logical or": (lambda x: np.where(np.logical_or(x > 0.0, x != 1.0), x, -x), ones),
    "floor": (lambda x: x - np.floor(x), ones),
    "reciprocal": (lambda x: np.reciprocal(x * x + 1.0), ones),
    "flags": (lambda x: x * (x >= 0.0) + (x <= 0.0), ones),
    "a constant": (lambda x: x + np.full_like(x, 3.0), ones),
    "a row of constants": (lambda x: x * np.linspace(1, 2, x.shape[1], dtype=x.dtype), ones),
    "an added axis": (lambda x: (x[:, None, :] * 2.0)[:, 0:1, :].reshape(x.shape), ones),
    "a largest element": (lambda x: x - np.max(x, axis=1, keepdims=True), ones),
    "parts": (lambda x: np.concatenate([x[:, 2:], -x[:, :2]], axis=1), ones),
    "an array of columns": (lambda x: x[:, [4, 3, -3, 1, 0]], ones),
    "parts of parts": (
        lambda x: np.concatenate([x[:, 1:][:, 2:], x[:, :3] * x[:, 1:2]], axis=1), ones,
    ),
    "sums up to each column": (lambda x: np.cumsum(x, axis=1), ones),
    "sums up to each column of a part": (
        lambda x: np.concatenate([np.cumsum(x[:, :2], axis=1), x[:, 2:]], axis=1), ones,
    ),
    "a sum up to the only column": (
        lambda x: np.concatenate([np.cumsum(x[:, :1], axis=1), x[:, 1:]], axis=1), ones,
    ),
    "columns in reverse": (lambda x: np.flip(x, axis=1), ones),
    "between limits": (lambda x: np.clip(x, -0.5, 0.5), ones),
    "limits that cross": (lambda x: np.clip(x, 0.5, -0.5), ones),
    "below a limit": (lambda x: np.clip(x, None, 0.5), ones),
    "limits in an array": (lambda x: np.clip(x, np.zeros(5, x.dtype), None), ones),
    "an unused constant": (lambda x: x + 0.0 * np.float32(2.0), ones),
    "a power": (lambda x: (0.1 * x * x) ** 1.5, lambda x: 0.1 * x * (x * x) ** 0.3),
    "a power of something": (lambda x: (x * x + 1.0) ** (0.1 * x), ones),
    "a power of a number": (lambda x: 2.0**x, lambda x: 0.7 * 2.0**x),
    "waves": (lambda x: np.sin(3.0 * x) + np.arctan2(x, 2.0), lambda x: 3.0 * np.cos(3.0 * x)),
    "a result that nobody needs": (lambda x: x * 1.0, lambda x: np.exp(x) * 0.0 + 1.0),
}  # fmt: skip

TIMES = {"cube": 4.0}
"""Of what is allowed elsewhere: its losses grow from step to step, and differences with them."""


@pytest.mark.parametrize("rows", [1, 19])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NATIVE)
def test_native(name: str, dtype: str, rows: int) -> None:
    case = case_of(Formula(*NATIVE[name]))
    data = data_for(case, 2 * rows, dtype)
    eager = train(case, EagerEngine, data, rows)
    compiled = train(case, CompiledEngine, data, rows)
    assert compiled.notes == []
    assert_close(compiled, eager, TIMES.get(name, 1.0))


REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "another dtype": (lambda x: x.astype(np.float64).astype(x.dtype), "astype of shape (n, 5)"),
    "an integer": (
        lambda x: x * np.floor(x).astype(np.int64).astype(x.dtype), "astype of shape",
    ),
    "an unknown formula of the number of examples": (
        lambda x: x / len(x) ** 2, "divide in Formula(), which uses the number of examples",
    ),
    "sums over examples, as a matrix": (
        lambda x: x @ np.sum(x[:, :, None] * x[:, None, :1], axis=0) + 0.0 * x,
        "add.reduce of shape (5, 1)",
    ),
    "sums over examples, one below the other": (
        lambda x: x * np.sum(x, axis=0)[:, None].sum(axis=1), "getitem of shape (5, 1)",
    ),
    "a number of examples in a constant": (
        lambda x: x * np.arange(len(x) * 5.0, dtype=x.dtype).reshape(x.shape),
        "multiply in Formula(), which uses the number of examples",
    ),
    "other functions for many examples": (
        lambda x: np.exp(x) if len(x) > 100 else x,
        "the network, which uses the number of examples",
    ),
    "every second column": (
        lambda x: np.concatenate([x[:, ::2], x[:, 1::2]], axis=1), "getitem of shape (n, 3)",
    ),
    "other examples": (lambda x: x + x[:1], "getitem of shape (1, 5)"),
    "an array of columns beside an axis": (
        lambda x: x[:, None, [4, 3, 2, 1, 0]][:, 0], "getitem of shape (n, ",
    ),
    "an array of rows and columns": (
        lambda x: x + x[[0], [1]], "getitem of shape (1,)",
    ),
    "examples that are concatenated": (
        lambda x: np.concatenate([x, x], axis=0)[:, :5].reshape(2, -1, 5)[1],
        "arrays whose columns are examples",
    ),
    "a smallest element": (lambda x: x - np.min(x, axis=1, keepdims=True), "minimum.reduce"),
    "the whole sum": (lambda x: x + np.sum(x), "add.reduce of shape ()"),
    "a product of examples": (lambda x: x @ (x.T @ x), "matmul of shape (n, 5)"),
    "a table": (
        lambda x: x @ np.eye(5, dtype=x.dtype), "a constant array of shape (5, 5) and float32",
    ),
    "an array of integers": (
        lambda x: np.where(np.arange(5) > 2, x, -x), "a constant array of shape (5,) and bool",
    ),
    "a reshaping": (
        lambda x: (x.reshape(-1, 1) * 2.0).reshape(x.shape), "reshape of shape (5n, 1)",
    ),
    "a turned array": (lambda x: (x.T + 0.5).T, "arrays whose columns are examples"),
    "turned by name": (lambda x: np.transpose(np.transpose(x, (-1, 0)), (-1, 0)), "transpose"),
    "one array for all examples": (
        lambda x: x * np.sum(x, axis=1)[None, :5].reshape(-1)[:1], "getitem of shape (1, 5)",
    ),
    "a sum with a start": (
        lambda x: x + np.sum(x, axis=1, keepdims=True, initial=1.0), "add.reduce of shape (n, 1)",
    ),
    "a cumulative product": (
        lambda x: np.cumprod(x, axis=1), "multiply.accumulate of shape (n, 5)",
    ),
    "a cumulative sum over examples": (
        lambda x: np.cumsum(x, axis=0), "add.accumulate of shape (n, 5)",
    ),
    "examples in reverse": (lambda x: np.flip(x, axis=0) + 0.0, "flip of shape (n, 5)"),
    "an unknown function": (lambda x: np.sort(x, axis=1), "sort of shape (n, 5)"),
    "an empty slice": (
        lambda x: np.concatenate([x, x[:, 5:]], axis=1), "getitem of shape (n, 0)",
    ),
}  # fmt: skip


REFUSED_WHOLE = {"other functions for many examples"}
"""Where it is not known which part of the network it is."""


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    """The formula runs as it is written, between native steps."""
    value, reason = REFUSED[name]
    case = case_of(Formula(value, ones))
    # As many as are traced, where the formula depends on it.
    data = data_for(case, 61, "float32")
    compiled = train(case, CompiledEngine, data, 61, epochs=1)
    (note,) = compiled.notes
    who = "the planned engine runs this network" if name in REFUSED_WHOLE else "Formula() runs as"
    assert note.startswith(who)
    assert f"there is no native code for {reason}" in note
    assert_close(compiled, train(case, EagerEngine, data, 61, epochs=1))


def test_axes_in_another_number() -> None:
    """(n,) and (n, 1) make (n, n): not the same as a column beside a column."""

    class Weighted(tg.Loss):
        def check_shapes(self, prediction: Any, target: Any) -> None:
            pass

        def example_losses(self, prediction: Array, target: Array) -> Array:
            table = prediction[:, 0] * prediction
            losses: Array = np.sum(table, axis=1)
            return losses

        def prediction_grad(self, prediction: Array, target: Array) -> Array:
            return prediction

    case = Case(lambda: [tg.Dense(4, 1)], loss=Weighted, outputs=1)
    compiled = train(case, CompiledEngine, data_for(case, 61, "float32"), 61, epochs=1)
    assert "there is no native code for" in compiled.notes[0]


def test_constants_are_read_where_they_lie() -> None:
    """An array that an operation refers to may change between two epochs."""
    amounts: Array = np.linspace(0.0, 1.0, 5)
    case = case_of(Formula(lambda x: x * amounts, ones))
    data = data_for(case, 20, "float64")
    engines = []
    for kind in (EagerEngine, CompiledEngine):
        amounts[...] = np.linspace(0.0, 1.0, 5)
        network = tg.NeuralNetwork(*case.layers(), loss=tg.MSELoss(), seed=0, dtype="float64")
        engine = kind(network, tg.SGD(), case.settings)
        engine.run_epoch(data, np.arange(20), 10, np.full(2, 0.1))
        amounts[...] = 2.0
        engine.run_epoch(data, np.arange(20), 10, np.full(2, 0.1))
        engines.append(network.flat.values)
    np.testing.assert_allclose(engines[0], engines[1], rtol=1e-10)


class Noise(tg.Layer):
    """Random numbers that are used as they are, not as a mask."""

    def output_features(self, in_features: int | None) -> int | None:
        return in_features

    def forward(self, x: Array, mode: tg.Mode = tg.INFERENCE) -> Array:
        return x + mode.uniform(*x.shape).astype(x.dtype)

    def backward(self, output_grad: Array) -> Array:
        return output_grad


class OddMask(tg.Layer):
    """A mask whose other value is not zero."""

    def output_features(self, in_features: int | None) -> int | None:
        return in_features

    def forward(self, x: Array, mode: tg.Mode = tg.INFERENCE) -> Array:
        self.mask = np.where(mode.uniform(*x.shape) < 0.5, 0.5, 2.0).astype(x.dtype)
        return x * self.mask

    def backward(self, output_grad: Array) -> Array:
        return output_grad * self.mask


class Table(tg.Layer):
    """A state that is no row."""

    def __init__(self) -> None:
        self.in_features = self.out_features = 4
        self.table = tg.Buffer(np.ones((2, 4)))

    def forward(self, x: Array, mode: tg.Mode = tg.INFERENCE) -> Array:
        self.table.assign(0.5 * self.table.value)
        return x

    def backward(self, output_grad: Array) -> Array:
        return output_grad


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (Noise, "astype"),
        (OddMask, "where"),
        (Table, "the layer's state 0.table of float64 (2, 4)"),
    ],
)
def test_refused_layers(layer: type[tg.Layer], reason: str) -> None:
    case = Case(lambda: [layer(), tg.Dense(4, 2)])
    data = data_for(case, 20, "float64" if layer is Table else "float32")
    compiled = train(case, CompiledEngine, data, 7)
    assert reason in compiled.notes[0]
    assert_same_bits(compiled, train(case, EagerEngine, data, 7))


def test_data_of_another_dtype() -> None:
    network = tg.NeuralNetwork(tg.Dense(4, 2), loss=tg.MSELoss())
    notes: list[str] = []
    engine = CompiledEngine(network, tg.SGD(), Case().settings, notes.append)
    data = data_for(Case(), 8, "float64")
    with pytest.raises(tg.DTypeError):
        engine.run_epoch(data, np.arange(8), 8, np.full(1, 0.1))
    assert "there is no native code for data of float64" in notes[0]


@dataclass(frozen=True, eq=False)
class Powered(tg.Optimizer):
    """An optimizer with a function that chains lack, or that sums."""

    learning_rate: float | tg.schedules.Schedule = 0.1
    variant: str = "power"

    def init(self, parameters: Any) -> dict[str, Any]:
        return {}

    def update(
        self, parameters: Any, gradient: Any, state: Any, learning_rate: float, step: int
    ) -> tuple[Any, dict[str, Any]]:
        if self.variant == "zero":
            return parameters * 0.0 + np.zeros_like(parameters), {}
        if self.variant == "table":
            return parameters - learning_rate * np.sum(gradient * 0.001), {}
        if self.variant == "power":
            return parameters - learning_rate * np.sign(gradient) * np.abs(gradient) ** 1.5, {}
        return parameters - learning_rate * np.sort(gradient), {}


@pytest.mark.parametrize(
    ("variant", "reason"), [("order", "sort in the update"), ("table", "add.reduce in the update")]
)
def test_refused_updates(variant: str, reason: str) -> None:
    case = Case(optimizer=lambda: Powered(variant=variant))
    data = data_for(case, 20, "float32")
    compiled = train(case, CompiledEngine, data, 7)
    assert reason in compiled.notes[0]
    assert compiled.notes[0].startswith("Powered's update is not native, only the gradient is: ")
    assert_close(compiled, train(case, EagerEngine, data, 7))


@pytest.mark.parametrize("variant", ["zero", "power"])
def test_updates_of_ones_own(variant: str) -> None:
    """The first writes a constant."""
    case = Case(optimizer=lambda: Powered(variant=variant))
    data = data_for(case, 20, "float32")
    compiled = train(case, CompiledEngine, data, 7)
    assert compiled.notes == []
    assert_close(compiled, train(case, EagerEngine, data, 7))


class Shift(ParameterOperation[Array]):
    """A row that is added: y = x + shift."""

    def output(self, x: Array, shift: Array) -> Array:
        return x + shift

    def input_grad(self, output_grad: Array, x: Array, y: Array, shift: Array) -> Array:
        return output_grad

    def parameter_grads(self, output_grad: Array, x: Array, y: Array, shift: Array) -> tuple[Array]:
        grad: Array = np.sum(output_grad, axis=0)
        return (grad,)


class Shifted(tg.Layer):
    """A layer of that."""

    def __init__(self) -> None:
        self.in_features = self.out_features = 2
        self.shift = tg.Parameter((2,), tg.initializers.Constant(0.5))
        self.operations = (Shift(self.shift),)


@pytest.mark.parametrize("rows", [1, 9, 150])
def test_two_rows_that_are_added(rows: int) -> None:
    """A product's sums begin with the first."""
    case = Case(lambda: [tg.Dense(4, 2, bias=False), Shifted(), Shifted()])
    data = data_for(case, 2 * rows, "float64")
    compiled = train(case, CompiledEngine, data, rows)
    assert compiled.notes == []
    assert_close(compiled, train(case, EagerEngine, data, rows))


@of_scalars
def power_by_steps(rate: float, step: int) -> float:
    """It needs an integer."""
    for _ in range(step):
        rate *= 0.9
    return rate


def factor_of(factor: float) -> Callable[..., float]:
    return of_scalars(lambda rate, step: factor * rate / step)


@dataclass(frozen=True, eq=False)
class Scaled(tg.Optimizer):
    """Functions of numbers: one of integers, and two of the same name."""

    learning_rate: float | tg.schedules.Schedule = 0.1

    def init(self, parameters: Any) -> dict[str, Any]:
        return {"sums": np.zeros_like(parameters)}

    def update(
        self, parameters: Any, gradient: Any, state: Any, learning_rate: float, step: int
    ) -> tuple[Any, dict[str, Any]]:
        first, second = factor_of(1.0)(learning_rate, step), factor_of(3.0)(learning_rate, step)
        sums = first * gradient + second * state["sums"]
        return parameters - power_by_steps(learning_rate, step) * sums, {"sums": sums}


@dataclass(frozen=True, eq=False)
class Raised(tg.Optimizer):
    """Powers, of which those of the step alone are kept in a table."""

    learning_rate: float | tg.schedules.Schedule = 0.1

    def init(self, parameters: Any) -> dict[str, Any]:
        return {}

    def update(
        self, parameters: Any, gradient: Any, state: Any, learning_rate: float, step: int
    ) -> tuple[Any, dict[str, Any]]:
        of_step = 0.9**step + 1.01**step + 0.9 ** (0.5 * step) + 1.0**step
        return parameters - of_step * 0.01**learning_rate * 0.1 * gradient, {}


@dataclass(frozen=True, eq=False)
class Exchanged(tg.Optimizer):
    """New states that are the old parameters, and each other's old ones."""

    learning_rate: float | tg.schedules.Schedule = 0.1

    def init(self, parameters: Any) -> dict[str, Any]:
        zeros = np.zeros_like(parameters)
        return {"before": parameters, "one": zeros, "two": zeros + 1.0}

    def update(
        self, parameters: Any, gradient: Any, state: Any, learning_rate: float, step: int
    ) -> tuple[Any, dict[str, Any]]:
        momentum = 0.5 * (parameters - state["before"])
        new = parameters - learning_rate * (gradient + 0.1 * state["one"]) + momentum
        return new, {"before": parameters, "one": state["two"], "two": state["one"]}


@pytest.mark.parametrize("optimizer", [Scaled, Raised, Exchanged])
@pytest.mark.parametrize("kind", [PlannedEngine, CompiledEngine])
def test_optimizers_of_ones_own(kind: Callable[..., Engine], optimizer: Any) -> None:
    case = Case(optimizer=optimizer)
    data = data_for(case, 20, "float64")
    found = train(case, kind, data, 7)
    assert found.notes == []
    assert_close(found, train(case, EagerEngine, data, 7))
