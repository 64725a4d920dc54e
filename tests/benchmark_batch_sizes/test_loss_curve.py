"""Curves: beside a closed form, beside `Trainer.fit`, and what ends them."""

from __future__ import annotations

import math

import numpy as np
import pytest

import typegrad as tg
from typegrad.benchmark.loss_curve import LossCurve, evaluation_steps, train_curve
from typegrad.benchmark.problem import Problem, prepare_problem

from .problems import build_line, build_small, line_problem, linear_data


def one_weight(rate: float, rows: int = 64) -> Problem:
    """A weight w and the loss (w - 2)^2 for every row, so that a step is the same for all sizes."""

    def build(seed: int) -> tg.NeuralNetwork:
        del seed
        layer = tg.Dense(1, 1, bias=False, initializer=tg.initializers.Constant(0.0))
        return tg.NeuralNetwork(layer, loss=tg.MSELoss(), dtype=np.float64)

    x, y = np.ones((rows, 1)), np.full((rows, 1), 2.0)
    return prepare_problem(build, tg.SGD(rate), x, y, validation_data=(x[:5], y[:5]))


@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_steps_to_the_target_are_those_of_the_closed_form(batch_size: int) -> None:
    """w - 2 shrinks by 1 - 2 rate in each step, and the loss is its square."""
    rate, target = 0.01, 0.04
    curve = train_curve(one_weight(rate), batch_size, 0, rate, 400)
    expected = 4.0 * (1.0 - 2.0 * rate) ** (2.0 * np.array(curve.steps))
    np.testing.assert_allclose(curve.losses, expected, rtol=1e-9)
    exact = math.log(target / 4.0) / (2.0 * math.log(1.0 - 2.0 * rate))
    assert curve.steps_to(target) == pytest.approx(exact, rel=0.02)


def test_examples_count_the_smaller_last_batch() -> None:
    curve = train_curve(one_weight(0.01), 30, 0, 0.01, 7)
    assert curve.steps == (0, 1, 2, 3, 4, 5, 6, 7)
    assert curve.examples == (0, 30, 60, 64, 94, 124, 128, 158)


def test_the_noise_floor_of_sgd_is_that_of_the_theory() -> None:
    """In one dimension with x = 1 and targets of variance s^2, w's variance tends to
    s^2 / B * rate / (1 - rate) (batches drawn almost independently), and the loss to that
    above its minimum.
    """
    generator = np.random.default_rng(0)
    x, y = np.ones((4000, 1)), generator.normal(size=(4000, 1))

    def build(seed: int) -> tg.NeuralNetwork:
        del seed
        layer = tg.Dense(1, 1, bias=False, initializer=tg.initializers.Constant(0.0))
        return tg.NeuralNetwork(layer, loss=tg.MSELoss(), dtype=np.float64)

    rate = 0.4
    problem = prepare_problem(build, tg.SGD(rate), x, y, validation_data=(x, y))
    minimum = float(np.var(y))
    excess = []
    for seed in range(40):
        curve = train_curve(problem, 8, seed, rate, 60)
        excess += [loss - minimum for loss in curve.losses[-12:]]
    expected = minimum / 8 * rate / (1.0 - rate)
    assert np.mean(excess) == pytest.approx(expected, rel=0.2)


def test_a_curve_is_what_the_trainer_does() -> None:
    x, y = linear_data()
    problem = prepare_problem(build_small, tg.Adam(0.01), x, y, validation_data=(x[:50], y[:50]))
    curve = train_curve(problem, 16, 3, 0.01, 40)
    history = tg.Trainer(build_small(3), tg.Adam(0.01)).fit(
        x, y, epochs=4, batch_size=16, validation_data=(x[:50], y[:50]), seed=3
    )
    # 13 steps an epoch.
    found = dict(zip(curve.steps, curve.losses, strict=True))
    # The trainer takes the planned engine for so few steps, the curve the compiled one.
    assert found[13] == pytest.approx(history.validation_loss[0], rel=1e-5)
    assert curve.steps[-1] == 40


def test_a_curve_is_a_function_of_its_arguments() -> None:
    problem = line_problem()
    first, again = (train_curve(problem, 8, 1, 0.01, 50) for _ in range(2))
    assert first == again
    assert first != train_curve(problem, 8, 2, 0.01, 50)
    longer = train_curve(problem, 8, 1, 0.01, 80)
    common = len(first.steps) - 1
    assert longer.losses[:common] == first.losses[:common]


def test_a_curve_may_end_at_its_target() -> None:
    problem = line_problem()
    whole = train_curve(problem, 8, 0, 0.05, 2000)
    short = train_curve(problem, 8, 0, 0.05, 2000, target=0.5)
    assert whole.stop_reason == "budget"
    assert short.stop_reason == "target"
    assert short.steps[-1] < whole.steps[-1]
    assert short.steps_to(0.5) == whole.steps_to(0.5)


def test_a_curve_may_be_cut_short() -> None:
    curve = train_curve(line_problem(), 8, 0, 0.01, 2000, should_stop=lambda: True)
    assert (curve.steps, curve.stop_reason) == ((0, 1), "budget")


@pytest.mark.parametrize("rate", [1e12, 1e60])
def test_a_training_that_breaks_down_keeps_what_was_there(rate: float) -> None:
    curve = train_curve(line_problem(), 8, 0, rate, 100)
    assert curve.diverged
    assert curve.stop_reason.startswith("diverged: ")
    assert 1 <= len(curve.steps) < 10
    assert np.isfinite(curve.losses).all()
    assert ("makes weights NaN" in curve.stop_reason) == (rate == 1e60)


def test_a_validation_loss_that_is_not_finite_ends_a_curve() -> None:
    x, y = linear_data()
    far = np.full((4, 3), 1e30, np.float32)
    problem = prepare_problem(build_line, tg.SGD(0.01), x, y, validation_data=(far, y[:4]))
    curve = train_curve(problem, 8, 0, 0.01, 10)
    assert curve.stop_reason == "diverged: the validation loss is inf after 1 steps"


def test_evaluations_are_a_tenth_apart() -> None:
    steps = list(evaluation_steps(10_000))
    assert steps[-1] == 10_000
    ratios = np.array(steps[12:-1]) / np.array(steps[11:-2])
    assert ratios.max() <= 1.2
    assert len(steps) < 90
    assert list(evaluation_steps(1)) == [1]


def test_a_curve_that_is_level_reaches_nothing() -> None:
    curve = LossCurve(8, 0, 0.1, (0, 1, 2, 3), (0, 8, 16, 24), (1.0, 1.0, 1.0, 1.0))
    assert curve.steps_to(0.5) is None
    assert not curve.diverged
