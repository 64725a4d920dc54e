"""Native rows of tables by number: what is no such number, threads, own formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad.engines import CompiledEngine, EagerEngine, TrainingData
from typegrad.engines.compiled import network_code
from typegrad.errors import DataError
from typegrad.types import Array

from .training import Case, assert_close, assert_same_bits, data_for, train


class Taken(tg.ParameterOperation[Array]):
    """Rows of a table, by numbers that nobody checks."""

    def output(self, x: Array, table: Array) -> Array:
        return table[x[:, 0].astype(np.intp)]

    def input_grad(self, output_grad: Array, x: Array, y: Array, table: Array) -> Array:
        return np.zeros_like(x)

    def parameter_grads(self, output_grad: Array, x: Array, y: Array, table: Array) -> tuple[Array]:
        total = np.zeros_like(table)
        np.add.at(total, x[:, 0].astype(np.intp), output_grad)
        return (total,)


class Unchecked(tg.Layer):
    def __init__(self) -> None:
        self.table = tg.Parameter((3, 2), tg.initializers.Normal())
        self.operations = (Taken(self.table),)

    def output_features(self, in_features: int | None) -> int | None:
        return 2


def unchecked(first_code: float) -> tuple[Case, TrainingData]:
    case = Case(lambda: [Unchecked(), tg.Dense(2, 2)], codes=(0, 1))
    data = data_for(case, 20, "float32")
    data.inputs[0, 0] = first_code
    return case, data


@pytest.mark.parametrize("code", [-1.0, -0.5, 1.7])
def test_codes_that_numpy_takes(code: float) -> None:
    """Numbers from the end are left to the planned engine; fractions are cut off."""
    case, data = unchecked(code)
    compiled, eager = (train(case, kind, data, 8) for kind in (CompiledEngine, EagerEngine))
    assert compiled.notes == []
    assert_close(compiled, eager)


@pytest.mark.parametrize("code", [3.0, -4.0, 1e30, np.nan])
def test_codes_that_name_no_row(code: float) -> None:
    case, data = unchecked(code)
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


def test_columns_in_any_order() -> None:
    """Integers in brackets, from either end."""

    class Chosen(tg.UnaryOperation):
        def output(self, x: Array) -> Array:
            return x[:, [3, -3, 0]] * x[:, -1:] + x[:, 0][:, None]

        def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
            return np.zeros_like(x)

    class Choice(tg.Layer):
        def __init__(self) -> None:
            self.operations = (Chosen(),)

        def output_features(self, in_features: int | None) -> int | None:
            return 3

    case = Case(lambda: [Choice(), tg.Dense(3, 2)])
    data = data_for(case, 20, "float32")
    compiled, eager = (train(case, kind, data, 8) for kind in (CompiledEngine, EagerEngine))
    assert compiled.notes == []
    assert_close(compiled, eager)
