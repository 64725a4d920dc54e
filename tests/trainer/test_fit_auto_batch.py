"""``fit(batch_size="auto")``: the probe leaves no trace, and what it chose is told."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import typegrad as tg
from typegrad import batch_probe
from typegrad.batch_probe import ProbedTraining, choose_batch_size
from typegrad.engines import EngineName, TrainingData
from typegrad.optimizers import FullBatchOptimizer, Optimizer
from typegrad.types import Array


def make_data(rows: int = 300) -> tuple[Array, Array]:
    generator = np.random.default_rng(2)
    x = generator.normal(size=(rows, 3))
    y = np.tanh(x @ np.array([[1.0], [2.0], [-1.0]])) + 2.0 * generator.normal(size=(rows, 1))
    return x, y


def dense() -> tg.NeuralNetwork:
    return tg.NeuralNetwork(
        tg.Dense(3, 12, "tanh"),
        tg.Dense(12, 1),
        loss=tg.HuberLoss(),
        seed=0,
        input_scaler=tg.Standardizer(),
        target_scaler=tg.Standardizer(),
    )


def with_state() -> tg.NeuralNetwork:
    """Random masks, running statistics, layers without a formula for single gradients."""
    return tg.NeuralNetwork(
        tg.Dense(3, 12, tg.ReLU()),
        tg.BatchNorm(12),
        tg.Dropout(0.25),
        tg.Residual(tg.Dense(12, 12), tg.LayerNorm(12)),
        tg.Dense(12, 1),
        loss=tg.MSELoss(),
        seed=0,
    )


OPTIMIZERS: dict[str, Callable[[], Optimizer]] = {
    "adam": lambda: tg.Adam(0.01),
    "one cycle": lambda: tg.AdamW(tg.OneCycleSchedule(0.02), weight_decay=0.1),
    "plateau": lambda: tg.SGD(tg.ReduceOnPlateau(0.05, patience=1), momentum=0.9),
}


def fit(
    network: tg.NeuralNetwork,
    optimizer: Optimizer | FullBatchOptimizer,
    batch_size: Any = "auto",
    rows: int = 300,
    **options: Any,
) -> tg.History:
    trainer_options = {
        name: options.pop(name) for name in ("engine", "clip_norm") if name in options
    }
    trainer = tg.Trainer(network, optimizer, **trainer_options)
    x, y = make_data(rows)
    weights = np.linspace(0.5, 2.0, rows)
    given: dict[str, Any] = {"epochs": 3, "seed": 7, "sample_weight": weights} | options
    return trainer.fit(x, y, batch_size=batch_size, **given)


@pytest.mark.parametrize("engine", ["planned", "eager"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("build", [dense, with_state])
def test_training_goes_as_with_that_size_given(
    build: Callable[[], tg.NeuralNetwork], optimizer: str, engine: EngineName
) -> None:
    chosen, given = build(), build()
    optimizers = OPTIMIZERS[optimizer](), OPTIMIZERS[optimizer]()
    options: dict[str, Any] = {"engine": engine, "clip_norm": 1.0, "validation_split": 0.2}
    auto = fit(chosen, optimizers[0], **options)
    assert auto.batch_size is not None
    explicit = fit(given, optimizers[1], auto.batch_size, **options)
    assert explicit.batch_size == auto.batch_size
    assert explicit.batch_choice is None
    np.testing.assert_array_equal(auto.training_loss, explicit.training_loss)
    np.testing.assert_array_equal(auto.validation_loss, explicit.validation_loss)
    states = chosen.state_dict(), given.state_dict()
    for name, value in states[0].items():
        np.testing.assert_array_equal(value, states[1][name])
    saved = [each.state_dict() for each in optimizers]
    for key, entry in saved[0].items():
        np.testing.assert_array_equal(np.asarray(entry), np.asarray(saved[1][key]))


def probed(
    network: tg.NeuralNetwork, rows: int = 300, accumulation_steps: int = 1, **options: Any
) -> ProbedTraining:
    x, y = (array.astype(np.float32) for array in make_data(rows))
    optimizer: Optimizer | FullBatchOptimizer = options.pop("optimizer", tg.Adam(0.01))
    trainer = tg.Trainer(network, optimizer, accumulation_steps=accumulation_steps)
    settings = trainer.step_settings(3)
    return ProbedTraining(
        network, optimizer, "auto", None, settings, TrainingData(x, y), len(x), 10, 3
    )


def test_the_probe_leaves_everything_as_it_was() -> None:
    network, optimizer = with_state(), tg.Adam(0.01)
    optimizer.step(network.flat.values, network.flat.values.copy())
    network.flat.grads[...] = 3.0

    def state() -> dict[str, Any]:
        return copy.deepcopy({**network.state_dict(), **optimizer.state_dict()})

    before = state()
    choose_batch_size(probed(network, optimizer=optimizer))
    after = state()
    assert before.keys() == after.keys()
    for name, value in before.items():
        np.testing.assert_array_equal(value, after[name])
    assert (network.flat.grads == 3.0).all()


def set_times(monkeypatch: pytest.MonkeyPatch, overhead: float, each: float) -> None:
    """Let steps take so many seconds, whatever they take."""

    def step_seconds(training: Any, optimizer: Any, sizes: list[int]) -> dict[int, float]:
        return {size: overhead + each * size for size in sizes}

    monkeypatch.setattr(batch_probe, "_step_seconds", step_seconds)


def test_the_choice_is_a_function_of_seed_and_times(monkeypatch: pytest.MonkeyPatch) -> None:
    set_times(monkeypatch, 1e-4, 1e-6)
    first, second = (choose_batch_size(probed(dense())) for _ in range(2))
    assert first.noise_scales == second.noise_scales
    assert first.batch_size == second.batch_size
    assert first.reason == second.reason
    assert [step for step, _ in first.noise_scales] == [0, 1, 2, 4, 8, 16, 32, 64, 128]


@pytest.mark.parametrize("overhead", [1e-7, 1e-5, 1e-4, 1e-2])
def test_it_is_the_smallest_of_the_best_up_to_the_noise_scale(
    monkeypatch: pytest.MonkeyPatch, overhead: float
) -> None:
    set_times(monkeypatch, overhead, 1e-6)
    choice = choose_batch_size(probed(dense(), rows=2000))
    assert choice.noise_scale is not None
    assert choice.noise_scale > 16
    cost = {
        size: (overhead + 1e-6 * size) * (1.0 + choice.noise_scale / size)
        for size in (8, 16, 32, 64, 128, 256, 512, 1024)
    }
    lowest = min(cost.values())
    for size, relative in choice.predicted_cost:
        assert relative == pytest.approx(cost[size] / lowest)
    allowed = {size: value for size, value in cost.items() if size <= choice.noise_scale}
    good = [size for size, value in allowed.items() if value <= 1.1 * min(allowed.values())]
    assert choice.batch_size == min(good)
    if overhead == 1e-7:
        assert choice.batch_size == 8
    if overhead == 1e-2:
        assert choice.batch_size == max(allowed)


def test_batches_that_are_accumulated_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    set_times(monkeypatch, 1e-2, 1e-9)
    whole = choose_batch_size(probed(dense()))
    parts = choose_batch_size(probed(dense(), accumulation_steps=4))
    assert whole.noise_scale == pytest.approx(parts.noise_scale, rel=0.05)
    assert parts.batch_size * 4 == whole.batch_size
    assert [size for size, _ in parts.step_seconds] == [2, 4, 8, 16, 32, 64]


@pytest.mark.parametrize("rows", [1, 2, 7, 15])
def test_few_rows_leave_no_choice(rows: int) -> None:
    network = tg.NeuralNetwork(tg.Dense(3, 1), loss=tg.MSELoss(), seed=0)
    history = fit(network, tg.SGD(0.01), rows=rows)
    assert history.batch_choice is not None
    assert history.batch_size == (8 if rows == 15 else rows)
    assert history.batch_choice.reason == (f"with {rows} training rows there is nothing to choose")


def test_a_few_dozen_rows() -> None:
    history = fit(dense(), tg.Adam(0.01), rows=20)
    assert history.batch_size in {8, 16}


def test_an_optimizer_that_steps_on_all_rows() -> None:
    history = fit(dense(), tg.LBFGS())
    assert history.batch_size == 300
    assert history.notes[2] == (
        "batch size: 300, chosen: LBFGS steps on all rows, whatever passes at a time"
    )


def test_a_training_that_diverges_meets_that_itself() -> None:
    network = tg.NeuralNetwork(tg.Dense(3, 1), loss=tg.MSELoss(), seed=0)
    with pytest.raises(tg.NumericalError) as error:
        fit(network, tg.SGD(1e6), epochs=40)
    history: tg.History = error.value.history
    assert history.batch_choice is not None
    assert 1 <= len(history.batch_choice.noise_scales) < 9


def test_nothing_finite_to_measure() -> None:
    network = tg.NeuralNetwork(tg.Dense(3, 1), loss=tg.MSELoss(), seed=0)
    network.flat.values[...] = 1e30
    before = network.flat.values.copy()
    with pytest.raises(tg.NumericalError):
        fit(network, tg.SGD(0.01))
    np.testing.assert_array_equal(network.flat.values, before)


def test_what_was_chosen_is_in_history_notes_and_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="typegrad"):
        history = fit(dense(), tg.Adam(0.01))
    choice = history.batch_choice
    assert choice is not None
    assert choice.batch_size == history.batch_size
    note = f"batch size: {history.batch_size}, chosen: {choice.reason}"
    assert note in history.notes
    assert note in caplog.messages
    assert choice.reason.startswith("the gradient noise scale is about ")
    assert choice.noise_scale is not None
    assert 1 <= choice.noise_scale <= 300
    assert [size for size, _ in choice.step_seconds][:3] == [8, 16, 32]
    times = [seconds for _, seconds in choice.step_seconds]
    assert times == sorted(times)
    assert 0 < choice.seconds < 20
    read = json.loads(json.dumps(history.to_dict(), allow_nan=False))
    assert tg.BatchChoice.from_dict(read["batch_choice"]) == choice


def test_a_slow_training_is_probed_for_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_probe, "_TRAINING_SECONDS", 0.0)
    monkeypatch.setattr(batch_probe, "_TIMING_SECONDS", 0.0)
    choice = choose_batch_size(probed(dense()))
    assert len(choice.noise_scales) == 1
    assert [size for size, _ in choice.step_seconds] == [8]
    assert choice.batch_size == 8


@pytest.mark.parametrize(
    ("size", "text"),
    [
        ("large", "batch_size is 'large'; expected a whole number of 1 or more, or 'auto'"),
        (0, "batch_size is 0; expected a whole number of 1 or more"),
        (2.5, "batch_size is 2.5; expected a whole number of 1 or more"),
    ],
)
def test_other_sizes_are_refused(size: Any, text: str) -> None:
    with pytest.raises(ValueError, match=f"^{text}$"):
        fit(dense(), tg.Adam(0.01), size)


def test_a_training_that_goes_on_keeps_its_size() -> None:
    with pytest.raises(ValueError, match=r"^batch_size is 'auto'") as error:
        fit(dense(), tg.Adam(0.01), initial_epoch=1)
    assert str(error.value) == (
        "batch_size is 'auto' and initial_epoch 1; expected the batch size that the training "
        "began with, which its history has"
    )
