"""Mean and standard deviation of columns, from rows that come part by part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from typegrad.types import Array, Vector

ROWS_AT_A_TIME = 8192
"""Rows that are worked on together wherever memory is to be bounded."""


@dataclass(frozen=True)
class _Part:
    """Moments of some rows; deviations are in units of the largest, so that squares stay finite."""

    rows: int
    mean: Vector
    residual: Vector
    largest: Vector
    variance: Vector


class ColumnMoments:
    """Mean and population standard deviation of columns, in float64.

    Within a part, the mean of the deviations from a first mean corrects that mean's rounding
    and the variance (the corrected two-pass algorithm of Chan, Golub and LeVeque, 1983).
    Deviations are divided by their largest before they are squared, so that neither tiny nor
    huge ones leave the range of float64. Parts are joined by their means' deviations from the
    first part's mean: no large numbers are subtracted but those that are near each other.
    """

    def __init__(self) -> None:
        self._parts: list[_Part] = []
        self._first: Vector = np.zeros(0)
        self._low: Vector = np.zeros(0)
        self._high: Vector = np.zeros(0)
        self._memory: Array = np.zeros((2, 0, 0))

    def add(self, rows: Array) -> None:
        """Take in the next rows, at least one: finite, of shape (rows, columns)."""
        # Each column in one piece, along which NumPy sums in half the time; kept from part to part,
        # since to get memory from the system costs more than the arithmetic.
        shape = (2, *rows.T.shape)
        if self._memory.shape != shape:
            self._memory = np.empty(shape)
        values, deviations = self._memory.transpose(0, 2, 1)
        values[...] = rows
        low, high = values.min(axis=0), values.max(axis=0)
        if self._parts:
            self._low, self._high = np.minimum(self._low, low), np.maximum(self._high, high)
        else:
            self._first, self._low, self._high = values[0].copy(), low, high
        self._parts.append(_moments(values, low == high, deviations))

    def mean_and_scale(self) -> tuple[Vector, Vector]:
        """Return means and standard deviations, the latter 1 for columns that are constant."""
        is_constant = self._low == self._high
        mean, deviation = _joined(self._parts)
        return np.where(is_constant, self._first, mean), np.where(is_constant, 1.0, deviation)


def _moments(values: Array, is_constant: Array, deviations: Array) -> _Part:
    """Return the moments; `deviations` is memory of the values' shape."""
    mean = values.mean(axis=0)
    np.subtract(values, mean, out=deviations)
    mean += deviations.mean(axis=0)
    mean = np.where(is_constant, values[0], mean)
    np.subtract(values, mean, out=deviations)
    largest = np.maximum(deviations.max(axis=0), -deviations.min(axis=0))
    largest = np.where(is_constant, 1.0, largest)
    deviations /= largest
    residual = deviations.mean(axis=0)
    deviations *= deviations
    variance = deviations.mean(axis=0) - residual**2
    return _Part(len(values), mean, residual * largest, largest, variance)


def _joined(parts: list[_Part]) -> tuple[Vector, Vector]:
    """Mean and standard deviation of all rows."""
    first = parts[0]
    if len(parts) == 1:
        return first.mean, first.largest * np.sqrt(first.variance)
    share = np.array([part.rows for part in parts])[:, None] / sum(part.rows for part in parts)
    shifts = np.array([(part.mean - first.mean) + part.residual for part in parts])
    shift = (share * shifts).sum(axis=0)
    between = shifts - shift
    within = np.array([part.largest * np.sqrt(part.variance) for part in parts])
    largest = np.maximum(np.abs(between), within).max(axis=0)
    unit = np.where(largest > 0, largest, 1.0)
    variance = (share * ((between / unit) ** 2 + (within / unit) ** 2)).sum(axis=0)
    return first.mean + shift, unit * np.sqrt(variance)
