"""Native rows of tables by number: what is no such number, threads, own formulas."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad.engines import CompiledEngine, EagerEngine, StepSettings, TrainingData
from typegrad.engines.compiled import network_code
from typegrad.errors import DataError
from typegrad.operations.lookup import as_codes
from typegrad.types import Array

from .training import Case, assert_close, assert_same_bits, data_for, train


class Taken(tg.ParameterOperation[Array]):
    """Rows of a table, by numbers that nobody checks; `finish` makes of them what is returned."""

    def __init__(self, table: tg.Parameter, finish: Callable[[Array], Array]) -> None:
        super().__init__(table)
        self.finish = finish

    def output(self, x: Array, table: Array) -> Array:
        return self.finish(table[x[:, 0].astype(np.intp)])

    def input_grad(self, output_grad: Array, x: Array, y: Array, table: Array) -> Array:
        return np.zeros_like(x)

    def parameter_grads(self, output_grad: Array, x: Array, y: Array, table: Array) -> tuple[Array]:
        total = np.zeros_like(table)
        np.add.at(total, x[:, 0].astype(np.intp), output_grad)
        return (total,)


class Narrow(Taken):
    """Its gradient is one number for all of a row."""

    def parameter_grads(self, output_grad: Array, x: Array, y: Array, table: Array) -> tuple[Array]:
        total = np.zeros_like(table)
        np.add.at(total, x[:, 0].astype(np.intp), output_grad[:, :1])
        return (total,)


def as_it_is(rows: Array) -> Array:
    return rows


def signs(rows: Array) -> Array:
    """A comparison says nothing of what is no number."""
    return np.where(rows > 0.0, np.ones_like(rows), -np.ones_like(rows))


class Unchecked(tg.Layer):
    def __init__(
        self,
        finish: Callable[[Array], Array] = as_it_is,
        kind: type[Taken] = Taken,
        rows: int = 3,
    ) -> None:
        self.table = tg.Parameter((rows, 2), tg.initializers.Normal())
        self.operations = (kind(self.table, finish),)

    def output_features(self, in_features: int | None) -> int | None:
        return 2


def unchecked(
    first_code: float, finish: Callable[[Array], Array] = as_it_is
) -> tuple[Case, TrainingData]:
    case = Case(lambda: [Unchecked(finish), tg.Dense(2, 2)], codes=(0, 1))
    data = data_for(case, 20, "float32")
    data.inputs[0, 0] = first_code
    return case, data


@pytest.mark.parametrize("finish", [as_it_is, signs])
@pytest.mark.parametrize("code", [-1.0, -0.5, 1.7])
def test_codes_that_numpy_takes(code: float, finish: Callable[[Array], Array]) -> None:
    """Numbers from the end are left to the planned engine; fractions are cut off."""
    case, data = unchecked(code, finish)
    compiled, eager = (train(case, kind, data, 8) for kind in (CompiledEngine, EagerEngine))
    assert compiled.notes == []
    assert_close(compiled, eager)


def test_many_numbers_from_the_end() -> None:
    """The planned engine takes what would be tried in vain again and again."""
    case, data = unchecked(-1.0)
    data.inputs[::2, 0] = -2.0
    compiled, eager = (train(case, kind, data, 2) for kind in (CompiledEngine, EagerEngine))
    assert compiled.notes == ["the planned engine runs this data: some steps fail in native code"]
    assert_close(compiled, eager)


def test_a_stop_when_native_code_has_failed() -> None:
    case, data = unchecked(-1.0)
    asked: list[None] = []

    def should_stop() -> bool:
        asked.append(None)
        return len(asked) > 1

    network = tg.NeuralNetwork(*case.layers(), loss=case.loss())
    before = network.flat.values.copy()
    engine = CompiledEngine(network, tg.SGD(), StepSettings(should_stop=should_stop))
    assert engine.run_epoch(data, np.arange(20), 8, np.full(3, 0.01)).shape == (0,)
    assert np.array_equal(network.flat.values, before)


@pytest.mark.parametrize("finish", [as_it_is, signs])
@pytest.mark.parametrize("code", [3.0, -4.0, 1e30, np.nan])
def test_codes_that_name_no_row(code: float, finish: Callable[[Array], Array]) -> None:
    case, data = unchecked(code, finish)
    messages = []
    for kind in (CompiledEngine, EagerEngine):
        with np.errstate(invalid="ignore"), pytest.raises(IndexError) as info:
            train(case, kind, data, 8)
        messages.append(str(info.value))
    assert messages[0] == messages[1]


@pytest.mark.parametrize(("rows", "bad"), [(20, 13), (1500, 1400)])
def test_checked_codes_are_refused_as_elsewhere(rows: int, bad: int) -> None:
    """Where they are among the first examples, which are traced, and where they are not."""
    case = Case(lambda: [tg.Embedding(3, 2), tg.Flatten(), tg.Dense(8, 2)], codes=(0, 4))
    data = data_for(case, rows, "float32")
    data.inputs[bad, 2] = 3.0
    for kind in (CompiledEngine, EagerEngine):
        with pytest.raises(DataError, match=r"code at \(\d+, 2\) is 3.0; expected a whole number"):
            train(case, kind, data, 20)


def test_predictions_by_unchecked_codes() -> None:
    network = tg.NeuralNetwork(Unchecked(), tg.Dense(2, 1), loss=tg.MSELoss(), seed=1)
    x = np.array([[-1.0, 0.0], [2.0, 0.0]])
    expected = network.predict(x, engine="eager")
    assert network.predict(x, engine="compiled").tobytes() == expected.tobytes()
    with pytest.raises(IndexError):
        network.predict(np.array([[3.0, 0.0]]), engine="compiled")


@pytest.mark.parametrize("code", [3.0, -1.0, 0.5, np.nan, 1e30])
def test_predictions_by_checked_codes(code: float) -> None:
    layers = (tg.ColumnEmbedding(4, {1: 3, 2: 3}, 2), tg.Dense(6, 1))
    network = tg.NeuralNetwork(*layers, loss=tg.MSELoss(), seed=1)
    x = data_for(Case(codes=(1, 3)), 500, "float32").inputs.astype(np.float64)
    predict = tg.CompiledPredictor(network)
    assert predict(x).shape == (500, 1)
    x[400, 2] = code
    calls: list[Callable[[], Any]] = [
        lambda: predict(x),
        lambda: predict(x[400]),
        lambda: network.predict(x, engine="compiled"),
        lambda: network.predict(x, engine="eager"),
    ]
    for call in calls:
        with pytest.raises(DataError, match="expected a whole number from 0 to 2"):
            call()


class Cautious(Taken):
    """Takes fewer rows than the table has, and asks for more than that."""

    def output(self, x: Array, table: Array) -> Array:
        return table[as_codes(self, x[:, 0], len(table) - 1)]


class Masking(Taken):
    """Asks something else of its codes."""

    def output(self, x: Array, table: Array) -> Array:
        codes = x[:, 0].astype(np.intp)
        bad = (codes != x[:, 0]) | (np.zeros(1) > 0.0) | (codes >= len(table))
        if bad.any():
            raise IndexError("a code is wrong")
        return table[codes]


@pytest.mark.parametrize(
    ("kind", "code", "error"), [(Cautious, 2.0, DataError), (Masking, 0.5, IndexError)]
)
def test_predictions_by_codes_that_are_checked_otherwise(
    kind: type[Taken], code: float, error: type[Exception]
) -> None:
    layers = (Unchecked(kind=kind), tg.Dense(2, 1))
    network = tg.NeuralNetwork(*layers, loss=tg.MSELoss(), seed=1)
    x = np.array([[1.0, 0.0], [0.0, 0.0]])
    expected = network.predict(x, engine="eager")
    assert network.predict(x, engine="compiled").tobytes() == expected.tobytes()
    x[0, 0] = code
    with pytest.raises(error):
        network.predict(x, engine="compiled")


def test_a_gradient_that_is_broadcast() -> None:
    case = Case(lambda: [Unchecked(kind=Narrow), tg.Dense(2, 2)], codes=(0, 1))
    data = data_for(case, 20, "float32")
    compiled, eager = (train(case, kind, data, 8) for kind in (CompiledEngine, EagerEngine))
    assert "there is no native code for add_at" in compiled.notes[0]
    assert_close(compiled, eager)


@pytest.mark.parametrize("batch_size", [1, 60, 300])
def test_threads_share_tables(batch_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large ones too, with few rows and with many."""
    monkeypatch.setattr(network_code, "WORK_PER_THREAD", 1)

    def layers() -> list[Any]:
        return [tg.Embedding(400, 17), tg.Flatten(), tg.Dense(68, 67, "tanh"), tg.Dense(67, 2)]

    case = Case(layers, codes=(0, 4), optimizer=tg.Adam, weighted=True)
    data = data_for(case, 700, "float32")
    outcomes = [train(case, CompiledEngine, data, batch_size, threads=n) for n in (1, 2, 3)]
    assert outcomes[0].notes == []
    for outcome in outcomes[1:]:
        assert_same_bits(outcome, outcomes[0])


