"""Schedules drive the learning rate of every step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import typegrad as tg
from typegrad.types import Array, Vector

ROWS, BATCH, EPOCHS = 22, 5, 4
STEPS_PER_EPOCH = 5
STEPS = STEPS_PER_EPOCH * EPOCHS


def make_data() -> tuple[Array, Array]:
    x = np.random.default_rng(0).normal(size=(ROWS, 2))
    return x, x[:, :1] * 3.0


def make_network() -> tg.NeuralNetwork:
    return tg.NeuralNetwork(tg.Dense(2, 1), loss=tg.MSELoss(), seed=0, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class RecordingSGD(tg.Optimizer):
    """Remembers the rate of each step, as a number that only the eager engine gives."""

    learning_rate: float | tg.Schedule = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "seen", [])

    def init(self, parameters: Vector) -> dict[str, Vector]:
        return {}

    def update(
        self,
        parameters: Vector,
        gradient: Vector,
        state: dict[str, Vector],
        learning_rate: float,
        step: int,
    ) -> tuple[Vector, dict[str, Vector]]:
        vars(self)["seen"].append(learning_rate)
        return parameters - learning_rate * gradient, {}


SCHEDULES: list[tg.Schedule] = [
    tg.ConstantSchedule(0.1),
    tg.StepSchedule(0.1, every=7, factor=0.5),
    tg.ExponentialSchedule(0.1, factor=0.9),
    tg.LinearSchedule(0.1),
    tg.CosineSchedule(0.1, warmup_fraction=0.2),
    tg.OneCycleSchedule(0.1),
]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: type(schedule).__name__)
def test_each_step_has_the_schedules_rate(schedule: tg.Schedule) -> None:
    optimizer = RecordingSGD(schedule)
    history = tg.Trainer(make_network(), optimizer, engine="eager").fit(
        *make_data(), epochs=EPOCHS, batch_size=BATCH
    )
    expected = schedule.rates(0, STEPS, STEPS)
    np.testing.assert_array_equal(vars(optimizer)["seen"], expected)
    np.testing.assert_array_equal(
        history.learning_rates, expected[STEPS_PER_EPOCH - 1 :: STEPS_PER_EPOCH]
    )


def test_accumulated_batches_are_one_step() -> None:
    schedule = tg.LinearSchedule(0.1)
    optimizer = RecordingSGD(schedule)
    tg.Trainer(make_network(), optimizer, accumulation_steps=2, engine="eager").fit(
        *make_data(), epochs=EPOCHS, batch_size=BATCH
    )
    np.testing.assert_array_equal(vars(optimizer)["seen"], schedule.rates(0, 12, 12))


def test_resuming_goes_on_where_the_schedule_was() -> None:
    schedule = tg.CosineSchedule(0.1)
    optimizer = RecordingSGD(schedule)
    tg.Trainer(make_network(), optimizer, engine="eager").fit(
        *make_data(), epochs=EPOCHS, batch_size=BATCH, initial_epoch=3
    )
    np.testing.assert_array_equal(
        vars(optimizer)["seen"], schedule.rates(3 * STEPS_PER_EPOCH, STEPS, STEPS)
    )


def fit_to_plateau(evaluate_every: int, *, validate: bool) -> tuple[tg.History, tg.Schedule]:
    """Rates so small that no epoch improves by the threshold."""
    schedule = tg.ReduceOnPlateau(1e-9, factor=0.5, patience=1)
    x, y = make_data()
    history = tg.Trainer(make_network(), tg.SGD(schedule)).fit(
        x,
        y,
        epochs=7,
        batch_size=BATCH,
        validation_data=(x, y) if validate else None,
        evaluate_every=evaluate_every,
    )
    return history, schedule


@pytest.mark.parametrize("validate", [True, False])
def test_reduce_on_plateau_hears_each_evaluation(validate: bool) -> None:
    """The first is the best; then each second one without improvement halves the rate."""
    history, schedule = fit_to_plateau(1, validate=validate)
    np.testing.assert_array_equal(
        history.learning_rates, np.array([1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25]) * 1e-9
    )
    best = (history.validation_loss if validate else history.training_loss)[0]
    assert schedule.state_dict()["best"] == best


def test_reduce_on_plateau_waits_for_evaluations() -> None:
    """Of seven epochs, the second, fourth, sixth and the last are evaluated."""
    history, schedule = fit_to_plateau(2, validate=True)
    np.testing.assert_array_equal(history.learning_rates, np.array([1.0] * 6 + [0.5]) * 1e-9)
    assert schedule.state_dict()["epochs_without_improvement"] == 1
