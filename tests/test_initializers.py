"""Initializers: distributions against theory, orthogonality, and the generator passed."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from scipy import stats

from typegrad import initializers
from typegrad.errors import ShapeError
from typegrad.initializers import (
    Constant,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LeCunNormal,
    LeCunUniform,
    Normal,
    OrthogonalNormal,
    OrthogonalUniform,
    Uniform,
    Zeros,
)
from typegrad.operations.parameter import Initializer
from typegrad.types import Shape

DRAWN: list[tuple[Initializer, Shape, float, str]] = [
    (GlorotNormal(), (300, 200), 2 / 500, "norm"),
    (GlorotUniform(), (300, 200), 2 / 500, "uniform"),
    (HeNormal(), (300, 200), 2 / 300, "norm"),
    (HeUniform(), (300, 200), 2 / 300, "uniform"),
    (LeCunNormal(), (300, 200), 1 / 300, "norm"),
    (LeCunUniform(), (300, 200), 1 / 300, "uniform"),
    # Axes between the first and the last count as part of both fans.
    (GlorotNormal(), (40, 5, 5, 60), 2 / (25 * 100), "norm"),
    (HeUniform(), (40, 5, 5, 60), 2 / (25 * 40), "uniform"),
    (LeCunNormal(), (40, 25, 60), 1 / (25 * 40), "norm"),
    (Normal(), (60000,), 1.0, "norm"),
    (Normal(0.02), (200, 300), 0.02**2, "norm"),
    (Uniform(), (60000,), 1 / 3, "uniform"),
    (Uniform(0.3), (200, 300), 0.3**2 / 3, "uniform"),
]
SCALED: list[Initializer] = [
    GlorotNormal(),
    GlorotUniform(),
    HeNormal(),
    HeUniform(),
    LeCunNormal(),
    LeCunUniform(),
]
ORTHOGONAL = [OrthogonalNormal, OrthogonalUniform]


def test_every_initializer_is_tested() -> None:
    tested = {type(initializer).__name__ for initializer, *_ in DRAWN}
    tested |= {cls.__name__ for cls in ORTHOGONAL} | {"Zeros", "Constant"}
    assert tested == set(initializers.__all__)


@pytest.mark.parametrize(("initializer", "shape", "variance", "family"), DRAWN)
def test_the_distribution_is_that_of_the_paper(
    initializer: Initializer, shape: Shape, variance: float, family: str
) -> None:
    draw = initializer(shape, np.random.default_rng(1))
    assert draw.shape == shape
    assert draw.dtype == np.float64
    # The variance of a sample variance is (kurtosis - 1) variance^2 / n.
    kurtosis = 3.0 if family == "norm" else 1.8
    n = draw.size
    assert draw.mean() == pytest.approx(0.0, abs=4 * math.sqrt(variance / n))
    spread = variance * math.sqrt((kurtosis - 1) / n)
    assert np.mean(np.square(draw)) == pytest.approx(variance, abs=4 * spread)
    if family == "norm":
        expected = stats.norm(scale=math.sqrt(variance))
    else:
        limit = math.sqrt(3 * variance)
        expected = stats.uniform(-limit, 2 * limit)
        assert np.abs(draw).max() <= limit
    assert stats.kstest(draw.ravel(), expected.cdf).pvalue > 1e-3


@pytest.mark.parametrize("cls", ORTHOGONAL)
@pytest.mark.parametrize("shape", [(5, 5), (8, 3), (3, 8), (1, 4), (4, 1), (2, 3, 4), (5, 3, 2)])
@pytest.mark.parametrize("gain", [1.0, 1.5])
def test_orthonormal_rows_or_columns(
    cls: type[OrthogonalNormal | OrthogonalUniform], shape: Shape, gain: float
) -> None:
    draw = cls(gain)(shape, np.random.default_rng(2))
    assert draw.shape == shape
    matrix = draw.reshape(-1, shape[-1]) / gain
    product = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    np.testing.assert_allclose(product, np.eye(min(matrix.shape)), atol=1e-14)


def test_orthogonal_matrices_of_normal_draws_have_no_preferred_direction() -> None:
    """Uniform (Haar) on O(2): both signs of the determinant, uniform angles."""
    generator = np.random.default_rng(3)
    draws = np.array([OrthogonalNormal()((2, 2), generator) for _ in range(2000)])
    angles = np.arctan2(draws[:, 1, 0], draws[:, 0, 0])
    assert stats.kstest(angles, stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 1e-3
    positive = int(np.sum(np.linalg.det(draws) > 0))
    assert stats.binomtest(positive, 2000).pvalue > 1e-3


def test_constants() -> None:
    generator = np.random.default_rng(0)
    np.testing.assert_array_equal(Zeros()((2, 3), generator), np.zeros((2, 3)))
    np.testing.assert_array_equal(Constant(1.5)((4,), generator), np.full(4, 1.5))
    untouched = np.random.default_rng(0)
    assert generator.random() == untouched.random()


ALL_DRAWN: list[Initializer] = [
    *SCALED,
    Normal(),
    Uniform(),
    OrthogonalNormal(),
    OrthogonalUniform(),
]


@pytest.mark.parametrize("initializer", ALL_DRAWN, ids=repr)
def test_values_come_from_the_generator_alone(initializer: Initializer) -> None:
    generator = np.random.default_rng(4)
    first, second = initializer((4, 3), generator), initializer((4, 3), generator)
    again = initializer((4, 3), np.random.default_rng(4))
    np.testing.assert_array_equal(first, again)
    assert not np.isclose(first, second).any()


NEEDS_FANS: list[Initializer] = [*SCALED, OrthogonalNormal(), OrthogonalUniform()]


@pytest.mark.parametrize("initializer", NEEDS_FANS, ids=repr)
@pytest.mark.parametrize("shape", [(), (5,)])
def test_shapes_without_fans(initializer: Initializer, shape: Shape) -> None:
    message = (
        f"a parameter of shape {shape} has no fan-in and fan-out; "
        "initialize it with Zeros, Constant, Normal or Uniform"
    )
    with pytest.raises(ShapeError, match=re.escape(message) + "$"):
        initializer(shape, np.random.default_rng(0))


def test_initializers_are_values() -> None:
    assert HeNormal() == HeNormal()
    assert Constant(1.0) != Constant(2.0)
    assert str(OrthogonalNormal(2.0)) == "OrthogonalNormal(gain=2.0)"