@pytest.mark.parametrize("batch_size", [64, 1000])
def test_threads_leave_a_step_together(batch_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One may have come to a row without number in the next step, where the other is not yet."""
    monkeypatch.setattr(network_code, "WORK_PER_THREAD", 1)
    steps, generator = 20, np.random.default_rng(0)
    count = steps * batch_size

    def train_often() -> None:
        for _ in range(20):
            layers = [Unchecked(rows=30_000), tg.Dense(2, 1)]
            network = tg.NeuralNetwork(*layers, loss=tg.MSELoss(), seed=1)
            codes = generator.integers(0, 30_000, (count, 1)).astype(np.float32)
            codes[generator.integers(count)] = -1.0
            engine = CompiledEngine(network, tg.SGD(), StepSettings(), threads=2)
            data = TrainingData(codes, np.ones((count, 1), np.float32))
            engine.run_epoch(data, np.arange(count), batch_size, np.full(steps, 0.1))

    # A thread that waits for another one that has left waits for ever.
    training = threading.Thread(target=train_often, daemon=True)
    training.start()
    training.join(120)
    assert not training.is_alive()


CHOSEN = np.array([3, -3, 0])


class Chosen(tg.UnaryOperation):
    """Columns by integers in brackets, from either end."""

    def output(self, x: Array) -> Array:
        return x[:, CHOSEN] * x[:, -1:] + x[:, 0][:, None]

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return np.zeros_like(x)


class Masked(tg.UnaryOperation):
    """Columns by a mask."""

    def output(self, x: Array) -> Array:
        return x[:, np.array([True, False, True, True])]

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return np.zeros_like(x)


class Choice(tg.Layer):
    def __init__(self, operation: tg.Operation) -> None:
        self.operations = (operation,)

    def output_features(self, in_features: int | None) -> int | None:
        return 3


def test_columns_by_number() -> None:
    """Other ones too, after the numbers were changed between two epochs."""
    case = Case(lambda: [Choice(Chosen()), tg.Dense(3, 2)])
    data = data_for(case, 20, "float32")
    losses = []
    for kind in (CompiledEngine, EagerEngine):
        network = tg.NeuralNetwork(*case.layers(), loss=case.loss(), seed=2)
        engine: Any = kind(network, tg.SGD(), StepSettings())
        for columns in ([1, 2, -1], [3, -3, 0]):
            CHOSEN[...] = columns
            losses.append(engine.run_epoch(data, np.arange(20), 8, np.full(3, 0.01)))
        assert kind is EagerEngine or engine._code is not None
    np.testing.assert_allclose(losses[:2], losses[2:], rtol=1e-5)


def test_columns_of_predictions() -> None:
    x = np.random.default_rng(0).standard_normal((9, 4))
    for operation in (Chosen(), Masked()):
        network = tg.NeuralNetwork(Choice(operation), tg.Dense(3, 1), loss=tg.MSELoss(), seed=1)
        for columns in ([1, 2, -1], [3, -3, 0]):
            CHOSEN[...] = columns
            found, expected = (network.predict(x, engine=name) for name in ("compiled", "eager"))
            np.testing.assert_allclose(found, expected, atol=1e-6)
