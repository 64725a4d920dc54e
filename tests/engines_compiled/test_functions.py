"""Native element-wise functions: exact where NumPy's are, else within stated ulps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from typegrad.engines.compiled.elementwise import C_NAMES, FUNCTIONS
from typegrad.types import Array

from .accuracy import ULPS, allowed_ulps, samples, special_values, ulps
from .native_calls import apply, operand_count

EXACT: dict[str, Callable[..., Any]] = {
    "copy": lambda a: a,
    "negative": np.negative,
    "absolute": np.absolute,
    "sqrt": np.sqrt,
    "square": np.square,
    "sign": np.sign,
    "floor": np.floor,
    "reciprocal": lambda a: 1 / a,
    "inverse_root": lambda a: 1 / np.sqrt(a),
    "inverse_square": lambda a: 1 / (a * a),
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "outer": np.multiply,
    "divide": np.divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "equal": np.equal,
    "not_equal": np.not_equal,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "logical_not": np.logical_not,
    "where": lambda condition, a, b: np.where(condition != 0, a, b),
    "cube": lambda a: a * a * a,
    "fourth_power": lambda a: a * a * a * a,
    "flush_denormals": lambda a: np.where(np.abs(a) < np.finfo(a.dtype).tiny, 0.0, a),
}
LOGADDEXP_ULPS = 6.0
"""Of the result or of the larger operand, from which it may differ little; 4 were found.

The errors of exp and log1p count in full where the operand is negative and next to zero.
"""

C_LIBRARY_ULPS = 3.0
"""Of functions that the C library computes; the GNU library states 2."""

every_target = pytest.mark.usefixtures("every_target")
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def test_every_function_is_tested() -> None:
    assert FUNCTIONS.keys() == {*EXACT, *ULPS, *C_NAMES, "logaddexp"}


@every_target
@dtypes
@pytest.mark.parametrize("name", EXACT)
def test_exact(name: str, dtype: str) -> None:
    values = special_values(dtype)
    first, second = (grid.ravel() for grid in np.meshgrid(values, values))
    arguments = [first, second, first[::-1].copy()][: operand_count(name)]
    with np.errstate(all="ignore"):
        expected = EXACT[name](*arguments)
    np.testing.assert_array_equal(apply(name, *arguments), expected.astype(dtype))


@every_target
@dtypes
@pytest.mark.parametrize("name", ULPS)
def test_within_ulps(name: str, dtype: str) -> None:
    values = samples(dtype)
    function = getattr(np, name)
    with np.errstate(all="ignore"):
        exact = function(values.astype(np.longdouble if dtype == "float64" else np.float64))
    errors = ulps(apply(name, values), exact)
    worst = int(np.argmax(errors))
    assert errors[worst] <= allowed_ulps(name, dtype), f"{name}({values[worst]!r})"


@every_target
@dtypes
@pytest.mark.parametrize("name", ULPS)
def test_special_values(name: str, dtype: str) -> None:
    values = special_values(dtype)
    with np.errstate(all="ignore"):
        expected: Array = getattr(np, name)(values)
    found = apply(name, values)
    same = np.isfinite(expected) & (expected != 0)
    np.testing.assert_array_equal(found[~same], expected[~same])
    np.testing.assert_array_equal(np.signbit(found[same]), np.signbit(expected[same]))
    tolerance = 4 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(found[same], expected[same], rtol=tolerance)


@every_target
@dtypes
@pytest.mark.parametrize("name", C_NAMES)
def test_functions_of_the_c_library(name: str, dtype: str) -> None:
    function = getattr(np, name)
    values = np.concatenate([special_values(dtype), samples(dtype)])
    arguments = [values, values[::-1].copy()][: function.nin]
    with np.errstate(all="ignore"):
        wide = np.longdouble if dtype == "float64" else np.float64
        exact = function(*[argument.astype(wide) for argument in arguments])
        expected = function(*arguments)
    found = apply(name, *arguments)
    assert np.max(ulps(found, exact)) <= C_LIBRARY_ULPS
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_array_equal(np.isinf(found), np.isinf(expected))
    is_zero = expected == 0
    np.testing.assert_array_equal(np.signbit(found[is_zero]), np.signbit(expected[is_zero]))


@every_target
@dtypes
def test_powers_of_two_have_whole_logarithms(dtype: str) -> None:
    limits = np.finfo(dtype)
    exponents = np.arange(limits.minexp - limits.nmant, limits.maxexp)
    np.testing.assert_array_equal(apply("log2", np.ldexp(np.ones(1, dtype), exponents)), exponents)


@every_target
@dtypes
def test_logaddexp(dtype: str) -> None:
    """Against NumPy's in the same dtype, whose difference of the operands is rounded too."""
    first = samples(dtype)
    near = first + np.random.default_rng(1).uniform(-30.0, 30.0, first.size).astype(dtype)
    for second in (near, first[::-1].copy()):
        expected = np.logaddexp(first, second)
        unit = np.spacing(np.maximum(np.abs(expected), np.abs(np.maximum(first, second))))
        with np.errstate(invalid="ignore"):
            errors = np.abs(apply("logaddexp", first, second) - expected) / unit
        assert np.nanmax(errors) <= LOGADDEXP_ULPS


@every_target
@dtypes
def test_logaddexp_of_special_values(dtype: str) -> None:
    values = special_values(dtype)
    first, second = (grid.ravel() for grid in np.meshgrid(values, values))
    with np.errstate(all="ignore"):
        expected = np.logaddexp(first, second)
    tolerance = 4 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(apply("logaddexp", first, second), expected, rtol=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("name", ULPS)
def test_all_numbers(name: str) -> None:
    """Every float32 there is."""
    worst = 0.0
    for start in range(0, 2**32, 2**24):
        values = np.arange(start, start + 2**24, dtype=np.uint32).view(np.float32)
        with np.errstate(all="ignore"):
            exact = getattr(np, name)(values.astype(np.float64))
        worst = max(worst, float(np.max(ulps(apply(name, values), exact))))
    assert worst <= allowed_ulps(name, "float32")
