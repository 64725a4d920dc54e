"""What every step-by-step optimizer promises, whatever its formula."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from typegrad.optimizers import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    Lion,
    NAdam,
    Optimizer,
    RAdam,
    RMSProp,
    optimizer_from_config,
)
from typegrad.schedules import CosineSchedule, ReduceOnPlateau, Schedule
from typegrad.types import FloatDType, Vector

FACTORIES: dict[str, Callable[[], Optimizer]] = {
    "sgd": lambda: SGD(0.05),
    "sgd-momentum": lambda: SGD(0.05, momentum=0.9, nesterov=True, weight_decay=0.01),
    "rmsprop": lambda: RMSProp(0.05, centered=True, momentum=0.5),
    "adagrad": lambda: Adagrad(0.05, initial_accumulator_value=0.1),
    "adadelta": lambda: Adadelta(0.5),
    "adam": lambda: Adam(0.05, amsgrad=True, weight_decay=0.01),
    "adamw": lambda: AdamW(0.05),
    "nadam": lambda: NAdam(0.05),
    "radam": lambda: RAdam(0.05, weight_decay=0.01),
    "lion": lambda: Lion(0.05, weight_decay=0.1),
}
each_optimizer = pytest.mark.parametrize("make", FACTORIES.values(), ids=FACTORIES.keys())
each_dtype = pytest.mark.parametrize("dtype", [np.dtype(np.float32), np.dtype(np.float64)], ids=str)


def start(dtype: FloatDType | type[np.floating] = np.float64) -> Vector:
    return np.random.default_rng(0).normal(size=5).astype(dtype)


def gradient_of(parameters: Vector) -> Vector:
    scales = np.array([1, 2, 3, 4, 5], parameters.dtype)
    return scales * parameters


def run(optimizer: Optimizer, parameters: Vector, steps: int) -> None:
    for _ in range(steps):
        optimizer.step(parameters, gradient_of(parameters))


@each_optimizer
@each_dtype
def test_only_the_buffer_changes_and_dtypes_stay(
    make: Callable[[], Optimizer], dtype: FloatDType
) -> None:
    optimizer, parameters = make(), start(dtype)
    view, gradient, before = parameters[:2], gradient_of(parameters), parameters.copy()
    kept = gradient.copy()
    optimizer.step(parameters, gradient)
    assert np.array_equal(gradient, kept)
    assert np.all(parameters != before)
    assert np.array_equal(view, parameters[:2])
    assert parameters.dtype == dtype
    assert all(value.dtype == dtype for value in optimizer.state.values())
    assert optimizer.steps == 1


@each_optimizer
def test_loss_of_a_quadratic_falls(make: Callable[[], Optimizer]) -> None:
    optimizer, parameters = make(), start()
    before = parameters @ gradient_of(parameters)
    run(optimizer, parameters, 100)
    assert parameters @ gradient_of(parameters) < 0.5 * before


@each_optimizer
def test_state_arrays_stay_where_they_are(make: Callable[[], Optimizer]) -> None:
    optimizer, parameters = make(), start()
    optimizer.prepare(parameters)
    state = optimizer.state
    run(optimizer, parameters, 2)
    assert all(optimizer.state[name] is state[name] for name in state)


@each_optimizer
def test_a_saved_state_goes_on_identically(make: Callable[[], Optimizer]) -> None:
    optimizer, parameters = make(), start()
    run(optimizer, parameters, 3)
    copy, copied_parameters = make(), parameters.copy()
    saved = optimizer.state_dict()
    copy.load_state_dict(saved)
    run(optimizer, parameters, 3)
    run(copy, copied_parameters, 3)
    assert np.array_equal(parameters, copied_parameters)
    assert copy.steps == optimizer.steps == 6
    for name, value in saved.items():  # neither of the two has written to it
        assert name == "steps" or not np.array_equal(np.asarray(value), optimizer.state[name])


@each_optimizer
def test_a_fresh_state_can_be_saved_and_loaded(make: Callable[[], Optimizer]) -> None:
    used, parameters = make(), start()
    run(used, parameters, 2)
    used.load_state_dict(make().state_dict())
    assert used.steps == 0
    again, fresh = start(), start()
    run(used, again, 2)
    run(make(), fresh, 2)
    assert np.array_equal(again, fresh)


@each_optimizer
def test_reset_makes_an_optimizer_new(make: Callable[[], Optimizer]) -> None:
    optimizer, parameters = make(), start()
    run(optimizer, parameters, 2)
    optimizer.reset()
    assert (optimizer.steps, optimizer.state) == (0, {})
    run(optimizer, np.zeros(2, np.float32), 0)
    optimizer.step(np.ones(2, np.float32), np.ones(2, np.float32))
    assert optimizer.steps == 1


@each_optimizer
def test_config_survives_json(make: Callable[[], Optimizer]) -> None:
    optimizer = make()
    text = json.dumps(optimizer.config())
    copy = optimizer_from_config(json.loads(text))
    assert type(copy) is type(optimizer)
    assert copy.config() == optimizer.config()
    assert repr(copy) == repr(optimizer)


def test_config_describes_a_schedule() -> None:
    optimizer = Adam(CosineSchedule(0.1, warmup_fraction=0.5), betas=(0.5, 0.6))
    copy = optimizer_from_config(json.loads(json.dumps(optimizer.config())))
    assert isinstance(copy, Adam)
    assert isinstance(copy.learning_rate, CosineSchedule)
    assert copy.betas == (0.5, 0.6)
    assert np.array_equal(copy.rates(0, 9, 9), optimizer.rates(0, 9, 9))


def test_rates_of_a_number_are_constant() -> None:
    assert SGD(0.5).rates(3, 5, 9).tolist() == [0.5, 0.5]


@each_dtype
def test_lion_follows_the_papers_algorithm(dtype: FloatDType) -> None:
    rate, beta1, beta2, decay = 0.01, 0.8, 0.95, 0.3
    optimizer = Lion(rate, betas=(beta1, beta2), weight_decay=decay)
    parameters = start(dtype)
    expected = [float(value) for value in parameters]
    momenta = [0.0] * 5
    generator = np.random.default_rng(1)
    for _ in range(200):
        gradient = generator.normal(size=5).astype(dtype)
        optimizer.step(parameters, gradient)
        for i in range(5):
            slope = float(gradient[i])
            mixed = beta1 * momenta[i] + (1.0 - beta1) * slope
            sign = 0.0 if mixed == 0.0 else math.copysign(1.0, mixed)
            expected[i] -= rate * (sign + decay * expected[i])
            momenta[i] = beta2 * momenta[i] + (1.0 - beta2) * slope
    np.testing.assert_allclose(parameters, expected, rtol=1e-12 if dtype == np.float64 else 1e-4)


@each_dtype
@pytest.mark.parametrize("mask_dtype", [bool, np.float32])
def test_decay_mask_chooses_entries(dtype: FloatDType, mask_dtype: type) -> None:
    mask: Vector = np.array([1, 0, 1, 0, 1], mask_dtype)
    still = np.zeros(5, dtype)
    for optimizer in (SGD(0.5, weight_decay=0.5), AdamW(0.5, weight_decay=0.5)):
        parameters = np.ones(5, dtype)
        optimizer.step(parameters, still, decay_mask=mask)
        assert parameters.tolist() == [0.75, 1.0, 0.75, 1.0, 0.75]
        assert parameters.dtype == dtype


def test_decay_mask_without_decay_changes_nothing() -> None:
    parameters = np.ones(2)
    SGD(0.5).step(parameters, np.ones(2), decay_mask=np.ones(2))
    assert parameters.tolist() == [0.5, 0.5]


def test_a_step_takes_the_rate_it_is_given() -> None:
    parameters = np.ones(1, np.float32)
    optimizer = SGD(CosineSchedule(0.1))
    optimizer.step(parameters, np.ones(1, np.float32), np.float64(0.25))
    assert parameters == 0.75
    assert parameters.dtype == np.float32


def test_numpy_options_do_not_widen_float32() -> None:
    optimizer = SGD(np.float64(0.5), momentum=np.float64(0.5))
    parameters = np.ones(1, np.float32)
    optimizer.step(parameters, np.ones(1, np.float32))
    assert parameters == 0.5
    assert type(optimizer.momentum) is float


def test_the_plateaus_state_is_saved_with_the_optimizers() -> None:
    schedule = ReduceOnPlateau(0.1, patience=0)
    for loss in (1.0, 2.0):
        schedule.observe(loss)
    copy = SGD(ReduceOnPlateau(0.1, patience=0))
    state = SGD(schedule).state_dict()
    assert state["schedule.best"] == 1.0
    copy.load_state_dict(json.loads(json.dumps(state)))
    assert copy.rates(0, 1, 1) == schedule.rate() == pytest.approx(0.01)


# --- optimizers of a user's own ---


@dataclass(frozen=True)
class Averaged(Optimizer):
    """Stateful, and returns what it got in every way that could go wrong."""

    learning_rate: float | Schedule = 0.5

    def init(self, parameters: Vector) -> dict[str, Vector]:
        return {"previous": parameters, "before": parameters}

    def update(
        self,
        parameters: Vector,
        gradient: Vector,
        state: dict[str, Vector],
        learning_rate: float,
        step: int,
    ) -> tuple[Vector, dict[str, Vector]]:
        return state["before"], {"previous": parameters, "before": state["previous"]}


def test_an_update_may_return_what_it_was_given() -> None:
    optimizer = Averaged()
    parameters = np.array([1.0])
    optimizer.prepare(parameters)
    parameters[...] = 2.0
    seen = []
    for _ in range(4):
        optimizer.step(parameters, np.zeros(1))
        seen.append([float(parameters[0]), *(float(v[0]) for v in optimizer.state.values())])
    # (parameters, previous, before) -> (before, parameters, previous)
    assert seen == [[1.0, 2.0, 1.0], [1.0, 1.0, 2.0], [2.0, 1.0, 1.0], [1.0, 2.0, 1.0]]


def test_an_optimizer_of_ones_own_is_found_by_name() -> None:
    assert isinstance(optimizer_from_config(Averaged(0.1).config()), Averaged)


def test_decoupling_an_optimizer_takes_one_line() -> None:
    class NAdamW(NAdam):
        decoupled: ClassVar[bool] = True

    parameters = np.array([1.0])
    NAdamW(0.5, weight_decay=0.5).step(parameters, np.zeros(1))
    assert parameters == 0.75


def test_a_square_that_overflows_before_radam_uses_it() -> None:
    parameters = np.array([1.0, 2.0], np.float32)
    with np.errstate(over="ignore"):
        RAdam(1e-22).step(parameters, np.array([1e20, 1.0], np.float32))
    np.testing.assert_allclose(parameters, [0.99, 2.0], rtol=1e-6)
