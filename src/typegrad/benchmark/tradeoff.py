"""The trade of steps against examples, and the critical batch size.

Source: McCandlish, Kaplan, Amodei and the OpenAI Dota Team, "An Empirical Model of
Large-Batch Training", 2018. Training to a target with batches of B examples takes S steps and
E = B S examples, with (S / S_min - 1) (E / E_min - 1) = 1. That is

    S = S_min + E_min / B        E = E_min + S_min B

and at the critical batch size, E_min / S_min, both are twice their least.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from typegrad.errors import DataError, ShapeError
from typegrad.noise_scale import check_confidence
from typegrad.options import check_count

__all__ = ["Tradeoff", "fit_tradeoff"]

Float64s = npt.NDArray[np.float64]

_HUBER = 1.345
"""In standard deviations: 95 % efficient for normal errors (Huber, 1964)."""

_OUTSIDE = 100.0
"""Critical batch sizes are looked for this far outside of the sizes measured."""

_GRID = 81
_REWEIGHTINGS = 8
_LARGE_MISS = math.log(1.5)
_RISE = math.log(1.1)


@dataclass(frozen=True)
class Tradeoff:
    """The law fitted to measured points.

    Attributes
    ----------
    critical_batch_size : float
        E_min / S_min. Infinity if steps still fall in proportion at the largest size, zero if
        they do not fall at all.
    critical_low, critical_high : float
        Interval for it.
    min_steps, min_examples : float
        S_min and E_min: what very large, and very small, batches come to.
    min_steps_interval, min_examples_interval : tuple of float
        Intervals for them.
    confidence : float
        Of the intervals.
    spread : float
        Typical factor between measured and fitted steps, 1 or more: 1.1 is ten per cent.
    r_squared : float
        Share of the variance of log steps that the law explains.
    points : int
        How many measurements it was fitted to.
    notes : tuple of str
        What does not look like the law, or was not to be had from the points; often empty.
    """

    critical_batch_size: float
    critical_low: float
    critical_high: float
    min_steps: float
    min_examples: float
    min_steps_interval: tuple[float, float]
    min_examples_interval: tuple[float, float]
    confidence: float
    spread: float
    r_squared: float
    points: int
    notes: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"critical batch size {self.critical_batch_size:.3g} ({self.confidence:.0%} interval "
            f"{self.critical_low:.3g} to {self.critical_high:.3g}); at least "
            f"{self.min_steps:.3g} steps and {self.min_examples:.3g} examples"
        )

    def steps_at(self, batch_size: npt.ArrayLike) -> Float64s:
        """Steps to the target for a batch size, or an array of them."""
        steps: Float64s = self.min_steps + self.min_examples / _batch_sizes(batch_size)
        return steps

    def examples_at(self, batch_size: npt.ArrayLike) -> Float64s:
        """Examples to the target for a batch size, or an array of them."""
        examples: Float64s = self.min_examples + self.min_steps * _batch_sizes(batch_size)
        return examples

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers by name, fit for JSON: None stands for infinity."""
        return {name: _json_value(value) for name, value in asdict(self).items()}


def fit_tradeoff(
    steps: npt.ArrayLike,
    examples: npt.ArrayLike,
    *,
    confidence: float = 0.95,
    resamples: int = 400,
    seed: int = 0,
) -> Tradeoff:
    """Fit the law to measured steps and examples to one target.

    Steps are fitted in logarithms, with Huber's loss, which bounds the weight of a
    measurement that went astray, and every batch size weighs the same, however often it was
    measured. Intervals are percentiles of a bootstrap of residuals, which
    are scaled for the two parameters that were fitted and for Student's t.

    Parameters
    ----------
    steps, examples
        Of each run that reached the target, (runs,): positive, finite, of three batch sizes
        or more. A batch size may occur many times, with other seeds. Runs that did not reach
        the target have no place here; where many are missing, the fit is too good for that size.
    confidence
        Of the intervals, between 0 and 1.
    resamples, seed
        Of the bootstrap.

    Raises
    ------
    ShapeError
        If there are not as many steps as examples.
    DataError
        If a number is not positive and finite, or there are fewer than three batch sizes.

    Examples
    --------
    >>> batch_size = np.array([4, 16, 64, 256, 1024])
    >>> steps = np.array([5098, 1346, 413, 178, 120])
    >>> fit = fit_tradeoff(steps, batch_size * steps)
    >>> round(fit.critical_batch_size), round(fit.min_steps), round(fit.min_examples)
    (199, 100, 19967)
    >>> print(fit.steps_at(200).round())
    200.0
    """
    check_confidence(confidence)
    check_count("resamples", resamples, at_least=20)
    log_steps, log_sizes = _checked_points(steps, examples)
    fit = _Fit(log_sizes)
    constant, critical = (float(value[0]) for value in fit.solve(log_steps[None]))
    residuals = log_steps - fit.predict(constant, critical)
    again = fit.predict(constant, critical) + _resampled(residuals, confidence, resamples, seed)
    constants, criticals = fit.solve(again, _scale(residuals))
    ends = (0.5 - confidence / 2.0, 0.5 + confidence / 2.0)
    min_steps, min_examples = _least(np.array([constant]), np.array([critical]))
    all_steps, all_examples = _least(constants, criticals)
    low, high = _percentiles(np.exp(criticals), ends)
    value = math.exp(critical) if critical < math.inf else math.inf
    return Tradeoff(
        critical_batch_size=value,
        critical_low=min(low, value),
        critical_high=max(high, value),
        min_steps=float(min_steps[0]),
        min_examples=float(min_examples[0]),
        min_steps_interval=_percentiles(all_steps, ends),
        min_examples_interval=_percentiles(all_examples, ends),
        confidence=confidence,
        spread=math.exp(math.sqrt(float(np.mean(residuals**2)))),
        r_squared=_r_squared(log_steps, residuals),
        points=len(log_steps),
        notes=tuple(_notes(log_sizes, log_steps, residuals, critical)),
    )


