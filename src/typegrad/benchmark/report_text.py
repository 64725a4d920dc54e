"""The report for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

from typegrad.benchmark.recommendation import Objective, number

if TYPE_CHECKING:
    from typegrad.benchmark.report import BatchSizeReport
    from typegrad.benchmark.rows import ReportRow

OBJECTIVES: dict[Objective, str] = {
    "time": "fastest to the target",
    "examples": "fewest examples to it",
    "throughput": "most examples a second",
    "memory": "least memory",
}
"""What each objective is called."""

RULES = {
    "kept": "the same for all sizes",
    "linear": "in proportion to the size",
    "sqrt": "in proportion to the size's square root",
    "searched": "searched for each size",
}
"""What each rule for the learning rate means."""

_HEADER = (
    "batch", "rate", "µs/step", "±", "examples/s", "of peak", "MB",
    "data", "fwd", "bwd", "opt", "steps", "examples", "seconds", "95 %", "seeds", "best loss",
)  # fmt: skip


def report_text(report: BatchSizeReport, objective: Objective = "time") -> str:
    """Lay out the recommendations, the one for an objective first, and the tables."""
    lines = [*_headline(report, objective), ""]
    for other in get_args(Objective):
        found = report.recommend(other)
        lines.append(f"{OBJECTIVES[other] + ':':24}{'-' if found is None else found}")
    lines += ["", *_premises(report)]
    for engine in report.engines:
        rows = [row for row in report.rows if row.engine == engine]
        ran = "" if rows[0].ran == engine else f" ({rows[0].ran})"
        lines += ["", f"engine {engine}{ran}", *_table(rows)]
    warning = report.noise_warning
    for note in [*report.notes, *([] if warning is None else [warning])]:
        lines += ["", note]
    return "\n".join(lines)


def _headline(report: BatchSizeReport, objective: Objective) -> list[str]:
    found = report.recommend(objective)
    lines = []
    if found is not None:
        lines.append(f"Take batch size {found.batch_size}: {OBJECTIVES[objective]}.")
    unreached = report.explain_unreached()
    if unreached is not None:
        lines.append(unreached)
    return lines or ["Nothing was measured that tells which size to take."]


def _premises(report: BatchSizeReport) -> list[str]:
    rule = RULES[report.arguments["learning_rate"]]
    how = "given" if report.target_was_given else "chosen so that most sizes reach it"
    target = "none" if report.target is None else f"validation loss {number(report.target)} ({how})"
    return [
        f"target: {target}; learning rate: {rule}; time budget of a training: "
        f"{number(report.seconds_per_curve)} s of steps",
        f"{report.problem['training rows']:,} training rows, "
        f"{report.problem['validation rows']:,} validation rows; peak: "
        f"{number(report.peak_operations_per_second / 1e9)} GFLOP/s in a matrix product",
    ]


def _table(rows: Sequence[ReportRow]) -> list[str]:
    cells = [_HEADER, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEADER))]
    lines = [
        "  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True))
        for line in cells
    ]
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:]]


def _cells(row: ReportRow) -> tuple[str, ...]:
    value = row.seconds_to_target
    interval = _interval(row.seconds_to_target_low, row.seconds_to_target_high)
    return row_cells(row, "not reached" if not value else number(value), interval)


def row_cells(row: ReportRow, time: str, interval: str) -> tuple[str, ...]:
    """Lay out a row's numbers; the time to the target and its interval are given in words."""
    return (
        str(row.batch_size),
        number(row.learning_rate),
        number(row.microseconds_per_step),
        f"{row.spread:.0%}",
        number(row.examples_per_second),
        f"{row.share_of_peak:.1%}",
        _or_dash(row.peak_megabytes),
        *(
            "-" if share is None else f"{share:.0%}"
            for share in (row.data, row.forward, row.backward, row.optimizer)
        ),
        _or_dash(row.steps_to_target),
        _or_dash(row.examples_to_target),
        time,
        interval,
        f"{row.seeds_reached} of {row.seeds}",
        _or_dash(row.best_loss_in_time),
    )


def _interval(low: float | None, high: float | None) -> str:
    return "-" if low is None or high is None else f"{number(low)}-{number(high)}"


def _or_dash(value: float | None) -> str:
    return "-" if value is None else number(value)
