"""Training needs the memory of a step, not of all steps, and copies data no more than it must."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import typegrad as tg
from typegrad.feeding import HeldSupply
from typegrad.fit_data import prepare
from typegrad.types import Array


@pytest.fixture
def _traced() -> Iterator[None]:
    gc.collect()
    tracemalloc.start()
    yield
    tracemalloc.stop()


def make_network() -> tg.NeuralNetwork:
    return tg.NeuralNetwork(
        tg.Dense(20, 32, tg.Tanh()),
        tg.BatchNorm(32),
        tg.Dropout(0.1),
        tg.Dense(32, 1),
        loss=tg.MSELoss(),
        seed=0,
    )


def make_data(rows: int) -> tuple[Array, Array]:
    x = np.random.default_rng(0).normal(size=(rows, 20)).astype(np.float32)
    return x, x[:, :1].copy()


class MemoryAt(tg.Callback):
    def __init__(self, *epochs: int) -> None:
        self.epochs = epochs
        self.sizes: list[int] = []

    def on_epoch_end(self, event: tg.EpochEnd) -> None:
        if event.record.epoch in self.epochs:
            gc.collect()
            self.sizes.append(tracemalloc.get_traced_memory()[0])


@pytest.mark.usefixtures("_traced")
@pytest.mark.parametrize("optimizer", [tg.Adam(0.001), tg.LBFGS(tolerance_change=0.0)], ids=repr)
def test_memory_does_not_grow(optimizer: tg.Adam | tg.LBFGS) -> None:
    """An epoch adds its record to the history, about a kilobyte."""
    memory = MemoryAt(10, 30)
    tg.Trainer(make_network(), optimizer, callbacks=[memory]).fit(
        *make_data(240), epochs=30, batch_size=32, validation_split=0.2, seed=0
    )
    settled, later = memory.sizes
    assert later - settled < 20 * 2_000


@pytest.mark.usefixtures("_traced")
def test_data_of_the_networks_dtype_are_not_copied() -> None:
    x, y = make_data(20_000)
    supply = prepare(make_network(), (x, y)).training
    assert isinstance(supply, HeldSupply)
    assert np.shares_memory(supply.data.inputs, x)
    assert np.shares_memory(supply.data.targets, y)
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    tg.Trainer(make_network(), tg.SGD(0.001), metrics=()).fit(x, y, epochs=1, batch_size=32)
    peak = tracemalloc.get_traced_memory()[1] - before
    # The permutation, and a pass over 8192 rows; but no copy of inputs or targets.
    forward = 8192 * 32 * 4 * 8
    assert peak < 8 * len(x) * 2 + forward


def test_converted_data_are_converted_once() -> None:
    x, y = (array.astype(np.float64) for array in make_data(50))
    supply = prepare(make_network(), (x, y)).training
    assert isinstance(supply, HeldSupply)
    assert supply.data.inputs.dtype == supply.data.targets.dtype == np.float32
    assert np.shares_memory(supply.targets, y)


def test_data_with_gaps_are_copied_once() -> None:
    """Columns of a table are not contiguous; to take rows of them as they are means to copy all."""
    table = np.random.default_rng(0).normal(size=(50, 21)).astype(np.float32)
    supply = prepare(make_network(), (table[:, :20], table[:, 20:])).training
    assert isinstance(supply, HeldSupply)
    for array in (supply.data.inputs, supply.data.targets):
        assert array.flags.c_contiguous
    np.testing.assert_array_equal(supply.data.inputs, table[:, :20])
    np.testing.assert_array_equal(supply.data.targets, table[:, 20:])


@pytest.mark.usefixtures("_traced")
@pytest.mark.parametrize("columns", [20, 21])
def test_memory_is_bounded_for_mapped_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    """Rows cost their numbers, but no data; also where only some columns are used."""
    monkeypatch.setattr("typegrad.feeding.supply._PART_BYTES", 200_000)
    rows = 600_000
    file = np.lib.format.open_memmap(tmp_path / "data.npy", "w+", np.float32, (rows, 21))
    file[:] = np.random.default_rng(0).normal(size=21)
    file[:, 0] = np.linspace(0, 1, rows)
    network = tg.NeuralNetwork(
        tg.Dense(columns, 1), loss=tg.MSELoss(), input_scaler=tg.Standardizer(), seed=0
    )
    trainer = tg.Trainer(network, tg.SGD(0.001))
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    trainer.fit(file[:, :columns], file[:, :1], epochs=2, batch_size=2000, seed=0)
    peak = tracemalloc.get_traced_memory()[1] - before
    # Two orders of 4 bytes a row, and a byte to make one; to evaluate, some blocks of 8192 rows,
    # of which one is standardised in float64. The data are 50 MB, in float64 100.
    assert peak < 9 * rows + 8192 * 21 * (5 * 4 + 5 * 8) + 1_000_000
