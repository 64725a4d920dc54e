"""The answer: what was measured, what follows from it, and all that is needed to repeat it."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from typegrad.benchmark.analysis import Analysis
from typegrad.benchmark.machine import noise_warning
from typegrad.benchmark.measurements import Measurements, NoisePoint
from typegrad.benchmark.recommendation import (
    Objective,
    Recommendation,
    check_objective,
    number,
    recommend,
)
from typegrad.benchmark.resampling import Estimate
from typegrad.benchmark.rows import ReportRow, make_row
from typegrad.benchmark.tradeoff import Tradeoff, fit_tradeoff
from typegrad.errors import DataError, import_extra
from typegrad.network import NeuralNetwork
from typegrad.output_files import write_whole

__all__ = ["BatchSizeReport"]

_FORMAT = "typegrad report on batch sizes"
_VERSION = 1

_FEWEST_SIZES = 3
"""That a curve of steps against examples can be fitted to."""


@dataclass(frozen=True)
class BatchSizeReport:
    """Which batch size to take, with the evidence; made by `batch_sizes`.

    ``print(report)`` shows the recommendations and the table.

    Attributes
    ----------
    arguments : dict
        What `batch_sizes` was called with, as far as JSON can tell it.
    problem : dict
        Rows, network, optimizer and what they are recognised by.
    machine : dict
        Processor, versions, date, commit, command.
    learning_rates : dict
        By batch size.
    seconds_per_curve : float
        The time budget: how long the steps of one training may take.
    target : float or None
        Validation loss that sizes race to, in the units trained in. None if none was given,
        and no size came below its first loss.
    target_was_given : bool
        Whether it was an argument, and not chosen by the curves.
    notes : tuple of str
        What went otherwise than it was asked for.
    measurements : Measurements
        Times, curves, noise scales: everything that was measured.
    """

    arguments: Mapping[str, Any]
    problem: Mapping[str, Any]
    machine: Mapping[str, str]
    learning_rates: Mapping[int, float]
    seconds_per_curve: float
    target: float | None
    target_was_given: bool
    notes: tuple[str, ...]
    measurements: Measurements = field(repr=False)

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """The sizes that were measured, ascending."""
        return tuple(self.learning_rates)

    @property
    def engines(self) -> tuple[str, ...]:
        """The engines and contestants whose steps were timed; the first is what counts."""
        return tuple(dict.fromkeys(timing.engine for timing in self.measurements.timings))

    @cached_property
    def analysis(self) -> Analysis:
        """Numbers for each size."""
        return Analysis(self.measurements, -math.inf if self.target is None else self.target)

    @cached_property
    def rows(self) -> tuple[ReportRow, ...]:
        """The table: a row for each engine and size."""
        return tuple(
            make_row(self, engine, size) for engine in self.engines for size in self.batch_sizes
        )

    @property
    def noise_scales(self) -> tuple[NoisePoint, ...]:
        """Gradient noise scales along the trainings with the first seed."""
        return tuple(self.measurements.noise)

    @cached_property
    def tradeoff(self) -> Tradeoff | None:
        """Steps against examples to the target, fitted to every run that reached it.

        None where fewer than three sizes did.
        """
        runs = [
            (steps, self.analysis.rows_per_step(size))
            for size in self.batch_sizes
            for steps in self.analysis.steps_by_seed[size].values()
            if 0.0 < steps < math.inf
        ]
        if len({rows for _, rows in runs}) < _FEWEST_SIZES:
            return None
        steps, rows = np.array(runs).T
        return fit_tradeoff(steps, steps * rows)

    @property
    def peak_operations_per_second(self) -> float:
        """Floating-point operations a second of the fastest matrix product in the same run."""
        fastest = min(self.measurements.reference_seconds)
        return self.measurements.reference_operations / fastest

    @property
    def noise_warning(self) -> str | None:
        """What to say if the machine was too noisy to trust small differences; else None."""
        return noise_warning(self.measurements.reference_seconds)

    @property
    def examples_budget(self) -> float:
        """Examples that every size went through: the budget of examples for its best loss."""
        rows = int(self.problem["training rows"])
        return min(
            steps * rows / -(-rows // size)
            for size, steps in self.measurements.step_budgets.items()
        )

    def recommend(
        self, objective: Objective = "time", engine: str | None = None
    ) -> Recommendation | None:
        """Recommend a batch size.

        Parameters
        ----------
        objective
            ``"time"``: fewest seconds to the target; ``"examples"``: fewest examples to it;
            ``"throughput"``: most examples a second; ``"memory"``: least memory.
        engine
            Whose times count; the first of `engines` if None.

        Returns
        -------
        Recommendation or None
            None where no size reaches the target, or memory was not measured.

        Raises
        ------
        ValueError
            If there is no such objective, or that engine was not measured.
        """
        chosen = self.engines[0] if engine is None else engine
        if chosen not in self.engines:
            names = ", ".join(map(repr, self.engines))
            raise ValueError(f"engine {chosen!r} was not measured; expected one of {names}")
        return recommend(self.analysis, self.batch_sizes, chosen, check_objective(objective))

    def compare(self, batch_size: int, other: int, engine: str | None = None) -> Estimate | None:
        """Seconds to the target with one size divided by those with another, with an interval.

        None if one of them does not reach the target.
        """
        chosen = self.engines[0] if engine is None else engine
        return self.analysis.time_ratio(chosen, batch_size, other)

    def explain_unreached(self) -> str | None:
        """Say why there is no recommendation by time; None if there is one."""
        if self.target is None:
            return (
                "No size came below the loss it started from, so there is no target to race to: "
                "give a lower learning rate, or more budget_seconds."
            )
        if self.recommend("time") is not None:
            return None
        steps = self.measurements.step_budgets
        losses = {
            size: best
            for size in self.batch_sizes
            if (best := self.analysis.best_loss(size, steps[size])) is not None
        }
        found = ""
        if losses:
            size = min(losses, key=lambda each: losses[each])
            found = f"; the lowest loss is {number(losses[size])}, with batch size {size}"
        return (
            f"No size reaches the target {number(self.target)} within "
            f"{number(self.seconds_per_curve)} s of training{found}. "
            "Give a higher target, or more budget_seconds."
        )

    def __str__(self) -> str:
        from typegrad.benchmark.report_text import report_text

        return report_text(self)

    def to_dataframe(self) -> Any:
        """The table as a pandas DataFrame (extra ``dataframe``)."""
        pandas = import_extra("pandas", "dataframe", "BatchSizeReport.to_dataframe")
        return pandas.DataFrame([row.to_dict() for row in self.rows])

    def to_csv(self, path: str | PathLike[str]) -> None:
        """Write the table as CSV; empty where something was not measured or not reached."""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(self.rows[0].to_dict()), lineterminator="\n")
        writer.writeheader()
        writer.writerows(row.to_dict() for row in self.rows)
        write_whole(path, text.getvalue().encode())

    def to_html(self, path: str | PathLike[str]) -> None:
        """Write a page that stands alone: the answer, figures, tables (extra ``plot``)."""
        from typegrad.benchmark.html import write_html

        write_html(self, path)

    def save_figures(self, folder: str | PathLike[str], suffix: str = "png") -> list[Path]:
        """Write the figures into a folder, and return the files (extra ``plot``).

        The suffix is that of a format that matplotlib writes: ``"png"``, ``"svg"``, ``"pdf"``.
        """
        from typegrad.benchmark.figures import save_figures

        return save_figures(self, folder, suffix)

    def to_dict(self) -> dict[str, Any]:
        """Describe everything that was measured in JSON's types."""
        return {
            "format": _FORMAT,
            "version": _VERSION,
            "arguments": dict(self.arguments),
            "problem": dict(self.problem),
            "machine": dict(self.machine),
            "learning_rates": {str(size): rate for size, rate in self.learning_rates.items()},
            "seconds_per_curve": self.seconds_per_curve,
            "target": self.target,
            "target_was_given": self.target_was_given,
            "notes": list(self.notes),
            "measurements": self.measurements.to_dict(),
        }

    def to_json(self, path: str | PathLike[str]) -> None:
        """Write everything that was measured, for `from_json` and for other programs."""
        write_whole(path, (json.dumps(self.to_dict()) + "\n").encode())

    @classmethod
    def from_json(cls, path: str | PathLike[str]) -> BatchSizeReport:
        """Read what `to_json` wrote.

        Raises
        ------
        DataError
            If the file cannot be read or is no such report.
        """
        try:
            described = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise DataError(f"{path} is not JSON: {error}") from error
        if not isinstance(described, dict) or described.get("format") != _FORMAT:
            raise DataError(f"{path} is not a report that typegrad has written")
        if described["version"] != _VERSION:
            raise DataError(
                f"{path} has version {described['version']} of the format; expected {_VERSION}"
            )
        return cls(
            arguments=described["arguments"],
            problem=described["problem"],
            machine=described["machine"],
            learning_rates={int(size): rate for size, rate in described["learning_rates"].items()},
            seconds_per_curve=described["seconds_per_curve"],
            target=described["target"],
            target_was_given=described["target_was_given"],
            notes=tuple(described["notes"]),
            measurements=Measurements.from_dict(described["measurements"]),
        )


def operations_per_example(network: NeuralNetwork) -> int:
    """Floating-point operations of a training step for one example.

    Each multiply-add of a layer's products is one of the forward pass and two of the backward
    pass, but for the first layer, whose input needs no gradient; two operations each.
    """
    counts = [layer.multiply_adds() for layer in network.layers]
    products = [count for count in counts if count]
    return int(np.sum(products) * 6 - (2 * products[0] if products else 0))
