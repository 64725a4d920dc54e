"""What is fetched ahead, or computed for many steps beforehand, changes no number."""

from __future__ import annotations

import numpy as np
import pytest

import typegrad as tg
from typegrad.engines import CompiledEngine, StepSettings
from typegrad.engines.compiled import native, step_numbers

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


def test_numbers_of_steps_are_computed_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """With masks and a formula of the rows, of which the last step has fewer."""
    data = random_data(203)

    def train_some() -> list[bytes]:
        layers = (tg.Dense(data.inputs.shape[1], 5), tg.BatchNorm(5), tg.Dropout(0.3))
        last = tg.Dense(5, data.targets.shape[1])
        network = tg.NeuralNetwork(*layers, last, loss=tg.MSELoss(), seed=1)
        engine = CompiledEngine(network, tg.Adam(), StepSettings())
        losses = engine.run_epoch(data, np.arange(203), 10, np.linspace(0.01, 0.001, 21))
        assert not engine.notes
        return [each.tobytes() for each in (losses, network.flat.values)]

    usual = train_some()
    for at_once in (1, 4, 21):
        monkeypatch.setattr(step_numbers, "STEPS_AT_ONCE", at_once)
        assert train_some() == usual
