"""Metrics of rows that come part by part."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from typegrad.metrics import (
    Metric,
    column_means,
    counted_rows,
    max_absolute_error,
    mean_absolute_error,
    mean_squared_error,
    output_mean,
    prediction_error,
    r2_score,
    root_mean_squared_error,
)
from typegrad.types import Array, Vector


class ErrorSums:
    """Means over all rows so far, from which the library's own metrics follow.

    Of a single part, the metrics are those of `typegrad.metrics` bit for bit; of several, up to
    rounding. Means and variances of parts are joined by the difference of the parts' means
    (Chan, Golub and LeVeque, 1983).
    """

    def __init__(self) -> None:
        self._weight = 0.0
        self._squared: Array = np.zeros(1)
        self._absolute: Array = np.zeros(1)
        self._largest = 0.0
        self._mean: Array = np.zeros(1)
        self._variance: Array = np.zeros(1)
        self._low: Array = np.array(np.inf)
        self._high: Array = np.array(-np.inf)

    def add(self, prediction: Array, target: Array, sample_weight: Vector | None) -> None:
        """Take in the next rows; those of weight zero count for nothing."""
        weight = len(target) if sample_weight is None else float(np.sum(sample_weight, dtype=float))
        if weight == 0:
            return
        error = prediction_error(prediction, target)
        actual = np.asarray(target, np.float64)
        mean = column_means(actual, sample_weight)
        variance = column_means(np.square(actual - mean), sample_weight)
        counted = counted_rows(actual, sample_weight)
        self._low = np.minimum(self._low, counted.min(axis=0))
        self._high = np.maximum(self._high, counted.max(axis=0))
        size = np.abs(error)
        self._largest = float(np.maximum(self._largest, counted_rows(size, sample_weight).max()))
        self._weight += weight
        share = weight / self._weight
        shift = mean - self._mean
        self._variance = _towards(self._variance, variance, share) + share * (1 - share) * shift**2
        self._mean = _towards(self._mean, mean, share)
        squares = column_means(np.square(error), sample_weight)
        self._squared = _towards(self._squared, squares, share)
        self._absolute = _towards(self._absolute, column_means(size, sample_weight), share)

    def mse(self) -> float:
        """Mean squared error."""
        return output_mean(self._squared)

    def rmse(self) -> float:
        """Square root of the mean squared error."""
        return float(np.sqrt(self.mse()))

    def mae(self) -> float:
        """Mean absolute error."""
        return output_mean(self._absolute)

    def max_error(self) -> float:
        """Largest absolute error."""
        return self._largest

    def r2(self) -> float:
        """Coefficient of determination, averaged over outputs."""
        total = self._variance
        constant = (total == 0) | (self._low == self._high)
        scores = 1.0 - self._squared / np.where(constant, 1.0, total)
        return output_mean(np.where(constant, self._squared == 0.0, scores))


FROM_SUMS: Mapping[Metric, Callable[[ErrorSums], float]] = {
    mean_squared_error: ErrorSums.mse,
    root_mean_squared_error: ErrorSums.rmse,
    mean_absolute_error: ErrorSums.mae,
    max_absolute_error: ErrorSums.max_error,
    r2_score: ErrorSums.r2,
}
"""Metrics that need no more than sums; all others want predictions of all rows at once."""


def _towards(before: Array, part: Array, share: float) -> Array:
    """Mean of all rows, of which the new part has a share."""
    return part if share == 1.0 else before + share * (part - before)
