"""What a learning-rate range test found."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from typegrad.errors import import_extra
from typegrad.output_files import write_whole
from typegrad.types import Matrix, Vector

__all__ = ["LearningRateReport"]

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BELOW_LOWEST = 3.0
"""The suggested rate is so much below the one at which the loss was lowest."""

_LINES_PER_DECADE = 4
_FALL = 0.02
"""A loss that falls by less, relative to its first value, has not fallen."""


@dataclass(frozen=True)
class LearningRateReport:
    """Losses by learning rate, and the rate to take; made by `learning_rates`.

    The rule: of each training the loss is averaged over neighbouring steps (a tenth of a
    decade to either side), and a third of the rate at which it is lowest is taken: the one
    with the lowest loss is next to those that diverge, and what lasts a few steps in a rising
    series need not be stable for a whole training. (Smith takes this rate as the largest of a
    cycle, and a third or a quarter of it as the smallest.) The suggestion is the median over
    the trainings.

    Attributes
    ----------
    rates : ndarray of shape (steps,)
        Learning rate of each step.
    losses : ndarray of shape (seeds, steps)
        Loss of each step's batch before the step, in the units trained in; NaN after the end.
    seeds : tuple of int
        Of the trainings.
    stop_reasons : tuple of str
        ``"finished"``, or why a training ended before the highest rate.
    batch_size : int
        Rows in a step.
    optimizer : dict
        The optimizer's options.
    """

    rates: Vector = field(repr=False)
    losses: Matrix = field(repr=False)
    seeds: tuple[int, ...]
    stop_reasons: tuple[str, ...]
    batch_size: int
    optimizer: Mapping[str, Any]

    @cached_property
    def smoothed(self) -> Matrix:
        """Losses averaged over neighbouring rates, (seeds, steps); NaN after the end."""
        per_decade = (len(self.rates) - 1) / math.log10(self.rates[-1] / self.rates[0])
        reach = max(round(per_decade / 10.0), 1)
        return np.array([_moving_mean(row, reach) for row in self.losses])

    @cached_property
    def suggestions(self) -> Vector:
        """The rate that each training suggests, (seeds,); NaN where its loss did not fall."""
        found = [self._suggestion(row) for row in self.smoothed]
        return np.array(found, np.float64)

    @property
    def suggestion(self) -> float:
        """The learning rate to take; NaN if the loss fell in less than half of the trainings."""
        return self._median_and_range()[0]

    @property
    def low(self) -> float:
        """Smallest suggestion of a training: lower end of an interval for the median."""
        return self._median_and_range()[1]

    @property
    def high(self) -> float:
        """Largest suggestion of a training: upper end of an interval for the median."""
        return self._median_and_range()[2]

    @property
    def confidence(self) -> float:
        """Probability that the median of all trainings there could be lies in the interval.

        It lies outside only if all n are on one side of it: 1 - 2 / 2^n.
        """
        count = int(np.isfinite(self.suggestions).sum())
        return max(1.0 - 2.0 ** (1 - count), 0.0)

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know before the suggestion is taken; often empty."""
        notes = []
        fell = int(np.isfinite(self.suggestions).sum())
        if fell < len(self.seeds):
            notes.append(
                f"the loss fell in {fell} of {len(self.seeds)} trainings only; try more steps"
            )
        top = self.rates[-1] / _BELOW_LOWEST
        if fell and self.suggestion > 0.7 * top:
            notes.append(
                f"the loss was still falling at the highest rate, {self.rates[-1]:.3g}: "
                "the suggestion may be too low; give a higher one"
            )
        return tuple(notes)

    def __str__(self) -> str:
        lines = [self._headline(), ""]
        lines.append(f"{'rate':>9}  {'loss':>9}  {'from':>9}  {'to':>9}  trainings")
        for step in self._shown_steps():
            column = self.smoothed[:, step]
            column = column[np.isfinite(column)]
            if not column.size:
                lines.append(f"{self.rates[step]:9.2e}  all have diverged")
                break
            lines.append(
                f"{self.rates[step]:9.2e}  {np.median(column):9.4g}  {column.min():9.4g}  "
                f"{column.max():9.4g}  {column.size} of {len(self.seeds)}"
            )
        lines += [f"Note: {note}." for note in self.notes]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Describe everything in JSON's types; None stands for NaN."""
        return {
            "suggestion": _plain(self.suggestion),
            "low": _plain(self.low),
            "high": _plain(self.high),
            "confidence": self.confidence,
            "notes": list(self.notes),
            "batch_size": self.batch_size,
            "optimizer": dict(self.optimizer),
            "seeds": list(self.seeds),
            "stop_reasons": list(self.stop_reasons),
            "suggestions": [_plain(each) for each in self.suggestions.tolist()],
            "rates": self.rates.tolist(),
            "losses": [[_plain(each) for each in row] for row in self.losses.tolist()],
        }

    def to_json(self, path: str | PathLike[str]) -> None:
        """Write what `to_dict` describes."""
        write_whole(path, (json.dumps(self.to_dict(), allow_nan=False) + "\n").encode())

    def to_dataframe(self) -> Any:
        """A pandas DataFrame with a row for each training and step (extra ``dataframe``)."""
        pandas = import_extra("pandas", "dataframe", "LearningRateReport.to_dataframe")
        shape = self.losses.shape
        return pandas.DataFrame(
            {
                "seed": np.repeat(self.seeds, shape[1]),
                "learning_rate": np.tile(self.rates, shape[0]),
                "loss": self.losses.ravel(),
                "smoothed_loss": self.smoothed.ravel(),
            }
        )

    def plot(self) -> Figure:
        """Draw loss against learning rate, with the suggestion (extra ``plot``)."""
        from typegrad.benchmark.learning_rate_figure import draw_learning_rates

        return draw_learning_rates(self)

    def _headline(self) -> str:
        if math.isnan(self.suggestion):
            return "No learning rate to suggest: the loss did not fall."
        return (
            f"Take learning rate {self.suggestion:.2g} ({len(self.seeds)} trainings suggest "
            f"{self.low:.2g} to {self.high:.2g}), with batches of {self.batch_size}."
        )

    def _suggestion(self, smoothed: Vector) -> float:
        first = float(smoothed[0])
        if not np.isfinite(smoothed).any() or math.isnan(first):
            return math.nan
        best = int(np.nanargmin(smoothed))
        if first - smoothed[best] <= _FALL * abs(first):
            return math.nan
        return float(self.rates[best]) / _BELOW_LOWEST

    def _median_and_range(self) -> tuple[float, float, float]:
        found = self.suggestions[np.isfinite(self.suggestions)]
        if 2 * found.size <= len(self.seeds):
            return math.nan, math.nan, math.nan
        low, high = float(found.min()), float(found.max())
        median = math.exp(float(np.median(np.log(found))))
        return min(max(median, low), high), low, high

    def _shown_steps(self) -> npt.NDArray[np.int64]:
        decades = math.log10(self.rates[-1] / self.rates[0])
        lines = min(max(round(decades * _LINES_PER_DECADE), 2) + 1, len(self.rates))
        steps: npt.NDArray[np.int64] = (
            np.linspace(0, len(self.rates) - 1, lines).round().astype(int)
        )
        return steps


def _moving_mean(losses: Vector, reach: int) -> Vector:
    """Mean over so many neighbours to either side, as far as there are any."""
    smoothed: Vector = np.full(len(losses), np.nan)
    count = int(np.isfinite(losses).sum())  # what follows the end is NaN
    sums = np.concatenate([[0.0], np.cumsum(losses[:count])])
    places = np.arange(count)
    # As many to the left as to the right, or the slope would shift the mean.
    near = np.minimum(np.minimum(places, count - 1 - places), reach)
    smoothed[:count] = (sums[places + near + 1] - sums[places - near]) / (2 * near + 1)
    return smoothed


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
