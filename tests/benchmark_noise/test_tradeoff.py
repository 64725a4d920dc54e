"""The fit of steps against examples, on points made from the law."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.optimize import least_squares

import typegrad as tg
from typegrad.benchmark import Tradeoff, fit_tradeoff
from typegrad.types import Array

Float64s = npt.NDArray[np.float64]

SIZES: Float64s = np.logspace(0, 12, 13, base=2.0)
MIN_STEPS, CRITICAL = 100.0, 60.0


def law(sizes: npt.ArrayLike) -> Float64s:
    """Steps to the target."""
    return np.asarray(MIN_STEPS * (1.0 + CRITICAL / np.asarray(sizes)))


def measured(seed: int, repeats: int, noise: float, astray: int = 0) -> tuple[Float64s, Float64s]:
    """Batch sizes, and steps with log-normal noise; some of them are four times too many."""
    rng = np.random.default_rng(seed)
    sizes = np.repeat(SIZES, repeats)
    steps = law(sizes) * np.exp(noise * rng.normal(size=len(sizes)))
    steps[rng.choice(len(steps), astray, replace=False)] *= 4.0
    return sizes, steps


def fitted(sizes: Array, steps: Array, **options: Any) -> Tradeoff:
    return fit_tradeoff(steps, sizes * steps, **options)


def test_points_on_the_curve_give_it_back() -> None:
    fit = fitted(SIZES, law(SIZES))
    assert fit.critical_batch_size == pytest.approx(CRITICAL, rel=1e-3)
    assert fit.min_steps == pytest.approx(MIN_STEPS, rel=1e-3)
    assert fit.min_examples == pytest.approx(MIN_STEPS * CRITICAL, rel=1e-3)
    assert fit.critical_low == pytest.approx(fit.critical_high, rel=1e-3)
    assert fit.spread == pytest.approx(1.0, abs=1e-3)
    assert fit.r_squared == pytest.approx(1.0, abs=1e-5)
    assert fit.points == 13
    assert fit.notes == ()


def test_steps_and_examples_obey_the_law_of_the_paper() -> None:
    fit = fitted(*measured(0, 3, 0.1))
    steps, examples = fit.steps_at(SIZES), fit.examples_at(SIZES)
    np.testing.assert_allclose((steps / fit.min_steps - 1) * (examples / fit.min_examples - 1), 1.0)
    np.testing.assert_allclose(examples, SIZES * steps)
    at_critical = float(fit.steps_at(fit.critical_batch_size))
    assert at_critical == pytest.approx(2.0 * fit.min_steps)
    assert float(fit.examples_at(fit.critical_batch_size)) == pytest.approx(2.0 * fit.min_examples)


@pytest.mark.parametrize(("seed", "noise", "astray"), [(0, 0.1, 0), (1, 0.3, 0), (2, 0.1, 4)])
def test_the_optimum_is_that_of_scipy(seed: int, noise: float, astray: int) -> None:
    sizes, steps = measured(seed, 5, noise, astray)
    fit = fitted(sizes, steps)

    def residuals(parameters: Float64s) -> Float64s:
        constant, critical = parameters
        return np.asarray(np.log(steps) - constant - np.log1p(np.exp(critical) / sizes))

    # The scale is part of the estimate: the same one, from the fit of least absolute errors.
    robust = least_squares(residuals, [5.0, 3.0], loss="soft_l1", f_scale=1e-3).x
    scale = 1.4826 * float(np.median(np.abs(residuals(robust))))
    expected = least_squares(residuals, [5.0, 3.0], loss="huber", f_scale=1.345 * scale).x
    assert math.log(fit.critical_batch_size) == pytest.approx(expected[1], abs=0.02)
    assert math.log(fit.min_steps) == pytest.approx(expected[0], abs=0.02)
    found = np.log(steps / fit.steps_at(sizes))
    assert math.log(fit.spread) == pytest.approx(float(np.sqrt(np.mean(found**2))))
    variance = np.sum((np.log(steps) - np.log(steps).mean()) ** 2)
    assert fit.r_squared == pytest.approx(float(1.0 - np.sum(found**2) / variance))


@pytest.mark.parametrize(("repeats", "noise", "astray"), [(1, 0.1, 0), (3, 0.3, 0), (5, 0.1, 4)])
def test_intervals_cover_the_truth(repeats: int, noise: float, astray: int) -> None:
    inside = np.zeros(3)
    for seed in range(30):
        fit = fitted(*measured(seed, repeats, noise, astray), resamples=80)
        truths = (CRITICAL, MIN_STEPS, MIN_STEPS * CRITICAL)
        ranges = (
            (fit.critical_low, fit.critical_high),
            fit.min_steps_interval,
            fit.min_examples_interval,
        )
        for index, (truth, (low, high)) in enumerate(zip(truths, ranges, strict=True)):
            inside[index] += low <= truth <= high
    assert np.all(inside >= 24)  # of 30 intervals of 95 %


def test_measurements_that_went_astray_hardly_count() -> None:
    clean, spoilt = (fitted(*measured(3, 5, 0.05, astray)) for astray in (0, 4))
    assert spoilt.critical_batch_size == pytest.approx(clean.critical_batch_size, rel=0.06)
    assert spoilt.min_steps == pytest.approx(clean.min_steps, rel=0.04)
    assert spoilt.spread > 1.2
    assert clean.spread < 1.1


def test_every_size_weighs_the_same() -> None:
    """Where the law does not hold, sizes that were measured often do not decide for the others."""
    sizes = np.array([1.0, 8.0, 64.0, 512.0])
    steps = law(sizes) * np.array([1.0, 1.3, 1.0, 1.2])
    often = np.repeat([0, 1, 2, 3], [2, 2, 30, 2])
    once, many = fitted(sizes, steps), fitted(sizes[often], steps[often])
    assert many.points == 36
    assert many.critical_batch_size == pytest.approx(once.critical_batch_size, rel=0.1)


def test_a_fit_is_a_function_of_the_seed() -> None:
    points = measured(0, 2, 0.2)
    first, second, third = (fitted(*points, seed=seed) for seed in (0, 0, 1))
    assert first == second
    assert first.critical_batch_size == third.critical_batch_size
    assert first.critical_high != third.critical_high
    narrow = fitted(*points, confidence=0.5)
    assert first.critical_low < narrow.critical_low < narrow.critical_high < first.critical_high


def test_steps_that_fall_in_proportion_leave_the_critical_size_open() -> None:
    rng = np.random.default_rng(0)
    steps = 5000.0 / SIZES * np.exp(0.01 * rng.normal(size=13))
    fit = fitted(SIZES, steps)
    assert fit.critical_batch_size == fit.critical_high == math.inf
    assert fit.critical_low > 4096
    assert fit.min_steps == 0.0
    assert fit.min_examples == pytest.approx(5000.0, rel=0.01)
    assert float(fit.steps_at(10)) == pytest.approx(500.0, rel=0.01)
    assert fit.notes == (
        "steps fall in proportion up to batches of 4096 rows: the critical batch size is larger "
        "than all that were measured; measure larger ones",
    )
    described = json.loads(json.dumps(fit.to_dict(), allow_nan=False))
    assert described["critical_batch_size"] is None
    assert described["min_examples"] == fit.min_examples
    assert described["min_steps_interval"] == list(fit.min_steps_interval)


def test_steps_that_do_not_fall() -> None:
    fit = fitted(SIZES, np.full(13, 300.0))
    assert fit.critical_batch_size == fit.critical_low == 0.0
    assert fit.min_steps == pytest.approx(300.0)
    assert fit.min_examples == 0.0
    assert fit.r_squared == 0.0
    assert fit.notes == (
        "steps do not fall with the batch size from 1 on: the critical batch size is smaller "
        "than all that were measured",
    )


def test_steps_that_rise_again() -> None:
    steps = law(SIZES) * (1.0 + SIZES / 300.0)
    fit = fitted(SIZES, steps)
    rises, misses = fit.notes[-2:]
    assert rises == (
        "steps rise from 209.5 with batches of 128 rows to 1487 with 4096, where the law has them "
        "fall; a learning rate that does not suit the larger size does that"
    )
    assert misses.startswith("the law does not fit well: with batches of ")


def test_a_critical_size_outside_of_those_measured() -> None:
    sizes = np.array([256.0, 512.0, 1024.0, 2048.0])
    fit = fitted(sizes, law(sizes))
    assert fit.critical_batch_size == pytest.approx(CRITICAL, rel=0.01)
    assert fit.notes == (
        "the critical batch size, 60, is outside of the sizes measured, 256 to 2048 rows",
    )


def test_text() -> None:
    fit = fitted(SIZES, law(SIZES), confidence=0.9)
    assert str(fit) == (
        "critical batch size 60 (90% interval 60 to 60); at least 100 steps and 6e+03 examples"
    )


@pytest.mark.parametrize(
    ("steps", "examples", "error", "text"),
    [
        ([5.0, 5.0, 4.0], [10.0, 10.0, 16.0], tg.DataError,
         "fit_tradeoff: the runs have 2 different batch sizes; two parameters and a check of "
         "the fit need 3 or more"),
        ([5.0], [10.0], tg.DataError, "fit_tradeoff: the runs have 1 different batch sizes; "),
        ([], [], tg.DataError, "fit_tradeoff: the runs have 0 different batch sizes; "),
        ([5.0, math.inf, 3.0], [5.0, 6.0, 12.0], tg.DataError,
         "fit_tradeoff: steps[1] is inf; expected positive numbers. "
         "Leave out runs that did not reach the target"),
        ([5.0, 4.0, 3.0], [5.0, 6.0, 0.0], tg.DataError, "fit_tradeoff: examples[2] is 0.0; "),
        ([5.0, 4.0], [5.0], tg.ShapeError,
         "fit_tradeoff: steps have shape (2,) and examples (1,); expected (runs,) for both"),
    ],
)  # fmt: skip
def test_points_that_cannot_be_fitted(
    steps: list[float], examples: list[float], error: type[Exception], text: str
) -> None:
    with pytest.raises(error) as raised:
        fit_tradeoff(steps, examples)
    assert str(raised.value).startswith(text)


def test_options_out_of_range() -> None:
    with pytest.raises(ValueError, match=r"^resamples is 5; expected a whole number of 20 or more"):
        fitted(SIZES, law(SIZES), resamples=5)
    with pytest.raises(ValueError, match=r"^confidence is 2; expected a number between 0 and 1$"):
        fitted(SIZES, law(SIZES), confidence=2)
    fit = fitted(SIZES, law(SIZES))
    with pytest.raises(ValueError, match=r"^batch_size is 0; expected positive numbers$"):
        fit.steps_at(0)