class _Fit:
    """Fits log S = c + log(1 + B_crit / B) by a search over log B_crit.

    For given B_crit the constant is a robust mean, so a search along one line finds the best
    of all. Its ends stand for B_crit = 0 and infinity; there, log S = c and log S = c - log B.
    """

    def __init__(self, log_sizes: Float64s) -> None:
        self.log_sizes = log_sizes
        _, places, counts = np.unique(log_sizes.round(9), return_inverse=True, return_counts=True)
        self._weights = 1.0 / counts[places]
        margin = math.log(_OUTSIDE)
        self._grid = np.linspace(log_sizes.min() - margin, log_sizes.max() + margin, _GRID)

    def shape(self, log_critical: Float64s) -> Float64s:
        """Log S without its constant, of shape (..., points); the constant fits the ends too."""
        critical = np.asarray(log_critical)[..., None]
        finite = np.where(np.isfinite(critical), critical, 0.0)
        curve = np.logaddexp(0.0, finite - self.log_sizes)
        curve = np.where(critical == math.inf, -self.log_sizes, curve)
        bent: Float64s = np.where(critical == -math.inf, 0.0, curve)
        return bent

    def predict(self, constant: float, log_critical: float) -> Float64s:
        """Log S of every point."""
        return constant + self.shape(np.array(log_critical))

    def solve(self, log_steps: Float64s, scale: float | None = None) -> tuple[Float64s, Float64s]:
        """Constants and log B_crit for rows of log S, (rows, points).

        The scale says which residuals are large; it is found from each row if not given.
        """
        # Row by row: all at once would take rows * grid * points numbers.
        found = [self._solve_row(row, scale) for row in log_steps]
        constants, criticals = np.array(found).T
        return constants, criticals

    def _solve_row(self, row: Float64s, scale: float | None) -> tuple[float, float]:
        if scale is None:
            scale = self._robust_scale(row)
        _, costs = self._constants(row, self._grid, scale)
        best = int(np.argmin(costs))
        if best in (0, _GRID - 1):
            end = -math.inf if best == 0 else math.inf
            constant, _ = self._constants(row, np.array([end]), scale)
            return float(constant[0]), end
        left, right = self._grid[best - 1], self._grid[best + 1]
        while right - left > 1e-3:
            inner = np.linspace(left, right, 9)
            constants, costs = self._constants(row, inner, scale)
            best = int(np.argmin(costs))
            left, right = inner[max(best - 1, 0)], inner[min(best + 1, 8)]
        return float(constants[best]), float(inner[best])

    def _constants(
        self, row: Float64s, log_criticals: Float64s, scale: float
    ) -> tuple[Float64s, Float64s]:
        """For each B_crit the best constant and its cost, by iterated reweighting."""
        rest = row - self.shape(log_criticals)
        limit = _HUBER * scale
        constants = np.median(rest, axis=-1)
        for _ in range(_REWEIGHTINGS):
            sizes = np.abs(rest - constants[:, None])
            weights = self._weights * np.minimum(1.0, limit / np.maximum(sizes, 1e-300))
            constants = np.sum(weights * rest, axis=-1) / np.sum(weights, axis=-1)
        sizes = np.abs(rest - constants[:, None])
        inside = np.minimum(sizes, limit)
        return constants, np.sum(self._weights * inside * (sizes - 0.5 * inside), axis=-1)

    def _robust_scale(self, row: Float64s) -> float:
        """From the fit with the least sum of absolute residuals."""
        rest = row - self.shape(self._grid)
        residuals = rest - np.median(rest, axis=-1, keepdims=True)
        return _scale(residuals[np.argmin(np.sum(self._weights * np.abs(residuals), axis=-1))])


def _scale(residuals: Float64s) -> float:
    """Standard deviation by the median, as for normal residuals; never zero."""
    return max(1.4826 * float(np.median(np.abs(residuals))), 1e-6)


