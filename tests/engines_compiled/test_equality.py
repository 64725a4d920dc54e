"""All engines' numbers are equal: the planned one's to the bit, the compiled one's to rounding.

For every layer, loss, optimizer and setting; ``tests/operations`` has the same for operations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import typegrad as tg
from typegrad import losses, optimizers
from typegrad.engines import CompiledEngine, EagerEngine, PlannedEngine
from typegrad.engines.compiled.traced_step import FEWEST_TRACED

from .training import (
    CASES,
    LOSSES,
    OPTIMIZERS,
    TIMES,
    Case,
    assert_close,
    assert_same_bits,
    batch_norm_layers,
    data_for,
    train,
)

pytestmark = pytest.mark.usefixtures("every_target")

DTYPES = ("float32", "float64")
dtypes = pytest.mark.parametrize("dtype", DTYPES)


SIZES = [
    pytest.param(batch_size, dtype, marks=() if is_quick else pytest.mark.slow)
    for batch_size in (1, 3, 17, 100)
    for dtype in DTYPES
    for is_quick in [(batch_size, dtype) in ((17, "float32"), (3, "float64"))]
]
"""Batch sizes that divide neither tiles nor rows, and dtypes; two of them in the quick tests."""


@pytest.mark.usefixtures("_many_parts")
@pytest.mark.parametrize(("batch_size", "dtype"), SIZES)
@pytest.mark.parametrize("name", CASES)
def test_all_engines_are_equal(name: str, dtype: str, batch_size: int) -> None:
    case = CASES[name]
    data = data_for(case, 2 * batch_size + 1, dtype)
    eager, planned = (train(case, kind, data, batch_size) for kind in (EagerEngine, PlannedEngine))
    one, two = (train(case, CompiledEngine, data, batch_size, threads=n) for n in (1, 2))
    assert_same_bits(planned, eager)
    assert_same_bits(two, one)
    assert_close(one, eager, TIMES.get(name, 1.0))
    expected = [] if case.note is None else [case.note]
    of_rows = "since examples of a batch may have to do with each other"
    if case.mixes_examples and batch_size < FEWEST_TRACED and case.note != of_rows:
        expected.append(of_rows)
    assert len(one.notes) == len(expected)
    assert all(part in note for part, note in zip(expected, one.notes, strict=True))


@pytest.mark.usefixtures("_many_parts")
@dtypes
@pytest.mark.parametrize("second", [1, 3, 17, 100])
@pytest.mark.parametrize("first", [1, 3, 17, 100])
def test_widths(first: int, second: int, dtype: str) -> None:
    def layers() -> list[Any]:
        return [tg.Dense(first, second, "gelu"), tg.Dense(second, first, "tanh")]

    case = Case(layers, outputs=first, optimizer=tg.SGD)
    for rows in (1, 5, 50):
        data = data_for(case, 2 * rows, dtype, features=first)
        eager = train(case, EagerEngine, data, rows)
        compiled = train(case, CompiledEngine, data, rows, threads=2)
        assert compiled.notes == []
        assert_close(compiled, eager)


@pytest.mark.parametrize("batch_size", [1, 7, 100])
@pytest.mark.parametrize("layers", [Case().layers, batch_norm_layers])
def test_full_batch_optimizer(layers: Callable[[], list[Any]], batch_size: int) -> None:
    case = replace(OPTIMIZERS["LBFGS"], layers=layers)
    data = data_for(case, 31, "float64")
    eager, compiled = (
        train(case, kind, data, batch_size) for kind in (EagerEngine, CompiledEngine)
    )
    is_in_parts = layers is batch_norm_layers and batch_size < len(data)
    assert len(compiled.notes) == is_in_parts
    assert all("several batches" in note for note in compiled.notes)
    assert_close(compiled, eager)


@dtypes
@pytest.mark.parametrize("optimizer", [tg.NAdam, tg.RAdam, lambda: tg.RAdam(betas=(0.8, 0.5))])
def test_updates_that_branch_on_the_step(optimizer: Callable[[], Any], dtype: str) -> None:
    """RAdam's first steps are not adaptive; with a short memory none is."""
    case = Case(optimizer=optimizer)
    data = data_for(case, 20, dtype)
    eager, planned, compiled = (
        train(case, kind, data, 2) for kind in (EagerEngine, PlannedEngine, CompiledEngine)
    )
    assert compiled.notes == planned.notes == []
    assert_same_bits(planned, eager)
    assert_close(compiled, eager)


@dtypes
def test_a_large_batch(dtype: str) -> None:
    case = Case(lambda: [tg.Dense(4, 70, "relu"), tg.Dense(70, 2)], optimizer=tg.Adam)
    data = data_for(case, 1500, dtype)
    eager = train(case, EagerEngine, data, 1000)
    one, two = (train(case, CompiledEngine, data, 1000, threads=n) for n in (1, 2))
    assert_close(one, eager)
    assert_same_bits(two, one)


def test_tables_are_complete() -> None:
    def names(module: Any, base: type) -> set[str]:
        parts = (getattr(module, name) for name in module.__all__)
        return {
            part.__name__ for part in parts if isinstance(part, type) and issubclass(part, base)
        }

    abstract = {"Loss", "ElementwiseLoss", "Optimizer", "FullBatchOptimizer"}
    assert names(losses, tg.Loss) - abstract == {name.split()[0] for name in LOSSES}
    base: Any = tg.Optimizer | tg.FullBatchOptimizer
    assert names(optimizers, base) - abstract == {name.split()[0] for name in OPTIMIZERS}
    made = [layer for case in CASES.values() for layer in case.layers()]
    kinds = {type(part).__name__ for part in made}
    inner = {type(part).__name__ for layer in made for _, part in tg.named_parts(layer, tg.Layer)}
    expected = names(tg.layers, tg.Layer) - {"Layer", "ElementwiseLayer"}
    assert expected - kinds - inner == set()
