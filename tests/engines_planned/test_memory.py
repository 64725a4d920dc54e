"""A plan allocates no arrays while it runs."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad.engines import (
    EagerEngine,
    Engine,
    PlannedEngine,
    StepSettings,
    TrainingData,
    planned_runs,
)
from typegrad.engines.planned_memory import Arena

ROWS, BATCH, WIDTH = 2048, 512, 96

NETWORKS: dict[str, Callable[[], list[Any]]] = {
    "tanh": lambda: [tg.Dense(8, WIDTH, "tanh"), tg.Dense(WIDTH, WIDTH, "tanh")],
    "relu": lambda: [tg.Dense(8, WIDTH, "relu"), tg.Dense(WIDTH, WIDTH, "leaky_relu")],
    "gelu": lambda: [tg.Dense(8, WIDTH, "gelu"), tg.Dense(WIDTH, WIDTH, "silu")],
    "dropout": lambda: [tg.Dense(8, WIDTH, "elu"), tg.Dropout(0.3)],
    "norms": lambda: [tg.Dense(8, WIDTH), tg.BatchNorm(WIDTH), tg.LayerNorm(WIDTH)],
    "residual": lambda: [tg.Dense(8, WIDTH), tg.Residual(tg.Dense(WIDTH, WIDTH, "softplus"))],
}


def peak_of_an_epoch(
    kind: Callable[..., Engine], layers: list[Any], optimizer: tg.Optimizer, dtype: Any
) -> int:
    """Bytes that the arrays of an epoch take at most, beyond those there before."""
    generator = np.random.default_rng(0)
    inputs = generator.standard_normal((ROWS, 8)).astype(dtype)
    data = TrainingData(inputs, inputs[:, :1].copy())
    network = tg.NeuralNetwork(*layers, tg.Dense(WIDTH, 1), loss=tg.MSELoss(), seed=0, dtype=dtype)
    engine = kind(network, optimizer, StepSettings(clip_norm=1.0))
    order = np.arange(ROWS)
    rates = np.full(ROWS // BATCH, 0.001)
    for _ in range(2):
        engine.run_epoch(data, order, BATCH, rates)
    tracemalloc.start()
    try:
        engine.run_epoch(data, order, BATCH, rates)
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        engine.run_epoch(data, order, BATCH, rates)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak - before


ONE_RESULT = BATCH * WIDTH * 4
"""Bytes of one layer's output in float32."""


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NETWORKS)
def test_no_allocation_in_steady_state(name: str, dtype: Any) -> None:
    peak = peak_of_an_epoch(PlannedEngine, NETWORKS[name](), tg.Adam(), dtype)
    assert peak < ONE_RESULT / 10


@pytest.mark.parametrize("name", NETWORKS)
def test_no_allocation_in_blocks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planned_runs, "BLOCK_BYTES", 2**14)
    monkeypatch.setattr(planned_runs, "LONGEST_WHOLE", 2**15)
    peak = peak_of_an_epoch(PlannedEngine, NETWORKS[name](), tg.Adam(), np.float32)
    assert peak < ONE_RESULT / 10


@pytest.mark.parametrize(
    "optimizer", [tg.SGD(momentum=0.9), tg.AdamW(), tg.RMSProp(), tg.Adagrad(), tg.Lion()]
)
def test_no_allocation_by_optimizers(optimizer: tg.Optimizer) -> None:
    peak = peak_of_an_epoch(PlannedEngine, NETWORKS["tanh"](), optimizer, np.float32)
    assert peak < ONE_RESULT / 10


def test_the_eager_engine_allocates() -> None:
    """The test above would notice."""
    peak = peak_of_an_epoch(EagerEngine, NETWORKS["tanh"](), tg.Adam(), np.float32)
    assert peak > ONE_RESULT


def test_blocks_are_used_again() -> None:
    arena = Arena()
    small, large = arena.take(100), arena.take(1000)
    arena.give(small)
    arena.give(large)
    assert arena.take(90) is small
    assert arena.take(90) is large
    assert arena.nbytes == 1100


def test_blocks_start_at_cache_lines() -> None:
    assert Arena().take(100).memory.ctypes.data % 64 == 0


def test_equal_numbers_share_an_array() -> None:
    arena = Arena()
    number = np.float32(0.5)
    short = arena.filled(np.asarray(number), 10)
    assert (arena.filled(np.asarray(number), 20) == number).all()
    assert np.shares_memory(arena.filled(np.asarray(number), 5), arena.filled(short[0], 20))
    assert arena.nbytes == 80
    with pytest.raises(ValueError, match="read-only"):
        short[0] = 1.0


def test_short_batches_use_the_memory_of_long_ones() -> None:
    network = tg.NeuralNetwork(tg.Dense(8, 64, "tanh"), tg.Dense(64, 1), loss=tg.MSELoss())
    engine = PlannedEngine(network, tg.SGD(), StepSettings())
    data = TrainingData(np.ones((150, 8), np.float32), np.ones((150, 1), np.float32))
    engine.run_epoch(data, np.arange(100), 100, np.full(1, 0.1))
    before = engine.planned_bytes
    engine.run_epoch(data, np.arange(150), 100, np.full(2, 0.1))
    assert engine.planned_bytes == before
