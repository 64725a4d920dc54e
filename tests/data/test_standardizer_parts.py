"""A standardizer that is fitted to parts."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import typegrad as tg
from typegrad.data.moments import ROWS_AT_A_TIME, ColumnMoments
from typegrad.types import Array


def exact(column: Array, unit: float) -> tuple[float, float]:
    """Mean and standard deviation, with fractions; the variance in units, to be in range."""
    values = [Fraction(float(value)) for value in column]
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / len(values) / Fraction(unit) ** 2
    return float(mean), unit * float(variance) ** 0.5


@pytest.mark.parametrize("cuts", [[1], [250], [3, 4, 100, 499]])
@pytest.mark.parametrize(
    ("location", "scale"), [(0.0, 1.0), (1e9, 1e-3), (-3.0, 1e-180), (0.0, 1e200), (1e-300, 1e-302)]
)
def test_parts_against_fractions(cuts: list[int], location: float, scale: float) -> None:
    column = location + scale * np.random.default_rng(0).normal(size=500)
    column[:100] += 4 * scale  # Parts differ.
    moments = ColumnMoments()
    for part in np.split(column.reshape(-1, 1), cuts):
        moments.add(part)
    mean, deviation = moments.mean_and_scale()
    expected_mean, expected_deviation = exact(column, scale)
    if np.ptp(column) == 0:  # The spread is lost in the location's rounding.
        expected_deviation = 1.0
    assert deviation[0] == pytest.approx(expected_deviation, rel=1e-13)
    assert abs(mean[0] - expected_mean) <= 4e-16 * max(abs(expected_mean), scale)


def test_parts_that_are_constant() -> None:
    moments = ColumnMoments()
    for value in (0.1, 0.1, 0.3):
        moments.add(np.full((7, 2), [value, 5.5]))
    mean, deviation = moments.mean_and_scale()
    assert mean == pytest.approx([0.5 / 3, 5.5], rel=1e-15)
    assert mean[1] == 5.5
    assert deviation == pytest.approx([np.std([0.1, 0.1, 0.3]), 1.0], rel=1e-14)
    assert deviation[1] == 1.0


def test_fit_of_many_rows() -> None:
    x = np.random.default_rng(0).normal(5.0, 3.0, size=(2 * ROWS_AT_A_TIME + 77, 3))
    x[:ROWS_AT_A_TIME, 0] += 100.0
    fitted = tg.Standardizer(columns=[0, 2]).fit(x)
    np.testing.assert_allclose(fitted.mean[[0, 2]], x.mean(axis=0)[[0, 2]], rtol=1e-14)
    np.testing.assert_allclose(fitted.scale[[0, 2]], x.std(axis=0)[[0, 2]], rtol=1e-13)
    assert fitted.mean[1] == 0.0
    assert fitted.scale[1] == 1.0


def test_fit_in_parts_equals_fit() -> None:
    x = np.random.default_rng(0).normal(5.0, 3.0, size=(2 * ROWS_AT_A_TIME + 77, 3))
    whole = tg.Standardizer().fit(x)
    parts = tg.Standardizer()
    fit = parts.begin_fit(x.shape)
    for start in range(0, len(x), ROWS_AT_A_TIME):
        fit.add(x[start : start + ROWS_AT_A_TIME])
        assert not parts.fitted
    fit.end()
    np.testing.assert_array_equal(parts.mean, whole.mean)
    np.testing.assert_array_equal(parts.scale, whole.scale)
