"""Standardizer against exact arithmetic, NumPy and scikit-learn."""

from __future__ import annotations

import re
from fractions import Fraction
from math import sqrt
from typing import Any

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from typegrad.data import Standardizer
from typegrad.errors import DataError, DTypeError, FileFormatError, ShapeError, StateError
from typegrad.types import Array


def exact_moments(column: Array, unit: float = 1.0) -> tuple[float, float]:
    """Mean and population standard deviation in rational arithmetic, about `unit` large."""
    values = [Fraction(float(value)) for value in column]
    mean = sum(values, Fraction(0)) / len(values)
    variance = sum(((value - mean) ** 2 for value in values), Fraction(0)) / len(values)
    return float(mean), unit * sqrt(variance / Fraction(unit) ** 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_agrees_with_scikit_learn(dtype: Any) -> None:
    x = np.random.default_rng(1).normal(3.0, [1.0, 20.0, 1e-3], size=(101, 3)).astype(dtype)
    ours, theirs = Standardizer().fit(x), StandardScaler().fit(x.astype(np.float64))
    np.testing.assert_allclose(ours.mean, theirs.mean_, rtol=1e-14)
    np.testing.assert_allclose(ours.scale, theirs.scale_, rtol=1e-14)
    z = ours.transform(x)
    assert z.dtype == dtype
    np.testing.assert_allclose(z, theirs.transform(x.astype(np.float64)), rtol=1e-5, atol=1e-6)
    back = ours.inverse_transform(z)
    assert back.dtype == dtype
    np.testing.assert_allclose(back, x, rtol=10 * np.finfo(dtype).eps)


@pytest.mark.parametrize(
    ("offset", "spread"), [(1e8, 1e-3), (-1e8, 1.0), (0.0, 1e-200), (1e150, 1e140), (0.0, 1e250)]
)
def test_large_offsets_and_ranges(offset: float, spread: float) -> None:
    x = offset + spread * np.random.default_rng(2).normal(size=(500, 2))
    standardizer = Standardizer().fit(x)
    for j in range(2):
        mean, scale = exact_moments(x[:, j], unit=spread)
        assert standardizer.mean[j] == pytest.approx(mean, rel=1e-15, abs=1e-16 * spread)
        assert standardizer.scale[j] == pytest.approx(scale, rel=1e-14)


def test_float32_is_summed_in_float64() -> None:
    x = np.full((100_000, 1), 0.1, dtype=np.float32)
    x[0] = 0.2
    mean, scale = exact_moments(x[:, 0])
    standardizer = Standardizer().fit(x)
    assert standardizer.mean[0] == pytest.approx(mean, rel=1e-14)
    assert standardizer.scale[0] == pytest.approx(scale, rel=1e-12)


def test_constant_columns_become_zero() -> None:
    x = np.full((7, 2), [0.1, 1e9])
    standardizer = Standardizer().fit(x)
    assert standardizer.scale.tolist() == [1.0, 1.0]
    assert not standardizer.transform(x).any()
    assert Standardizer().fit(x[:1]).transform(x[:1]).tolist() == [[0.0, 0.0]]


def test_only_chosen_columns_are_touched() -> None:
    x = np.random.default_rng(3).normal(5.0, 2.0, size=(20, 3))
    standardizer = Standardizer(columns=[2, 0]).fit(x)
    z = standardizer.transform(x)
    np.testing.assert_array_equal(z[:, 1], x[:, 1])
    np.testing.assert_allclose(z[:, [0, 2]], StandardScaler().fit_transform(x[:, [0, 2]]))
    assert (standardizer.mean[1], standardizer.scale[1]) == (0.0, 1.0)
    np.testing.assert_array_equal(Standardizer(columns=[]).fit(x).transform(x), x)


def test_other_rows_use_the_fitted_moments() -> None:
    standardizer = Standardizer().fit(np.array([[0.0], [2.0]]))
    assert standardizer.transform(np.array([[5.0]])).tolist() == [[4.0]]
    assert standardizer.transform(np.empty((0, 1))).shape == (0, 1)


@pytest.mark.parametrize("columns", [None, [1], []])
def test_state_round_trip(columns: list[int] | None) -> None:
    x = np.random.default_rng(4).normal(size=(9, 2))
    original = Standardizer(columns).fit(x)
    restored = Standardizer.from_state(original.state())
    assert restored.fitted
    np.testing.assert_array_equal(restored.transform(x), original.transform(x))
    np.testing.assert_array_equal(restored.fit(2 * x).mean, original.fit(2 * x).mean)


def test_use_before_fit() -> None:
    standardizer = Standardizer()
    assert not standardizer.fitted
    x = np.zeros((1, 1))
    message = "^this Standardizer is not fitted; call fit\\(x\\) with the training rows first$"
    for use in (standardizer.transform, standardizer.inverse_transform):
        with pytest.raises(StateError, match=message):
            use(x)
    with pytest.raises(StateError, match=message):
        standardizer.state()


@pytest.mark.parametrize("columns", [[-1], [1, 1]])
def test_bad_columns(columns: list[int]) -> None:
    message = f"Standardizer got columns {columns}; it expects different indices from 0 on"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        Standardizer(columns)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (
            np.zeros(3),
            ShapeError,
            "Standardizer.fit got an array of shape (3,); it expects (rows, columns)",
        ),
        (
            np.zeros((0, 2)),
            DataError,
            "Standardizer.fit got x with no rows; it needs at least one",
        ),
        (
            np.array([[1.0, 2.0], [3.0, np.nan]]),
            DataError,
            "Standardizer.fit got x[1, 1] = nan; fill gaps and remove infinite values first",
        ),
        (
            np.array([[-np.inf]]),
            DataError,
            "Standardizer.fit got x[0, 0] = -inf; fill gaps and remove infinite values first",
        ),
        (
            np.zeros((2, 2), dtype=int),
            DTypeError,
            "Standardizer.fit got dtype int64; it expects a floating-point array, "
            "such as np.asarray(x, dtype=np.float64)",
        ),
        (
            np.ma.masked_invalid(np.array([[1.0, 2.0], [3.0, np.nan]])),
            DataError,
            "Standardizer.fit: x has masked elements; fill them, or drop their rows, and give a "
            "plain array",
        ),
        (
            [[1.0]],
            DTypeError,
            "Standardizer.fit got a list; it expects a floating-point array, "
            "such as np.asarray(x, dtype=np.float64)",
        ),
    ],
)
def test_fit_refuses(x: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        Standardizer().fit(x)


def test_wrong_width() -> None:
    message = re.escape(
        "Standardizer.fit got x of shape (2, 3), but column 3 is to be standardised; "
        "x needs at least 4 columns"
    )
    with pytest.raises(ShapeError, match=f"^{message}$"):
        Standardizer([0, 3]).fit(np.zeros((2, 3)))
    standardizer = Standardizer().fit(np.zeros((2, 3)))
    for method in ("transform", "inverse_transform"):
        message = re.escape(
            f"Standardizer.{method} got an array of shape (2, 1); it was fitted to rows of "
            "3 columns and expects (rows, 3)"
        )
        with pytest.raises(ShapeError, match=f"^{message}$"):
            getattr(standardizer, method)(np.zeros((2, 1)))


GOOD = {"mean": np.zeros(2), "scale": np.ones(2)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": None}, " has the arrays ['scale']; expected mean, scale and perhaps columns"),
        ({"extra": np.zeros(1)}, " has the arrays ['extra', 'mean', 'scale']; expected mean, "),
        ({"mean": np.zeros((2, 1))}, ": mean has shape (2, 1) and dtype float64; expected finite"),
        ({"scale": np.ones(2, np.float32)}, ": scale has shape (2,) and dtype float32; expected"),
        ({"mean": np.array([np.nan, 0.0])}, ": mean has shape (2,) and dtype float64; expected"),
        ({"scale": np.ones(3)}, ": scale has shape (3,) and least value 1.0; expected shape (2,)"),
        ({"scale": np.array([1.0, 0.0])}, ": scale has shape (2,) and least value 0.0; expected"),
        ({"columns": np.array([2])}, ": columns are [2] of dtype int64; expected different int64"),
        ({"columns": np.array([0, 0])}, ": columns are [0, 0] of dtype int64; expected"),
        ({"columns": np.array([0.0])}, ": columns are [0.0] of dtype float64; expected"),
        ({"columns": np.array([[0]])}, ": columns are [[0]] of dtype int64; expected"),
    ],
)
def test_hostile_state(change: dict[str, Any], message: str) -> None:
    state = {name: array for name, array in (GOOD | change).items() if array is not None}
    with pytest.raises(FileFormatError, match=f"^state of a Standardizer{re.escape(message)}"):
        Standardizer.from_state(state)
