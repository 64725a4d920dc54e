"""Robust averages, and how sure they are: the bootstrap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from typegrad.types import IntArray, Vector

REPEATS = 2000
"""How often samples are drawn anew for an interval."""

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A number, and the interval in which it lies with 95 % confidence."""

    value: float
    low: float
    high: float

    def scaled(self, factor: float) -> Estimate:
        """Multiply all three."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor)


def interquartile_mean(values: Vector) -> Vector:
    """Mean of the middle half along the last axis, with a quarter cut off at each end.

    As robust as this is nearly as precise as a mean: outliers in up to a quarter of the values,
    infinity among them, do not count (Agarwal et al. 2021, "Deep reinforcement learning at the
    edge of the statistical precipice", recommend it for few runs). It is SciPy's
    ``trim_mean(values, 0.25)``.

    >>> interquartile_mean(np.array([1.0, 2.0, 4.0, np.inf]))
    np.float64(3.0)
    """
    ordered = np.sort(values, axis=-1)
    count = ordered.shape[-1]
    cut = count // 4
    mean: Vector = ordered[..., cut : count - cut].mean(axis=-1)
    return mean


def median(values: Vector) -> Vector:
    """Median along the last axis."""
    middle: Vector = np.median(values, axis=-1)
    return middle


def draws(count: int, seed: int) -> IntArray:
    """Numbers of elements in samples drawn anew, (REPEATS, count): a function of its arguments.

    Two quantities that were measured in the same rounds, or with the same seeds, are drawn
    alike, so that what both have in common does not blur their ratio.
    """
    generator = np.random.default_rng([seed, count])
    return generator.integers(0, count, (REPEATS, count))


def interval(samples: Vector) -> tuple[float, float]:
    """Percentiles of the statistic in samples drawn anew."""
    tail = 50.0 * (1.0 - CONFIDENCE)
    # Where a sample is infinite, "inverted_cdf" has no differences of infinities to take.
    low, high = np.percentile(samples, [tail, 100.0 - tail], method="inverted_cdf")
    return float(low), float(high)


def bootstrap(values: Vector, statistic: Callable[[Vector], Vector], seed: int = 0) -> Estimate:
    """Estimate a statistic and its interval by the percentile bootstrap (Efron 1979).

    Parameters
    ----------
    values
        A sample, (n,).
    statistic
        Of the last axis.
    seed
        Of the draws.
    """
    low, high = interval(statistic(values[draws(len(values), seed)]))
    return Estimate(float(statistic(values)), low, high)
