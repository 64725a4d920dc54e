"""What is fetched ahead, or computed for many steps beforehand, changes no number."""

from __future__ import annotations

import numpy as np
import pytest

import typegrad as tg
from typegrad.engines import CompiledEngine, PlannedEngine, StepSettings, TrainingData
from typegrad.engines.compiled import native
from typegrad.engines.compiled.step_numbers import BLOCK_STEPS

from ..engines_planned.training import network_of, random_data, train


@pytest.mark.parametrize("batch_size", [1, 8, 500])
def test_fetching_rows_ahead_changes_nothing(
    batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = random_data(500)
    usual, ahead = (
        CompiledEngine(network_of(tg.Dense(4, 6, "tanh"), tg.Dense(6, 1)), tg.SGD(), StepSettings())
        for _ in range(2)
    )
    losses = train(usual, data, batch_size=batch_size)
    monkeypatch.setattr(native, "CACHED_BYTES", 0)
    np.testing.assert_array_equal(train(ahead, data, batch_size=batch_size), losses)
    np.testing.assert_array_equal(ahead.network.flat.values, usual.network.flat.values)


def test_numbers_of_steps_over_the_end_of_a_block() -> None:
    """With masks and a formula of the rows, of which the last step has fewer."""
    data = random_data(203)
    results = []
    for kind in (CompiledEngine, PlannedEngine):
        layers = (tg.Dense(data.inputs.shape[1], 5), tg.BatchNorm(5), tg.Dropout(0.3))
        last = tg.Dense(5, data.targets.shape[1])
        network = tg.NeuralNetwork(*layers, last, loss=tg.MSELoss(), dtype="float64", seed=1)
        optimizer = tg.Adam()
        optimizer.count_step(BLOCK_STEPS - 10)
        engine = kind(network, optimizer, StepSettings())
        in_float64 = TrainingData(
            *(each.astype(np.float64) for each in (data.inputs, data.targets))
        )
        losses = engine.run_epoch(in_float64, np.arange(203), 10, np.linspace(0.01, 0.001, 21))
        assert not engine.notes
        results.append(np.append(losses, network.flat.values))
    # By Adam, noise in what has no gradient, the bias before the normalisation, is no small thing.
    np.testing.assert_allclose(results[0], results[1], rtol=1e-9, atol=1e-9)
