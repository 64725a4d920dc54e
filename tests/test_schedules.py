"""Schedules against PyTorch's, their limits, and their state."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

from typegrad.schedules import (
    ConstantSchedule,
    CosineSchedule,
    ExponentialSchedule,
    LinearSchedule,
    OneCycleSchedule,
    ReduceOnPlateau,
    Schedule,
    StepSchedule,
    as_schedule,
    schedule_from_config,
)
from typegrad.types import Vector

SCHEDULES: list[Schedule] = [
    ConstantSchedule(0.1),
    StepSchedule(0.1, every=7, factor=0.3),
    ExponentialSchedule(0.1, factor=0.9),
    LinearSchedule(0.1, final_learning_rate=0.02),
    CosineSchedule(0.1, warmup_fraction=0.2, final_learning_rate=0.01),
    OneCycleSchedule(0.1, warmup_fraction=0.25, div_factor=10.0, final_div_factor=100.0),
    ReduceOnPlateau(0.1, patience=3, mode="max"),
]
each_schedule = pytest.mark.parametrize(
    "schedule", SCHEDULES, ids=[type(each).__name__ for each in SCHEDULES]
)


def pytorch_rates(make: Callable[[torch.optim.Optimizer], Any], steps: int) -> Vector:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = make(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return np.array(rates)


def warm_cosine(optimizer: torch.optim.Optimizer) -> Any:
    up = lr_scheduler.LinearLR(optimizer, start_factor=1 / 11, end_factor=1.0, total_iters=10)
    down = lr_scheduler.CosineAnnealingLR(optimizer, T_max=40, eta_min=0.01)
    return lr_scheduler.SequentialLR(optimizer, [up, down], milestones=[10])


PYTORCH: list[Callable[[torch.optim.Optimizer], Any]] = [
    lambda optimizer: lr_scheduler.ConstantLR(optimizer, factor=1.0),
    lambda optimizer: lr_scheduler.StepLR(optimizer, step_size=7, gamma=0.3),
    lambda optimizer: lr_scheduler.ExponentialLR(optimizer, gamma=0.9),
    lambda optimizer: lr_scheduler.LinearLR(
        optimizer, start_factor=1.0, end_factor=0.2, total_iters=50
    ),
    warm_cosine,
    lambda optimizer: lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.1, total_steps=51, pct_start=0.25, div_factor=10, final_div_factor=100
    ),
]


@pytest.mark.parametrize(("schedule", "theirs"), [*zip(SCHEDULES[:-1], PYTORCH, strict=True)])
def test_rates_equal_pytorchs(
    schedule: Schedule, theirs: Callable[[torch.optim.Optimizer], Any]
) -> None:
    # One more for one-cycle, since PyTorch refuses the call after the last step.
    total = 51 if isinstance(schedule, OneCycleSchedule) else 50
    rates = schedule.rates(0, 50, total)
    assert rates.dtype == np.float64
    np.testing.assert_allclose(rates, pytorch_rates(theirs, 50), rtol=1e-12)


@each_schedule
def test_a_part_of_the_rates_is_the_same_as_in_the_whole(schedule: Schedule) -> None:
    whole = schedule.rates(0, 50, 50)
    assert np.array_equal(schedule.rates(20, 30, 50), whole[20:30])
    assert schedule.rate(20, 50) == whole[20]
    assert schedule.rates(5, 5, 50).shape == (0,)


@each_schedule
@pytest.mark.parametrize("total", [1, 2, 3, 4, 5])
def test_short_runs_have_rates(schedule: Schedule, total: int) -> None:
    rates = schedule.rates(0, total, total)
    assert np.all(rates > 0.0)
    assert np.all(rates <= 0.1)


@each_schedule
def test_config_survives_json(schedule: Schedule) -> None:
    copy = schedule_from_config(json.loads(json.dumps(schedule.config())))
    assert type(copy) is type(schedule)
    assert repr(copy) == repr(schedule)


@pytest.mark.parametrize(
    ("schedule", "final"),
    [
        (LinearSchedule(0.1, final_learning_rate=0.02), 0.02),
        (CosineSchedule(0.1, warmup_fraction=0.2, final_learning_rate=0.01), 0.01),
        (OneCycleSchedule(0.1, div_factor=10.0, final_div_factor=100.0), 0.1 / 1000.0),
    ],
)
def test_a_longer_run_keeps_the_final_rate(schedule: Schedule, final: float) -> None:
    np.testing.assert_allclose(schedule.rates(50, 80, 50), final, rtol=1e-12)


def test_a_warm_up_of_nearly_everything() -> None:
    assert CosineSchedule(1.0, warmup_fraction=0.9).rates(0, 4, 2).tolist() == [1 / 3, 2 / 3, 1, 0]


def test_one_cycle_without_warm_up_starts_at_the_peak() -> None:
    rates = OneCycleSchedule(0.1, warmup_fraction=0.0).rates(0, 100, 100)
    assert rates[0] == pytest.approx(0.1, rel=1e-3)
    assert np.all(np.diff(rates) < 0.0)


def test_one_cycle_rises_and_falls_to_its_limits() -> None:
    rates = OneCycleSchedule(0.1, warmup_fraction=0.3).rates(0, 100, 100)
    assert rates[0] == pytest.approx(0.1 / 25.0)
    assert rates[29] == pytest.approx(0.1)
    assert rates[-1] == pytest.approx(0.1 / 25.0 / 1e4)


def test_a_number_is_a_constant_schedule() -> None:
    schedule = as_schedule(0.25)
    assert schedule.rates(0, 2, 2).tolist() == [0.25, 0.25]
    assert as_schedule(schedule) is schedule


# --- ReduceOnPlateau ---

METRICS = np.abs(np.random.default_rng(0).normal(size=200)) + np.linspace(3.0, 1.0, 200)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize(("patience", "cooldown"), [(0, 0), (2, 0), (3, 4)])
def test_plateau_follows_pytorchs(mode: Any, patience: int, cooldown: int) -> None:
    options: dict[str, Any] = {
        "factor": 0.7,
        "patience": patience,
        "threshold": 0.01,
        "cooldown": cooldown,
    }
    ours = ReduceOnPlateau(0.1, mode=mode, min_learning_rate=0.002, **options)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    theirs = lr_scheduler.ReduceLROnPlateau(optimizer, mode=mode, min_lr=0.002, eps=0.0, **options)
    seen = set()
    for metric in METRICS:
        ours.observe(metric)
        theirs.step(metric)
        assert ours.rate() == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        seen.add(ours.rate())
    assert len(seen) > 3


def test_plateau_of_a_negative_metric_must_improve_by_its_threshold() -> None:
    schedule = ReduceOnPlateau(1.0, factor=0.5, patience=0, threshold=0.1)
    schedule.observe(-10.0)
    schedule.observe(-12.0)
    assert schedule.rate() == 1.0
    schedule.observe(-12.5)  # better, but not by a tenth
    assert schedule.rate() == 0.5


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_plateau_counts_a_metric_that_is_not_finite_as_no_improvement(value: float) -> None:
    schedule = ReduceOnPlateau(1.0, factor=0.5, patience=0)
    schedule.observe(value)
    schedule.observe(2.0)
    before = schedule.rate()
    schedule.observe(value)
    assert schedule.rate() == 0.5 * before
    assert schedule.state_dict()["best"] == 2.0


def test_plateau_does_not_raise_a_rate_below_its_minimum() -> None:
    schedule = ReduceOnPlateau(0.1, patience=0, min_learning_rate=0.5)
    for metric in (1.0, 2.0):
        schedule.observe(metric)
    assert schedule.rate() == 0.1


@pytest.mark.parametrize("seen", [0, 1, 30])
def test_a_saved_plateau_goes_on_identically(seen: int) -> None:
    schedule = ReduceOnPlateau(0.1, patience=2, cooldown=1, factor=0.9)
    for metric in METRICS[:seen]:
        schedule.observe(metric)
    copy = ReduceOnPlateau(0.1, patience=2, cooldown=1, factor=0.9)
    copy.load_state_dict(json.loads(json.dumps(schedule.state_dict())))
    for metric in METRICS[seen:]:
        schedule.observe(metric)
        copy.observe(metric)
        assert schedule.state_dict() == copy.state_dict()
    assert schedule.rate() < 0.1


# --- bad inputs ---

WRONG_TYPE: list[Any] = ["0.1", 2.5, "least"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: ConstantSchedule(-0.1),
            "ConstantSchedule: learning_rate is -0.1, but must be a number in [0, inf)",
        ),
        (
            lambda: as_schedule(WRONG_TYPE[0]),
            "ConstantSchedule: learning_rate is '0.1', but must be a number in [0, inf)",
        ),
        (
            lambda: StepSchedule(0.1, every=0),
            "StepSchedule: every is 0, but must be a whole number in [1, inf)",
        ),
        (
            lambda: StepSchedule(0.1, every=WRONG_TYPE[1]),
            "StepSchedule: every is 2.5, but must be a whole number in [1, inf)",
        ),
        (
            lambda: ExponentialSchedule(0.1, factor=1.5),
            "ExponentialSchedule: factor is 1.5, but must be a number in (0, 1]",
        ),
        (
            lambda: LinearSchedule(0.1, final_learning_rate=-1.0),
            "LinearSchedule: final_learning_rate is -1.0, but must be a number in [0, inf)",
        ),
        (
            lambda: CosineSchedule(0.1, warmup_fraction=1.0),
            "CosineSchedule: warmup_fraction is 1.0, but must be a number in [0, 1)",
        ),
        (
            lambda: OneCycleSchedule(0.1, div_factor=0.0),
            "OneCycleSchedule: div_factor is 0.0, but must be a number in (0, inf)",
        ),
        (
            lambda: ReduceOnPlateau(0.1, patience=-1),
            "ReduceOnPlateau: patience is -1, but must be a whole number in [0, inf)",
        ),
        (
            lambda: ReduceOnPlateau(0.1, mode=WRONG_TYPE[2]),
            "ReduceOnPlateau: mode is 'least', but must be 'min' or 'max'",
        ),
        (
            lambda: ConstantSchedule(0.1).rates(3, 2, 10),
            "rates of steps 3 to 2 of 10: expected 0 <= start <= stop and total_steps >= 1",
        ),
        (
            lambda: ConstantSchedule(0.1).rates(0, 2, 0),
            "rates of steps 0 to 2 of 0: expected 0 <= start <= stop and total_steps >= 1",
        ),
        (
            lambda: ConstantSchedule(0.1).load_state_dict({"best": 1.0}),
            "ConstantSchedule: state has the entries ['best'], but must have []",
        ),
        (
            lambda: ReduceOnPlateau(0.1).load_state_dict({"best": 1.0}),
            "ReduceOnPlateau: state has the entries ['best'], but must have ['best', "
            "'cooldown_left', 'epochs_without_improvement', 'learning_rate']",
        ),
        (
            lambda: ReduceOnPlateau(0.1).load_state_dict(
                {**ReduceOnPlateau(0.1).state_dict(), "cooldown_left": 0.5}
            ),
            "ReduceOnPlateau: cooldown_left is 0.5, but must be a whole number in [0, inf)",
        ),
        (
            lambda: ReduceOnPlateau(0.1).load_state_dict(
                {**ReduceOnPlateau(0.1).state_dict(), "learning_rate": None}
            ),
            "ReduceOnPlateau: learning_rate is None, but must be a number in [0, inf)",
        ),
        (
            lambda: schedule_from_config({"class": "StepSchedule", "learning_rate": 0.1}),
            "StepSchedule: option 'every' is missing",
        ),
        (
            lambda: schedule_from_config({"class": "StepSchedule", "gamma": 0.1}),
            "StepSchedule has no option 'gamma'; its options are learning_rate, every, factor",
        ),
    ],
)
def test_a_bad_value_is_named(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make()


def test_an_unknown_schedule_is_named() -> None:
    with pytest.raises(ValueError, match=r"^there is no schedule 'Cosine'; there are .*Constant"):
        schedule_from_config({"class": "Cosine"})
