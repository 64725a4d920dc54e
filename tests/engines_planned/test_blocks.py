"""Runs of element-wise calls, block by block: the numbers stay the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad.engines import EagerEngine, PlannedEngine, StepSettings, planned_runs
from typegrad.engines.planned_blocks import lie_apart
from typegrad.engines.planned_calls import plan
from typegrad.engines.planned_memory import Arena
from typegrad.engines.planned_runs import split_into_runs
from typegrad.tracing import Graph, Recorder
from typegrad.types import AnyArray

from .test_equality import CASES, Case, assert_equal


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut arrays of more than 240 bytes into blocks that hold 3 rows of 5 numbers, or 30."""
    monkeypatch.setattr(planned_runs, "BLOCK_BYTES", 120)
    monkeypatch.setattr(planned_runs, "LONGEST_WHOLE", 240)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CASES)
def test_equals_eager(name: str, dtype: type[np.floating[Any]]) -> None:
    assert_equal(replace(CASES[name], dtype=dtype, batch_size=32))


@pytest.mark.parametrize("activation", ["gelu", "tanh", "relu", "elu", "silu"])
def test_blocks_of_the_usual_size(activation: Any) -> None:
    width = 300
    rows = 3 * planned_runs.BLOCK_BYTES // (4 * width) + 7

    def layers() -> list[Any]:
        return [tg.Dense(4, width, activation), tg.Dense(width, 2)]

    assert_equal(Case(layers, rows=rows, batch_size=rows, epochs=2))


def test_updates_of_large_vectors() -> None:
    found = []
    for kind in (EagerEngine, PlannedEngine):
        network = tg.NeuralNetwork(tg.Dense(700, 301), tg.Dense(301, 1), loss=tg.MSELoss(), seed=0)
        optimizer = tg.AdamW(weight_decay=0.3)
        data = tg.engines.TrainingData(np.ones((9, 700), np.float32), np.ones((9, 1), np.float32))
        assert network.flat.values.nbytes > planned_runs.LONGEST_WHOLE
        engine = kind(network, optimizer, StepSettings())
        engine.run_epoch(data, np.arange(9), 3, np.full(3, 0.01))
        found.append([network.flat.values, *optimizer.state.values()])
    for eager, planned in zip(*found, strict=True):
        assert eager.tobytes() == planned.tobytes()


def graph_of(formula: Callable[[Any], Any], x: AnyArray) -> Graph:
    recorder = Recorder()
    return recorder.finish(y=formula(recorder.input("x", x)))


def run(graph: Graph, x: AnyArray) -> tuple[AnyArray, int]:
    """Return the plan's result, and how many steps it has."""
    bound = plan(graph, Arena())
    np.copyto(bound.inputs["x"], x)
    bound.run()
    return bound.outputs["y"], len(bound.steps)


X = np.random.default_rng(0).standard_normal((50, 5))

FORMULAS: dict[str, Callable[[Any], Any]] = {
    "one after the other": lambda x: np.tanh(np.exp(x) * 2.0 + x),
    "a row": lambda x: np.exp(x) + x[0] * x,
    "a column": lambda x: np.exp(x) - x[:, :1].copy() * x,
    "a sum between": lambda x: np.exp(x) / np.sum(np.exp(x), axis=0) * x,
    "two results": lambda x: np.sum(np.exp(x), axis=0) + (np.exp(x) * x)[3],
    "of another order": lambda x: np.exp(x) * np.reshape(x, (5, 50)).T + x,
    "reversed": lambda x: np.exp(x) * np.exp(x)[::-1] + x,
    "extrema": lambda x: np.maximum(np.minimum(np.negative(x), 0.5), -0.0) * x,
    "extremum of numbers": lambda x: np.maximum(np.exp(x[:, 0]), 1.0)[:, None] * x,
    "choice": lambda x: np.where(x > 0, np.exp(x), -1.0) * x,
    "limits": lambda x: np.clip(np.exp(x), 0.5, 1.0) * np.clip(x, None, 0.0),
    "limits in arrays": lambda x: np.clip(np.exp(x), x, 1.0) * x,
    "limits of integers": lambda x: np.clip((x > 0).astype(np.int32), 0.5, 2) * x,
    "conversion": lambda x: (x > 0).astype(np.float64) * np.exp(x),
    "no rows": lambda x: np.exp(x[:0]) * 2.0 + 1.0,
    "one number": lambda x: np.exp(np.sum(x)) * 2.0,
}


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("name", FORMULAS)
def test_formulas(name: str) -> None:
    formula = FORMULAS[name]
    found, _ = run(graph_of(formula, X), X)
    assert found.tobytes() == np.asarray(formula(X)).tobytes()


@pytest.mark.usefixtures("small_blocks")
def test_an_input_that_is_not_cut() -> None:
    recorder = Recorder()
    x, row = recorder.input("x", X), recorder.input("row", X[0])
    bound = plan(recorder.finish(y=np.exp(x * row) + row), Arena())
    np.copyto(bound.inputs["x"], X)
    np.copyto(bound.inputs["row"], X[1])
    bound.run()
    assert bound.outputs["y"].tobytes() == (np.exp(X * X[1]) + X[1]).tobytes()


@pytest.mark.usefixtures("small_blocks")
def test_blocks_share_the_steps_on_intermediate_results() -> None:
    def formula(x: Any) -> Any:
        return np.square(np.negative(np.exp(x))) * x

    bound = plan(graph_of(formula, X), Arena())
    assert len(bound.steps) == 4 * 17
    assert len({id(step) for step in bound.steps}) == 4 + 2 * 15 + 4


@pytest.mark.usefixtures("small_blocks")
def test_intermediate_results_need_memory_of_a_block() -> None:
    large = np.ones((1000, 5))
    arena = Arena()
    plan(graph_of(lambda x: np.exp(np.exp(x)) * np.tanh(x) + np.sqrt(x), large), arena)
    assert arena.nbytes < 3 * large.nbytes


def test_runs() -> None:
    def formula(x: Any) -> Any:
        y = np.exp(x) * 2.0
        z = np.square(y @ x.T @ x) + y
        return np.sum(z, axis=0) + 1.0

    runs = list(split_into_runs(graph_of(formula, X)))
    names = [[call.function.__name__ for call in each.calls] for each in runs]
    assert names == [
        ["exp", "multiply"], ["transpose"], ["matmul"], ["matmul"], ["square", "add"],
        ["add.reduce"], ["add"],
    ]  # fmt: skip
    assert [each.start for each in runs] == [0, 2, 3, 4, 5, 7, 8]


def test_arrays_lie_apart() -> None:
    x = np.ones((4, 3))
    assert lie_apart([x[:2], x[2:], x[2:].copy()])
    assert lie_apart([x, x])
    assert not lie_apart([x, x[:]])
    assert not lie_apart([x[:3], x[1:]])
