"""Which batch size to take, by what matters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from typegrad.benchmark.analysis import Analysis
from typegrad.benchmark.resampling import Estimate
from typegrad.options import check_choice

Objective: TypeAlias = Literal["time", "examples", "throughput", "memory"]
"""Fewest seconds to the target, fewest examples to it, most examples a second, least memory."""

SAME_MEMORY = 0.01
"""Relative difference of two peaks of memory that is none."""

_NEIGHBOURS, _PARABOLA = 2, 3
"""Sizes on either side that a value is smoothed with; parameters of a parabola."""

_SMALLEST_ERROR, _LARGEST_ERROR = 0.02, 1.0
"""Of a logarithm: what no interval is trusted beyond."""


@dataclass(frozen=True)
class Recommendation:
    """The best batch size for an objective.

    Attributes
    ----------
    objective, engine
        What it is best for, and with which engine.
    batch_size
        The size to take.
    value
        What was measured with it, in `unit`.
    unit
        ``"s"``, ``"examples"``, ``"examples/s"`` or ``"MB"``.
    alike
        Other sizes without a measurable difference from it: the 95 % interval of their ratio
        holds 1 (for memory: peaks within 1 %). Of sizes that are alike, the one is taken that has
        the best value after smoothing over the sizes: its neighbours were measured, too.
    """

    objective: Objective
    engine: str
    batch_size: int
    value: Estimate
    unit: str
    alike: tuple[int, ...]

    def __str__(self) -> str:
        interval = ""
        if self.value.low < self.value.high:
            interval = f" (95 % interval {number(self.value.low)} to {number(self.value.high)})"
        text = f"{self.batch_size}, {number(self.value.value)} {self.unit}{interval}"
        if self.alike:
            names = listed([str(size) for size in self.alike])
            text += f"; no measurable difference from {names}"
        return text


def check_objective(objective: str) -> Objective:
    """Require a known objective.

    Raises
    ------
    ValueError
        If there is none of this name.
    """
    found: Objective = check_choice("objective", objective, get_args(Objective))
    return found


def recommend(
    analysis: Analysis, batch_sizes: Sequence[int], engine: str, objective: Objective
) -> Recommendation | None:
    """Find the best size; None if nothing was measured that would tell.

    Parameters
    ----------
    analysis
        Of what was measured.
    batch_sizes
        Those that were measured.
    engine
        Whose times are meant.
    objective
        What is to be best.
    """
    if objective == "memory":
        return _least_memory(analysis, batch_sizes, engine)
    values: dict[int, Estimate] = {}
    for size in batch_sizes:
        value = _value(analysis, engine, size, objective)
        if value is not None:
            values[size] = value
    if not values:
        return None
    sign = -1.0 if objective == "throughput" else 1.0
    lowest = min(values, key=lambda size: sign * values[size].value)

    def alike_to(chosen: int) -> list[int]:
        return [
            size
            for size in values
            if size != chosen and _holds_one(_ratio(analysis, engine, size, chosen, objective))
        ]

    smooth = smoothed_logs(values)
    best = min([lowest, *alike_to(lowest)], key=lambda size: sign * smooth[size])
    units = {"time": "s", "examples": "examples", "throughput": "examples/s"}
    alike = tuple(alike_to(best))
    return Recommendation(objective, engine, best, values[best], units[objective], alike)


def smoothed_logs(values: Mapping[int, Estimate]) -> dict[int, float]:
    """Logarithms of values, each half its own and half what its neighbours say.

    What they say is a parabola through it and the two sizes on either side, in logarithms of both
    value and size, each weighted by its precision. Sizes with too few neighbours keep their own.
    """
    sizes = sorted(values)
    positions = np.log(np.array(sizes, np.float64))
    logs = np.log([values[size].value for size in sizes])
    errors = np.array([_log_error(values[size]) for size in sizes])
    smooth = {}
    for index, size in enumerate(sizes):
        near = slice(max(0, index - _NEIGHBOURS), index + _NEIGHBOURS + 1)
        smooth[size] = float(logs[index])
        if len(positions[near]) > _PARABOLA:
            x = positions[near] - positions[index]
            fitted = np.polynomial.polynomial.polyfit(x, logs[near], 2, w=1.0 / errors[near])[0]
            smooth[size] = 0.5 * float(logs[index] + fitted)
    return smooth


def _log_error(value: Estimate) -> float:
    """Standard error of a value's logarithm, by its interval of two on each side."""
    width = math.log(value.high / value.low) if value.high < math.inf else math.inf
    return min(max(width / 4.0, _SMALLEST_ERROR), _LARGEST_ERROR)


def _value(analysis: Analysis, engine: str, size: int, objective: Objective) -> Estimate | None:
    if objective == "time":
        return analysis.seconds_to_target(engine, size)
    if objective == "examples":
        return analysis.examples_to_target(size)
    return analysis.throughput(engine, size)


def _ratio(
    analysis: Analysis, engine: str, size: int, other: int, objective: Objective
) -> Estimate | None:
    if objective == "time":
        return analysis.time_ratio(engine, size, other)
    if objective == "examples":
        return analysis.examples_ratio(size, other)
    return analysis.throughput_ratio(engine, size, other)


def _holds_one(ratio: Estimate | None) -> bool:
    return ratio is not None and ratio.low <= 1.0 <= ratio.high


def _least_memory(
    analysis: Analysis, batch_sizes: Sequence[int], engine: str
) -> Recommendation | None:
    peaks = {
        size: peak
        for size in batch_sizes
        if (peak := analysis.timing(engine, size).peak_bytes) is not None
    }
    if not peaks:
        return None
    best = min(peaks, key=lambda size: (peaks[size], -size))
    limit = (1.0 + SAME_MEMORY) * peaks[best]
    alike = tuple(size for size in peaks if size != best and peaks[size] <= limit)
    megabytes = peaks[best] / 1e6
    value = Estimate(megabytes, megabytes, megabytes)
    return Recommendation("memory", engine, best, value, "MB", alike)


def number(value: float) -> str:
    """Write a number with three significant digits, without an exponent where it is readable.

    >>> number(0.012345), number(12.345), number(1234567.0)
    ('0.0123', '12.3', '1,230,000')
    """
    if value == float("inf"):
        return "infinity"
    if value == 0 or 1e-4 <= abs(value) < 1e3:
        return f"{value:.3g}"
    if abs(value) < 1e9:
        return f"{float(f'{value:.3g}'):,.0f}" if abs(value) >= 1.0 else f"{value:.2e}"
    return f"{value:.2e}"


def listed(names: Sequence[str]) -> str:
    """Join names as a sentence does.

    >>> listed(["1", "2", "4"])
    '1, 2 and 4'
    """
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
