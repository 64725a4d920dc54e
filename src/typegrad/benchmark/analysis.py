"""From measurements to numbers for each batch size, with intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from typegrad.benchmark.crossing import best_loss
from typegrad.benchmark.loss_curve import LossCurve
from typegrad.benchmark.measurements import Measurements
from typegrad.benchmark.resampling import (
    REPEATS,
    Estimate,
    bootstrap,
    draws,
    interquartile_mean,
    interval,
    median,
)
from typegrad.benchmark.step_timing import StepTiming
from typegrad.types import Vector

SEED_DRAWS, ROUND_DRAWS = 1, 2
"""Seeds of the bootstrap's draws of seeds and of rounds."""

_LEAST_STEPS = 0.001

_MARGIN = 0.02
"""Share of the way from the first loss down to the best that a chosen target is above it."""

_SHARES_OF_TIME = (0.5, 1.0)
"""Shares of the time budget within which a chosen target is to be reached."""

_SIZES_REACHING, _SEEDS_REACHING = 0.6, 0.75
"""Shares of the sizes, and of the seeds of each, that a chosen target is to be reached by."""


@dataclass(frozen=True)
class Analysis:
    """Numbers for each size, for one target.

    Attributes
    ----------
    measurements
        What was measured.
    target
        Validation loss to be reached; minus infinity if there is none.
    """

    measurements: Measurements
    target: float

    @cached_property
    def steps_by_seed(self) -> dict[int, dict[int, float]]:
        """Steps to the target, infinite where it was not reached, by size and seed."""
        found: dict[int, dict[int, float]] = {}
        for curve in self.measurements.curves:
            steps = curve.steps_to(self.target)
            found.setdefault(curve.batch_size, {})[curve.seed] = (
                math.inf if steps is None else steps
            )
        return found

    def timing(self, engine: str, batch_size: int) -> StepTiming:
        """Find what was measured of an engine's steps."""
        return next(
            each
            for each in self.measurements.timings
            if (each.engine, each.batch_size) == (engine, batch_size)
        )

    def seconds_per_step(self, engine: str, batch_size: int) -> Estimate:
        """Median over the rounds."""
        seconds = np.array(self.timing(engine, batch_size).seconds)
        return bootstrap(seconds, median, ROUND_DRAWS)

    def steps_to_target(self, batch_size: int) -> Estimate | None:
        """Interquartile geometric mean over the seeds; None where too few reach the target."""
        logs = self._log_steps(batch_size)
        estimate = bootstrap(logs, interquartile_mean, SEED_DRAWS)
        return _exponential(estimate)

    def examples_to_target(self, batch_size: int) -> Estimate | None:
        """Rows used until the target is reached, each time they are used."""
        steps = self.steps_to_target(batch_size)
        if steps is None:
            return None
        return steps.scaled(self.rows_per_step(batch_size))

    def seconds_to_target(self, engine: str, batch_size: int) -> Estimate | None:
        """Steps to the target times seconds for a step; evaluations are not counted."""
        logs, seconds = self._log_steps(batch_size), self._seconds(engine, batch_size)
        value = float(interquartile_mean(logs) + np.log(np.median(seconds)))
        samples = _resampled(logs, SEED_DRAWS) + _resampled_log_median(seconds)
        return _exponential(Estimate(value, *interval(samples)))

    def throughput(self, engine: str, batch_size: int) -> Estimate:
        """Examples in a second, over whole epochs."""
        timing = self.timing(engine, batch_size)
        seconds = self.seconds_per_step(engine, batch_size)
        return Estimate(
            timing.rows_per_step / seconds.value,
            timing.rows_per_step / seconds.high,
            timing.rows_per_step / seconds.low,
        )

    def time_ratio(self, engine: str, batch_size: int, other: int) -> Estimate | None:
        """Seconds to the target of one size, divided by those of another.

        From the seeds that both were trained with. None if one does not reach the target.
        """
        return self._ratio(batch_size, other, lambda size: self._seconds(engine, size))

    def examples_ratio(self, batch_size: int, other: int) -> Estimate | None:
        """Examples to the target of one size, divided by those of another; as `time_ratio`."""
        return self._ratio(batch_size, other, lambda size: np.array([self.rows_per_step(size)]))

    def throughput_ratio(self, engine: str, batch_size: int, other: int) -> Estimate:
        """Examples in a second with one size, divided by those with another."""
        rates = [
            self.timing(engine, size).rows_per_step / self._seconds(engine, size)
            for size in (batch_size, other)
        ]
        low, high = interval(_resampled_log_median(rates[0]) - _resampled_log_median(rates[1]))
        value = float(np.median(rates[0]) / np.median(rates[1]))
        return Estimate(value, math.exp(low), math.exp(high))

    def _ratio(self, batch_size: int, other: int, cost: Callable[[int], Vector]) -> Estimate | None:
        """Ratio of steps to the target times the median cost of a step."""
        mine, others = self.steps_by_seed[batch_size], self.steps_by_seed[other]
        common = sorted(mine.keys() & others.keys())
        value, samples = 0.0, np.zeros(REPEATS)
        for sign, steps, size in ((1.0, mine, batch_size), (-1.0, others, other)):
            logs = _log_steps(steps[seed] for seed in common)
            mean = float(interquartile_mean(logs))
            if not math.isfinite(mean):
                return None
            value += sign * (mean + math.log(np.median(cost(size))))
            samples += sign * (_resampled(logs, SEED_DRAWS) + _resampled_log_median(cost(size)))
        low, high = interval(np.nan_to_num(samples, nan=0.0, posinf=math.inf, neginf=-math.inf))
        return Estimate(math.exp(value), math.exp(low), _exp(high))

    def reached(self, batch_size: int) -> tuple[int, int]:
        """How many seeds reach the target, and of how many."""
        steps = self.steps_by_seed[batch_size].values()
        return sum(map(math.isfinite, steps)), len(steps)

    def best_loss(self, batch_size: int, max_steps: float) -> float | None:
        """Interquartile mean over the main seeds of the best loss within so many steps."""
        found = [
            best
            for curve in self.full_curves(batch_size)
            if (best := best_loss(curve.steps, curve.losses, max_steps)) is not None
        ]
        return float(interquartile_mean(np.array(found))) if found else None

    def full_curves(self, batch_size: int) -> list[LossCurve]:
        """Curves of a size that were not to end at a target."""
        return full_curves(self.measurements.curves, batch_size)

    def _log_steps(self, batch_size: int) -> Vector:
        return _log_steps(self.steps_by_seed[batch_size].values())

    def rows_per_step(self, batch_size: int) -> float:
        """Rows in a step, on average: the last of an epoch may have fewer than the size."""
        curves = [curve for curve in self.measurements.curves if curve.batch_size == batch_size]
        longest = max(curves, key=lambda curve: curve.steps[-1])
        return longest.examples[-1] / max(longest.steps[-1], 1)

    def _seconds(self, engine: str, batch_size: int) -> Vector:
        return np.array(self.timing(engine, batch_size).seconds)