def _resampled(residuals: Float64s, confidence: float, resamples: int, seed: int) -> Float64s:
    """Residuals drawn with replacement, (resamples, points)."""
    n = len(residuals)
    generator = np.random.default_rng(seed)
    free = max(n - 2, 1)
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    student = 1.0 + (z**2 + 1.0) / (4.0 * free)  # t / z, the first term of its expansion
    # Not centred: the fit has seen to that, and a mean would follow those that went astray.
    drawn: Float64s = generator.choice(residuals * math.sqrt(n / free) * student, (resamples, n))
    return drawn


def _least(constants: Float64s, log_criticals: Float64s) -> tuple[Float64s, Float64s]:
    """S_min and E_min."""
    linear = log_criticals == math.inf
    finite = np.where(linear, 0.0, log_criticals)
    steps = np.where(linear, 0.0, np.exp(constants))
    return steps, np.exp(constants + finite)


def _percentiles(values: Float64s, ends: tuple[float, float]) -> tuple[float, float]:
    # No interpolation: between a number and infinity there is none.
    low, high = np.quantile(values, ends, method="nearest")
    return float(low), float(high)


def _r_squared(log_steps: Float64s, residuals: Float64s) -> float:
    total = float(np.sum((log_steps - log_steps.mean()) ** 2))
    return 1.0 - float(np.sum(residuals**2)) / total if total > 0.0 else 0.0


def _notes(
    log_sizes: Float64s, log_steps: Float64s, residuals: Float64s, log_critical: float
) -> Sequence[str]:
    notes = []
    sizes = np.unique(log_sizes.round(9))
    rows = [np.isclose(log_sizes, size, atol=1e-8) for size in sizes]
    smallest, largest = math.exp(sizes[0]), math.exp(sizes[-1])
    if log_critical == math.inf:
        notes.append(
            f"steps fall in proportion up to batches of {largest:.4g} rows: the critical batch "
            "size is larger than all that were measured; measure larger ones"
        )
    elif log_critical == -math.inf:
        notes.append(
            f"steps do not fall with the batch size from {smallest:.4g} on: the critical "
            "batch size is smaller than all that were measured"
        )
    elif not sizes[0] <= log_critical <= sizes[-1]:
        notes.append(
            f"the critical batch size, {math.exp(log_critical):.3g}, is outside of the sizes "
            f"measured, {smallest:.4g} to {largest:.4g} rows"
        )
    medians = [float(np.median(log_steps[row])) for row in rows]
    low = int(np.argmin(medians))
    top = low + int(np.argmax(medians[low:]))
    tolerance = max(_RISE, 2.0 * _scale(residuals))
    if medians[top] - medians[low] > tolerance:
        notes.append(
            f"steps rise from {math.exp(medians[low]):.4g} with batches of "
            f"{math.exp(sizes[low]):.4g} rows to {math.exp(medians[top]):.4g} with "
            f"{math.exp(sizes[top]):.4g}, where the law has them fall; a learning rate that does "
            "not suit the larger size does that"
        )
    misses = [float(np.median(residuals[row])) for row in rows]
    worst = int(np.argmax(np.abs(misses)))
    by_chance = 3.0 * _scale(residuals) / math.sqrt(rows[worst].sum())
    if abs(misses[worst]) > max(_LARGE_MISS, by_chance):
        notes.append(
            f"the law does not fit well: with batches of {math.exp(sizes[worst]):.4g} rows it is "
            f"off by a factor of {math.exp(abs(misses[worst])):.2g}"
        )
    return notes


def _checked_points(steps: npt.ArrayLike, examples: npt.ArrayLike) -> tuple[Float64s, Float64s]:
    """Logarithms of steps and of batch sizes."""
    given = np.asarray(steps, np.float64), np.asarray(examples, np.float64)
    if given[0].ndim != 1 or given[0].shape != given[1].shape:
        raise ShapeError(
            f"fit_tradeoff: steps have shape {given[0].shape} and examples {given[1].shape}; "
            "expected (runs,) for both"
        )
    for name, values in zip(("steps", "examples"), given, strict=True):
        bad = ~(np.isfinite(values) & (values > 0.0))
        if bad.any():
            run = int(np.argmax(bad))
            raise DataError(
                f"fit_tradeoff: {name}[{run}] is {values[run]}; expected positive numbers. "
                "Leave out runs that did not reach the target"
            )
    log_steps, log_examples = np.log(given[0]), np.log(given[1])
    log_sizes: Float64s = log_examples - log_steps
    distinct = len(np.unique(log_sizes.round(9)))
    if distinct < 3:
        raise DataError(
            f"fit_tradeoff: the runs have {distinct} different batch sizes; two parameters "
            "and a check of the fit need 3 or more"
        )
    return log_steps, log_sizes


def _batch_sizes(batch_size: npt.ArrayLike) -> Float64s:
    sizes = np.asarray(batch_size, np.float64)
    if not (sizes > 0.0).all():
        raise ValueError(f"batch_size is {batch_size!r}; expected positive numbers")
    return sizes


def _json_value(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_json_value(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
