"""The functions that NumPy lacks, in float32: as accurate as they say."""

from __future__ import annotations

import warnings

import numpy as np
import scipy.special

from typegrad.operations import GELU, Erf
from typegrad.operations.special import NormalCDF
from typegrad.types import Array

X = np.concatenate(
    [np.linspace(-9, 9, 400_001), np.logspace(-30, 0, 10_001), -np.logspace(-30, 0, 10_001)]
).astype(np.float32)
EXACT = X.astype(np.float64)


def ulps(found: Array, expected: Array) -> float:
    size = np.spacing(np.abs(expected).astype(np.float32)).astype(np.float64)
    return float(np.max(np.abs(found - expected) / size))


def test_erf() -> None:
    found = Erf().forward(X)
    assert ulps(found, scipy.special.erf(EXACT)) <= 5
    assert np.abs(found).max() == 1.0


def test_normal_cdf() -> None:
    found = NormalCDF().forward(X)
    assert np.abs(found - scipy.special.ndtr(EXACT)).max() < 1.2e-7
    assert (found.min(), found.max()) == (0.0, 1.0)


def test_gelu() -> None:
    """For positive x accurate to some units in the last place; for negative x, to those of x."""
    operation = GELU()
    expected = EXACT * scipy.special.ndtr(EXACT)
    positive = X > 0
    found = operation.forward(X)
    assert ulps(found[positive], expected[positive]) <= 4
    assert (np.abs(found - expected) <= 1.5e-7 * np.abs(EXACT)).all()
    slope = scipy.special.ndtr(EXACT) + EXACT * np.exp(-0.5 * EXACT**2) / np.sqrt(2 * np.pi)
    assert np.abs(operation.backward(np.ones_like(X)) - slope).max() < 4e-7


def test_extremes() -> None:
    x = np.array([np.inf, 1e30, -1e30, -np.inf, np.nan], np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(Erf().forward(x), [1, 1, -1, -1, np.nan])
        np.testing.assert_array_equal(NormalCDF().forward(x), [1, 1, 0, 0, np.nan])
