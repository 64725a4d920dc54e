"""The table's rows: one engine with one batch size."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from typegrad.benchmark.machine import spread
from typegrad.benchmark.resampling import Estimate

if TYPE_CHECKING:
    from typegrad.benchmark.report import BatchSizeReport


@dataclass(frozen=True)
class ReportRow:
    """What was measured with one engine and one batch size; None where there is nothing.

    Numbers with ``_low`` and ``_high`` have an interval of 95 % confidence.

    Attributes
    ----------
    engine, ran, batch_size
        The engine asked for, what it was (of ``"auto"``, the engine that was chosen), and the size.
    learning_rate
        Of the trainings.
    microseconds_per_step
        Median.
    spread
        Distance between the quartiles of the times, relative to the median.
    examples_per_second
        Over whole epochs.
    peak_megabytes
        Most memory that training held at once, beside data and libraries.
    share_of_peak
        Floating-point operations a second, relative to a matrix product's in the same run.
    data, forward, backward, optimizer
        Shares of the time for a step; of the planned engine alone.
    seeds, seeds_reached
        With how many seeds the size was trained, and how many reached the target.
    steps_to_target, examples_to_target, seconds_to_target
        Interquartile geometric means over the seeds; None if more than a quarter miss it.
    best_loss_in_time, best_loss_in_examples
        Best validation loss within the time that every curve has, and within as many examples as
        every size went through.
    """

    engine: str
    ran: str
    batch_size: int
    learning_rate: float
    microseconds_per_step: float
    microseconds_per_step_low: float
    microseconds_per_step_high: float
    spread: float
    examples_per_second: float
    examples_per_second_low: float
    examples_per_second_high: float
    peak_megabytes: float | None
    share_of_peak: float
    data: float | None
    forward: float | None
    backward: float | None
    optimizer: float | None
    seeds: int
    seeds_reached: int
    steps_to_target: float | None
    steps_to_target_low: float | None
    steps_to_target_high: float | None
    examples_to_target: float | None
    examples_to_target_low: float | None
    examples_to_target_high: float | None
    seconds_to_target: float | None
    seconds_to_target_low: float | None
    seconds_to_target_high: float | None
    best_loss_in_time: float | None
    best_loss_in_examples: float | None

    def to_dict(self) -> dict[str, Any]:
        """All numbers by name."""
        return asdict(self)


def make_row(report: BatchSizeReport, engine: str, batch_size: int) -> ReportRow:
    """Work out a row."""
    analysis = report.analysis
    timing = analysis.timing(engine, batch_size)
    step = analysis.seconds_per_step(engine, batch_size)
    throughput = analysis.throughput(engine, batch_size)
    rate = throughput.value * report.problem["operations per example"]
    parts = report.measurements.parts[batch_size] if timing.ran == "planned" else None
    reached, seeds = analysis.reached(batch_size)
    # Steps that fill the budget of examples, of this size's mean number of rows.
    example_steps = report.examples_budget / timing.rows_per_step
    return ReportRow(
        engine=engine,
        ran=timing.ran,
        batch_size=batch_size,
        learning_rate=report.learning_rates[batch_size],
        **_columns("microseconds_per_step", step.scaled(1e6)),
        spread=spread(timing.microseconds),
        **_columns("examples_per_second", throughput),
        peak_megabytes=None if timing.peak_bytes is None else timing.peak_bytes / 1e6,
        share_of_peak=rate / report.peak_operations_per_second,
        data=None if parts is None else parts.data,
        forward=None if parts is None else parts.forward,
        backward=None if parts is None else parts.backward,
        optimizer=None if parts is None else parts.optimizer,
        seeds=seeds,
        seeds_reached=reached,
        **_columns("steps_to_target", analysis.steps_to_target(batch_size)),
        **_columns("examples_to_target", analysis.examples_to_target(batch_size)),
        **_columns("seconds_to_target", analysis.seconds_to_target(engine, batch_size)),
        best_loss_in_time=analysis.best_loss(batch_size, report.seconds_per_curve / step.value),
        best_loss_in_examples=analysis.best_loss(batch_size, example_steps),
    )


def _columns(name: str, estimate: Estimate | None) -> dict[str, Any]:
    if estimate is None:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"))
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