def full_curves(curves: Sequence[LossCurve], batch_size: int) -> list[LossCurve]:
    """Curves of a size that were not to end at a target."""
    return [curve for curve in curves if curve.batch_size == batch_size and curve.whole]


def choose_target(curves: Sequence[LossCurve], budget_steps: dict[int, float]) -> float | None:
    """Choose a validation loss that most sizes reach well within their time.

    For each size, the best smoothed loss within half the time (within all of it, should that be
    too short) is found for each seed, and the one that three quarters of the seeds reach; of these
    losses, again the one that three fifths of the sizes reach. The target is above it by 2 % of
    the way down from the first loss, since nearly level curves cross a line by chance.

    Parameters
    ----------
    curves
        Of all sizes.
    budget_steps
        Steps that fill the time budget, by size.

    Returns
    -------
    float or None
        None if no curve has come below its first loss.
    """
    first = float(np.median([curve.losses[0] for curve in curves if curve.whole]))
    for share in _SHARES_OF_TIME:
        losses = [
            _reached_by_most_seeds(full_curves(curves, size), share * budget)
            for size, budget in budget_steps.items()
        ]
        reached = float(np.quantile(losses, _SIZES_REACHING, method="lower"))
        if reached < first:
            return reached + _MARGIN * (first - reached)
    return None


def _reached_by_most_seeds(curves: Sequence[LossCurve], max_steps: float) -> float:
    found = [best_loss(curve.steps, curve.losses, max_steps) for curve in curves]
    best = [math.inf if each is None else each for each in found]
    return float(np.quantile(best, _SEEDS_REACHING, method="higher"))


def _log_steps(steps: Iterable[float]) -> Vector:
    # Reached before the first step counts as a small part of one.
    return np.log(np.maximum(list(steps), _LEAST_STEPS))


def _exponential(logs: Estimate) -> Estimate | None:
    if not math.isfinite(logs.value):
        return None
    return Estimate(math.exp(logs.value), math.exp(logs.low), _exp(logs.high))


def _exp(value: float) -> float:
    return math.inf if value == math.inf else math.exp(value)


def _resampled(logs: Vector, seed: int) -> Vector:
    return interquartile_mean(logs[draws(len(logs), seed)])


def _resampled_log_median(seconds: Vector) -> Vector:
    return np.log(median(seconds[draws(len(seconds), ROUND_DRAWS)]))
