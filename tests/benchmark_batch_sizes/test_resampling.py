"""Robust means, and the bootstrap, beside SciPy's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from typegrad.benchmark.resampling import (
    Estimate,
    bootstrap,
    draws,
    interquartile_mean,
    interval,
    median,
)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 13])
def test_interquartile_mean_is_scipys_trimmed_mean(count: int) -> None:
    values = np.random.default_rng(count).normal(size=(3, count))
    np.testing.assert_allclose(interquartile_mean(values), stats.trim_mean(values, 0.25, axis=1))


def test_a_quarter_of_the_values_may_be_infinite() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, math.inf, math.inf])
    assert interquartile_mean(values) == 4.5
    values[0] = math.inf
    assert interquartile_mean(values) == math.inf


@pytest.mark.parametrize(("statistic", "name"), [(median, "median"), (interquartile_mean, "iqm")])
def test_intervals_are_scipys(statistic: object, name: str) -> None:
    del name
    assert callable(statistic)
    values = np.random.default_rng(1).lognormal(size=30)
    mine = bootstrap(values, statistic)
    theirs = stats.bootstrap(
        (values,), statistic, method="percentile", n_resamples=20_000, rng=np.random.default_rng(2)
    ).confidence_interval
    width = theirs.high - theirs.low
    assert mine.value == pytest.approx(statistic(values))
    assert mine.low == pytest.approx(theirs.low, abs=0.1 * width)
    assert mine.high == pytest.approx(theirs.high, abs=0.1 * width)


def test_intervals_contain_the_truth_about_as_often_as_they_say() -> None:
    generator = np.random.default_rng(3)
    hits = 0
    for _ in range(200):
        found = bootstrap(generator.normal(size=25), median)
        hits += found.low <= 0.0 <= found.high
    assert 180 <= hits <= 200


def test_draws_are_a_function_of_their_arguments() -> None:
    np.testing.assert_array_equal(draws(7, 1), draws(7, 1))
    assert not np.array_equal(draws(7, 1), draws(7, 2))
    assert draws(7, 1).max() == 6


def test_intervals_may_end_at_infinity() -> None:
    assert interval(np.array([1.0] * 90 + [math.inf] * 10)) == (1.0, math.inf)


def test_scaling() -> None:
    assert Estimate(2.0, 1.0, 3.0).scaled(10.0) == Estimate(20.0, 10.0, 30.0)
