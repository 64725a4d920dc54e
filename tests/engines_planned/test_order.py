"""Derivatives that are computed early, where less is to be kept then."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad.engines import PlannedEngine, StepSettings, TrainingData, planned_calls
from typegrad.engines.planned_order import with_early_derivatives
from typegrad.tracing import Recorder

from .test_equality import Case, assert_equal

ROWS, WIDTH = 3000, 64


def engine_of(activation: Any) -> PlannedEngine:
    layers = (tg.Dense(4, WIDTH, activation), tg.Dense(WIDTH, WIDTH, activation))
    network = tg.NeuralNetwork(*layers, tg.Dense(WIDTH, 1), loss=tg.MSELoss(), seed=0)
    engine = PlannedEngine(network, tg.SGD(), StepSettings())
    random = np.random.default_rng(0)
    inputs, targets = (random.standard_normal((ROWS, n), np.float32) for n in (4, 1))
    engine.run_epoch(TrainingData(inputs, targets), np.arange(ROWS), ROWS, np.full(1, 0.01))
    return engine


@pytest.mark.parametrize(("activation", "arrays"), [("gelu", 1), ("tanh", 0), ("relu", 0)])
def test_less_memory(activation: str, arrays: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """GELU's two layers keep one array less in the first, while the second is computed."""
    moved = engine_of(activation)
    monkeypatch.setattr(planned_calls, "with_early_derivatives", lambda graph: graph)
    as_written = engine_of(activation)
    array_bytes = 4 * ROWS * WIDTH
    assert round((as_written.planned_bytes - moved.planned_bytes) / array_bytes) == arrays
    np.testing.assert_array_equal(moved.network.flat.values, as_written.network.flat.values)


@pytest.mark.parametrize("activation", list(tg.ACTIVATIONS))
def test_the_same_bits_as_eager(activation: Any) -> None:
    def layers() -> list[Any]:
        return [tg.Dense(4, WIDTH, activation), tg.Dense(WIDTH, WIDTH, activation), tg.Dropout(0.2),
                tg.Dense(WIDTH, 2)]  # fmt: skip

    assert_equal(Case(layers, rows=ROWS, batch_size=ROWS, epochs=2))


def order_of(rows: int, *, reads_all_later: bool) -> list[str]:
    """Names of the calls of a formula with a product in between."""
    recorder = Recorder()
    x, w = recorder.input("x", np.ones((rows, 4))), recorder.input("w", np.ones((4, 4)))
    a = np.tanh(x)
    b = np.exp(a)
    product = (a * b) @ w
    slope = 2.0 * a + b
    outputs: dict[str, Any] = {"product": product, "y": product * slope}
    if reads_all_later:
        outputs |= {"a": a, "b": b}
    graph = with_early_derivatives(recorder.finish(**outputs))
    return [str(getattr(call.function, "__name__", call.function)) for call in graph.calls]


def test_what_is_moved() -> None:
    early = ["tanh", "exp", "multiply", "multiply", "add", "matmul", "multiply"]
    late = ["tanh", "exp", "multiply", "matmul", "multiply", "add", "multiply"]
    assert order_of(200_000, reads_all_later=False) == early
    assert order_of(200_000, reads_all_later=True) == late
    assert order_of(100, reads_all_later=False) == late
